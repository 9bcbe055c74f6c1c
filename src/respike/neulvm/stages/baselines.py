"""Other models of the same spike trains: constant rate, spike-history GLM, two-state HMM, Poisson LDS."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.neulvm import model, trials
from respike.neulvm.params import Baselines
from respike.neulvm.rivals import glm, hmm, plds


def run(*, trial: Path, out: Path, baselines: Baselines, seed: int) -> None:
    """Fit every baseline; write its free rates (Hz, bin and population) and its held-out log-likelihood (nats).

    Each is scored on seconds that it was not fitted to (log-likelihood of a bin given the bins before it) and run freely, as
    the mesoscopic models are; a population's rate is then the mean expected rate of its recorded neurons.
    """
    read = trials.read(trial)
    recorded, later, dt = read.trial, read.held_out, read.trial.dt
    train, test = (trials.joined(each).astype(np.int64) for each in (recorded, later))
    n_free, n_rounds = round(baselines.seconds / dt), baselines.iterations
    rngs = {name: seeds.generator(seed, "neulvm", "baselines", name) for name in ("glm", "hmm")}
    mean, history, states = train.mean(0), glm.fit(recorded), hmm.fit(train, n_rounds, dt, rngs["hmm"])
    results = {
        "constant": (glm.bernoulli(np.broadcast_to(mean, test.shape), test), np.broadcast_to(mean, (n_free, len(mean)))),
        "glm": (glm.score(history, later), glm.free(history, dt, n_free, rngs["glm"])),
        "hmm": (hmm.score(states, test), hmm.free(states, n_free, rngs["hmm"])),
    }
    for name, n_latent in ((f"plds{n}", n) for n in baselines.latents):
        system = plds.fit(train, n_latent, n_rounds, dt)
        run = plds.free(system, n_free, seeds.generator(seed, "neulvm", "baselines", name))
        results[name] = plds.score(system, test), run
    arrays = {}
    for name, (score, expected) in results.items():
        rates = model.population_means(expected, recorded.population)
        arrays |= {f"{name}.score": np.array(score), f"{name}.free": rates.astype(np.float32) / dt}
    files.write_arrays(out, names=np.array(list(results)), n_spikes=test.sum(), dt=dt, **arrays)
