"""The file that all later stages read: the recorded spikes in bins, the drive, and the truth where it is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.core import files
from respike.neulvm.model import Trial


@dataclass(frozen=True)
class Recorded:
    """The fitted window, the seconds after it that no fit sees, and the true rates (Hz; nan when unknown)."""

    dataset: str
    trial: Trial
    rates: Float[np.ndarray, "batch bin population"]
    held_out: Trial


def write(path: Path, recorded: Recorded) -> None:
    """npz file of a recording."""
    trial, later = recorded.trial, recorded.held_out
    files.write_arrays(
        path, dataset=recorded.dataset, dt=trial.dt, history=trial.history, population=trial.population,
        spikes=trial.spikes, drive=trial.drive, rates=recorded.rates, later_spikes=later.spikes, later_drive=later.drive,
    )  # fmt: skip


def read(path: Path) -> Recorded:
    """Recording in the file `path`."""
    names = ("dataset", "dt", "history", "population", "spikes", "drive", "rates", "later_spikes", "later_drive")
    held = files.read_arrays(path, *names)
    dt, history = float(held["dt"]), int(held["history"])
    trial = Trial(dt, history, held["spikes"], held["population"], held["drive"])
    later = Trial(dt, history, held["later_spikes"], held["population"], held["later_drive"])
    return Recorded(str(held["dataset"]), trial, held["rates"], later)
