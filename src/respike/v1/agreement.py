"""How well probabilities and free runs agree with recorded spikes, and fitted couplings with true ones.

Correlations of a pair (i, j) are covariances at lag 0 divided by the total standard deviations: noise is what is left after
removing each bin's trial mean, stimulus what the trial mean does, total their sum.
"""

import numpy as np
from jaxtyping import Bool, Float

from respike.core import statistics

Raster = Bool[np.ndarray, "trial step cell"]


def bernoulli_nll(p: Float[np.ndarray, "..."], spikes: Raster) -> float:
    """Negative log likelihood of single trials under spike probabilities `p`, nats per bin and cell."""
    return float(-np.mean(np.log(np.where(spikes, p, 1 - p))))


def spike_probability(spikes: Raster, axis: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Mean over `axis` (trials, or trials and steps), kept half a spike away from never and always."""
    edge = 0.5 / np.prod([spikes.shape[k] for k in axis])
    return np.clip(spikes.mean(axis), edge, 1 - edge)


def bits_per_spike(nll: float, constant: float, rate: float) -> float:
    """Gain in likelihood over a constant rate: (constant - nll) / (rate ln 2), nats per bin and cell, spikes per bin."""
    return (constant - nll) / (rate * np.log(2))


def psth_r(data: Raster, model: Raster) -> Float[np.ndarray, " cell"]:
    """Pearson r over time of each cell's trial mean; 0 for a trial mean that never changes, which explains nothing."""
    pairs = zip(data.mean(0).T, model.mean(0).T, strict=True)
    return np.nan_to_num([pearson(recorded, simulated) for recorded, simulated in pairs])


def correlations(spikes: Raster) -> dict[str, Float[np.ndarray, " pair"]]:
    """Noise, stimulus and total correlation of each pair of cells; 0 for a cell that never changes."""
    noise, stimulus = statistics.covariances(spikes)
    deviation = np.sqrt(np.diag(noise + stimulus))
    scale = np.outer(deviation, deviation)
    scale[scale == 0] = np.inf
    parts = {"noise": noise / scale, "stimulus": stimulus / scale, "total": (noise + stimulus) / scale}
    return {kind: statistics.lower_triangle(matrix) for kind, matrix in parts.items()}


def coupling_r(fitted: Float[np.ndarray, "post pre"], true: Float[np.ndarray, "post pre"]) -> float:
    """Pearson r of the couplings between cells, self-couplings left out."""
    off = ~np.eye(len(true), dtype=bool)
    return pearson(true[off], fitted[off])


def pearson(x: Float[np.ndarray, " entry"], y: Float[np.ndarray, " entry"]) -> float:
    """Pearson r; nan when one of them is constant, or empty."""
    if len(x) == 0 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
