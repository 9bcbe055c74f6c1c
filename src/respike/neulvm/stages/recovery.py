"""How good the posterior is for the hidden network itself: further recordings of it, with known parameters.

Like the embedded recording, each holds a switch where the circuit has two excitatory populations that could switch.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.neulvm import box, microscopic, summaries, trials
from respike.neulvm.params import Circuit, Posterior, Prior, Window
from respike.neulvm.stages import posterior


def run(
    *, trial: Path, pairs: Path, out: Path, circuit: Circuit, prior: Prior, settings: Posterior, window: Window, seed: int
) -> None:
    """Write, for each recording and parameter, mean and 90 % interval of the posterior over the true value."""
    fitted = trials.read(trial).trial
    search = box.build(circuit, prior)
    held = files.read_arrays(pairs, "theta", "features")
    learnt = posterior.learn(held["theta"], held["features"], search)
    truth, names = search.vector(circuit) * search.high, search.names(circuit)
    rows = []
    for number in range(settings.recordings):
        features = recorded(circuit, fitted.population, window, seeds.generator(seed, "neulvm", "recovery", number))
        samples = posterior.draws(learnt, features, settings.share, search) / truth
        low, high = np.quantile(samples, [0.05, 0.95], axis=0)
        found = {"recording": number, "name": names, "mean": samples.mean(0), "low": low, "high": high}
        rows.append(pd.DataFrame(found))
    files.write_table(out, pd.concat(rows, ignore_index=True))


def recorded(circuit: Circuit, population: np.ndarray, window: Window, rng: np.random.Generator) -> np.ndarray:
    """Summaries of a spontaneous recording of the network whose fitted window holds a switch."""
    cells, per = int(np.bincount(population).max()), round(window.dt / window.fine)
    first = round((window.end - window.length) / window.fine)
    for _ in range(microscopic.TRIES):
        run = microscopic.simulate(circuit, window.end, rng, window.fine, n_sampled=cells)
        if len(circuit.sizes) < 2 or microscopic.switches(run, circuit, window):
            break
    spikes = run.sampled[first:].reshape(-1, per, run.sampled.shape[1]).any(1)
    return summaries.find(spikes.astype(np.uint8), np.repeat(np.arange(len(circuit.sizes)), cells), window.dt)
