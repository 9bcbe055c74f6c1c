"""Beyond EM: samples of the parameters given the spikes, with the latent activity integrated out.

Random-walk Metropolis whose likelihood is the particle filter's unbiased estimate, so that its noise does not bias the
result (pseudo-marginal; Andrieu & Roberts 2009). The prior is uniform in the box. The proposal starts from the curvature of
the joint density at sampled activities, which knows the narrow directions, and learns its covariance and its scale during
the first half, which is thrown away.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.neulvm import box, model, models, particles, trials
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Posterior, Prior

ACCEPTANCE = 0.2  # aimed at
FIRST_RATE = 0.5  # 2.38^2 / 12, the best scale of a Gaussian walk in 12 dimensions
PATHS, DIFFERENCE = 4, 1e-4  # sampled activities for the first covariance; step of its differences
EDGE = 0.02  # share of the box; EM often ends on a bound, and the walk starts inside


def run(
    *, trial: Path, start: Path, out: Path, mean: Path, circuit: Circuit, prior: Prior, posterior: Posterior, seed: int
) -> None:
    """Sample from the fit `start` on; write all samples, and the model with the mean parameters of the second half."""
    recorded = trials.read(trial)
    search, begin = box.build(circuit, prior), models.read(start)
    data = shortened(recorded.trial, posterior.history)
    x, log_likelihood, accepted = walk(begin.circuit, data, search, posterior, seed)
    table = pd.DataFrame(x * search.high, columns=search.names(begin.circuit))
    files.write_table(out, table.assign(log_likelihood=log_likelihood, accepted=accepted))
    centre = search.circuit(begin.circuit, x[len(x) // 2 :].mean(0))
    about = {"samples": len(x) - len(x) // 2, "acceptance": float(np.mean(accepted[len(x) // 2 :]))}
    models.write(mean, models.Model(centre, "exact", data.dt, data.history, recorded.dataset, about))


def shortened(trial: Trial, history: float) -> Trial:
    """The trial with a shorter history: ages beyond it are not followed, which makes the filter faster."""
    keep = min(trial.history, model.bins(history, trial.dt))
    return replace(trial, history=keep, spikes=trial.spikes[:, trial.history - keep :])


def log_likelihood(circuit: Circuit, trial: Trial, n_particles: int, rng: np.random.Generator) -> float:
    """Estimate for all batches."""
    return sum(particles.sample(circuit, trial, b, n_particles, 1, rng).log_likelihood for b in range(trial.shape[0]))


def walk(
    circuit: Circuit, trial: Trial, search: box.Box, posterior: Posterior, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All states in units of the upper bounds, their log-likelihoods, and whether each step was accepted."""
    n, low = len(search.low), search.low / search.high
    x, rate = np.clip(search.vector(circuit), low + EDGE * (1 - low), 1 - EDGE * (1 - low)), FIRST_RATE
    covariance = first_covariance(search.circuit(circuit, x), trial, search, posterior, seed)
    current = log_likelihood(circuit, trial, posterior.particles, seeds.generator(seed, "neulvm", "posterior", 0))
    states, values, accepted = np.empty((posterior.steps, n)), np.empty(posterior.steps), np.zeros(posterior.steps, dtype=bool)
    for step in range(posterior.steps):
        rng = seeds.generator(seed, "neulvm", "posterior", step + 1)
        proposal = reflected(rng.multivariate_normal(x, rate * covariance), low)
        value = log_likelihood(search.circuit(circuit, proposal), trial, posterior.particles, rng)
        if np.log(rng.random()) < value - current:
            x, current, accepted[step] = proposal, value, True
        states[step], values[step] = x, current
        if step < posterior.steps // 2:
            rate *= np.exp((accepted[step] - ACCEPTANCE) / np.sqrt(step + 1))
            if step >= 10 * n and step % 10 == 0:
                covariance = np.cov(states[step // 3 : step].T) + 1e-8 * np.eye(n)
    return states, values, accepted


def first_covariance(circuit: Circuit, trial: Trial, search: box.Box, posterior: Posterior, seed: int) -> np.ndarray:
    """Inverse curvature of the log joint density, mean over sampled activities, and of a Gaussian as wide as the box."""
    rng = seeds.generator(seed, "neulvm", "posterior", "paths")
    paths = [particles.sample(circuit, trial, b, posterior.particles, PATHS, rng).latent for b in range(trial.shape[0])]
    repeated = replace(trial, spikes=np.repeat(trial.spikes, PATHS, axis=0), drive=np.repeat(trial.drive, PATHS, axis=0))
    x, latent = search.vector(circuit), np.concatenate(paths)

    def slope(shift: np.ndarray) -> np.ndarray:
        shifted = search.circuit(circuit, x + shift)
        return search.gradient(circuit, model.loss(shifted, repeated, latent, "exact")) * trial.drive.size

    steps = DIFFERENCE * np.eye(len(x))
    curvature = np.array([(slope(step) - slope(-step)) / (2 * DIFFERENCE) for step in steps])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2 + np.diag(12 / (1 - search.low / search.high) ** 2))
    return (vectors / np.maximum(values, 12.0)) @ vectors.T


def reflected(x: np.ndarray, low: np.ndarray) -> np.ndarray:
    """x mirrored at the bounds `low` and 1 until it lies between them, which keeps the proposal symmetric."""
    width = 1 - low
    place = np.mod(x - low, 2 * width)
    return low + np.where(place > width, 2 * width - place, place)
