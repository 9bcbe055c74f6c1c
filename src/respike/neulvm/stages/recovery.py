"""How good posterior and fits are for the hidden network itself: further recordings of it, with known parameters."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.neulvm import embedded, trials
from respike.neulvm.inference import box, summaries, tried
from respike.neulvm.inference import posterior as inference
from respike.neulvm.params import Choice, Circuit, Fit, Free, Posterior, Prior, Window


def run(
    *, trial: Path, pairs: Path, network: Path, out: Path, models: Path, circuit: Circuit, prior: Prior, posterior: Posterior,
    window: Window, fit: Fit, choose: Choice, free: Free, seed: int,
) -> None:  # fmt: skip
    """Write, for each recording and parameter, mean and 90 % interval of the posterior over the true value.

    `models`: for each of `choose.recordings` others, what the models that are fitted to it do (`inference.tried`);
    `network`: free simulation of the hidden network.

    Like the embedded recording, each has its drive, or holds a switch where two excitatory populations could switch.
    """
    recorded, search = trials.read(trial).trial, box.build(circuit, prior)
    population, drive = recorded.population, recorded.drive.reshape(-1, recorded.shape[2])
    stored = files.read_arrays(pairs, "theta", "features")
    learnt = inference.learn(stored["theta"], stored["features"], search)
    truth, names = search.vector(circuit) * search.high, search.names
    rows = []
    for number in range(posterior.recordings):
        rng = seeds.generator(seed, "neulvm", "recovery", number)
        spikes = embedded.window_spikes(circuit, int(np.bincount(population).max()), window, drive, rng)
        features = summaries.find(spikes, population, window.dt)
        samples = inference.draws(learnt, features, posterior.share, search) / truth
        low, high = np.quantile(samples, [0.05, 0.95], axis=0)
        rows.append(pd.DataFrame({"recording": number, "name": names, "mean": samples.mean(0), "low": low, "high": high}))
    files.write_table(out, pd.concat(rows, ignore_index=True))
    pulsed, numbers = files.read_arrays(network, "pulsed")["pulsed"], range(choose.recordings)
    found = [row for k in numbers for row in tried.tried(circuit, prior, fit, choose, window, free, pulsed, seed, k)]
    files.write_table(models, pd.DataFrame(found, columns=tried.COLUMNS))
