"""What a fitted network did, as a file: free runs, likelihoods of the test trials, couplings."""

from functools import partial
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
    temperature: float
    n_recorded: int
    best_step: int
    dataset: str

    @property
    def recorded_spikes(self) -> Bool[np.ndarray, "trial step cell"]:
        """Free runs of the recorded cells."""
        return self.spikes[:, :, : self.n_recorded]

    @property
    def logit_couplings(self) -> Float[np.ndarray, "post pre lag"]:
        """Couplings in logit units, lag 1 first, like those of a `Truth`: what a spike adds to the log odds of another."""
        return self.w_rec[:, :, ::-1] * np.float64(self.temperature / self.threshold)


read = partial(files.read_tuple, Simulation)  # from the npz file that `files.write_arrays` made of its fields
