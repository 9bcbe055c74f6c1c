"""Verdicts by hand: every kind of claim on both sides of its rule, all reasons, parts of a sentence, facts of what ran."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from respike.core import files, measures
from respike.core.measures import Measure
from respike.report import claims, verdicts
from respike.report.claims import Claim
from respike.report.verdicts import NOT_COMPARABLE, NOT_MEASURED, NOT_REPRODUCED, REPRODUCED, UNDECIDED

NAN = float("nan")
CLAIM = Claim("paper", "accuracy", "table 1", "", "a", "acc", "mean", "equal", 0.9, NAN, NAN, 0.05, "", "", "", "")
NO_FACTS = measures.facts("modes", [])


def rows(values, variant="a", metric="acc", dataset="MNIST", n=100, first=0) -> list[Measure]:
    return [Measure(variant, seed, dataset, metric, value, "", n) for seed, value in enumerate(values, first)]


def judged(made: list[Measure], facts=NO_FACTS, **changes) -> pd.Series:
    """The scorecard's row for CLAIM with some columns changed, from these measures."""
    return card(made, [CLAIM._replace(**changes)], facts).iloc[0]


def card(made, of_study, facts=NO_FACTS) -> pd.DataFrame:
    return verdicts.card("modes", of_study, [verdicts.Run(measures.table("modes", made), facts, "quick")])


def test_of_several_runs_the_first_that_does_what_the_claim_is_about_answers_it():
    """The first run has the wrong data set, the second too few networks, the third and the fourth are right."""
    claim = CLAIM._replace(conditions="dataset=MNIST; replicas>=2", statistic="minimum", n=1)
    made = [rows([0.5, 0.5], dataset="toy"), rows([0.5]), rows([0.9, 0.9]), rows([0.5, 0.5])]
    runs = [verdicts.Run(measures.table("modes", each), NO_FACTS, f"run {k}") for k, each in enumerate(made)]
    assert [verdicts.card("modes", [claim], runs[k:]).iloc[0]["size"] for k in range(4)] == [
        "run 2",
        "run 2",
        "run 2",
        "run 3",
    ]
    first = verdicts.card("modes", [claim], runs[:2]).iloc[0]
    assert (first["size"], first["verdict"]) == ("run 0", "not comparable")
    empty = verdicts.Run(measures.table("modes", []), NO_FACTS, "empty")
    assert verdicts.card("modes", [claim], [empty, *runs[1:2]]).iloc[0]["why"] == "replicas 1, needed at least 2"
    assert verdicts.card("modes", [claim], [empty]).iloc[0]["verdict"] == "not measured"
    worse = verdicts.Run(measures.table("modes", rows([0.5], dataset="toy")), NO_FACTS, "worse")
    assert verdicts.card("modes", [claim], [worse, *runs[:2]]).iloc[0]["size"] == "run 0"  # fewer reasons why not


def test_a_difference_may_lie_between_two_runs_where_no_run_holds_both_kinds():
    """0.9 - 0.4 where each kind has a run of its own; 0.9 - 0.8 once a run holds both; conditions hold for each."""
    claim = CLAIM._replace(variant="a - b", value=0.5, conditions="dataset=MNIST; replicas>=2")
    many = [0.39, 0.4, 0.41] * 3
    alone = [rows([x + 0.5 for x in many], "a"), rows(many, "b")]
    both = [*rows([x + 0.5 for x in many], "a"), *rows([x + 0.4 for x in many], "b")]

    def judged_by(*made):
        runs = [verdicts.Run(measures.table("modes", each), NO_FACTS, "quick") for each in made]
        return verdicts.card("modes", [claim], runs).iloc[0]

    for made in (alone, alone[::-1]):
        assert judged_by(*made)["value"] == pytest.approx(0.5)
        assert judged_by(*made)["verdict"] == REPRODUCED
    assert judged_by(*alone, both)["value"] == pytest.approx(0.1)
    assert judged_by(alone[0], rows([0.4], "b"))["why"] == "b: replicas 1, needed at least 2"
    assert judged_by(alone[0])["verdict"] == NOT_MEASURED


# margin 0.25 around 0; values in binary fractions, so that those at the edge lie there exactly
@pytest.mark.parametrize(
    ("direction", "low", "high", "verdict"),
    [
        ("equal", -0.25, 0.25, REPRODUCED),
        ("equal", 0.125, 0.1875, REPRODUCED),  # another value, but a reader would call it the same
        ("equal", -0.25, 0.375, UNDECIDED),
        ("equal", -9.0, 9.0, UNDECIDED),
        ("equal", 0.25, 0.375, UNDECIDED),
        ("equal", 0.375, 9.0, NOT_REPRODUCED),
        ("equal", -9.0, -0.375, NOT_REPRODUCED),
        ("at least", -0.25, 0.0, REPRODUCED),
        ("at least", 1.0, 9.0, REPRODUCED),
        ("at least", -0.375, 9.0, UNDECIDED),
        ("at least", -9.0, -0.25, UNDECIDED),
        ("at least", -9.0, -0.375, NOT_REPRODUCED),
        ("at most", 0.0, 0.25, REPRODUCED),
        ("at most", -9.0, -1.0, REPRODUCED),
        ("at most", -9.0, 0.375, UNDECIDED),
        ("at most", 0.25, 9.0, UNDECIDED),
        ("at most", 0.375, 9.0, NOT_REPRODUCED),
        ("equal", -np.inf, np.inf, UNDECIDED),
    ],
)
def test_the_interval_decides(direction, low, high, verdict):
    assert verdicts.decided(CLAIM._replace(direction=direction, margin=0.25), low, high) == verdict


