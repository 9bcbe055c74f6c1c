"""Fitted network in; free runs, and the likelihood of the test trials, out."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from respike.core import files, training
from respike.v1 import fitted, losses, particles, trials
from respike.v1.model import SpikingNetwork
from respike.v1.params import Sampling

CHUNK = 40  # trials at once; the results do not depend on it


class Runs(NamedTuple):
    """Free runs: spikes of all cells, probabilities of the recorded ones."""

    spikes: Bool[np.ndarray, "trial step cell"]
    probabilities: Float[np.ndarray, "trial step cell"]


def run(*, fits: list[Path], recording: Path, out: list[Path], sampling: Sampling, seed: int, device: str = "auto") -> None:
    """For each of `fits` write the file of the same place in `out`: free runs, likelihoods, couplings."""
    record = trials.read(recording)
    for fit, path in zip(fits, out, strict=True):
        simulate(fit, record, path, sampling, seed, training.device(device))


@torch.no_grad()
def simulate(fit: Path, record: trials.Recording, out: Path, sampling: Sampling, seed: int, device: torch.device) -> None:
    """Free runs of one fit under the movie of `record`, and the likelihood of its test trials."""
    network = fitted.read(fit, device)
    model = network.model
    test = trials.cut(record.movie, record.of("test"), model.network)
    drive = model.drive(test.windows.to(device))
    place = ("simulate", network.replicate)
    runs = free_runs(model, drive, sampling.trials, seed, place, n_probabilities=len(test.y))
    likelihoods = forced_likelihoods(model, drive, test, sampling, seed, place)
    files.write_arrays(
        out,
        **runs._asdict(),
        **likelihoods,
        w_rec=model.couplings.cpu().numpy(),
        bias=model.bias.cpu().numpy(),
        threshold=model.network.threshold,
        n_recorded=model.n_recorded,
        best_step=network.best_step,
        dataset=network.dataset,
    )


def free_runs(model: SpikingNetwork, drive: Tensor, n_trials: int, seed: int, place: tuple, n_probabilities: int) -> Runs:
    """`n_trials` runs from silence, each with random numbers of its own; probabilities of the first ones."""
    spikes, probabilities = [], []
    for start in range(0, n_trials, CHUNK):
        numbers = range(start, min(start + CHUNK, n_trials))
        draw = torch.stack([fitted.uniforms(seed, (*place, "free", r), *drive.shape) for r in numbers])
        ran = model.free(drive, draw.to(drive.device))
        spikes.append(ran.spikes.cpu().numpy() > 0)
        if start < n_probabilities:
            probabilities.append(ran.probabilities[: n_probabilities - start, :, : model.n_recorded].cpu().numpy())
    return Runs(np.concatenate(spikes), np.concatenate(probabilities))


def forced_likelihoods(
    model: SpikingNetwork, drive: Tensor, test: trials.Trials, sampling: Sampling, seed: int, place: tuple
) -> dict[str, np.ndarray]:
    """Negative log likelihood of each test trial, nats per bin and cell.

    With hidden cells there are two: `nll` is that of probabilities averaged in each bin over runs of the hidden cells,
    `nll_marginal` the likelihood with the hidden cells summed out. Both predict from the recorded past alone. Without
    hidden cells they are one.
    """
    nll, marginal = [], []
    for trial in range(len(test.y)):
        one = test.pick([trial])
        nll.append(averaged_nll(model, drive, one, sampling.hidden_samples, seed, (*place, "forced", trial)))
        if model.network.hidden:
            size = (len(drive), sampling.particles, model.network.hidden)
            draws = [
                fitted.uniforms(seed, (*place, kind, trial), *shape).to(drive.device)
                for kind, shape in (("particles", size), ("offsets", size[:1]))
            ]
            marginal.append(particles.marginal_nll(model, drive, one.recorded[0].to(drive.device), *draws))
    return {"nll": np.array(nll), "nll_marginal": np.array(marginal or nll)}


def averaged_nll(model: SpikingNetwork, drive: Tensor, one: trials.Trials, n_samples: int, seed: int, place: tuple) -> float:
    """Negative log likelihood of one trial by the probabilities of each bin, averaged over runs of the hidden cells."""
    n_samples = n_samples if model.network.hidden else 1
    draw = fitted.uniforms(seed, place, n_samples, *drive.shape).to(drive.device)
    recorded = one.recorded.expand(n_samples, -1, -1).contiguous().to(drive.device)
    logits = model.forced(drive, recorded, draw).logits[..., : model.n_recorded].double()
    if n_samples == 1:
        return float(losses.cross_entropy(logits, one.y.to(logits)))
    return float(functional.binary_cross_entropy(torch.sigmoid(logits).mean(0), one.y[0].to(logits)))
