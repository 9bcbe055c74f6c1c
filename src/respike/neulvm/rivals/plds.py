"""Poisson linear dynamical system, a baseline: x' = A x + noise(Q), spikes in a bin ~ Poisson(exp(C x + d)).

Fitted by EM with a Laplace approximation of the posterior of x (Macke et al. 2011).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solveh_banded

from respike.compiled import njit
from respike.neulvm.smoothing import smooth

NEWTON, TOLERANCE, LARGEST_RADIUS = 20, 1e-6, 0.9995


@dataclass
class Plds:
    """Parameters. x starts from the unit Gaussian, whatever its stationary spread (of a fit, a variance of 13)."""

    a: Float[np.ndarray, "latent latent"]
    q: Float[np.ndarray, "latent latent"]
    c: Float[np.ndarray, "cell latent"]
    d: Float[np.ndarray, " cell"]


def fit(spikes: Int[np.ndarray, "bin cell"], n_latent: int, iterations: int, dt: float) -> Plds:
    """Parameters after some iterations of EM, started from the principal components of the spikes smoothed over 0.1 s."""
    if n_latent > (n_cells := spikes.shape[1]):
        raise ValueError(f"neulvm.baselines.latents = {n_latent}: expected at most {n_cells}, the recorded cells in use")
    smoothed = smooth(spikes, max(1, round(0.1 / dt)), "ma", axis=0)
    centred = smoothed - smoothed.mean(0)
    _, _, parts = np.linalg.svd(centred, full_matrices=False)
    rates = spikes.mean(0)
    spread = (centred @ parts[:n_latent].T).std(0)
    loadings = parts[:n_latent].T * spread / rates[:, None]
    plds = Plds(0.98 * np.eye(n_latent), (1 - 0.98**2) * np.eye(n_latent), loadings, np.log(rates))
    for _ in range(iterations):
        _update(plds, spikes, *posterior(plds, spikes))
    return plds


def posterior(plds: Plds, spikes: Int[np.ndarray, "bin cell"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mode of x, its covariance in each bin, and the covariance of neighbouring bins (x_t, x_t+1)."""
    n, k = len(spikes), len(plds.a)
    inverse_q = np.linalg.inv(plds.q)
    prior = np.repeat((inverse_q + plds.a.T @ inverse_q @ plds.a)[None], n, axis=0)
    prior[0], prior[-1] = np.eye(k) + plds.a.T @ inverse_q @ plds.a, inverse_q
    off = -plds.a.T @ inverse_q  # block (t, t + 1)
    x = np.zeros((n, k))
    for _ in range(NEWTON):
        rate = np.exp(np.minimum(x @ plds.c.T + plds.d, 5.0))
        pull = np.einsum("tij,tj->ti", prior, x)
        pull[:-1] += x[1:] @ off.T
        pull[1:] += x[:-1] @ off
        blocks = prior + np.einsum("ti,ij,ik->tjk", rate, plds.c, plds.c)
        move = solveh_banded(_banded(blocks, off), ((spikes - rate) @ plds.c - pull).ravel(), lower=False).reshape(n, k)
        x = x + move
        if np.abs(move).max() < TOLERANCE:
            break
    own, cross = _covariances(blocks, np.ascontiguousarray(off))
    return x, own, cross


