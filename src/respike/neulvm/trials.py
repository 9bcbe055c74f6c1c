"""The file that all later stages read: the recorded spikes in bins, the drive, and the truth where it is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from respike.core import files
from respike.neulvm.model import Trial

FIELDS = ("dataset", "dt", "history", "population", "spikes", "drive", "rates", "later_spikes", "later_drive")


@dataclass(frozen=True)
class Trials:
    """The fitted window, the seconds after it that no fit sees, and the true rates (Hz; nan when unknown)."""

    dataset: str
    trial: Trial
    rates: Float[np.ndarray, "batch bin population"]
    held_out: Trial

    @property
    def truth(self) -> Float[np.ndarray, "batch bin population"] | None:
        """True activity (fraction that fires in a bin), where it is known."""
        return self.rates * self.trial.dt if np.isfinite(self.rates).all() else None


def write(path: Path, trials: Trials) -> None:
    """npz file of the bins."""
    trial, later = trials.trial, trials.held_out
    files.write_arrays(
        path, dataset=trials.dataset, dt=trial.dt, history=trial.history, population=trial.population,
        spikes=trial.spikes, drive=trial.drive, rates=trials.rates, later_spikes=later.spikes, later_drive=later.drive,
    )  # fmt: skip


def read(path: Path) -> Trials:
    """The bins in the file `path`."""
    stored = files.read_arrays(path, *FIELDS)
    common = float(stored["dt"]), int(stored["history"])
    trial, later = (
        Trial(*common, stored[f"{when}spikes"], stored["population"], stored[f"{when}drive"]) for when in ("", "later_")
    )
    return Trials(str(stored["dataset"]), trial, stored["rates"], later)


def joined(trial: Trial) -> Int[np.ndarray, "bin neuron"]:
    """Spikes of the fitted bins of all batches, one batch after the other, as they follow each other in time."""
    return trial.spikes[:, trial.history :].reshape(-1, len(trial.population))
