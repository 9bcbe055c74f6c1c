"""The claims of a study: the one place that says what the columns of claims.csv mean.

A row is one sentence that can turn out true or false, its margin written down before the run that judges it. What a paper says
without a number that could be judged has no direction. A sentence with several parts (rates and switches) is a row for each,
with the sentence itself under `group`: it holds when every part does.
"""

import csv
import operator
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import numpy as np

from respike.core import files

Whose = Literal["paper", "re-implementation", "goal"]
Statistic = Literal["mean", "mean of pairs", "share of networks", "share", "count", "minimum", "exact"]
Direction = Literal["equal", "at least", "at most", ""]
SCALE = {"%": 100.0}  # of shares in that unit
COMPARE = {"=": operator.eq, ">=": operator.ge, "<=": operator.le}


class Claim(NamedTuple):
    """A row of a study's claims.csv."""

    whose: Whose  # the paper's; of a re-implementation or a run of the published program by others; a goal of ours
    item: str  # the sentence
    source: str  # where it stands: section, figure, stored result, code
    unit: str
    variant: str  # with `metric`: the measures that answer it; "a - b": the difference of two kinds of networks
    metric: str  # empty: nothing measures it, `note` says why
    statistic: Statistic  # what the value is a number of:
    #   mean               over networks, each measured alike (Welch)
    #   mean of pairs      over networks that are measured twice ("trained - initial"): their differences
    #   share of networks  each network counts or does not: measures of 0 or 1 (0 or 100 %) (binomial)
    #   share              of n items (rules, trials), n of each measure (binomial)
    #   count              of events per unit of time, n units of it (Poisson)
    #   minimum            over networks
    #   exact              no chance in it: the same files counted again
    direction: Direction  # equal, at least or at most `value`; empty: there is no number to hold ours against
    value: float  # what the paper reports
    spread: float  # its standard deviation between networks; empty: not stated
    n: float  # networks, items or units it rests on; 1: one example network; empty: a bound
    #   with a spread: empty: as many as ours, two at least; 1: the spread is the value's own error, known from elsewhere
    margin: float  # in the unit of the claim: a reader of the paper would call two values that differ by this the same
    conditions: str  # facts of what ran: dataset=MNIST; loss=reference; batches>=3000; replicas>=3 (see `core.measures.facts`)
    #   networks=trained   only networks whose measure of that name is not 0: the paper speaks of those alone
    like: str  # grid of like networks whose spreads are pooled where replicas are few
    group: str  # the sentence that this is a part of
    note: str  # what a reader must know
    looks: float = 1.0  # how often our networks were looked at, more being added in between; empty: once


class Condition(NamedTuple):
    """One condition under which a claim can be judged."""

    fact: str
    relation: str  # a key of COMPARE
    needed: str

    def holds(self, found: str) -> bool:
        """Whether what was found agrees: as numbers where both are, else as text, which may end in `*`."""
        try:
            return COMPARE[self.relation](float(found), float(self.needed))
        except ValueError:
            return self.relation == "=" and fnmatchcase(found, self.needed)

    @property
    def wanted(self) -> str:
        """What is needed, in words."""
        return {"=": "", ">=": "at least ", "<=": "at most "}[self.relation] + self.needed


def conditions(text: str) -> list[Condition]:
    """The conditions in a cell of claims.csv; ValueError for one that says nothing.

    >>> [(each.fact, each.wanted) for each in conditions("dataset=MNIST; replicas>=3")]
    [('dataset', 'MNIST'), ('replicas', 'at least 3')]
    """
    found = []
    for part in filter(None, map(str.strip, text.split(";"))):
        match = re.fullmatch(r"(\w+) *(>=|<=|=) *([^=<> ].*)", part)
        if not match:
            raise ValueError(f"condition {part!r}, expected for instance batches>=3000; replicas=3")
        found.append(Condition(*match.groups()))
    return found