def test_an_edge_that_only_rounding_passes_is_inside():
    claim = CLAIM._replace(value=0.3, margin=0.1)
    assert 0.1 + 0.2 - 0.2 > 0.1
    assert verdicts.decided(claim, 0.0, 0.1 + 0.2 - 0.2) == REPRODUCED


@pytest.mark.parametrize(
    ("values", "changes", "verdict"),
    [
        ([0.90, 0.91, 0.92], {}, REPRODUCED),
        ([0.80, 0.81, 0.82], {}, NOT_REPRODUCED),
        ([0.98, 0.99, 1.00], {}, NOT_REPRODUCED),  # the claim has two sides
        ([0.98, 0.99, 1.00], {"direction": "at least"}, REPRODUCED),
        ([0.80, 0.90, 0.97], {}, UNDECIDED),
        ([0.92], {}, UNDECIDED),  # one network, nothing tells how far chance carries it
        ([0.92], {"spread": 0.001, "n": 100.0}, REPRODUCED),  # it does as the paper's networks do
        ([0.92] * 3, {}, UNDECIDED),
        ([0.905, 0.91, 0.915], {"n": 1.0}, REPRODUCED),
        ([0.90, 0.93, 0.87], {"n": 1.0, "margin": 0.07}, UNDECIDED),  # the mean is theirs; one network lies further off
        ([0.90, 0.93, 0.87] * 3, {"margin": 0.03}, REPRODUCED),
    ],
)
def test_means_of_networks(values, changes, verdict):
    assert judged(rows(values), **changes)["verdict"] == verdict


def test_the_row_tells_values_interval_and_what_was_compared():
    values = [0.90, 0.91, 0.92]
    row = judged(rows(values), spread=0.02, n=5.0)
    variance = 0.01**2 / 3 + 0.02**2 / 5
    freedom = variance**2 / ((0.01**2 / 3) ** 2 / 2 + (0.02**2 / 5) ** 2 / 4)
    low, high = 0.01 + stats.t.ppf([0.025, 0.975], freedom) * np.sqrt(variance)
    assert row[["paper_value", "value", "low", "high"]].tolist() == pytest.approx([0.9, 0.91, low, high])
    assert (row["paper"], row["ours"], row["dataset"], row["size"], row["whose"]) == ("0.9", "0.91", "MNIST", "quick", "paper")
    assert row["compared"] == (
        "mean of 3 networks: 0.91 ± 0.01 on MNIST; paper: 0.9 ± 0.02 (n = 5); the same within 0.05? "
        f"Difference 0.01, 95 % interval {low:.3g} to {high:.3g}"
    )


def test_a_mean_whose_number_of_networks_is_not_stated_rests_on_as_many_as_ours():
    stated, unstated = (judged(rows([0.90, 0.91, 0.92]), spread=0.02, n=n) for n in (3.0, NAN))
    assert (stated["low"], stated["high"]) == (unstated["low"], unstated["high"])


def test_one_network_against_a_spread_of_networks_that_are_not_counted_takes_it_for_that_of_two():
    """Also where a like claim is not measured at all: it lends its spread with one degree of freedom."""
    half = stats.t.ppf(0.975, 1) * 0.02 * np.sqrt(1 + 1 / 2)
    row = judged(rows([0.92]), spread=0.02)
    assert (row["low"], row["high"]) == pytest.approx((0.02 - half, 0.02 + half))
    grid = [CLAIM._replace(item=name, variant=name, spread=0.02, n=n, like="grid") for name, n in (("a", 3.0), ("b", NAN))]
    half = stats.t.ppf(0.975, 3) * 0.02 * np.sqrt(1 + 1 / 3)
    assert card(rows([0.92]), grid).iloc[0]["high"] == pytest.approx(0.02 + half)


def test_shares_of_items_are_pooled_and_exact():
    made = rows([0.10, 0.20], n=50) + rows([0.30], n=100, first=2)
    row = judged(made, statistic="share", value=0.2, margin=0.2)
    exact = stats.binomtest(45, 200).proportion_ci(0.95, "exact")
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0.225, exact.low - 0.2, exact.high - 0.2))
    assert row["verdict"] == REPRODUCED
    assert judged(made, statistic="share", value=0.5, margin=0.1)["verdict"] == NOT_REPRODUCED
    assert "share of 200" in row["compared"]
    silent = judged([*made, *rows([0.9], n=0, first=3)], statistic="share", value=0.2, margin=0.2)
    assert (silent["value"], silent["low"], silent["high"]) == (row["value"], row["low"], row["high"])


