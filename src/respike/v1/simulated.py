"""What a fitted network did, as a file: free runs, likelihoods of the test trials, couplings."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files


class Simulation(NamedTuple):
    """Free runs and likelihoods of one fitted network; recorded cells first, hidden cells after them."""

    spikes: Bool[np.ndarray, "trial step cell"]  # free runs
    probabilities: Float[np.ndarray, "trial step cell"]  # of the recorded cells in the first free runs
    nll: Float[np.ndarray, " trial"]  # of the test trials, nats per bin and cell
    nll_marginal: Float[np.ndarray, " trial"]  # the same with the hidden cells summed out
    w_rec: Float[np.ndarray, "post pre lag"]  # unit of the voltage, oldest bin first
    bias: Float[np.ndarray, " cell"]
    threshold: float
    n_recorded: int
    best_step: int
    dataset: str

    @property
    def recorded_spikes(self) -> Bool[np.ndarray, "trial step cell"]:
        """Free runs of the recorded cells."""
        return self.spikes[:, :, : self.n_recorded]

    @property
    def logit_couplings(self) -> Float[np.ndarray, "post pre"]:
        """Couplings summed over lags, logit units."""
        return self.w_rec.sum(2) / self.threshold


def write(path: Path, simulation: Simulation) -> None:
    """npz file of `simulation`."""
    files.write_arrays(path, **simulation._asdict())


def read(path: Path) -> Simulation:
    """Simulation in a file of `write`; ValueError when it is another file."""
    stored = files.read_arrays(path, *Simulation._fields)
    scalars = {"threshold": np.float64, "n_recorded": int, "best_step": int, "dataset": str}
    return Simulation(**{name: scalars.get(name, np.asarray)(stored[name]) for name in Simulation._fields})
