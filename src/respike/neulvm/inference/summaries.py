"""What a few spike trains tell about their circuit: rates, how they vary, when cells fire, who fires with whom.

Per population m, with its rate smoothed over `SLOW` and called high above the middle of its range:
quantiles of the smoothed rate, share of time high, changes between high and low; log-hazard of a recorded cell by the time
since its last spike, in high and low apart, which shows membrane, threshold and input; per pair of populations the
covariance of the counts at several lags.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter1d

from respike.compiled import njit
from respike.neulvm import model

SLOW = 0.15  # s
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
AGES = (0.004, 0.008, 0.012, 0.016, 0.024, 0.032, 0.044, 0.06, 0.08, 0.112, 0.16, 0.3)  # s, lower edges
LAGS = ((0, 0), (0.004, 0.008), (0.012, 0.02), (0.024, 0.04), (0.044, 0.1), (0.104, 0.2), (0.204, 0.5))  # s, both ends in
PRIOR_BINS = 2.0  # bins at the mean hazard that each age group starts with, so that none is empty


def find(
    spikes: Int[np.ndarray, "bin cell"], population: Int[np.ndarray, " cell"], dt: float
) -> Float[np.ndarray, " feature"]:
    """The summaries of one recording; as many, in the same order, for every recording of the same cells."""
    rate = model.population_means(spikes, population) / dt
    slow = gaussian_filter1d(rate, SLOW / dt, axis=0)
    levels = np.quantile(slow, QUANTILES, axis=0)
    middle, reach = (levels[0] + levels[-1]) / 2, levels[-1] - levels[0]
    high = slow > middle
    changes = [_changes(slow[:, m], middle[m], reach[m] / 4) for m in range(rate.shape[1])]
    return np.concatenate([
        np.log(rate.mean(0) + 0.3), np.log(levels + 0.5).ravel(), high.mean(0), np.log1p(changes),
        _hazards(spikes, high[:, population], population, dt).ravel(), _covariances(rate, dt).ravel(),
    ])  # fmt: skip


def _changes(x: Float[np.ndarray, " bin"], middle: float, margin: float) -> int:
    """Crossings of the middle by more than the margin on both sides."""
    side = np.where(x > middle + margin, 1, np.where(x < middle - margin, -1, 0))
    return int(np.count_nonzero(np.diff(side[side != 0])))


def _hazards(spikes: np.ndarray, high: np.ndarray, population: np.ndarray, dt: float) -> np.ndarray:
    """Log of the chance of a spike in a bin, by population, state and age group."""
    edges = np.unique(np.maximum(1, np.round(np.array(AGES) / dt).astype(int)))
    group = np.maximum(np.searchsorted(edges, np.arange(edges[-1] + 1), side="right") - 1, 0)
    cells = np.zeros((2, spikes.shape[1], 2, len(edges)))
    _count(spikes, high.astype(np.int64), group, cells[0], cells[1])
    fired, present = np.stack([cells[:, population == m].sum(1) for m in range(population.max() + 1)], axis=1)
    mean = (fired.sum((1, 2)) + 0.5) / (present.sum((1, 2)) + 20)
    return np.log((fired + PRIOR_BINS * mean[:, None, None]) / (present + PRIOR_BINS))


@njit
def _count(spikes, high, group, fired, present):
    """Add up, for each cell, state and age group, the bins in which it could fire and those in which it did."""
    for i in range(spikes.shape[1]):
        age = 0  # unknown until the first spike
        for t in range(len(spikes)):
            if age:
                k = group[min(age, len(group) - 1)]
                present[i, high[t, i], k] += 1
                fired[i, high[t, i], k] += spikes[t, i]
            if spikes[t, i]:
                age = 1
            elif age:
                age += 1


def _covariances(rate: np.ndarray, dt: float) -> np.ndarray:
    """Covariance of the rates of two populations, over the geometric mean of their means, by lag and pair."""
    n = len(rate)
    spectrum = rfft(rate - rate.mean(0), next_fast_len(2 * n, real=True), axis=0)
    full = irfft(spectrum[:, :, None] * np.conj(spectrum[:, None, :]), next_fast_len(2 * n, real=True), axis=0) / n
    scale = np.sqrt(np.outer(rate.mean(0) + 0.5, rate.mean(0) + 0.5))
    ends = [(round(low / dt), max(round(low / dt), round(high / dt))) for low, high in LAGS]
    return np.stack([full[low : high + 1].mean(0) / scale for low, high in ends])
