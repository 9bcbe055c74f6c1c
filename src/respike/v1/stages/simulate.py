"""Fitted networks in; free runs, and the likelihood of the test trials, out."""

from pathlib import Path

import numpy as np
import torch

from respike.core import files, training
from respike.v1 import fitted, recorded, simulation, trials
from respike.v1.params import Sampling
from respike.v1.simulated import Simulation


@torch.no_grad()
def run(*, recording: Path, fits: list[Path], runs: list[Path], sampling: Sampling, seed: int, device: str = "auto") -> None:
    """For each of `fits` write the file at the same position in `runs`: free runs, likelihoods, couplings."""
    record, where = recorded.read(recording), training.device(device)
    for fit, path in zip(fits, runs, strict=True):
        network, dataset, best_step, replicate = fitted.read(fit, where)
        test, stream = trials.cut(record.movie, record.of("test"), network.network).to(where), ("simulate", replicate)
        drive = network.drive(test.movie)
        spikes, probabilities = simulation.free_runs(
            network, drive, sampling.trials, seed, (*stream, "free"), n_probabilities=len(test.y)
        )
        nll, nll_marginal = simulation.forced_likelihoods(network, drive, test, sampling, seed, stream)
        content = Simulation(
            spikes,
            probabilities[:, :, : network.n_recorded],
            nll,
            nll_marginal,
            network.couplings.cpu().numpy(),
            network.bias.cpu().numpy(),
            np.float64(network.network.threshold),
            np.float64(network.network.temperature),
            network.n_recorded,
            best_step,
            dataset,
        )
        files.write_arrays(path, **content._asdict())
