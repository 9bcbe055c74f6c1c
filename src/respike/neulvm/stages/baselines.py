"""Other models of the same nine spike trains: constant rate, spike-history GLM, two-state HMM, Poisson LDS.

Each is scored on seconds that it was not fitted to (log-likelihood of a bin given the bins before it) and run freely, as the
mesoscopic models are; a population's rate is then the mean expected rate of its recorded neurons.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from respike.core import files, seeds
from respike.core.compiled import njit
from respike.neulvm import plds, trials
from respike.neulvm.model import Trial
from respike.neulvm.params import Baselines

TAUS = (0.004, 0.016, 0.064, 0.256)  # s, exponential basis of the spike history
COPIES = 20  # of each neuron in a free run of the GLM, to tell its rate from its spikes


def run(*, trial: Path, out: Path, baselines: Baselines, seed: int) -> None:
    """Fit every baseline; write its free rates (Hz, bin and population) and its held-out log-likelihood per neuron and bin."""
    recorded = trials.read(trial)
    spikes, later = joined(recorded.trial), joined(recorded.held_out)
    n_free = round(baselines.seconds / recorded.trial.dt)
    found = {"constant": constant(spikes, later, n_free), "glm": glm(recorded, spikes, n_free, _rng(seed, "glm"))}
    found["hmm"] = hmm(spikes, later, n_free, baselines.iterations, recorded.trial.dt, _rng(seed, "hmm"))
    for n_latent in baselines.latents:
        name = f"plds{n_latent}"
        fitted = plds.fit(spikes, n_latent, baselines.iterations, recorded.trial.dt)
        parts = (np.ascontiguousarray(part) for part in (fitted.a, fitted.q, fitted.c, fitted.d, later.astype(float)))
        score = plds.predictive(*parts).sum()
        found[name] = score, plds.free(fitted, n_free, _rng(seed, name))
    arrays = {}
    for name, (score, expected) in found.items():
        cells = [expected[:, recorded.trial.population == m].mean(1) for m in range(recorded.trial.shape[2])]
        arrays |= {f"{name}.score": np.array(score), f"{name}.free": np.stack(cells, 1).astype(np.float32) / recorded.trial.dt}
    files.write_arrays(out, names=np.array(list(found)), n_spikes=later.sum(), dt=recorded.trial.dt, **arrays)


def _rng(seed: int, name: str) -> np.random.Generator:
    return seeds.generator(seed, "neulvm", "baselines", name)


def joined(trial: Trial) -> Int[np.ndarray, "bin cell"]:
    """Spikes of the fit bins of all batches, one batch after the other."""
    return trial.spikes[:, trial.history :].reshape(-1, trial.spikes.shape[2]).astype(np.int64)


def bernoulli(p: np.ndarray, spikes: np.ndarray) -> float:
    """Log-likelihood of the spikes."""
    return float(np.sum(np.where(spikes > 0, np.log(p), np.log1p(-p))))


def constant(spikes: np.ndarray, later: np.ndarray, n_free: int) -> tuple[float, Float[np.ndarray, "bin cell"]]:
    """Each neuron fires at its mean rate."""
    p = spikes.mean(0)
    return bernoulli(np.broadcast_to(p, later.shape), later), np.broadcast_to(p, (n_free, len(p)))


def traces(spikes: Int[np.ndarray, "bin cell"], dt: float) -> Float[np.ndarray, "bin cell tau"]:
    """Exponentially filtered past of each neuron, the present bin left out."""
    out = np.zeros((*spikes.shape, len(TAUS)))
    keep = np.exp(-dt / np.asarray(TAUS))
    for t in range(1, len(spikes)):
        out[t] = keep * (out[t - 1] + spikes[t - 1, :, None])
    return out


def glm(recorded: trials.Recorded, spikes: np.ndarray, n_free: int, rng: np.random.Generator):
    """Each neuron depends on its own past spikes (logistic link)."""
    trial, later = recorded.trial, recorded.held_out
    past = np.concatenate([traces(batch, trial.dt)[trial.history :] for batch in trial.spikes])
    after = traces(later.spikes[0], trial.dt)[trial.history :]
    weights, score = [], 0.0
    for i in range(spikes.shape[1]):
        weights.append(logistic(past[:, i], spikes[:, i]))
        p = 1 / (1 + np.exp(-weights[-1][0] - after[:, i] @ weights[-1][1:]))
        score += bernoulli(np.clip(p, 1e-9, 1 - 1e-9), later.spikes[0, trial.history :, i])
    return score, _free_glm(rng, np.array(weights), np.exp(-trial.dt / np.asarray(TAUS)), n_free)


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


@njit
def _free_glm(rng, weights, keep, n_bins):
    """Spike probability of each neuron in each bin of a free run, mean over COPIES of it."""
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


def hmm(spikes: np.ndarray, later: np.ndarray, n_free: int, iterations: int, dt: float, rng: np.random.Generator):
    """Two hidden states, each with its own rate of each neuron; started by k-means on spikes smoothed over 0.4 s."""
    width = round(0.4 / dt)
    smoothed = np.apply_along_axis(np.convolve, 0, spikes, np.ones(width) / width, mode="same")
    _, label = kmeans2(smoothed, 2, minit="++", seed=rng)
    p = np.stack([spikes[label == k].mean(0) if (label == k).any() else spikes.mean(0) for k in range(2)])
    move = np.array([[0.99, 0.01], [0.01, 0.99]])
    start = np.full(2, 0.5)
    for _ in range(iterations):
        p = np.clip(p, 1e-5, 1 - 1e-5)
        share, moves, _ = _forward_backward(_emission(p, spikes), move, start)
        move = moves / moves.sum(1, keepdims=True)
        p = (share.T @ spikes) / share.sum(0)[:, None]
    p = np.clip(p, 1e-5, 1 - 1e-5)
    state = np.empty(n_free, dtype=np.int64)
    state[0] = rng.integers(2)
    draws = rng.random(n_free)
    for t in range(1, n_free):
        state[t] = int(draws[t] >= move[state[t - 1], 0])
    return _forward_backward(_emission(p, later), move, start)[2], p[state]


def _emission(p: Float[np.ndarray, "state cell"], spikes: Int[np.ndarray, "bin cell"]) -> Float[np.ndarray, "bin state"]:
    return spikes @ np.log(p).T + (1 - spikes) @ np.log1p(-p).T


@njit
def _forward_backward(log_emission, move, start):
    """Probability of each state in each bin, expected transitions, and the log-likelihood."""
    n, k = log_emission.shape
    forward, back, scale = np.empty((n, k)), np.ones((n, k)), np.empty(n)
    total = 0.0
    for t in range(n):
        top = log_emission[t].max()
        ahead = start if t == 0 else forward[t - 1] @ move
        now = ahead * np.exp(log_emission[t] - top)
        scale[t] = now.sum()
        forward[t] = now / scale[t]
        total += np.log(scale[t]) + top
    moves = np.zeros((k, k))
    for t in range(n - 2, -1, -1):
        after = np.exp(log_emission[t + 1] - log_emission[t + 1].max()) * back[t + 1] / scale[t + 1]
        moves += np.outer(forward[t], after) * move
        back[t] = move @ after
    return forward * back, moves, total
