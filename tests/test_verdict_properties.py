"""What must hold for all intervals and verdicts when sides are swapped, units changed, margins or intervals widened."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from respike.report import claims, intervals, verdicts
from respike.report.claims import Claim
from respike.report.intervals import Side
from respike.report.verdicts import NOT_REPRODUCED, REPRODUCED, VERDICTS
from tests import properties  # noqa: F401  (the same few examples in every run)

NAN = float("nan")
CLAIM = Claim("paper", "accuracy", "table 1", "", "a", "acc", "mean", "equal", 0.0, NAN, NAN, 0.0, "", "", "", "")
numbers = some.integers(-64, 64).map(lambda number: number / 8)  # exact in binary: no verdict hangs on rounding
values = some.lists(numbers, min_size=1, max_size=6)
bounds = numbers.map(Side)
means = values.map(intervals.sample) | some.builds(lambda value, n: Side(value, n, 0.5, n - 1), numbers, some.integers(2, 9))
shares = some.integers(1, 40).flatmap(lambda n: some.integers(0, n).map(lambda k: Side(k / n, n)))
counts = some.builds(lambda events, n: Side(events / n, n), some.integers(0, 40), some.integers(1, 20))
ordered = some.tuples(numbers, numbers).map(sorted)
margins = some.integers(0, 64).map(lambda number: number / 8)
directions = some.sampled_from(["equal", "at least", "at most"])
comparisons = some.one_of(
    some.tuples(some.just(intervals.means), means, means | bounds),
    some.tuples(some.just(intervals.shares), shares, shares),
    some.tuples(some.just(intervals.counts), counts, counts),
)


def decided(direction: str, margin: float, interval) -> str:
    return verdicts.decided(CLAIM._replace(direction=direction, margin=margin), *interval)


@given(comparisons)
def test_swapping_sides_turns_the_interval_round(drawn):
    compare, ours, other = drawn
    low, high = compare(ours, other)
    assert compare(other, ours) == pytest.approx((-high, -low))
    assert low <= ours.value - other.value <= high


@given(means, means, numbers, some.sampled_from([0.25, 2.0, 8.0]))
def test_intervals_of_means_know_neither_offset_nor_unit(ours, other, offset, unit):
    moved = [side._replace(value=side.value * unit + offset, spread=side.spread * unit) for side in (ours, other)]
    expected = [limit * unit for limit in intervals.means(ours, other)]
    assert intervals.means(*moved) == pytest.approx(expected, abs=1e-9)


@given(some.lists(numbers, min_size=2, max_size=6, unique=True), numbers, some.integers(2, 5))
def test_more_networks_of_the_same_spread_make_a_narrower_interval(drawn, bound, times):
    few, many = (intervals.means(intervals.sample(drawn * n), Side(bound)) for n in (1, times))
    assert few[0] < many[0] <= many[1] < few[1]


@given(values, some.randoms(use_true_random=False), some.integers(1, 9))
def test_the_order_of_networks_changes_nothing(drawn, chance, n):
    shuffled = chance.sample(drawn, len(drawn))
    assert intervals.sample(shuffled) == pytest.approx(intervals.sample(drawn), nan_ok=True)
    assert intervals.minimum(shuffled, n) == intervals.minimum(drawn, n)


@given(some.integers(1, 60), some.integers(0, 59))
def test_limits_of_a_share_mirror_those_of_the_rest_and_rise_with_it(n, k):
    assume(k < n)
    (low, high), rest = intervals.binomial(Side(k / n, n)), intervals.binomial(Side((n - k) / n, n))
    assert (1 - rest[1], 1 - rest[0]) == pytest.approx((low, high))
    more = intervals.binomial(Side((k + 1) / n, n))
    assert 0 <= low <= k / n <= high <= 1
    assert low < more[0]
    assert high < more[1] or more[1] == 1


@given(some.integers(0, 60), some.integers(1, 30), some.integers(2, 5))
def test_limits_of_a_count_rise_with_it_and_scale_with_the_time(events, n, times):
    low, high = intervals.poisson(Side(events / n, n))
    assert 0 <= low <= events / n < high
    assert np.less((low, high), intervals.poisson(Side((events + 1) / n, n))).all()
    longer = intervals.poisson(Side(events / n / times, n * times))
    assert longer == pytest.approx((low / times, high / times))


@given(some.lists(numbers, min_size=1, max_size=60), some.integers(1, 9), some.integers(1, 9))
def test_the_smallest_of_more_networks_lies_lower(drawn, n, more):
    low, high = intervals.minimum(drawn, n)
    lower = intervals.minimum(drawn, n + more)
    assert lower[0] <= low
    assert low in {-float("inf"), min(drawn)}
    assert min(drawn) <= high
    assert lower[1] <= high
    assert intervals.minimum([value + 2 for value in drawn], n) == (low + 2, high + 2)


sides = some.builds(lambda value, n, spread: Side(value, n, spread, n - 1), numbers, some.integers(2, 9), some.floats(0.1, 9))
grids = some.lists(sides | bounds | some.just(Side(1.0, 1)), max_size=6)


@given(grids, some.randoms(use_true_random=False), some.sampled_from([0.25, 8.0]))
def test_a_pool_knows_neither_order_nor_unit(grid, chance, unit):
    order = chance.sample(range(len(grid)), len(grid))
    found = np.array(intervals.pooled(grid)).reshape(-1, 4)
    shuffled = np.array(intervals.pooled([grid[place] for place in order])).reshape(-1, 4)
    np.testing.assert_allclose(shuffled, found[order])
    scaled = np.array(intervals.pooled([side._replace(spread=side.spread * unit) for side in grid])).reshape(-1, 4)
    np.testing.assert_allclose(scaled, found * [1, 1, unit, 1])


@given(some.lists(some.integers(2, 9), min_size=2, max_size=6), some.floats(0.1, 9))
def test_a_pool_of_equal_spreads_keeps_them_and_adds_their_freedom(sizes, spread):
    for side in intervals.pooled([Side(0.0, n, spread, n - 1) for n in sizes]):
        assert side.spread == pytest.approx(spread)
        assert side.freedom == sum(sizes) - len(sizes)


@given(directions, ordered, margins, margins)
def test_a_wider_margin_never_takes_a_reproduction_back(direction, interval, margin, more):
    before, after = (decided(direction, wide, interval) for wide in (margin, margin + more))
    assert before != REPRODUCED or after == REPRODUCED
    assert after != NOT_REPRODUCED or before == NOT_REPRODUCED


@given(directions, some.lists(numbers, min_size=4, max_size=4).map(sorted), margins)
def test_a_narrower_interval_never_takes_a_verdict_back(direction, limits, margin):
    wide = decided(direction, margin, (limits[0], limits[3]))
    narrow = decided(direction, margin, (limits[1], limits[2]))
    assert narrow == wide or wide not in (REPRODUCED, NOT_REPRODUCED)


@given(directions, ordered, margins)
def test_verdicts_mirror_with_the_claim(direction, interval, margin):
    mirror = {"at least": "at most", "at most": "at least"}.get(direction, direction)
    assert decided(mirror, margin, (-interval[1], -interval[0])) == decided(direction, margin, interval)


@given(ordered, margins)
def test_what_is_equal_is_neither_less_nor_more(interval, margin):
    both = {decided(direction, margin, interval) for direction in ("at least", "at most")}
    found = decided("equal", margin, interval)
    assert (found == REPRODUCED) == (both == {REPRODUCED})
    assert (found == NOT_REPRODUCED) == (NOT_REPRODUCED in both)


parts = some.lists(some.tuples(some.sampled_from(VERDICTS), some.sampled_from(["a", "b"])), min_size=1, max_size=5)


@given(parts, some.randoms(use_true_random=False))
def test_a_sentence_holds_when_every_part_does_and_in_any_order(drawn, chance):
    def verdict(of):
        rows = [
            {
                "item": str(number),
                "verdict": each,
                "unit": unit,
                "compared": "",
                "why": "",
                "note": "",
                "paper": "",
                "ours": "",
            }
            for number, (each, unit) in enumerate(of)
        ]
        row = verdicts.together("the sentence", rows)
        assert row["unit"] == (of[0][1] if len({unit for _, unit in of}) == 1 else "")
        return row["verdict"]

    found = verdict(drawn)
    assert found == verdict(chance.sample(drawn, len(drawn))) == verdict(drawn + [(REPRODUCED, "a")])
    assert (found == REPRODUCED) == all(each == REPRODUCED for each, _ in drawn)
    assert (found == NOT_REPRODUCED) == any(each == NOT_REPRODUCED for each, _ in drawn)


@given(some.from_regex(r"[a-z]{1,5}", fullmatch=True), some.sampled_from(list(claims.COMPARE)), numbers, numbers)
def test_conditions_are_read_as_they_are_written_and_compare_numbers(fact, relation, needed, found):
    first, second = claims.conditions(f" {fact}{relation}{needed};dataset = a *; ")
    assert first == (fact, relation, str(needed))
    expected = {"=": found == needed, ">=": found >= needed, "<=": found <= needed}[relation]
    assert first.holds(f"{found:.6e}") == expected
    assert second.holds("a set")
    assert not second.holds(str(found))
