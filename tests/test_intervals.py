"""Intervals of differences against closed forms, scipy's own tests and brute force."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from respike.report import intervals
from respike.report.intervals import Side

OURS, OTHERS = [5.1, 4.9, 5.6, 5.0, 5.3], [4.1, 4.8, 4.4]


def side(values) -> Side:
    return intervals.sample(values)


def test_two_samples_give_the_interval_of_welch():
    expected = stats.ttest_ind(OURS, OTHERS, equal_var=False).confidence_interval(0.95)
    assert intervals.means(side(OURS), side(OTHERS)) == pytest.approx(expected)


def test_against_a_bound_it_is_the_interval_of_our_mean():
    expected = stats.ttest_1samp(OURS, 5.0).confidence_interval(0.95)
    low, high = intervals.means(side(OURS), Side(5.0))
    assert (low + 5.0, high + 5.0) == pytest.approx(expected)


def test_one_network_of_the_paper_gives_the_interval_in_which_a_further_network_of_ours_would_lie():
    half = stats.t.ppf(0.975, 4) * np.std(OURS, ddof=1) * math.sqrt(1 + 1 / 5)
    assert intervals.means(side(OURS), Side(5.18, 1)) == pytest.approx((-half, half))


def test_a_side_without_a_spread_takes_the_other_ones():
    known = Side(2.0, 10, 0.5, 9)
    half = stats.t.ppf(0.975, 9) * 0.5 * math.sqrt(1 / 10 + 1 / 4)
    for unknown in (Side(1.0, 4), side([1.0] * 4)):  # not stated; or all at the ceiling, where a spread of 0 is not believed
        assert intervals.means(unknown, known) == pytest.approx((-1 - half, -1 + half))
        assert intervals.means(known, unknown) == pytest.approx((1 - half, 1 + half))
    assert intervals.means(side([1.0]), Side(1.0, 1)) == intervals.UNKNOWN
    assert intervals.means(side([1.0, 1.0]), Side(1.0)) == intervals.UNKNOWN


def test_a_spread_that_rounding_makes_is_not_one_of_networks():
    """The same gain, an object of 54, from three starts: in doubles the three differ by 1e-16, and so would the limits."""
    gains = [49 / 54 - 48 / 54, 27 / 54 - 26 / 54, 52 / 54 - 51 / 54]
    assert len(set(gains)) > 1
    assert intervals.means(side(gains), Side(0.0)) == intervals.UNKNOWN
    assert intervals.means(side([1e6, 1e6 + 0.01, 1e6 + 0.02]), Side(1e6))[0] > -0.1  # small beside the values, and real


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (94, 100)])
def test_a_share_has_the_exact_binomial_limits(k, n):
    low, high = intervals.binomial(Side(k / n, n))
    assert low == pytest.approx(stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0)
    assert high == pytest.approx(stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0)
    assert intervals.shares(Side(k / n, n), Side(0.25)) == pytest.approx((low - 0.25, high - 0.25))


@pytest.mark.parametrize("events", [0, 1, 48])
def test_a_count_has_the_exact_poisson_limits(events):
    low, high = intervals.poisson(Side(events / 8, 8))
    assert stats.poisson.sf(events - 1, 8 * low) == pytest.approx(0.025) if events else low == 0
    assert stats.poisson.cdf(events, 8 * high) == pytest.approx(0.025)


def test_limits_of_a_difference_are_those_of_its_parts_added_as_squares():
    low, high = intervals.added(5.0, (4.0, 8.0), 1.0, (-3.0, 1.5))
    assert low == pytest.approx(4 - math.hypot(1, 0.5))
    assert high == pytest.approx(4 + math.hypot(3, 4))
    mine, theirs = Side(0.7, 10), Side(0.94, 100)
    swapped = intervals.shares(theirs, mine)
    assert intervals.shares(mine, theirs) == pytest.approx((-swapped[1], -swapped[0]))


def test_the_interval_of_two_shares_holds_the_truth_often_enough():
    """Every outcome of 12 against 15, weighted by its chance."""
    p, q, held = 0.3, 0.6, 0.0
    for k, m in itertools.product(range(13), range(16)):
        low, high = intervals.shares(Side(k / 12, 12), Side(m / 15, 15))
        held += (low <= p - q <= high) * stats.binom.pmf(k, 12, p) * stats.binom.pmf(m, 15, q)
    assert held >= 0.95


def test_where_the_smallest_of_so_many_networks_lies():
    """Brute force: each order of 8 of ours and 3 others is equally likely."""
    values, n = np.arange(8) + 1.0, 3
    low, high = intervals.minimum(values, n)
    orders = list(itertools.combinations(range(8 + n), n))  # places of the others among all
    chance = [np.mean([min(places) >= j for places in orders]) for j in range(1, 9)]  # all lie above the j-th of ours
    assert (low, high) == (-np.inf, 1.0 + next(j for j, p in enumerate(chance) if p <= 0.025))
    assert intervals.minimum(values, np.nan) == intervals.minimum(values, 8)
    assert intervals.minimum([1.0], 1) == (-np.inf, np.inf)
    assert intervals.minimum(np.arange(39.0), 1)[0] == 0  # one more lies above 39 of ours with a chance of 39/40
    assert intervals.minimum(np.arange(38.0), 1)[0] == -np.inf
    assert intervals.minimum(np.arange(39.0), 1, 0.96)[0] == -np.inf


def test_the_smallest_of_others_lies_within_the_limits_often_enough():
    chance = np.random.default_rng(0)
    held = [
        low <= chance.normal(size=2).min() <= high
        for low, high in (intervals.minimum(chance.normal(size=80), 2) for _ in range(4000))
    ]
    assert np.mean(held) >= 0.94


def test_every_side_with_a_spread_counts_with_its_own():
    """Two spreads are known; a third side has none and takes the first: what they share is one random number."""
    first, second, one = Side(1.0, 10, 0.01, 9), Side(0.0, 10, 5.0, 9), Side(0.25, 1)
    parts = np.array([0.01**2 * (1 / 10 + 1), 5.0**2 / 10])
    half = stats.t.ppf(0.975, parts.sum() ** 2 / (parts**2 / 9).sum()) * math.sqrt(parts.sum())
    assert intervals.means(first, second, one) == pytest.approx((0.75 - half, 0.75 + half))


@pytest.mark.parametrize("looks", [1, 2, 3])
def test_each_look_has_its_share_of_what_an_interval_may_miss(looks):
    level = 1 - 0.05 / looks
    assert intervals.corrected(looks) == pytest.approx(level)
    expected = stats.ttest_ind(OURS, OTHERS, equal_var=False).confidence_interval(level)
    assert intervals.means(side(OURS), side(OTHERS), level=level) == pytest.approx(expected)
    exact = stats.binomtest(3, 10).proportion_ci(level, "exact")
    assert intervals.shares(Side(0.3, 10), Side(0.0), level) == pytest.approx(tuple(exact))
    low, high = intervals.counts(Side(2.0, 3), Side(0.0), level)
    assert stats.poisson.sf(5, 3 * low) == pytest.approx((1 - level) / 2) == stats.poisson.cdf(6, 3 * high)


def test_like_networks_share_their_spread_but_not_with_one_that_failed():
    sides = [Side(1.0, 3, 0.2, 2), Side(2.0, 3, 0.3, 2), Side(3.0, 5, 0.25, 4), Side(4.0, 3, 30.0, 2), Side(5.0, 1), Side(6.0)]
    pooled = intervals.pooled(sides)
    spread = math.sqrt((2 * 0.2**2 + 2 * 0.3**2 + 4 * 0.25**2) / 8)
    for before, after in zip(sides, pooled, strict=True):
        assert after[:2] == pytest.approx(before[:2], nan_ok=True)
        expected = (30.0, 2) if before.value == 4.0 else (spread, 8)
        assert after[2:] == pytest.approx(expected)
    assert intervals.pooled([sides[0], Side(2.0)]) == [sides[0], Side(2.0)]  # one spread: nothing to pool
    assert intervals.pooled([]) == []


def test_pooled_spreads_make_intervals_that_hold_the_truth():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        ours = intervals.pooled([side(row) for row in rng.normal(0, 1, (8, 3))])
        theirs = intervals.pooled([side(row) for row in rng.normal(0, 1, (8, 3))])
        held += [low <= 0 <= high for low, high in map(intervals.means, ours, theirs)]
    assert 0.93 < np.mean(held) < 0.97
