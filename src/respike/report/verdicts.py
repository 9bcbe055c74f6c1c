"""The verdict on each claim from what a run has measured: by intervals, and only where its conditions were met.

The rule, the same for every claim, with its margin written down before the run:
  reproduced      the 95 % interval of the difference lies inside the margin, or the claim's direction holds all over it
                  (less the margin, where a bound has one)
  not reproduced  the interval lies outside
  undecided       it holds both answers: too few replicas
  not comparable  what ran was something else than the claim is about; every reason is told
  not measured    this run has no value for it
Each interval misses once in twenty; nothing is corrected for the number of claims. Where networks were added after a look at
those before, each look has its share of the twentieth (Bonferroni); to go on to the paper's own number, as planned, is none.
Where replicas are few, spreads are pooled over like networks (`Claim.like`), the paper's and ours apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from respike.core.measures import SURROGATE
from respike.report import intervals
from respike.report.claims import SCALE, Claim, Condition, conditions, possible
from respike.report.intervals import Limits, Side

VERDICTS = ("reproduced", "not reproduced", "undecided", "not comparable", "not measured")
REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_COMPARABLE, NOT_MEASURED = VERDICTS
LEFT_OPEN = "were our mean known exactly, the paper's own networks would still leave both answers open"
ENDLESS = 1e9  # networks, whose mean is known exactly
PAIRS = "mean of pairs"
MEANS = ("mean", PAIRS)
EDGE = 1e-9  # of the margin or the value: what lies just at the margin is inside


class Run(NamedTuple):
    """The tables of a run (see `core.measures`), and the name of its size."""

    measured: pd.DataFrame
    facts: pd.DataFrame
    size: str


class Evidence(NamedTuple):
    """What a run says about a claim."""

    claim: Claim
    size: str
    rows: list[pd.DataFrame]  # measures of the kind of networks, or of the two whose difference is claimed
    why_not: list[str]  # all reasons why they do not answer it
    ours: list[Side]  # mean of each kind, with the spread of like networks where that is known better
    paper: Side  # the same of the paper


def card(study: str, claims: Iterable[Claim], runs: Sequence[Run]) -> pd.DataFrame:
    """The scorecard of a study (`cards.COLUMNS`): a row per claim, parts of one sentence in one row.

    Of several runs of the study the first that does what a claim is about answers it, or else the first of those that come
    nearest (fewest reasons why not); a difference between two kinds of
    networks may be one between two runs, each of which does what the claim asks, where no run holds both.
    """
    runs = [Run(*(table[table["study"] == study] for table in run[:2]), run.size) for run in runs]
    nearest = [max(everything(claim, runs), key=lambda each: (*answers(each), -len(each.why_not))) for claim in claims]
    found = with_like(nearest)
    return pd.DataFrame([{"study": study, **row} for row in whole([judge(each) for each in found])])


def everything(claim: Claim, runs: Sequence[Run]) -> Iterator[Evidence]:
    """What every run, and then every two runs, say about a claim; networks that are measured twice are in one run."""
    choices = product(range(len(runs)), repeat=len(kinds_of(claim)))
    if claim.statistic == PAIRS:  # networks of two runs are not the same ones, whatever their numbers
        choices = ((k, k) for k in range(len(runs)))
    return (evidence(claim, [runs[k] for k in chosen]) for chosen in sorted(choices, key=lambda chosen: len(set(chosen))))


def answers(found: Evidence) -> tuple[bool, bool]:
    """Whether there are measures for a claim, made as it asks; whether there are any."""
    measured = all(map(len, found.rows))
    return measured and not found.why_not, measured


def evidence(claim: Claim, runs: Sequence[Run]) -> Evidence:
    """The measures of runs, one for each kind of networks, that answer a claim, and the reasons why they do not."""
    asked, variants = conditions(claim.conditions), kinds_of(claim)
    rows = [measures_of(claim, variant, asked, run.measured) for variant, run in zip(variants, runs, strict=True)]
    told: dict[str, list[str]] = {}
    for variant, part, run in zip(variants, rows, runs, strict=True):
        known = run.facts[run.facts["variant"] == variant].groupby("fact")["value"].agg(list).to_dict()
        for reason in reasons(part, asked, known):
            told.setdefault(reason, []).append(variant)
    why_not = [] if claim.direction else ["there is no number to hold it against"]
    why_not += list(dict.fromkeys(reason for part in rows if (reason := uncountable(claim, part))))
    why_not += [reason if of == variants else f"{of[0]}: {reason}" for reason, of in told.items()]
    ours = [intervals.sample(part["value"]) if len(part) else Side(np.nan) for part in rows]
    if claim.statistic == PAIRS and all(map(len, rows)):
        first, second = (part.set_index(["dataset", "seed"])["value"] for part in rows)  # on each data set another network
        pairs = first - second
        why_not += ["not every network is measured twice"] if pairs.isna().any() else []
        ours = [intervals.sample(pairs)]
    unstated = np.isnan(claim.n) and not np.isnan(claim.spread)
    n = np.fmax(ours[0].n, 2) if unstated else claim.n  # a spread is one of two networks at least
    paper = Side(claim.value, n, claim.spread, np.inf if has_error(claim) else n - 1)
    return Evidence(claim, runs[0].size, rows, why_not, ours, paper)


def uncountable(claim: Claim, rows: pd.DataFrame) -> str:
    """Why the measures `rows` of one kind of networks are no counts such as a claim is about; empty where they are."""
    least, most = possible(claim)
    yes_or_no = claim.statistic == "share of networks"
    right = rows["value"].isin((least, most)) if yes_or_no else rows["value"].between(least, most)
    wrong = sorted(set(rows["value"][~right]))
    if wrong and np.isfinite(wrong).all():
        needed = "yes or no of each network" if yes_or_no else f"{least:g} to {most:g}"
        return f"{claim.metric} has values {', '.join(f'{each:.4g}' for each in wrong)}, needed {needed}"
    return "nothing was counted, n is 0" if claim.statistic in {"share", "count"} and len(rows) and not rows["n"].sum() else ""


def kinds_of(claim: Claim) -> list[str]:
    """The kind of networks that a claim is about, or the two whose difference is claimed."""
    return claim.variant.split(" - ")


def measures_of(claim: Claim, variant: str, asked: list[Condition], measured: pd.DataFrame) -> pd.DataFrame:
    """Rows of a claim, of the networks and data sets that it is about. A surrogate answers for itself alone."""
    of = measured[measured["variant"] == variant]
    rows = of[of["metric"] == claim.metric]
    for name in chosen_by(asked):
        rows = rows[rows["seed"].isin(of.loc[(of["metric"] == name) & (of["value"] > 0), "seed"])]
    wanted = [condition for condition in asked if condition.fact == "dataset"]
    on_it = rows["dataset"].map(lambda name: any(condition.holds(name) for condition in wanted)).astype(bool)
    rows, on_it = (part[on_it | (rows["dataset"] != SURROGATE)] for part in (rows, on_it))
    return rows[on_it] if on_it.any() else rows


def chosen_by(asked: list[Condition]) -> list[str]:
    """Measures that must not be 0 of a network that a claim is about."""
    return [condition.needed for condition in asked if condition.fact == "networks"]


def reasons(rows: pd.DataFrame, asked: list[Condition], known: dict[str, list[str]]) -> list[str]:
    """Every reason why the measures `rows` of one kind of networks, with the facts `known`, do not answer a claim."""
    if rows.empty:
        return []
    names = sorted(rows["dataset"].unique())
    told = {**known, "dataset": names, "replicas": [str(len(rows))], "n": [str(rows["n"].min())], "networks": chosen_by(asked)}
    unknown = [f"{each.fact} ({each.wanted})" for each in asked if not told.get(each.fact)]
    found = [f"the run does not say {', '.join(unknown)}"] if unknown else []
    for each in asked:
        if not all(map(each.holds, told.get(each.fact, []))):
            found.append(f"{each.fact} {', '.join(told[each.fact])}, needed {each.wanted}")
    if len(names) > 1 and not any(condition.fact == "dataset" for condition in asked):
        found.append(f"measured on {' and '.join(names)}, and the claim does not say on which")
    if not np.isfinite(rows["value"]).all():
        found.append(f"{int((~np.isfinite(rows['value'])).sum())} of {len(rows)} values are not finite")
    return found


def with_like(found: list[Evidence]) -> list[Evidence]:
    """The same, means with the spread of all like networks: of ours those that can be judged, of the paper's all.

    A difference between two kinds of networks takes the spread that each has among its like.
    """
    grids = defaultdict(list)
    for number, each in enumerate(found):
        if each.claim.like and each.claim.statistic == "mean":
            grids[each.claim.like].append(number)
    found, known = list(found), {}
    for grid in grids.values():
        # a kind that is asked for twice counts once
        ours = {side: None for number in grid if all(answers(found[number])) for side in sides_of(found[number])}
        spreads = dict(zip(ours, intervals.pooled([side for *_, side in ours]), strict=True))
        # a grid of differences alone does not say how the networks of other grids spread
        known = known | spreads if any(len(found[number].ours) == 1 for number in grid) else spreads | known
        for kinds in (1, 2):  # a difference spreads more than what it is between
            same = [number for number in grid if len(found[number].ours) == kinds]
            for number, side in zip(same, intervals.pooled([found[number].paper for number in same]), strict=True):
                found[number] = found[number]._replace(paper=side)
    return [
        each._replace(ours=[known.get(side, side[-1]) for side in sides_of(each)]) if each.claim.statistic == "mean" else each
        for each in found
    ]


def sides_of(found: Evidence) -> list[tuple[str, str, Side]]:
    """The kinds of networks that a claim is about, its metric, and what we measured of each."""
    return [(kind, found.claim.metric, side) for kind, side in zip(kinds_of(found.claim), found.ours, strict=True)]


def judge(found: Evidence) -> dict[str, Any]:
    """Row of the scorecard: value, interval of the difference, verdict, and what was compared with what."""
    claim, rows = found.claim, found.rows
    row = {name: getattr(claim, name) for name in ("whose", "item", "source", "unit", "group", "direction", "margin", "note")}
    row |= {"size": found.size, "paper_value": claim.value, "value": np.nan, "low": np.nan, "high": np.nan, "compared": ""}
    row["dataset"] = ", ".join(sorted({name for part in rows for name in part["dataset"]}))
    row["why"] = "; ".join(found.why_not)
    if not answers(found)[1]:
        return row | {"verdict": NOT_MEASURED, "why": "" if claim.note and not claim.metric else "not measured in this run"}
    row["value"] = value(found)
    if found.why_not:
        return row | {"verdict": NOT_COMPARABLE}
    low, high = difference(found)
    verdict = decided(claim, low, high)
    if (low, high) == intervals.UNKNOWN:
        row["why"] = "one number on either side, or all alike: nothing tells how far chance carries them"
    elif verdict == UNDECIDED and left_open(found):
        row["why"] = LEFT_OPEN
    return row | {"low": low, "high": high, "verdict": verdict, "compared": sentence(found, row["value"], low, high)}


def value(found: Evidence) -> float:
    """Our value: over all networks as the claim's statistic says; of a claim about two kinds, their difference."""
    ours = [counted(found.claim, part) for part in found.rows]
    return float(ours[0] - ours[1] if len(ours) == 2 else ours[0])


