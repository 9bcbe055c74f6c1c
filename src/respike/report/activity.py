"""The same statistics of the spikes of every network and every recording.

Every statistic is defined once, here, and computed from spike times alone:

rate          of each cell over all trials, Hz
cv_isi        standard deviation / mean of a cell's inter-spike intervals; cells with three intervals or more
fano          variance / mean of a cell's spike counts, over all windows of all trials; cells that fired
correlation   Pearson correlation of the counts of two cells over the same windows; pairs of cells whose counts change
spectrum_peak frequency (Hz) above 0 at which the summed activity of the cells has most power
flatness      geometric / arithmetic mean of that power above 0 Hz: 1 without any rhythm, near 0 for a pure one

Counts are taken in windows of WINDOW, or of the whole trial where that is shorter; the power in bins of BIN. Both are
rounded up to whole steps of the network, or every other window would hold a step more; they stand in the table. Trials
under different stimuli are taken together, so that `fano` and `correlation` hold what the stimulus does as well. A Poisson
process with a constant rate has cv_isi and fano 1, correlation 0 and, up to the scatter of the estimate, flatness 1.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import signal

from respike.core import statistics
from respike.core.spikes import Network, bin_counts

WINDOW, BIN = 0.2, 0.005  # s
UNITS = {"rate": "Hz", "cv_isi": "1", "fano": "1", "correlation": "r", "spectrum_peak": "Hz", "flatness": "1"}
COLUMNS = ("study", "network", "dataset", "recorded", "statistic", "value", "low", "high", "unit", "n", "window_s", "step_s")
FEWEST_FREQUENCIES = 4  # a spectrum with fewer has no shape


def table(networks: Iterable[Network]) -> pd.DataFrame:
    """A row of COLUMNS per network and statistic."""
    return pd.DataFrame([row for network in networks for row in measured(network)], columns=list(COLUMNS))


def measured(network: Network) -> Iterator[tuple]:
    """Rows of COLUMNS: mean over cells or pairs, and the quantiles 0.1 and 0.9 over them."""
    width = min(whole_steps(WINDOW, network.step), network.spikes.duration)
    bins = whole_steps(BIN, network.step)
    windows = {"fano": width, "correlation": width, "spectrum_peak": bins, "flatness": bins}
    for name, values in {**of_cells(network, width), **of_population(network, bins)}.items():
        finite = values[np.isfinite(values)]
        summary = (finite.mean(), *np.quantile(finite, (0.1, 0.9))) if len(finite) else (np.nan,) * 3
        origin = (network.study, network.name, network.dataset, network.recorded)
        yield (*origin, name, *summary, UNITS[name], len(finite), windows.get(name, np.nan), network.step)


def of_cells(network: Network, width: float) -> dict[str, Float[np.ndarray, " value"]]:
    """Rate, irregularity and Fano factor of each cell, correlation of each pair of cells; nan where there is none."""
    counts = bin_counts(network.spikes, width).reshape(-1, network.spikes.n_cells)
    changing = counts[:, counts.std(0) > 0]
    pairs = np.corrcoef(changing.T) if min(changing.shape) > 1 else np.empty((0, 0))
    return {
        "rate": statistics.rate(network.spikes),
        "cv_isi": statistics.isi_cv(network.spikes),
        "fano": statistics.fano(counts),
        "correlation": statistics.lower_triangle(pairs),
    }


def whole_steps(width: float, step: float) -> float:
    """The shortest time of whole steps that is not below `width`."""
    return np.ceil(width / step * (1 - 1e-9)) * step


def of_population(network: Network, width: float) -> dict[str, Float[np.ndarray, " one"]]:
    """Peak and flatness of the power spectrum of the summed activity, averaged over trials."""
    rate = bin_counts(network.spikes, width).sum(2) / width
    frequency, power = signal.welch(rate, fs=1 / width, nperseg=min(rate.shape[1], 1024), detrend="constant")
    frequency, power = frequency[1:], power.mean(0)[1:]
    if len(frequency) < FEWEST_FREQUENCIES or not power.all():
        return {"spectrum_peak": np.empty(0), "flatness": np.empty(0)}
    flat = np.exp(np.log(power).mean()) / power.mean()
    return {"spectrum_peak": frequency[[power.argmax()]], "flatness": np.array([flat])}
