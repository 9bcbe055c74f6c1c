"""Hidden Markov model, a baseline: two hidden states, each with its own rate of each neuron."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from respike.compiled import njit
from respike.neulvm.smoothing import smooth

LEAST = 1e-5  # chance of a spike in a bin, at least, and of none
START = np.full(2, 0.5)
PRIOR_MOVES = 0.5  # transitions of each kind that count as seen: after a single switch no state is one that is never left


class Hmm(NamedTuple):
    """Chance of a spike in each state, and of each transition (from, to)."""

    p: Float[np.ndarray, "state neuron"]
    move: Float[np.ndarray, "state state"]


def fit(spikes: Int[np.ndarray, "bin neuron"], iterations: int, dt: float, rng: np.random.Generator) -> Hmm:
    """Parameters after some iterations of EM, started by k-means on spikes smoothed over 0.4 s."""
    smoothed = smooth(spikes, round(0.4 / dt), "ma", axis=0)
    _, label = kmeans2(smoothed, 2, minit="++", seed=rng)
    p = np.stack([spikes[label == k].mean(0) if (label == k).any() else spikes.mean(0) for k in range(2)])
    move = np.array([[0.99, 0.01], [0.01, 0.99]])
    for _ in range(iterations):
        p = np.clip(p, LEAST, 1 - LEAST)
        share, moves, _ = forward_backward(_emission(p, spikes), move, START)
        move = (moves + PRIOR_MOVES) / (moves + PRIOR_MOVES).sum(1, keepdims=True)
        p = (share.T @ spikes) / np.maximum(share.sum(0), LEAST)[:, None]
    return Hmm(np.clip(p, LEAST, 1 - LEAST), move)


def score(hmm: Hmm, spikes: Int[np.ndarray, "bin neuron"]) -> float:
    """Log-likelihood (nats) of the spikes, each bin given the bins before it."""
    return forward_backward(_emission(hmm.p, spikes), hmm.move, START)[2]


def free(hmm: Hmm, n_bins: int, rng: np.random.Generator) -> Float[np.ndarray, "bin neuron"]:
    """Expected spikes per bin of a free run."""
    state = np.empty(n_bins, dtype=np.int64)
    state[0] = rng.integers(2)
    draws = rng.random(n_bins)
    for t in range(1, n_bins):
        state[t] = int(draws[t] >= hmm.move[state[t - 1], 0])
    return hmm.p[state]


def _emission(p: Float[np.ndarray, "state neuron"], spikes: Int[np.ndarray, "bin neuron"]) -> Float[np.ndarray, "bin state"]:
    return spikes @ np.log(p).T + (1 - spikes) @ np.log1p(-p).T


@njit
def forward_backward(log_emission, move, start):
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