def counted(claim: Claim, rows: pd.DataFrame) -> float:
    """Mean of the values, each weighted by what it counts; or their minimum."""
    if claim.statistic == "minimum":
        return rows["value"].min()
    weighted = claim.statistic in {"share", "count"} and rows["n"].any()  # else there is nothing to weigh by
    return np.average(rows["value"], weights=rows["n"] if weighted else None)


def difference(found: Evidence) -> Limits:
    """Interval of ours minus the paper's value; of a claim about two kinds, of their difference minus the paper's."""
    claim, rows, two = found.claim, found.rows, len(found.rows) == 2
    level = intervals.corrected(claim.looks)
    if claim.statistic == "exact":
        return value(found) - claim.value, value(found) - claim.value
    if claim.statistic == "minimum":
        low, high = intervals.minimum(rows[0]["value"], claim.n, level)
        return low - claim.value, high - claim.value
    if claim.statistic in MEANS:
        return intervals.means(*found.ours, found.paper, level=level)
    compare = intervals.counts if claim.statistic == "count" else intervals.shares
    scale = SCALE.get(claim.unit, 1.0) if compare is intervals.shares else 1.0
    sides = [Side(counted(claim, part) / scale, size_of(claim, part)) for part in rows]
    sides += [] if two else [Side(claim.value / scale, claim.n)]
    low, high = (scale * limit for limit in compare(*sides, level))
    return (low - claim.value, high - claim.value) if two else (low, high)