@pytest.mark.parametrize(
    ("converted", "verdict"), [(10, UNDECIDED), (7, UNDECIDED), (3, NOT_REPRODUCED)]
)  # 94 of 100 against ours of 10
def test_shares_of_networks_in_per_cent(converted, verdict):
    made = rows([100.0] * converted + [0.0] * (10 - converted))
    row = judged(made, statistic="share of networks", unit="%", value=94.0, n=100.0, margin=10.0)
    assert (row["value"], row["verdict"]) == (10 * converted, verdict)
    mine, theirs = (stats.binomtest(k, n).proportion_ci(0.95, "exact") for k, n in ((converted, 10), (94, 100)))
    low = 10 * converted - 94 - 100 * np.hypot(converted / 10 - mine.low, theirs.high - 0.94)
    assert row["low"] == pytest.approx(low)
    of_one = judged(rows([50.0, 100.0]), statistic="share of networks", unit="%", value=94.0)
    assert (of_one["verdict"], of_one["why"]) == (NOT_COMPARABLE, "acc has values 50, needed yes or no of each network")


@pytest.mark.parametrize(
    ("rate", "verdict"), [(0.09, REPRODUCED), (0.5, NOT_REPRODUCED), (0.0, NOT_REPRODUCED), (0.115, UNDECIDED)]
)  # no switches at all are as wrong as too many
def test_counts_per_unit_of_time(rate, verdict):
    row = judged(rows([rate], n=1000), statistic="count", value=0.083, n=5760.0, margin=0.03)
    assert row["verdict"] == verdict
    assert f"{1000 * rate:.0f} events in 1000" in row["compared"]


def test_a_minimum_is_that_of_as_many_networks():
    accuracies = np.linspace(96, 100, 100)
    claim = {"statistic": "minimum", "direction": "at least", "value": 96.0, "n": 2.0, "margin": 0.0}
    assert judged(rows(accuracies), **claim)["verdict"] == REPRODUCED
    assert judged(rows(accuracies[:50]), **claim)["verdict"] == UNDECIDED  # fifty networks cannot show the lower of two
    assert judged(rows([90.0, *accuracies[1:]]), **claim)["verdict"] == UNDECIDED  # chance makes one
    assert judged(rows([90.0] * 90 + [*accuracies[90:]]), **claim)["verdict"] == NOT_REPRODUCED


def test_networks_that_were_added_after_a_look_need_a_wider_interval():
    """Of the two a twentieth in all is missed: the second look at the same networks leaves open what one look decides."""
    made = rows([0.9, 0.93, 0.96, 0.99, 0.97])
    limits = [stats.ttest_1samp([row.value for row in made], 0.9).confidence_interval(1 - 0.05 / looks) for looks in (1, 2)]
    margin = float(np.mean([limits[0].high, limits[1].high])) - 0.9
    once, twice = (judged(made, margin=margin, looks=looks) for looks in (1, 2))
    assert (once["verdict"], twice["verdict"]) == (REPRODUCED, UNDECIDED)
    assert (twice["low"], twice["high"]) == pytest.approx((limits[1].low - 0.9, limits[1].high - 0.9))
    assert "95 % interval" in once["compared"]
    assert "97.5 % interval" in twice["compared"]
    assert twice["compared"].endswith("(2 looks)")


def test_networks_that_are_measured_twice_are_compared_pair_by_pair():
    after, before = [0.5, 0.7, 0.9], [0.4, 0.61, 0.79]
    made = rows(after, "trained") + rows(before, "initial")
    claim = {
        "variant": "trained - initial",
        "statistic": "mean of pairs",
        "value": 0.0,
        "margin": 0.0,
        "direction": "at least",
    }
    row = judged(made, **claim)
    expected = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (row["low"], row["high"], row["value"]) == pytest.approx((*expected, 0.1))
    assert row["verdict"] == REPRODUCED
    assert judged(made, **{**claim, "statistic": "mean"})["verdict"] == UNDECIDED  # as if they were six networks
    row = judged(rows(after, "trained") + rows(before, "initial", first=1), **claim)
    assert (row["verdict"], row["why"]) == (NOT_COMPARABLE, "not every network is measured twice")
    apart = [
        verdicts.Run(measures.table("modes", part), NO_FACTS, "quick")
        for part in (rows(after, "trained"), rows(before, "initial"))
    ]
    row = verdicts.card("modes", [CLAIM._replace(**claim)], apart).iloc[0]
    assert row["verdict"] == NOT_MEASURED  # networks of two runs are others, though they have the same numbers
    again = rows([0.5, 0.7], "trained", dataset="toy"), rows([0.31, 0.5], "initial", dataset="toy")
    row = judged([*again[1], *made, *again[0]], **claim, conditions="dataset=*")  # so are those on two data sets
    expected = stats.ttest_rel([*after, 0.5, 0.7], [*before, 0.31, 0.5]).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((*expected,))


