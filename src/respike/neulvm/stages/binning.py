"""How much the bin matters: rates and switches of the mesoscopic model with the true parameters, against the network."""

from pathlib import Path

import pandas as pd

from respike.core import files, seeds
from respike.neulvm import freerun, microscopic, states
from respike.neulvm.params import FINE, Circuit, Sweep, age_bins


def run(*, out: Path, circuit: Circuit, binning: Sweep, seed: int) -> None:
    """Table of each scheme and bin: rates in the states, switches per second. `network-exact` steps its input exactly."""
    rows = []
    for scheme in ("exact", "compat"):
        for dt in getattr(binning, scheme):
            history = age_bins("neulvm.binning.history", binning.history, dt, circuit)
            rng = seeds.generator(seed, "neulvm", "binning", scheme, round(dt * 1e6))
            rates = freerun.rates(circuit, binning.seconds, rng, dt, history, scheme)
            rows.append({"model": scheme, "dt": dt, **states.find(rates, dt, circuit.has_rivals).summary()})
    for name, exact in (("network", False), ("network-exact", True)):
        rng = seeds.generator(seed, "neulvm", "binning", name)
        counts = microscopic.simulate(circuit, binning.network_seconds, rng, FINE, exact_input=exact).counts
        rates = microscopic.rates(counts, circuit, FINE, 20)
        rows.append({"model": name, "dt": FINE, **states.find(rates, 20 * FINE, circuit.has_rivals).summary()})
    files.write_table(out, pd.DataFrame(rows))
