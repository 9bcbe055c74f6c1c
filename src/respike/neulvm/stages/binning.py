"""How much the bin matters: rates and switches of the mesoscopic model with the true parameters, against the network."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.neulvm import freerun, microscopic, model, states
from respike.neulvm.params import Circuit, Sweep

FINE = 0.0002  # s


def run(*, out: Path, circuit: Circuit, sweep: Sweep, seed: int) -> None:
    """Table of each scheme and bin: rates in the states, switches per second. `network-exact` steps its input exactly."""
    rows = []
    for scheme, steps in (("exact", sweep.exact), ("compat", sweep.compat)):
        for dt in steps:
            rng = seeds.generator(seed, "neulvm", "binning", scheme, round(dt * 1e6))
            current = np.zeros((round(sweep.seconds / dt), len(circuit.sizes)))
            latent = freerun.simulate(circuit, current, rng, dt, model.bins(sweep.history, dt), scheme)
            rows.append({"model": scheme, "dt": dt, **summary(latent / dt, dt)})
    for name, exact in (("network", False), ("network-exact", True)):
        rng = seeds.generator(seed, "neulvm", "binning", name)
        counts = microscopic.simulate(circuit, sweep.network_seconds, rng, FINE, exact_input=exact).counts
        rows.append({"model": name, "dt": FINE, **summary(microscopic.rates(counts, circuit, FINE, 20), 20 * FINE)})
    files.write_table(out, pd.DataFrame(rows))


def summary(rates: np.ndarray, dt: float) -> dict[str, float]:
    """Rates in the states (Hz) and switches per second."""
    found = states.find(rates, dt)
    return {
        "up": found.up, "down": found.down, "others": found.others, "switch_rate": found.n_switches / found.duration,
        "seconds": found.duration,
    }  # fmt: skip