@pytest.mark.parametrize(("value", "verdict"), [(60004.0, REPRODUCED), (60003.0, NOT_REPRODUCED)])
def test_what_is_counted_again_has_no_interval(value, verdict):
    row = judged(rows([60004.0]), statistic="exact", value=value, margin=0.0)
    assert (row["verdict"], row["low"], row["high"]) == (verdict, 60004 - value, 60004 - value)


@pytest.mark.parametrize(
    ("better", "verdict"), [([0.9, 0.91, 0.92], REPRODUCED), ([0.8, 0.9, 0.85], UNDECIDED), ([0.5, 0.51], NOT_REPRODUCED)]
)
def test_a_direction_between_two_kinds_of_networks(better, verdict):
    other = [0.80, 0.81, 0.83, 0.82]
    row = judged(rows(better) + rows(other, "b"), variant="a - b", value=0.0, margin=0.0, direction="at least")
    expected = stats.ttest_ind(better, other, equal_var=False).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx(expected)
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(np.mean(better) - np.mean(other))
    assert row["paper"] == "≥ 0"
    assert row["compared"].startswith(f"mean of {len(better)} networks minus mean of 4 networks: ")


def test_a_difference_of_two_shares_or_counts_and_a_value_of_the_paper_for_it():
    made = rows([0.5], n=100) + rows([0.2], "b", n=100)
    row = judged(made, variant="a - b", statistic="share", value=0.3, margin=0.2)
    assert (row["value"], row["verdict"]) == (pytest.approx(0.3), REPRODUCED)
    assert row["low"] < 0 < row["high"]
    row = judged(made, variant="a - b", statistic="count", value=0.0, margin=0.1)
    assert row["verdict"] == NOT_REPRODUCED  # 50 events and 20
    assert judged(rows([0.5]), variant="a - b", value=0.0)["verdict"] == NOT_MEASURED


@pytest.mark.parametrize(
    ("values", "spread", "n", "open_"),
    [
        ([0.85, 0.90, 0.95], 0.02, 3.0, False),  # half an interval: 4.3 * 0.02 / sqrt(3) = 0.0497 of 0.05
        ([0.85, 0.90, 0.95], 0.021, 3.0, True),  # 0.0522
        ([0.70, 0.78, 0.80], 0.021, 3.0, False),  # too far off for that: more networks would say no
        ([0.86, 0.90, 0.94], NAN, 3.0, True),  # three networks that spread as ours: 4.3 * 0.04 / sqrt(3) = 0.099
        ([0.89, 0.94, 0.94], NAN, NAN, False),  # a bound: our mean is 0.92333
    ],
)
def test_a_claim_that_the_papers_own_networks_leave_open_is_told(values, spread, n, open_):
    row = judged(rows(values), spread=spread, n=n)
    assert row["verdict"] == UNDECIDED
    assert row["why"] == (verdicts.LEFT_OPEN if open_ else "")


def test_few_replicas_take_the_spread_of_the_grid():
    rng = np.random.default_rng(1)
    names = [f"P{modes}" for modes in range(8)]
    values = 0.9 + rng.normal(0, 0.01, (8, 2))
    made = [row for name, of_one in zip(names, values, strict=True) for row in rows(of_one, name)]
    of_grid = [CLAIM._replace(item=name, variant=name, spread=0.01, n=3.0, margin=0.04) for name in names]
    alone, grid = (card(made, [claim._replace(like=like) for claim in of_grid]) for like in ("", "a grid"))
    assert (alone["verdict"] == UNDECIDED).any()
    assert (grid["verdict"] == REPRODUCED).all()
    assert f"± {np.sqrt(values.var(1, ddof=1).mean()):.2g}, of all like them, on MNIST" in grid["compared"][0]
    assert "± 0.01, of all like them, (n = 3)" in grid["compared"][0]
    assert not alone["compared"].str.contains("of all like them").any()
    widths = (grid["high"] - grid["low"]).to_numpy()
    parts = values.var(1, ddof=1).mean() / 2, 0.01**2 / 3
    variance = sum(parts)
    freedom = variance**2 / (parts[0] ** 2 / 8 + parts[1] ** 2 / 16)
    assert widths == pytest.approx(2 * stats.t.ppf(0.975, freedom) * np.sqrt(variance))


