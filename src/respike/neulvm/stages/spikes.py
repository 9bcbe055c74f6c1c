"""Spikes of the recorded neurons, and of cells of the fitted network, for the reports of all studies."""

from pathlib import Path

import numpy as np

from respike.core import files, spikes
from respike.core.spikes import Network
from respike.neulvm import trials


def run(*, trial: Path, runs: list[Path], out: Path) -> None:
    """Write the recorded neurons (fitted and held-out windows), and some cells of a network with each model's parameters."""
    spikes.write_networks(out, [recorded(trial), *map(simulated, runs)])


def recorded(path: Path) -> Network:
    """The recorded neurons; the fitted batches and the held-out seconds follow each other in time."""
    read = trials.read(path)
    windows = np.concatenate([trials.joined(read.trial), trials.joined(read.held_out)])
    return Network("neulvm", "recording", read.dataset, True, spikes.from_raster(windows[None], read.trial.dt), read.trial.dt)


def simulated(path: Path) -> Network:
    """Cells of a free run, which is named by its model."""
    stored = files.read_arrays(path, "spikes", "fine", "dataset")
    step = float(stored["fine"])
    return Network("neulvm", path.stem, str(stored["dataset"]), False, spikes.from_raster(stored["spikes"][None], step), step)
