"""What is measured on a network: irregularity, rates, selectivity, degrees."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt8
from scipy import stats

from respike.barrel import params


def cv(spikes: UInt8[np.ndarray, "cell step"] | Bool[np.ndarray, "cell step"]) -> Float[np.ndarray, " cell"]:
    """Standard deviation over mean of the 0/1 series of each cell, sqrt((1 - r) / r) at r spikes per step; 0 if silent."""
    rate = spikes.mean(-1, dtype=np.float64)
    return np.sqrt((1 - rate) / np.where(rate > 0, rate, np.inf))


def spread(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """`n` rows from the lowest to the highest irregularity (column cv), evenly spaced in rank; all where there are fewer."""
    order = table.sort_values("cv", kind="stable")
    return order.iloc[np.unique(np.linspace(0, len(order) - 1, n).round().astype(int))]


def binned_rate(spikes: np.ndarray) -> Float[np.ndarray, " bin"]:
    """Spikes of the population (cell, step) in bins of RATE_BIN steps, per cell and second if a step is 1 ms."""
    n_cells, n_steps = spikes.shape
    counts = spikes.sum(0, dtype=np.int64)[: n_steps // params.RATE_BIN * params.RATE_BIN]
    return counts.reshape(-1, params.RATE_BIN).sum(1) / n_cells * 100


class Selectivity(NamedTuple):
    """Which cells tell the classes apart, and where they stand in the triangle of the three classes."""

    p: Float[np.ndarray, " cell"]
    selective: Bool[np.ndarray, " cell"]
    position: Float[np.ndarray, "cell 2"]


def anova(groups: list[Float[np.ndarray, "observation cell"]]) -> Float[np.ndarray, " cell"]:
    """p of a one-way analysis of variance for each cell, in the precision of the groups; 1 where nothing varies."""
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        p = stats.f_oneway(*groups, axis=0).pvalue
    return np.where(np.isnan(p), 1.0, p)


def triangle(totals: Float[np.ndarray, "class cell"]) -> Float[np.ndarray, "cell 2"]:
    """Position of each cell: class 0 pulls to the lower left, 1 upwards, 2 to the lower right."""
    share = (totals + params.PSEUDO_COUNT) / (totals + params.PSEUDO_COUNT).sum(0)
    return np.column_stack([np.sqrt(3) / 2 * (share[2] - share[0]), share[1] - (share[0] + share[2]) / 2])


def selectivity_by_steps(sums: Int[np.ndarray, "class step cell"], label: Int[np.ndarray, " trial"]) -> Selectivity:
    """The published test: the steps of each class's summed response are the observations, although not independent."""
    sums = sums * (len(label) / len(sums) / np.bincount(label))[:, None, None]  # else sizes of classes would be measured
    p = anova(list(sums.astype(np.float32)))  # single precision as published
    return Selectivity(p, p < params.SELECTIVE_BELOW, triangle(sums.sum(1)))


def selectivity_by_trials(counts: Int[np.ndarray, "trial cell"], label: Int[np.ndarray, " trial"]) -> Selectivity:
    """Spike counts of trials as observations; selective by a false discovery rate of 5 % (Benjamini and Hochberg)."""
    groups = [counts[label == kind].astype(np.float64) for kind in range(len(params.CLASSES))]
    p = anova(groups)
    totals = np.stack([group.sum(0) * (len(label) / len(groups) / len(group)) for group in groups])
    return Selectivity(p, stats.false_discovery_control(p) < 0.05, triangle(totals))


def degrees(matrix: Float[np.ndarray, "sender receiver"]) -> tuple[np.ndarray, np.ndarray]:
    """Weighted in- and out-degree of each cell: sums of unsigned weights."""
    return matrix.sum(0, dtype=np.float64), matrix.sum(1, dtype=np.float64)


def scaled(values: Float[np.ndarray, " population"]) -> Float[np.ndarray, " population"]:
    """Values brought linearly to 0.1 (smallest) ... 1 (largest); all 0.1 when they are equal."""
    return 0.1 + 0.9 * (values - values.min()) / (np.ptp(values) or 1)
