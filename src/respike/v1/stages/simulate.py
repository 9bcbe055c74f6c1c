"""Fitted networks in; free runs, and the likelihood of the test trials, out."""

from pathlib import Path

from respike.core import training
from respike.v1 import fitted, recorded, simulated, simulation, trials
from respike.v1.params import Sampling


def run(*, recording: Path, fits: list[Path], runs: list[Path], sampling: Sampling, seed: int, device: str = "auto") -> None:
    """For each of `fits` write the file at the same position in `runs`: free runs, likelihoods, couplings."""
    record, where = recorded.read(recording), training.device(device)
    for fit, path in zip(fits, runs, strict=True):
        network = fitted.read(fit, where)
        test = trials.cut(record.movie, record.of("test"), network.model.network)
        simulated.write(path, simulation.simulate(network, test, sampling, seed))