def test_a_difference_takes_the_spread_of_each_of_its_kinds_among_their_like():
    """Two grids of their own: spreads of P0 to P3 and of Q0 to Q3, pooled, make the interval of P0 - Q0 by Welch."""
    rng = np.random.default_rng(2)
    values = {f"{kind}{k}": 0.9 + rng.normal(0, width, 3) for kind, width in (("P", 0.01), ("Q", 0.02)) for k in range(4)}
    made = [row for name, of_one in values.items() for row in rows(of_one, name)]
    claims = [CLAIM._replace(item=name, variant=name, like=name[0]) for name in values]
    row = card(made, [*claims, CLAIM._replace(item="P0 - Q0", variant="P0 - Q0", value=0.0)]).iloc[-1]
    parts = [np.mean([values[f"{kind}{k}"].var(ddof=1) for k in range(4)]) / 3 for kind in "PQ"]
    freedom = sum(parts) ** 2 / sum(part**2 / 8 for part in parts)
    assert row["high"] - row["low"] == pytest.approx(2 * stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts)))


def test_a_grid_of_differences_leaves_the_spreads_of_what_they_are_between():
    """Whatever their order: P0 and Q0 spread like P0 to P3 and Q0 to Q3, not like P0, Q0, P1 and Q1."""
    rng = np.random.default_rng(2)
    values = {f"{kind}{k}": 0.9 + rng.normal(0, width, 3) for kind, width in (("P", 0.01), ("Q", 0.02)) for k in range(4)}
    made = [row for name, of_one in values.items() for row in rows(of_one, name)]
    claims = [CLAIM._replace(item=name, variant=name, like=name[0]) for name in values]
    between = [CLAIM._replace(item=f"P{k} - Q{k}", variant=f"P{k} - Q{k}", value=0.0, like="P - Q") for k in range(2)]
    alone, after, before = (card(made, listed).set_index("item") for listed in (claims, claims + between, between + claims))
    for found in (after, before):
        assert found.loc[list(values), ["low", "high"]].equals(alone[["low", "high"]])
    assert before.loc[after.index].equals(after)


def test_one_value_with_an_error_of_its_own():
    """Held against 0.9 with a standard error of 0.02, known from elsewhere: Welch, endless degrees of freedom for it."""
    values = np.array([0.90, 0.91, 0.92])
    row = judged(rows(values), spread=0.02, n=1.0)
    parts = 0.01**2 / 3, 0.02**2
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts))
    assert (row["low"], row["high"]) == pytest.approx((0.01 - half, 0.01 + half))
    assert "paper: 0.9 ± 0.02 (an error, see the note)" in row["compared"]
    assert not row["why"]  # more of ours, or a smaller error, would decide
    row = judged(rows([0.9] * 3), spread=0.02, n=1.0)  # the error of a value tells nothing of how our networks spread
    assert (row["low"], row["high"], row["verdict"]) == (-np.inf, np.inf, UNDECIDED)
    assert row["why"].startswith("one number on either side, or all alike")


def test_a_difference_is_held_against_the_spread_of_the_papers_difference():
    """Three parts by Welch; in a grid the paper's differences are pooled among themselves, not with what they are between."""
    rng = np.random.default_rng(3)
    values = {name: 0.9 + rng.normal(0, 0.01, 4) for name in "abcd"}
    made = [row for name, of_one in values.items() for row in rows(of_one, name)]
    difference = CLAIM._replace(item="a - b", variant="a - b", value=0.01, spread=0.02, n=3.0, margin=0.5)

    def half(*parts):
        variance = sum(part for part, _ in parts)
        freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
        return stats.t.ppf(0.975, freedom) * np.sqrt(variance)

    own = [(values[name].var(ddof=1) / 4, 3) for name in "ab"]
    row = card(made, [difference]).iloc[0]
    middle = values["a"].mean() - values["b"].mean() - 0.01
    assert (row["low"], row["high"]) == pytest.approx(
        (middle - half(*own, (0.02**2 / 3, 2)), middle + half(*own, (0.02**2 / 3, 2)))
    )
    alike = [difference, difference._replace(item="c - d", variant="c - d", spread=0.03)]
    single = [CLAIM._replace(item=name, variant=name, spread=0.001, n=3.0) for name in "ab"]
    row = card(made, [claim._replace(like="grid") for claim in [*alike, *single]]).iloc[0]
    pool = np.mean([of_one.var(ddof=1) for of_one in values.values()])
    expected = 2 * half((pool / 4, 12), (pool / 4, 12), ((0.02**2 + 0.03**2) / 2 / 3, 4))
    assert row["high"] - row["low"] == pytest.approx(expected)


def test_what_cannot_be_judged_does_not_lend_its_spread():
    made = rows([0.90, 0.92], "a") + rows([0.1, 0.9], "b", "acc", "digits")
    both = [CLAIM._replace(item=name, variant=name, conditions="dataset=MNIST", like="grid") for name in "ab"]
    alone = judged(rows([0.90, 0.92]), conditions="dataset=MNIST")
    assert card(made, both)[["low", "high"]].iloc[0].tolist() == alone[["low", "high"]].tolist()


FACTS = measures.facts(
    "modes",
    [
        ("a", {"loss": "logits", "batches": 200, "learning_rate": 1e-3}),
        ("a", {"loss": "logits", "batches": 300, "cells": 100}),
    ],
)


