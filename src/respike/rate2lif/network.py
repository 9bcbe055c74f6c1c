"""A rate network with Dale's law: its weights, signs, connectivity mask and synaptic decay constants.

The rate model (`model`) and the LIF network (`lif`) take the same network; its file is the business of `fitted`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from respike.rate2lif.params import RATE_STEP


@dataclass(frozen=True)
class Network:
    """Weights are (receiver, sender). `extra` holds the fields of the file that no computation needs."""

    w: Float[np.ndarray, "cell cell"]  # trained weights, not negative under Dale's law
    w0: Float[np.ndarray, "cell cell"]  # weights before training
    w_in: Float[np.ndarray, "cell channel"]
    w_out: Float[np.ndarray, " cell"]
    b_out: float
    signs: Float[np.ndarray, " cell"]  # 1 or -1 by sender
    mask: Float[np.ndarray, "cell cell"]  # 0 where the SST motif forbids a connection
    inhibitory: Bool[np.ndarray, " cell"]
    taus: tuple[float, ...]  # smallest and largest decay constant in steps, or one value
    taus_gaus: Float[np.ndarray, " cell"]  # trained; the sigmoid puts it between the two
    activation: str = "sigmoid"
    sst_cells: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.w)

    def decay(self) -> Float[np.ndarray, " cell"]:
        """Synaptic decay constant of each cell (s): between the smallest and the largest, by the sigmoid of `taus_gaus`."""
        return (expit(self.taus_gaus) * (self.taus[-1] - self.taus[0]) + self.taus[0]) * RATE_STEP

    def recurrent(self, initial: bool = False) -> Float[np.ndarray, "cell cell"]:
        """Signed weights after the SST mask; with `initial` those before training."""
        return (self.w0 if initial else self.w) * self.signs * self.mask

    def sst(self) -> Bool[np.ndarray, " cell"]:
        """The inhibitory cells that receive nothing from inhibitory cells."""
        return self.inhibitory & (np.cumsum(self.inhibitory) <= self.sst_cells)
