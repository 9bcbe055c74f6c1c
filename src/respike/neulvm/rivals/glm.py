"""Neurons on their own, baselines: each at its mean rate, or each driven by its own past spikes (a GLM with logistic link)."""

import numpy as np
from jaxtyping import Float, Int

from respike.compiled import njit
from respike.neulvm.model import Trial

TAUS = (0.004, 0.016, 0.064, 0.256)  # s, exponential basis of the spike history
COPIES = 20  # of each neuron in a free run, to tell its rate from its spikes

Weights = Float[np.ndarray, "neuron weight"]  # the constant first, then one for each of TAUS


def bernoulli(p: np.ndarray, spikes: np.ndarray) -> float:
    """Log-likelihood (nats) of the spikes where each comes with probability p."""
    return float(np.sum(np.where(spikes > 0, np.log(p), np.log1p(-p))))


def traces(spikes: Int[np.ndarray, "bin neuron"], dt: float) -> Float[np.ndarray, "bin neuron tau"]:
    """Exponentially filtered past of each neuron, the present bin left out."""
    out = np.zeros((*spikes.shape, len(TAUS)))
    keep = np.exp(-dt / np.asarray(TAUS))
    for t in range(1, len(spikes)):
        out[t] = keep * (out[t - 1] + spikes[t - 1, :, None])
    return out


def fit(trial: Trial) -> Weights:
    """Weights of each neuron; the history of each batch counts as its past."""
    past = np.concatenate([traces(batch, trial.dt)[trial.history :] for batch in trial.spikes])
    spikes = trial.spikes[:, trial.history :].reshape(-1, len(trial.population)).astype(np.int64)
    return np.array([logistic(past[:, i], spikes[:, i]) for i in range(spikes.shape[1])])


def logistic(features: Float[np.ndarray, "bin feature"], target: Int[np.ndarray, " bin"]) -> Float[np.ndarray, " weight"]:
    """Weights (constant first) of a logistic regression with a weak ridge, by Newton."""
    x = np.column_stack([np.ones(len(features)), features])
    w = np.zeros(x.shape[1])
    w[0] = np.log(target.mean() / (1 - target.mean()))
    ridge = np.diag([0.0] + [1.0] * features.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        move = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, x.T @ (target - p) - ridge @ w)
        w = w + move
        if np.abs(move).max() < 1e-8:
            break
    return w


def score(weights: Weights, held_out: Trial) -> float:
    """Log-likelihood (nats) of the spikes after the history, each bin given the bins before it."""
    spikes = held_out.spikes[0]
    past, total = traces(spikes, held_out.dt)[held_out.history :], 0.0
    for i, w in enumerate(weights):
        p = 1 / (1 + np.exp(-w[0] - past[:, i] @ w[1:]))
        total += bernoulli(np.clip(p, 1e-9, 1 - 1e-9), spikes[held_out.history :, i])
    return total


def free(weights: Weights, dt: float, n_bins: int, rng: np.random.Generator) -> Float[np.ndarray, "bin neuron"]:
    """Expected spikes per bin of a free run."""
    return _free(rng, weights, np.exp(-dt / np.asarray(TAUS)), n_bins)


@njit
def _free(rng, weights, keep, n_bins):
    """Spike probability of each neuron in each bin, mean over COPIES of it."""
    n_cells, n_taus = len(weights), len(keep)
    trace, out = np.zeros((n_cells, COPIES, n_taus)), np.zeros((n_bins, n_cells))
    for t in range(n_bins):
        for i in range(n_cells):
            for k in range(COPIES):
                drive = weights[i, 0]
                for j in range(n_taus):
                    drive += weights[i, 1 + j] * trace[i, k, j]
                p = 1 / (1 + np.exp(-drive))
                out[t, i] += p / COPIES
                fired = 1.0 if rng.random() < p else 0.0
                for j in range(n_taus):
                    trace[i, k, j] = keep[j] * (trace[i, k, j] + fired)
    return out