def test_facts_are_text_and_those_in_which_networks_differ_are_all_told():
    assert FACTS.to_dict("list") == {
        "study": ["modes"] * 5,
        "variant": ["a"] * 5,
        "fact": ["loss", "batches", "learning_rate", "batches", "cells"],
        "value": ["logits", "200", "0.001", "300", "100"],
    }


def test_what_ran_is_read_off_the_records_of_a_file_and_of_what_it_was_made_from(tmp_path):
    def made(name: str, stage: str, arguments: list[str], *inputs: str) -> None:
        files.maker.clear()
        digests = {str(tmp_path / each): "" for each in inputs}
        files.maker.update(stage=stage, arguments=arguments, inputs=digests)
        files.write_text(tmp_path / name, name)
        files.maker.clear()

    made("a.pt", "modes.fit", ["--settings", '{"loss": "x", "batches": 3}', "--neurons", "30", "--task", "digits", "--digits"])
    made("b.pt", "modes.fit", ["--settings", '{"loss": "y"}', "--scan-of", "1", "two"])
    made("ab.npz", "modes.simulate", ["--seed", "0"], "a.pt", "b.pt", "digits.npz")
    first = {"settings": {"loss": "x", "batches": 3}, "neurons": 30, "task": "digits", "digits": []}
    second = {"settings": {"loss": "y"}, "scan_of": [1, "two"]}
    assert measures.ran(tmp_path / "ab.npz", "modes.fit") == [first, second]
    assert measures.ran(tmp_path / "a.pt", "modes.fit") == [first]
    assert measures.ran(tmp_path / "ab.npz", "modes.data") == []
    (tmp_path / "mine.npz").touch()
    assert measures.ran(tmp_path / "mine.npz", "modes.fit") == []  # no record: made elsewhere


@pytest.mark.parametrize(
    ("conditions", "reasons"),
    [
        ("loss=logits; cells=100; learning_rate=0.0010; dataset=MN*; replicas=3; n>=100", []),
        ("loss=reference", ["loss logits, needed reference"]),
        ("batches=200", ["batches 200, 300, needed 200"]),  # not every network had as many
        ("batches>=200", []),
        ("batches>=250", ["batches 200, 300, needed at least 250"]),
        ("cells<=99", ["cells 100, needed at most 99"]),
        ("loss>=3", ["loss logits, needed at least 3"]),  # not a number
        ("clip=20; rule=x", ["the run does not say clip (20), rule (x)"]),
        ("n>=101", ["n 100, needed at least 101"]),
        (
            "dataset=digits; loss=reference; steps=50; replicas>=5",
            [
                "the run does not say steps (50)",
                "dataset MNIST, needed digits",
                "loss logits, needed reference",
                "replicas 3, needed at least 5",
            ],
        ),
    ],
)
def test_a_claim_is_judged_under_its_conditions_alone_and_every_reason_is_told(conditions, reasons):
    row = judged(rows([0.90, 0.91, 0.92]), FACTS, conditions=conditions)
    assert (row["why"], row["verdict"]) == ("; ".join(reasons), NOT_COMPARABLE if reasons else REPRODUCED)
    assert np.isnan(row["low"]) == bool(reasons)
    assert row["value"] == pytest.approx(0.91)


def test_facts_of_another_kind_or_study_do_not_count():
    other = FACTS.assign(variant="b")
    assert "does not say loss" in judged(rows([0.9]), other, conditions="loss=logits")["why"]
    assert "does not say loss" in judged(rows([0.9]), FACTS.assign(study="v1"), conditions="loss=logits")["why"]
    made = rows([0.9, 0.91]) + rows([0.8, 0.82], "b")
    row = judged(made, pd.concat([FACTS, other]), variant="a - b", conditions="loss=reference")
    assert row["why"] == "loss logits, needed reference"  # both
    mixed = pd.concat([FACTS, other.replace("logits", "reference")])
    assert judged(made, mixed, variant="a - b", conditions="loss=reference")["why"] == "a: loss logits, needed reference"


def test_a_claim_on_two_data_sets_takes_its_own_and_never_their_mean():
    made = rows([0.90, 0.91, 0.92]) + rows([0.1, 0.2, 0.3], dataset="digits", first=3)
    row = judged(made, conditions="dataset=MNIST; replicas=3")
    assert (row["value"], row["verdict"], row["dataset"]) == (pytest.approx(0.91), REPRODUCED, "MNIST")
    assert judged(made, conditions="dataset=digits")["verdict"] == NOT_REPRODUCED
    row = judged(made)
    assert (row["verdict"], row["why"]) == (
        NOT_COMPARABLE,
        "measured on MNIST and digits, and the claim does not say on which",
    )
    assert judged(made, conditions="dataset=faces")["why"] == "dataset MNIST, digits, needed faces"


