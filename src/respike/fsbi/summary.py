"""What one simulation is reduced to: the 17 numbers that rules are filtered by (section "metrics" of the paper's methods).

Standard deviations divide by n. A cell too quiet to be judged counts as 0 in the CV and the Fano factors and as 1 in the
autocovariance, so a silent network has finite values. A simulation that did not finish has none: every metric is nan.
"""

import numpy as np
from jaxtyping import Float

from respike.core import statistics
from respike.core.spikes import Spikes
from respike.fsbi.params import FINISHED, METRICS
from respike.fsbi.recording import Recording

FINE, MIDDLE, COARSE = 0.001, 0.01, 0.1  # s, bins of the population rate, of the autocovariance, of the Fano factors
HALF_WINDOW = 0.5  # s, lags of the autocovariance
ISI_EDGES = 100  # on [0, 1] s


def summarise(recording: Recording, w_max: float = 20.0) -> dict[str, float]:
    """The metrics of METRICS in their order; all nan when the simulation did not finish or left no weights.

    `w_max` is the upper bound of a plastic weight, in units of the leak conductance.
    """
    if recording.outcome != FINISHED or recording.blow_up != -1 or not recording.weights:
        return dict.fromkeys(METRICS, float("nan"))
    values = {**activity(recording), **weight_metrics(recording, w_max)}
    return {name: float(values[name]) for name in METRICS}


def activity(recording: Recording) -> dict[str, float]:
    """The metrics of the spikes."""
    duration = recording.stop - recording.start
    spikes = Spikes(recording.e_times - recording.start, recording.e_cells, recording.n_e, duration)
    rates = statistics.rate(spikes)
    cv = np.nan_to_num(statistics.isi_cv(spikes))
    fine = np.histogram(recording.e_times, edges(recording, FINE))[0] / recording.n_e
    coarse = binned(recording, COARSE)
    return {
        "rate": rates.mean(),
        "rate_i": len(recording.i_times) / (recording.n_i * duration) if recording.n_i else np.nan,
        "cv_isi": cv.mean(),
        "std_cv": cv.std(),
        "kl_isi": poisson_distance(statistics.intervals(spikes)[0], rates.mean(), ISI_EDGES),
        "spatial_Fano": fano(coarse, 1).mean(),
        "temporal_Fano": fano(coarse, 0).mean(),
        "auto_cov": mean_autocovariance(binned(recording, MIDDLE).T, round(HALF_WINDOW / MIDDLE)),
        "fft": 2 / len(fine) * np.abs(np.fft.rfft(fine))[1 : len(fine) // 2].sum(),
        "std_rate_temporal": fine.std(),
        "std_rate_spatial": rates.std(),
    }


def edges(recording: Recording, width: float) -> Float[np.ndarray, " edge"]:
    """start, start + width, ... below stop; the last bin is closed.

    As published, the last started bin is missing: 99 bins of 0.1 s in a window of 10 s.
    """
    return np.arange(recording.start, recording.stop, width)


def binned(recording: Recording, width: float) -> Float[np.ndarray, "bin cell"]:
    """Spike counts of each excitatory cell."""
    cells = np.arange(recording.n_e + 1)
    return np.histogram2d(recording.e_times, recording.e_cells, (edges(recording, width), cells))[0]


def fano(counts: Float[np.ndarray, "bin cell"], axis: int) -> Float[np.ndarray, " other"]:
    """Fano factor along `axis`; 0 where there are at most 3 spikes."""
    return np.where(counts.sum(axis) > 3, np.nan_to_num(statistics.fano(counts, axis)), 0.0)


def poisson_distance(isi: Float[np.ndarray, " interval"], rate: float, n_edges: int) -> float:
    """|KL divergence| of the intervals, in bins on [0, 1] s, from the exponential with their mean; 0 when there are none."""
    edges = np.linspace(0, 1, n_edges)
    share = np.histogram(np.clip(isi, 0, 1), edges)[0] / max(len(isi), 1)
    survival = np.exp(-(0.01 if rate <= 0.1 or not len(isi) else 1 / isi.mean()) * edges)
    expected = survival[:-1] - survival[1:]
    filled = share > 0
    with np.errstate(divide="ignore"):
        return abs(np.sum(share[filled] * np.log(share[filled] / expected[filled])))


def mean_autocovariance(counts: Float[np.ndarray, "cell bin"], max_lag: int) -> float:
    """|Autocorrelation| relative to its maximum, averaged over the lags -max_lag..max_lag and over cells.

    A cell whose count hardly changes (sd up to 0.05) counts as 1.
    """
    lively = counts[counts.std(1) > 0.05]
    size = np.abs(statistics.autocovariance(lively, counts.shape[1] - 1))
    one_sided = size[:, : max_lag + 1] / size.max(1, keepdims=True)
    each = (2 * one_sided.sum(1) - one_sided[:, 0]) / (2 * max_lag + 1)
    return (each.sum() + len(counts) - len(lively)) / len(counts)


def weight_metrics(recording: Recording, w_max: float) -> dict[str, float]:
    """The metrics of the sampled weights; a final mean is nan where the type is not plastic."""
    inside = (recording.weight_times > recording.start) & (recording.weight_times < recording.stop)
    types = recording.weights.items()
    at_bound = [np.mean((weights[inside] == 0) | (weights[inside] == w_max)) for _, weights in types]
    final = {f"w{kind.lower()}f": weights[-1].mean() for kind, weights in types}
    return {
        "w_blow": np.mean(at_bound),
        "w_creep": max(creep(weights[0].mean(), weights[-1].mean()) for _, weights in types),
        **{name: final.get(name, np.nan) for name in METRICS[-4:]},
    }


def creep(first: float, last: float) -> float:
    """|Change| of a mean weight relative to the mean of its two values; 0 when both are close to 0."""
    return abs(2 * (last - first) / (first + last)) if first + last > 0.1 else 0.0
