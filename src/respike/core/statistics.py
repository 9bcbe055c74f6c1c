"""Statistics of spikes: arrays in, numbers out. Axes in the order trial, bin, cell. Standard deviations divide by n."""

import numpy as np
from jaxtyping import Float, Int, Num

from respike.core.spikes import Spikes


def rate(spikes: Spikes) -> Float[np.ndarray, " cell"]:
    """Firing rate of each cell over all trials, Hz."""
    return np.bincount(spikes.cells, minlength=spikes.n_cells) / (spikes.duration * spikes.n_trials)


def intervals(spikes: Spikes) -> tuple[Float[np.ndarray, " interval"], Int[np.ndarray, " interval"]]:
    """Inter-spike intervals (s) within trials, and the cell of each."""
    order = np.lexsort((spikes.times, spikes.trial, spikes.cells))
    cells, trials, times = spikes.cells[order], spikes.trial[order], spikes.times[order]
    same = (cells[1:] == cells[:-1]) & (trials[1:] == trials[:-1])
    return np.diff(times)[same], cells[1:][same]


def isi_cv(spikes: Spikes, at_least: int = 3) -> Float[np.ndarray, " cell"]:
    """Irregularity of each cell: sd / mean of its inter-spike intervals. 1 for a Poisson cell, 0 for a clock.

    A cell with fewer than `at_least` intervals has no CV and gets nan, so callers choose what a silent cell counts for.
    """
    isi, cell = intervals(spikes)
    n = np.bincount(cell, minlength=spikes.n_cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, isi, spikes.n_cells) / n
        spread = np.bincount(cell, (isi - mean[cell]) ** 2, spikes.n_cells) / n
        return np.where(n >= at_least, np.sqrt(spread) / mean, np.nan)


def fano(counts: Num[np.ndarray, "..."], axis: int = 0) -> Float[np.ndarray, "..."]:
    """Fano factor along `axis`: variance / mean of the counts; nan where the mean is 0, or of one count, which has none."""
    mean = counts.mean(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts.var(axis) / np.where((mean > 0) & (counts.shape[axis] > 1), mean, np.nan)


def covariances(
    counts: Num[np.ndarray, "trial bin cell"],
) -> tuple[Float[np.ndarray, "cell cell"], Float[np.ndarray, "cell cell"]]:
    """Noise and stimulus covariance of cell pairs, averaged over trials and bins. Their sum is the total covariance.

    Noise: what is left after removing each bin's trial mean. Stimulus: the trial mean around the cell's overall mean.
    """
    mean = counts.mean(0)
    noise = (counts - mean).reshape(-1, counts.shape[2]).astype(float)
    locked = mean - mean.mean(0)
    return noise.T @ noise / len(noise), locked.T @ locked / len(locked)


def noise_correlation(counts: Num[np.ndarray, "trial bin cell"]) -> Float[np.ndarray, "cell cell"]:
    """Noise covariance divided by the total standard deviations; nan for a cell whose count never changes."""
    if np.ndim(counts) != 3 or len(counts) < 2:
        raise ValueError(f"counts have shape {np.shape(counts)}, expected (trial, bin, cell) and two trials or more")
    noise, locked = covariances(counts)
    deviation = np.sqrt(np.diag(noise + locked))
    with np.errstate(invalid="ignore", divide="ignore"):
        return noise / np.outer(deviation, deviation)


def autocovariance(counts: Num[np.ndarray, "*batch bin"], max_lag: int) -> Float[np.ndarray, "*batch lag"]:
    """Autocovariance of each row for lags 0..max_lag bins, each lag divided by the number of bins (biased estimate)."""
    centred, n = counts - counts.mean(-1, keepdims=True), counts.shape[-1]
    size = 2 ** int(np.ceil(np.log2(n + max(n, max_lag + 1))))  # lags of n bins and more hold nothing
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    return np.fft.irfft(power, size)[..., : max_lag + 1] / n


def r2(truth: Float[np.ndarray, "*shape"], estimate: Float[np.ndarray, "*shape"]) -> float:
    """Share of the variance of `truth` that `estimate` explains: negative when worse than its mean, nan where it has none."""
    if np.shape(truth) != np.shape(estimate):
        raise ValueError(f"truth has shape {np.shape(truth)} and estimate {np.shape(estimate)}, expected the same")
    spread = np.sum((truth - np.mean(truth)) ** 2) if np.size(truth) else 0.0
    return float(1 - np.sum(np.subtract(truth, estimate, dtype=float) ** 2) / spread) if spread > 0 else float("nan")


def lower_triangle(matrix: Float[np.ndarray, "cell cell"]) -> Float[np.ndarray, " pair"]:
    """Entries below the diagonal, row by row: one per pair of cells."""
    return matrix[np.tril_indices(len(matrix), -1)]