def test_a_claim_about_some_networks_takes_those_that_are_meant():
    """Accuracies 0.9, 0.5 and 0.9 of which the second network was not trained; the other kind's trainings do not count."""
    made = [*rows([0.9, 0.5, 0.9]), *rows([100, 0, 100], metric="trained"), *rows([0, 100, 0], variant="b", metric="trained")]
    row = judged(made, conditions="networks=trained; replicas=2")
    assert (row["verdict"], row["value"]) == (UNDECIDED, 0.9)
    assert (
        "mean of 3 networks (trained)"
        in judged([*made, *rows([0.91], first=3), *rows([100], metric="trained", first=3)], conditions="networks=trained")[
            "compared"
        ]
    )
    assert judged(made, conditions="networks=trained; replicas>=3")["why"] == "replicas 2, needed at least 3"
    assert judged(rows([0.9, 0.9]), conditions="networks=trained")["verdict"] == NOT_MEASURED


def test_a_surrogate_answers_the_claims_about_it_alone():
    made = rows([0.9, 0.91], dataset=measures.SURROGATE)
    row = judged(made, conditions="dataset=released")
    assert (row["verdict"], row["ours"], row["dataset"]) == (NOT_MEASURED, "", "")
    assert judged(made)["verdict"] == NOT_MEASURED
    assert judged(made, conditions="dataset=surrogate", margin=0.2)["verdict"] == REPRODUCED
    beside = made + rows([0.92, 0.93], first=2)
    assert judged(beside, conditions="dataset=released")["value"] == pytest.approx(0.925)


@pytest.mark.parametrize(
    ("made", "changes", "verdict", "why"),
    [
        ([], {}, NOT_MEASURED, "not measured in this run"),
        ([], {"metric": "", "note": "not built"}, NOT_MEASURED, ""),
        (rows([0.9], "b"), {}, NOT_MEASURED, "not measured in this run"),
        (rows([0.9, 0.91]), {"direction": "", "note": "a"}, NOT_COMPARABLE, "there is no number to hold it against"),
        (rows([0.9, NAN, 0.91]), {}, NOT_COMPARABLE, "1 of 3 values are not finite"),
        (rows([0.0, 0.1], n=0), {"statistic": "count"}, NOT_COMPARABLE, "nothing was counted, n is 0"),
        (rows([0.5], n=0), {"statistic": "share"}, NOT_COMPARABLE, "nothing was counted, n is 0"),
        (rows([0.5, 12.0]), {"statistic": "share"}, NOT_COMPARABLE, "acc has values 12, needed 0 to 1"),
        (rows([50.0, -1.0]), {"statistic": "share", "unit": "%"}, NOT_COMPARABLE, "acc has values -1, needed 0 to 100"),
        (rows([-0.1]), {"statistic": "count"}, NOT_COMPARABLE, "acc has values -0.1, needed 0 to inf"),
        (rows([NAN], n=0), {"statistic": "share of networks"}, NOT_COMPARABLE, "1 of 1 values are not finite"),
    ],
)
def test_what_was_not_measured_or_cannot_be_judged_says_so(made, changes, verdict, why):
    row = judged(made, **changes)
    assert (row["verdict"], row["why"]) == (verdict, why)


def test_measures_of_another_study_answer_nothing():
    table = measures.table("v1", rows([0.9, 0.91]))
    run = verdicts.Run(table, NO_FACTS, "quick")
    assert verdicts.card("modes", [CLAIM], [run])["verdict"].tolist() == [NOT_MEASURED]


GOOD, BAD, OPEN, ELSEWHERE, MISSING = "good", "bad", "open", "elsewhere", "missing"
MIXED = [
    *rows([0.90, 0.91, 0.92], GOOD),
    *rows([0.5, 0.51, 0.52], BAD),
    *rows([0.9], OPEN),
    *rows([0.9, 0.91], ELSEWHERE, dataset="digits"),
]


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([GOOD, GOOD], REPRODUCED),
        ([GOOD, BAD], NOT_REPRODUCED),
        ([BAD, MISSING, ELSEWHERE, OPEN], NOT_REPRODUCED),  # one part is enough
        ([GOOD, OPEN], UNDECIDED),
        ([OPEN, ELSEWHERE], NOT_COMPARABLE),
        ([GOOD, MISSING], NOT_MEASURED),
    ],
)
def test_a_sentence_holds_when_all_its_parts_do(parts, verdict):
    of_group = [
        CLAIM._replace(item=f"{number}: {name}", variant=name, group="all of it", conditions="dataset=MNIST", note="once")
        for number, name in enumerate(parts)
    ]
    found = card(MIXED, [CLAIM._replace(item="before"), *of_group, CLAIM._replace(item="after")])
    assert found["item"].tolist() == ["before", "all of it", "after"]
    row = found.iloc[1]
    assert (row["verdict"], row["note"], row["whose"]) == (verdict, "once", "paper")
    assert np.isnan(row[["value", "paper_value", "low", "high", "margin"]].astype(float)).all()
    assert row["paper"] == ", ".join(["0.9"] * len(parts))
    for number, name in enumerate(parts):
        assert f"{number}: {name}" in (row["why"] if name in {ELSEWHERE, MISSING} else row["compared"])


