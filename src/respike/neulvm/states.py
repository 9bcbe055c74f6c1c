"""Which population wins: states of the winner-take-all circuit, their rates, switches and dwell times."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

WIDTH = 0.05  # s, about; bins of the rates in which states are told apart
MARGIN = 8.0  # Hz, difference of the two rates from which one population has won


@dataclass(frozen=True)
class States:
    """Winner (0 or 1; -1 before the first decision) in each bin of WIDTH, and what follows from it."""

    winner: Int[np.ndarray, " bin"]
    dwell: Float[np.ndarray, " visit"]  # s, complete visits only: neither the first nor the last
    times: Float[np.ndarray, " switch"]  # s, of the switches
    n_switches: int
    duration: float  # s
    up: float  # Hz, mean rate of the winner while the margin is kept
    down: float
    others: float  # Hz, mean rate of the last population

    @property
    def switch_rate(self) -> float:
        """Switches per second."""
        return self.n_switches / self.duration

    def summary(self) -> dict[str, float]:
        """Rates in the states (Hz), switches per second, and the seconds that they rest on."""
        rates = {"up": self.up, "down": self.down, "others": self.others}
        return {**rates, "switch_rate": self.switch_rate, "seconds": self.duration}


def find(rates: Float[np.ndarray, "bin population"], dt: float) -> States:
    """States of the first two populations, by the sign of their difference with hysteresis of MARGIN."""
    per = max(1, round(WIDTH / dt))  # 12 bins of 4 ms: the width is that of whole bins
    n, width = len(rates) // per, per * dt
    wide = rates[: n * per].reshape(n, per, -1).mean(1)
    difference = wide[:, 0] - wide[:, 1]
    decided = np.abs(difference) > MARGIN
    mark = np.where(decided, difference < 0, -1).astype(int)
    last = np.maximum.accumulate(np.where(decided, np.arange(len(mark)), -1))
    winner = np.where(last >= 0, mark[last], -1)
    changes = np.flatnonzero((winner[1:] != winner[:-1]) & (winner[:-1] >= 0)) + 1
    high, low = wide[:, :2].max(1)[decided], wide[:, :2].min(1)[decided]
    return States(
        winner, np.diff(changes) * width, changes * width, len(changes), n * width,
        float(high.mean()) if len(high) else np.nan, float(low.mean()) if len(low) else np.nan, float(wide[:, -1].mean()),
    )  # fmt: skip