NUMBERS = {name for name, kind in get_type_hints(Claim).items() if kind is float}
CHOICES = {"whose": get_args(Whose), "statistic": get_args(Statistic), "direction": get_args(Direction)}


def read(path: Path) -> list[Claim]:
    """Claims of a study in the order of its file; ValueError with the line of one that cannot be judged as it stands."""
    with files.checked(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            if (columns := next(rows, [])) != list(Claim._fields):
                raise ValueError(f"{path}: columns {columns}, expected {list(Claim._fields)}")
            claims = [_claim(row, f"{path}, line {rows.line_num}") for row in rows if row]
        except csv.Error as error:
            raise ValueError(f"{path}, line {rows.line_num}: {error}; mind quotes, twice in a text") from error
    known: set[tuple[str, str]] = set()
    for claim in claims:
        if (claim.group, claim.item) in known:
            raise ValueError(f"{path}: {claim.item!r} stands there twice, expected a sentence for each claim")
        known.add((claim.group, claim.item))
    return claims


def _claim(row: list[str], place: str) -> Claim:
    """The claim in a row that stands at `place`; ValueError when it cannot be judged."""
    if len(row) != len(Claim._fields):
        raise ValueError(f"{place}: {len(row)} cells, expected {len(Claim._fields)}; a text with commas stands in quotes")
    values: dict[str, Any] = dict(zip(Claim._fields, row, strict=True))
    for name in NUMBERS:
        try:
            values[name] = float(values[name] or Claim._field_defaults.get(name, np.nan))
        except ValueError:
            raise ValueError(f"{place}, {values['item']!r}: {name} {values[name]!r}, expected a number, or nothing") from None
    if wrong := fault(claim := Claim(**values)):
        raise ValueError(f"{place}, {claim.item!r}: {wrong}")
    return claim


def fault(claim: Claim) -> str:
    """What keeps a claim from being judged; empty when nothing does."""
    for name, allowed in CHOICES.items():
        if getattr(claim, name) not in allowed:
            return f"{name} {getattr(claim, name)!r}, expected one of {list(allowed)}"
    try:
        conditions(claim.conditions)
    except ValueError as error:
        return str(error)
    if not claim.item or not claim.source:
        return "no item or no source, expected what is claimed and where"
    if not claim.direction:
        return "" if claim.note else "no direction, expected a note that says why it cannot be judged"
    if not claim.metric:
        return "" if claim.note else "no metric, expected a note that says why it is not measured"
    if not np.isfinite([claim.value, claim.margin]).all() or claim.margin < 0 or claim.looks < 1:
        numbers = f"value {claim.value}, looks {claim.looks:g}, margin {claim.margin}"
        return f"{numbers}, expected a number, 1 look or more and a margin of 0 or more"
    return unlike_its_statistic(claim)


def unlike_its_statistic(claim: Claim) -> str:
    """What keeps the numbers of a claim from being such as its statistic is; empty when nothing does."""
    two = " - " in claim.variant
    if claim.statistic == "mean of pairs" and not two:
        return f"variant {claim.variant!r}, expected the two measures of each network, for instance 'trained - initial'"
    if claim.statistic == "minimum" and two:
        return f"variant {claim.variant!r}, expected one kind of networks: of two minima no difference is judged"
    least, most = possible(claim)
    least = -most if two else least
    if not least <= claim.value <= most:
        return f"value {claim.value:g} in unit {claim.unit!r}, expected a {claim.statistic} from {least:g} to {most:g}"
    if claim.spread <= 0 or claim.n < 1 or (claim.n < 2 and claim.spread > 0 and claim.like):
        return f"spread {claim.spread} of n = {claim.n}, expected a positive spread, of two or more among like ones, or none"
    return ""


def possible(claim: Claim) -> tuple[float, float]:
    """Least and largest number that a claim's statistic can be, in its unit."""
    most = SCALE.get(claim.unit, 1.0) if claim.statistic in {"share", "share of networks"} else np.inf
    return 0.0 if claim.statistic in {"share", "share of networks", "count"} else -np.inf, most
