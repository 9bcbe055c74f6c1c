"""Circuits that could have made the recorded rates: draws from the prior near self-consistency.

Almost every circuit in a wide box is silent or saturated, and simulating those would teach nothing. A recording is split
into two regimes (who is active); at the mean rates of a regime each population has a mean input, and a renewal process
with this input a rate. Kept are draws whose rates so computed are those of the data, in both regimes, up to a factor.
The prior stays uniform: the resting potentials are drawn where they can be, and the draws weighted by the room they had.
"""

import logging

import numpy as np
from jaxtyping import Float
from scipy.cluster.vq import kmeans2
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import gaussian_filter1d

from respike.neulvm import model, trials
from respike.neulvm.inference import summaries
from respike.neulvm.inference.box import Box
from respike.neulvm.model import Trial

STEP, LONGEST = 0.002, 0.5  # s, integration of the survival; beyond, the hazard is constant
POTENTIALS = np.linspace(-5, 60, 130)
GRID = 20  # membrane rates and thresholds in the table
PER_ROUND, MOST_ROUNDS = 4000, 200
VAIN_ROUNDS = 5  # without a single circuit: there is none worth waiting for
CANDIDATES = 2  # for each draw
WIDEST = 1.6  # tolerance; a factor of 5


def regimes(trial: Trial) -> tuple[np.ndarray, np.ndarray]:
    """Mean rates (Hz) and mean drive of each population in two regimes (regime, population) of the fitted window."""
    rate = model.population_means(trials.joined(trial), trial.population) / trial.dt
    slow = gaussian_filter1d(rate, summaries.SLOW / trial.dt, axis=0)
    along = (slow - slow.mean(0)) @ np.linalg.svd(slow - slow.mean(0), full_matrices=False)[2][0]
    _, label = kmeans2(slow, slow[[along.argmin(), along.argmax()]], minit="matrix")
    drive = trial.drive.reshape(-1, trial.shape[2])
    halves = [label == k for k in range(2) if (label == k).any()]
    return np.array([rate[half].mean(0) for half in halves]), np.array([drive[half].mean(0) for half in halves])


def table(low: Float[np.ndarray, " 2"], high: Float[np.ndarray, " 2"], refractory: float) -> RegularGridInterpolator:
    """Log-rate (Hz) of a cell with given membrane rate, threshold and asymptotic potential, between the given bounds."""
    alphas, thresholds = (np.linspace(a, b, GRID) for a, b in zip(low, high, strict=True))
    age = (np.arange(LONGEST / STEP) + 0.5) * STEP
    values = np.empty((GRID, GRID, len(POTENTIALS)))
    for i, alpha in enumerate(alphas):
        v = POTENTIALS[:, None] * -np.expm1(-alpha * age)
        for j, threshold in enumerate(thresholds):
            hazard = np.exp(np.clip(v - threshold, -30.0, 30.0))
            survival = np.exp(-STEP * np.cumsum(hazard, axis=1))
            tail = survival[:, -1] * (1 / hazard[:, -1] - STEP / 2)
            values[i, j] = -np.log(refractory + STEP * (0.5 + survival.sum(1)) + tail)
    return RegularGridInterpolator((alphas, thresholds, POTENTIALS), values)


def potential(rate_of: RegularGridInterpolator, alpha: np.ndarray, threshold: np.ndarray, log_rate: float) -> np.ndarray:
    """Asymptotic potential at which cells fire at a given log-rate, one per pair of alpha and threshold."""
    n, k = len(alpha), len(POTENTIALS)
    points = np.stack([np.repeat(alpha, k), np.repeat(threshold, k), np.tile(POTENTIALS, n)], axis=-1)
    values = rate_of(points).reshape(n, k)
    right = np.clip((values < log_rate).sum(1), 1, k - 1)
    low, high = values[np.arange(n), right - 1], values[np.arange(n), right]
    share = np.clip((log_rate - low) / (high - low), 0, 1)
    return POTENTIALS[right - 1] + share * (POTENTIALS[right] - POTENTIALS[right - 1])


def propose(trial: Trial, search: Box, n: int, tolerance: float, rng: np.random.Generator) -> Float[np.ndarray, "draw free"]:
    """n draws from the uniform prior among circuits whose mean-field log-rates are the data's within `tolerance`.

    Draws can repeat. Where the prior holds no such circuit, `tolerance` is doubled, with a warning, up to WIDEST; ValueError
    when it holds none then.
    """
    kept, room = [], []
    rates, drive = regimes(trial)
    m = trial.shape[2]
    tables = [table(search.low[[k, k - m]], search.high[[k, k - m]], search.template.refractory) for k in range(m)]
    for number in range(MOST_ROUNDS):
        x = rng.uniform(search.low, search.high, (PER_ROUND, len(search.low)))
        width = np.ones(len(x))
        logs, pulls = np.log(np.maximum(rates, 0.1)), _pull(x, search, rates, drive)
        for k in range(m):
            alive = np.flatnonzero(width)
            low, high = _rests(x[alive, k], x[alive, k - m], tables[k], logs[:, k], pulls[:, alive, k], tolerance)
            low, high = np.maximum(low, search.low[k - 2 * m]), np.minimum(high, search.high[k - 2 * m])
            width[alive] *= np.maximum(high - low, 0)
            x[alive, k - 2 * m] = rng.uniform(low, np.maximum(low, high))
        kept.append(x[width > 0])
        room.append(width[width > 0])
        n_kept = sum(map(len, room))
        if n_kept >= CANDIDATES * n or (number + 1 >= VAIN_ROUNDS and not n_kept):
            break
    weight, found = np.concatenate(room), rates.round(1).tolist()
    if not len(weight) and tolerance < WIDEST:
        said = "no circuit in neulvm.prior has the recorded rates %s Hz up to a factor of %.1f: taken up to its square"
        logging.getLogger(__name__).warning(said, found, np.exp(tolerance))
        return propose(trial, search, n, 2 * tolerance, rng)
    if not len(weight):
        raise ValueError(f"no circuit in neulvm.prior fires at the recorded rates {found} Hz; widen the prior")
    return np.concatenate(kept)[rng.choice(len(weight), n, p=weight / weight.sum())]


def _pull(x: np.ndarray, search: Box, rates: np.ndarray, drive: np.ndarray) -> np.ndarray:
    """What the populations and the drive add to the resting potential: regime, draw, population."""
    m = rates.shape[1]
    couplings = np.tensordot(x[:, m : -2 * m], search.pattern, axes=1)
    return (np.einsum("ra,nam->rnm", rates, couplings) + search.template.input_gain * drive[:, None]) / x[:, :m]


def _rests(
    alpha: np.ndarray, threshold: np.ndarray, rate_of: RegularGridInterpolator, log_rates: np.ndarray, pulls: np.ndarray,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Resting potentials of one population between which its rate is right in all regimes."""
    pairs = list(zip(log_rates, pulls, strict=True))
    low, high = (
        [potential(rate_of, alpha, threshold, rate + side * tolerance) - pull for rate, pull in pairs] for side in (-1, 1)
    )
    return np.max(low, axis=0), np.min(high, axis=0)