def size_of(claim: Claim, rows: pd.DataFrame) -> float:
    """How many items, units of time, or networks the measures rest on."""
    return float(len(rows) if claim.statistic == "share of networks" else rows["n"].sum())


def decided(claim: Claim, low: float, high: float) -> str:
    """The verdict by the interval of the difference; what lies just at the margin is inside."""
    margin = claim.margin + EDGE * max(claim.margin, abs(claim.value))
    below, above = claim.direction != "at most", claim.direction != "at least"  # on which sides a difference counts
    if (below and high < -margin) or (above and low > margin):
        return NOT_REPRODUCED
    inside = (low >= -margin or not below) and (high <= margin or not above)
    return REPRODUCED if inside else UNDECIDED


def left_open(found: Evidence) -> bool:
    """Whether a claim about a mean would be undecided with endlessly many networks of ours, their mean and spread as now."""
    exact = found._replace(ours=[side._replace(n=ENDLESS) for side in found.ours])
    theirs = found.claim.statistic in MEANS and not has_error(found.claim)
    return theirs and decided(found.claim, *difference(exact)) == UNDECIDED


def has_error(claim: Claim) -> bool:
    """Whether the spread of a claim is no spread of networks but the error of its value, known from elsewhere."""
    return claim.n == 1 and claim.spread > 0


