"""Intervals of the difference between two sides: what we measured, and what a paper reports or another kind of ours.

Means are compared by Welch's t, shares by exact binomial limits (Clopper, Pearson), counts by exact Poisson limits (Garwood);
the limits of two shares or counts make those of their difference by adding squares (Zou, Donner, Stat Med 27:1693, 2008).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
NOT_ALIKE = 0.99  # a spread above this quantile of F is not that of like networks
ROUNDING = 1e-9  # of the largest value: by less, values do not differ

Limits = tuple[float, float]
UNKNOWN: Limits = (-np.inf, np.inf)


class Side(NamedTuple):
    """A number and what it rests on."""

    value: float
    n: float = np.nan  # networks of a mean, items of a share, units of time of a count; nan: a bound, no sample
    spread: float = np.nan  # standard deviation between networks; nan: not known
    freedom: float = np.nan  # degrees of freedom of the spread


def corrected(looks: float) -> float:
    """Level of each of several looks at a claim, networks being added in between: all hold together by LEVEL (Bonferroni)."""
    return 1 - (1 - LEVEL) / looks


def upper(level: float) -> float:
    """Quantile at the upper end of an interval that leaves as much out below."""
    return 0.5 + level / 2


def sample(values: Sequence[float]) -> Side:
    """Mean of several networks. A spread of 0 is not known: a measure at its ceiling, or too coarse to tell them apart.

    So is one that rounding alone makes: of the gains 49/54 - 48/54 and 27/54 - 26/54, which are the same.
    """
    found = np.asarray(values, float)
    differ = len(found) > 1 and np.ptp(found) > ROUNDING * np.abs(found).max()
    spread = float(found.std(ddof=1)) if differ else np.nan
    return Side(float(found.mean()), len(found), spread, len(found) - 1)


def means(ours: Side, *others: Side, level: float = LEVEL) -> Limits:
    """Interval of ours minus the others by Welch.

    A side whose spread is not known (one network; all alike; not stated) is taken to spread like the first where it is;
    against one network this is the prediction interval of a further network. With no spread of networks on any side nothing is
    known: no limits.
    """
    sides = [side for side in (ours, *others) if not np.isnan(side.n)]
    known = [side for side in sides if not np.isnan(side.spread)]
    if all(np.isinf(side.freedom) for side in known):  # none, or errors of values, which say nothing of networks
        return UNKNOWN
    parts = [side.spread**2 / side.n for side in known]
    parts[0] += sum(known[0].spread ** 2 / side.n for side in sides if np.isnan(side.spread))
    variance = sum(parts)
    freedom = variance**2 / sum(part**2 / side.freedom for part, side in zip(parts, known, strict=True))
    half = stats.t.ppf(upper(level), freedom) * np.sqrt(variance)
    difference = ours.value - sum(side.value for side in others)
    return difference - half, difference + half


def shares(ours: Side, other: Side, level: float = LEVEL) -> Limits:
    """Interval of ours - other for two shares of n; each between 0 and 1."""
    return added(ours.value, binomial(ours, level), other.value, binomial(other, level))


def counts(ours: Side, other: Side, level: float = LEVEL) -> Limits:
    """Interval of ours - other for two counts per unit of time (or of anything) in n units."""
    return added(ours.value, poisson(ours, level), other.value, poisson(other, level))


def binomial(side: Side, level: float = LEVEL) -> Limits:
    """Exact limits of a share; the share itself when it is a bound."""
    if np.isnan(side.n):
        return side.value, side.value
    limits = stats.binomtest(round(side.value * side.n), round(side.n)).proportion_ci(level, "exact")
    return float(limits.low), float(limits.high)


def poisson(side: Side, level: float = LEVEL) -> Limits:
    """Exact limits of a count per unit, from value * n events in n units."""
    if np.isnan(side.n):
        return side.value, side.value
    events = round(side.value * side.n)
    low = stats.chi2.ppf(1 - upper(level), 2 * events) / 2 if events else 0.0
    return low / side.n, stats.chi2.ppf(upper(level), 2 * events + 2) / 2 / side.n


def added(value: float, limits: Limits, other: float, others: Limits) -> Limits:
    """Limits of the difference of two independent values from the limits of each."""
    difference = value - other
    low = difference - np.hypot(value - limits[0], others[1] - other)
    return low, difference + np.hypot(limits[1] - value, other - others[0])


def minimum(values: Sequence[float], n: float, level: float = LEVEL) -> Limits:
    """Where the smallest of `n` networks like ours lies (nan: as many as ours), whatever the distribution.

    All n lie above the j-th smallest of our m with a chance of m/(m+n) (m-1)/(m+n-1) ... (j factors). From below: our
    smallest, when all of them do with a chance of 97.5 %, which takes 39 of ours for each; nothing otherwise. From above: the
    lowest j-th smallest that all of them exceed with a chance of no more than 2.5 %.
    """
    ranked, m = np.sort(np.asarray(values, float)), len(values)
    n = m if np.isnan(n) else n
    j = np.arange(m)
    above = np.cumprod((m - j) / (m + n - j))
    enough = np.flatnonzero(above <= 1 - upper(level))
    return (float(ranked[0]) if above[0] >= upper(level) else -np.inf), (float(ranked[enough[0]]) if len(enough) else np.inf)


def pooled(sides: Sequence[Side]) -> list[Side]:
    """Each of a grid of like networks with the spread of them all, weighted by degrees of freedom.

    A spread that chance does not make of theirs (F test, 1 %, against the median of the variances, which a failed network does
    not move) stays as it is and out of the pool. Sides without a spread get that of the pool.
    """
    known = [side for side in sides if not np.isnan(side.spread)]
    if len(known) < 2:
        return list(sides)
    variance = np.array([side.spread**2 for side in known])
    freedom = np.array([side.freedom for side in known])
    middle = np.median(variance * freedom / stats.chi2.median(freedom))
    alike = variance <= middle * stats.f.ppf(NOT_ALIKE, freedom, freedom.sum())
    all_freedom = float(freedom[alike].sum())
    spread = float(np.sqrt((variance * freedom)[alike].sum() / all_freedom))
    odd = {side for side, like in zip(known, alike, strict=True) if not like}
    return [side if side in odd else side._replace(spread=spread, freedom=all_freedom) for side in sides]