def test_parts_of_several_units_tell_each():
    parts = [CLAIM._replace(item=unit, variant=GOOD, group="both", unit=unit) for unit in ("Hz", "1", "%")]
    row = card(MIXED, parts).iloc[0]
    assert (row["paper"], row["unit"]) == ("0.9 Hz, 0.9, 0.9 %", "")
    alike = card(MIXED, [part._replace(unit="Hz") for part in parts]).iloc[0]
    assert (alike["paper"], alike["unit"]) == ("0.9, 0.9, 0.9", "Hz")


def test_parts_that_fail_alike_are_told_once():
    both = [CLAIM._replace(item=name, variant=name, group="both", conditions="loss=x") for name in (GOOD, BAD)]
    assert card(MIXED, both)["why"].tolist() == ["good, bad: not comparable; the run does not say loss (x)"]


def write(path, *listed: Claim, **renamed) -> None:
    files.write_text(path, pd.DataFrame(listed, columns=list(Claim._fields)).rename(columns=renamed).to_csv(index=False))


def test_claims_are_read_as_they_were_written(tmp_path):
    listed = [CLAIM, CLAIM._replace(item="b", value=0.5, spread=0.1, n=3.0, conditions="loss=x; n>=2", group="g", like="l")]
    write(tmp_path / "claims.csv", *listed)
    assert [str(claim) for claim in claims.read(tmp_path / "claims.csv")] == [str(claim) for claim in listed]  # nan is not nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"whose": "mine"}, r"line 3, 'b': whose 'mine', expected one of \['paper', 're-implementation', 'goal'\]"),
        ({"statistic": "median"}, "statistic 'median', expected one of"),
        ({"direction": "within"}, "direction 'within', expected one of"),
        ({"conditions": "large"}, r"condition 'large', expected for instance batches>=3000"),
        ({"conditions": "batches==3000"}, r"condition 'batches==3000', expected"),
        ({"conditions": "batches=>3000"}, r"condition 'batches=>3000', expected"),
        ({"value": "forty"}, r"claims.csv, line 3, 'b': value 'forty', expected a number, or nothing"),
        ({"source": ""}, "no item or no source"),
        ({"direction": ""}, "no direction, expected a note"),
        ({"metric": ""}, "no metric, expected a note"),
        ({"margin": NAN}, "margin nan, expected a number"),
        ({"margin": -1.0}, "a margin of 0 or more"),
        ({"looks": 0.0}, "1 look or more"),
        ({"statistic": "mean of pairs"}, "the two measures of each network"),
        ({"statistic": "minimum", "variant": "a - b"}, "variant 'a - b', expected one kind of networks"),
        ({"statistic": "share", "value": 14.5}, "value 14.5 in unit '', expected a share from 0 to 1"),
        ({"statistic": "share of networks", "unit": "%", "value": -1.0}, "expected a share of networks from 0 to 100"),
        ({"statistic": "share", "variant": "a - b", "value": -1.5}, "value -1.5 in unit '', expected a share from -1 to 1"),
        ({"statistic": "count", "value": -1.0}, "value -1 in unit '', expected a count from 0 to inf"),
        ({"value": NAN}, "value nan, looks 1, margin"),
        ({"spread": 0.0, "n": 3.0}, "spread 0.0 of n = 3.0"),
        ({"spread": 0.1, "n": 1.0, "like": "grid"}, "spread 0.1 of n = 1.0"),
        ({"item": "accuracy"}, "'accuracy' stands there twice"),
    ],
)
def test_a_claim_that_could_not_be_judged_as_it_stands_is_refused(tmp_path, changes, message):
    write(tmp_path / "claims.csv", CLAIM, CLAIM._replace(**{"item": "b", **changes}))
    with pytest.raises(ValueError, match=message):
        claims.read(tmp_path / "claims.csv")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("paper,b,c,", "line 4: 4 cells, expected 17; a text with commas stands in quotes"),
        (",".join("x" * 18), "line 4: 18 cells, expected 17"),
        ('paper,"one" more', "line 4: .*mind quotes"),
    ],
)
def test_a_row_with_cells_too_few_or_too_many_is_refused_with_its_line(tmp_path, row, message):
    path = tmp_path / "claims.csv"
    write(path, CLAIM)
    files.record_path(path).unlink()  # it is edited by hand
    path.write_text(f"{path.read_text()}\n{row}\n")
    with pytest.raises(ValueError, match=f"claims.csv, {message}"):
        claims.read(path)


def test_a_wrong_column_is_refused(tmp_path):
    write(tmp_path / "claims.csv", CLAIM, margin="tolerance")
    with pytest.raises(ValueError, match=r"columns .*'tolerance'.*, expected .*'margin'"):
        claims.read(tmp_path / "claims.csv")
