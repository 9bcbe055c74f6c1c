"""Which values of a metric are aimed at and which are plausible, and who meets them.

The bounds are config (`fsbi.targets`), one table for the whole study: the published helper, figures and tutorial differ
in them. Bounds are closed; nan lies in no interval.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from respike.fsbi.params import metrics_of

Interval = tuple[float, float]

ACTIVITY = ("rate", "rate_i")
IRREGULAR = ("cv_isi", "spatial_Fano", "temporal_Fano", "auto_cov", "fft", "std_rate_temporal", "std_rate_spatial")
STEADY = ("w_blow", "w_creep", "weef", "weif", "wief", "wiif")
GROUPS = {  # the groups of conditions of the figures; with_std_cv: as counted in the figure of poly
    "activity": ACTIVITY,
    "weights": STEADY,
    "irregular": IRREGULAR,
    "irregular_with_std_cv": (*IRREGULAR, "std_cv"),
    "plausible": (*ACTIVITY, *STEADY, *IRREGULAR),
    "plausible_with_std_cv": (*ACTIVITY, *STEADY, *IRREGULAR, "std_cv"),
}
FLOOR = {  # what is added before the logarithm of a metric that may be 0; metrics that are not here are used as they are
    "rate": 0.1,
    "rate_i": 0.1,
    "auto_cov": 0.005,
    "fft": 0.05,
    "w_blow": 0.001,
    "w_creep": 0.001,
    "std_rate_temporal": 0.001,
    "std_rate_spatial": 0.1,
    "weef": 0.01,
    "weif": 0.01,
    "wief": 0.05,
    "wiif": 0.05,
}


@dataclass(frozen=True)
class Target:
    """Bounds of one metric."""

    aim: Interval  # proposals are conditioned on values drawn uniformly from here
    plausible: Interval | None = None  # None: not a condition


def group(name: str, family: str) -> tuple[str, ...]:
    """The metrics of a group of conditions that a network of this family has."""
    return tuple(metric for metric in GROUPS[name] if metric in metrics_of(family))


def plausible(targets: Mapping[str, Target], metrics: Iterable[str]) -> dict[str, Interval]:
    """The plausibility conditions on `metrics`, of those that have one."""
    return {name: targets[name].plausible for name in metrics if name in targets and targets[name].plausible}


def meets(table: pd.DataFrame, conditions: Mapping[str, Interval]) -> Bool[np.ndarray, " rule"]:
    """Which rows of `table` have every metric of `conditions` inside its closed interval."""
    inside = np.ones(len(table), dtype=bool)
    for name, (low, high) in conditions.items():
        inside &= table[name].between(low, high).to_numpy()
    return inside


def scaled(table: pd.DataFrame, metrics: Sequence[str], log: bool) -> Float[np.ndarray, "rule metric"]:
    """The metrics as the estimator sees them: with `log`, log10(value + FLOOR) of those that are in FLOOR."""
    columns = [(name, table[name].to_numpy(float)) for name in metrics]
    return np.stack([np.log10(found + FLOOR[name]) if log and name in FLOOR else found for name, found in columns], 1)


def relation(table: pd.DataFrame, name: str) -> tuple[float, float]:
    """Do proposals do what they were asked? Of a metric asked for (`aim_<name>`) and found, among rules that have it:
    correlation as estimators see them (`scaled`: logarithms of most; nan for fewer than three), share within a factor of 2.
    """
    finished = table[np.isfinite(table[name])]
    both = [finished[column].to_numpy(float) for column in (f"aim_{name}", name)]
    asked, found = (np.log10(values + FLOOR.get(name, 0.01)) for values in both)
    seen = (asked, found) if name in FLOOR else both
    correlation = np.corrcoef(*seen)[0, 1] if len(finished) > 2 else np.nan
    return float(correlation), float(np.mean(np.abs(asked - found) <= np.log10(2))) if len(finished) else np.nan
