"""Free runs of a model, whatever its kind: the mesoscopic equation, or the network cell by cell."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files
from respike.neulvm import freerun, microscopic
from respike.neulvm.fitted import Fitted
from respike.neulvm.params import FINE, Free, network_steps

CELLS, SECONDS = 3, 20.0  # cells of each population whose spikes are kept, and how long


def rates(
    model: Fitted, current: Float[np.ndarray, "bin population"], rng: np.random.Generator
) -> Float[np.ndarray, "bin population"]:
    """Population rates (Hz) in each bin under a current (potential/s)."""
    if model.kind != "network":
        return freerun.simulate(model.circuit, current, rng, model.dt, model.history, model.kind) / model.dt
    per = network_steps(model.dt)
    run = microscopic.simulate(model.circuit, len(current) * model.dt, rng, FINE, current=current, every=per)
    return microscopic.rates(run.counts, model.circuit, FINE, per)


def cells(model: Fitted, free: Free, rng: np.random.Generator) -> Bool[np.ndarray, "step cell"]:
    """Spikes of some cells, in steps of FINE, of the network that has the model's parameters."""
    n_cells = min(CELLS, *model.circuit.sizes)
    return microscopic.simulate(model.circuit, min(SECONDS, free.seconds), rng, FINE, n_cells).sampled


def read(models: list[Path], rivals: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Runs of the models, by the names of their files, then those of the baselines in the same form.

    No pulse can reach a baseline: its trials are stretches of its free run.
    """
    runs = {path.stem: files.read_arrays(path, "dt", "free", "pulse", "pulsed", "target", "first") for path in models}
    like = next(iter(runs.values()))
    n_bins, m = like["pulsed"].shape[1:]
    for name in rivals["names"]:
        free = rivals[f"{name}.free"]
        pulsed = np.resize(free, (max(1, len(free) // n_bins), n_bins, m))
        runs[f"baseline {name}"] = {**like, "dt": rivals["dt"], "free": free, "pulsed": pulsed}
    return runs
