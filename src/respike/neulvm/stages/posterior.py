"""Beyond EM: the distribution of the parameters given the spikes, by simulation and regression."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.neulvm import fitted, trials
from respike.neulvm.inference import box, meanfield, summaries
from respike.neulvm.inference import posterior as inference
from respike.neulvm.inference.diagnostics import diagnose
from respike.neulvm.params import Circuit, Posterior, Prior

PREDICTED = 100  # draws of the posterior that are simulated again


def run(
    *, trial: Path, pairs: Path, out: Path, nearest: Path, calibration: Path, diagnostics: Path,
    circuit: Circuit, prior: Prior, posterior: Posterior, seed: int,
) -> None:  # fmt: skip
    """Write simulated pairs, samples of the parameters, how often such intervals hold the truth, diagnostics, nearest model.

    Means of the samples would not lie on the narrow, bent ridge of good circuits, so the model that is kept is the simulated
    circuit whose summaries speak most for the same parameters as those of the recording.
    `circuit` gives sizes and fixed constants; its fitted parameters are not used.
    """
    read = trials.read(trial)
    recorded, search = read.trial, box.build(read.trial.beginning(circuit), prior)
    rng, stream = seeds.generator(seed, "neulvm", "posterior"), (seed, "neulvm", "posterior")
    theta = meanfield.propose(recorded, search, posterior.simulations, posterior.tolerance, rng)
    simulations = inference.predicted(recorded, search, posterior, theta, stream)
    files.write_arrays(pairs, theta=theta, features=simulations)
    learnt = inference.learn(theta, simulations, search)
    features, names = summaries.find(trials.joined(recorded), recorded.population, recorded.dt), search.names
    samples = inference.draws(learnt, features, posterior.share, search)
    files.write_table(out, pd.DataFrame(samples, columns=names))
    files.write_table(calibration, inference.coverage(learnt, features, posterior.share, names))
    again = samples[:: max(1, len(samples) // PREDICTED)][:PREDICTED]
    predicted = inference.predicted(recorded, search, posterior, again, (seed, "neulvm", "predicted"))
    found = diagnose(learnt, features, simulations, predicted, posterior.share, seed)
    files.write_arrays(diagnostics, names=np.array(names), **found)
    best = theta[learnt.near(learnt.guess(features[None])[0], posterior.share)[0]]
    model = search.circuit(best / search.high)
    about = {"samples": len(samples), "simulations": len(theta)}
    fitted.write(nearest, fitted.Fitted(model, "exact", recorded.dt, recorded.history, read.dataset, about))