def sentence(found: Evidence, ours: float, low: float, high: float) -> str:
    """What was compared with what: n, spread, interval, margin."""
    claim, rows = found.claim, found.rows
    spreads = " and".join(map(_spread, found.ours)) if claim.statistic in MEANS else ""
    data = ", ".join(dict.fromkeys(name for part in rows for name in part["dataset"]))
    pairs = ", the same ones" if claim.statistic == PAIRS else ""
    mine = f"{' minus '.join(of_what(claim, part) for part in rows)}{pairs}: {ours:.4g}{spreads} on {data}"
    number = "" if np.isnan(claim.n) else " (an error, see the note)" if has_error(claim) else f" (n = {claim.n:g})"
    theirs = f"{claim.value:.4g}{_spread(found.paper)}{number}"
    wanted = {"equal": "the same", "at least": "as much", "at most": "as little"}[claim.direction]
    within = f"{wanted} within {claim.margin:.3g}" if claim.margin else f"{claim.direction} that"
    looks = f" ({claim.looks:g} looks)" if claim.looks > 1 else ""
    level = f"{100 * intervals.corrected(claim.looks):.3g} % interval {interval(low, high)}{looks}"
    return f"{mine}; {claim.whose}: {theirs}; {within}? Difference {ours - claim.value:.3g}, {level}"


def _spread(side: Side) -> str:
    """The spread behind a value as far as it is known, and whether it is that of all like networks."""
    pooled = ", of all like them," if np.isfinite(side.freedom) and side.freedom > side.n - 1 else ""
    return "" if np.isnan(side.spread) else f" ± {side.spread:.2g}{pooled}"


def interval(low: float, high: float) -> str:
    """The interval in words."""
    return f"{low:.3g} to {high:.3g}".replace("-inf", "−∞").replace("inf", "∞")


def of_what(claim: Claim, rows: pd.DataFrame) -> str:
    """What our number is: the mean of so many networks, a share of so many items."""
    chosen = "".join(f" ({name})" for name in chosen_by(conditions(claim.conditions)))
    many, items = f"{len(rows)} network{'s' if len(rows) > 1 else ''}{chosen}", rows["n"].sum()
    return {
        "mean": f"mean of {many}",
        PAIRS: f"mean of {many}",
        "share of networks": f"share of {many}",
        "share": f"share of {items}",
        "count": f"{counted(claim, rows) * items:.0f} events in {items}",
        "minimum": f"smallest of {many}",
        "exact": f"counted over {items}",
    }[claim.statistic]


def whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, those that are parts of one sentence in one: it holds when every part does, and fails when one fails."""
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        parts[row["group"]].append(row)
    done, found = set(), []
    for row in rows:
        group = row.pop("group")
        if not group:
            found.append(shown(row))
        elif group not in done:
            done.add(group)
            found.append(together(group, [shown(part) for part in parts[group]]))
    return found


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """The row with both values as texts."""
    signs = {"paper": {"at least": "≥ ", "at most": "≤ "}.get(row["direction"], ""), "ours": ""}
    numbers = {"paper": row["paper_value"], "ours": row["value"]}
    return row | {name: "" if np.isnan(number) else f"{signs[name]}{number:.4g}" for name, number in numbers.items()}


def together(group: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One row for a sentence of several parts."""
    verdicts = [part["verdict"] for part in parts]
    order = (NOT_REPRODUCED, NOT_COMPARABLE, NOT_MEASURED, UNDECIDED, REPRODUCED)
    row = parts[0] | dict.fromkeys(("paper_value", "value", "low", "high", "margin"), np.nan)
    row |= {"item": group, "verdict": next(verdict for verdict in order if verdict in verdicts)}
    mixed = len({part["unit"] for part in parts}) > 1
    units = [f" {part['unit']}" if mixed and part["unit"] not in {"", "1"} else "" for part in parts]
    for name in ("paper", "ours"):
        row[name] = ", ".join(f"{part[name] or '?'}{unit}" for part, unit in zip(parts, units, strict=True))
    row["unit"] = "" if mixed else parts[0]["unit"]
    for name in ("compared", "why"):
        told = defaultdict(list)
        for part in parts:
            told[part["verdict"], part[name]].append(part["item"])
        row[name] = ". ".join(f"{', '.join(items)}: {verdict}; {text}" for (verdict, text), items in told.items() if text)
    row["note"] = "; ".join(dict.fromkeys(part["note"] for part in parts if part["note"]))
    return row