def _banded(blocks: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Upper banded form of the block-tridiagonal matrix."""
    n, k, _ = blocks.shape
    width = 2 * k - 1
    banded = np.zeros((width + 1, n * k))
    for i in range(k):
        for j in range(k):
            if j >= i:
                banded[width + i - j, j::k] = blocks[:, i, j]
            banded[width - (k + j - i), k + j :: k] = off[i, j]
    return banded


@njit
def _covariances(blocks, off):
    """Diagonal and upper neighbouring blocks of the inverse of a block-tridiagonal matrix."""
    n, k, _ = blocks.shape
    gains, cross, own = np.empty((n, k, k)), np.empty((n - 1, k, k)), np.empty((n, k, k))
    pivots = np.empty((n, k, k))
    pivots[0] = blocks[0]
    for t in range(1, n):
        gains[t - 1] = np.linalg.solve(pivots[t - 1], off)
        pivots[t] = blocks[t] - off.T @ gains[t - 1]
    own[n - 1] = np.linalg.inv(pivots[n - 1])
    for t in range(n - 2, -1, -1):
        cross[t] = -gains[t] @ own[t + 1]
        own[t] = np.linalg.inv(pivots[t]) - cross[t] @ gains[t].T
    return own, cross


def _update(plds: Plds, spikes: np.ndarray, x: np.ndarray, own: np.ndarray, cross: np.ndarray) -> None:
    """M-step: dynamics in closed form, loadings by Newton."""
    early = (own[:-1].sum(0) + x[:-1].T @ x[:-1]) / (len(x) - 1)
    late = (own[1:].sum(0) + x[1:].T @ x[1:]) / (len(x) - 1)
    step = (cross.sum(0) + x[:-1].T @ x[1:]) / (len(x) - 1)
    plds.a = np.linalg.solve(early, step).T
    radius = np.abs(np.linalg.eigvals(plds.a)).max()
    plds.a *= min(1.0, LARGEST_RADIUS / radius)
    q = late - plds.a @ step - step.T @ plds.a.T + plds.a @ early @ plds.a.T
    plds.q = (q + q.T) / 2 + 1e-8 * np.eye(len(q))
    ones = np.column_stack([x, np.ones(len(x))])
    for i in range(len(plds.d)):
        weights = np.append(plds.c[i], plds.d[i])
        for _ in range(5):
            load = weights[:-1]
            rate = np.exp(np.minimum(ones @ weights + np.einsum("i,tij,j->t", load, own, load) / 2, 5.0))
            reach = ones.copy()
            reach[:, :-1] += own @ load
            curve = (reach * rate[:, None]).T @ reach
            curve[:-1, :-1] += np.einsum("t,tij->ij", rate, own)
            weights = weights + np.linalg.solve(curve + 1e-3 * np.eye(len(curve)), spikes[:, i] @ ones - rate @ reach)
        plds.c[i], plds.d[i] = weights[:-1], weights[-1]


def score(plds: Plds, spikes: Int[np.ndarray, "bin cell"]) -> float:
    """Log-likelihood (nats) of the spikes, each bin given the bins before it."""
    parts = (np.ascontiguousarray(part) for part in (plds.a, plds.q, plds.c, plds.d, spikes.astype(float)))
    return float(_predictive(*parts).sum())


@njit
def _predictive(a, q, c, d, spikes):
    """Log-likelihood of each bin (P(spike) = 1 - exp(-rate)) given the bins before it, by a Laplace filter."""
    n, cells = spikes.shape
    k = len(a)
    m, p = np.zeros(k), np.eye(k)
    out = np.zeros(n)
    for t in range(n):
        for i in range(cells):
            rate = np.exp(min(c[i] @ m + d[i] + c[i] @ p @ c[i] / 2, 2.0))
            out[t] += np.log(-np.expm1(-rate)) if spikes[t, i] > 0 else -rate
        inverse = np.linalg.inv(p)
        x, precision = m.copy(), inverse.copy()
        for _ in range(5):
            precision = inverse.copy()
            slope = -inverse @ (x - m)
            for i in range(cells):
                rate = np.exp(min(c[i] @ x + d[i], 2.0))
                slope += (spikes[t, i] - rate) * c[i]
                precision += rate * np.outer(c[i], c[i])
            x += np.linalg.solve(precision, slope)
        p = a @ np.linalg.inv(precision) @ a.T + q
        m = a @ x
    return out


def free(plds: Plds, n_bins: int, rng: np.random.Generator) -> Float[np.ndarray, "bin cell"]:
    """Expected spikes per bin of a free run."""
    noise = rng.multivariate_normal(np.zeros(k := len(plds.a)), plds.q, n_bins)
    x, path = rng.standard_normal(k), np.empty((n_bins, k))
    for t in range(n_bins):
        x = plds.a @ x + noise[t]
        path[t] = x
    return np.exp(np.minimum(path @ plds.c.T + plds.d, 0.0))
