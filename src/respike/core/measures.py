"""The two tidy tables that every study's metrics stage writes: one row per measured number, and the facts of what ran."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

COLUMNS = ("study", "variant", "seed", "dataset", "metric", "value", "unit", "n")
FACTS = ("study", "variant", "fact", "value")
SURROGATE = (
    "surrogate"  # data set of numbers from a closed form: they show that the chain works, and answer no claim of others
)


class Measure(NamedTuple):
    """One measured number; `n` is how many trials, cells or images it rests on, `seed` -1 if it rests on all seeds."""

    variant: str
    seed: int
    dataset: str
    metric: str
    value: float
    unit: str
    n: int


def table(study: str, measures: Iterable[Measure]) -> pd.DataFrame:
    """Table with the columns of COLUMNS; ValueError when a measure stands in it twice."""
    rows = pd.DataFrame(list(measures), columns=list(COLUMNS[1:]))
    rows.insert(0, "study", study)
    rows = rows.astype({"seed": "int64", "value": "float64", "n": "int64"})
    twice = rows[rows.duplicated(["variant", "seed", "dataset", "metric"])]
    if len(twice):
        raise ValueError(f"{study}: measured twice: {twice[['variant', 'seed', 'metric']].head(3).to_dict('records')}")
    return rows


def facts(study: str, told: Iterable[tuple[str, Mapping[str, object]]]) -> pd.DataFrame:
    """Table with the columns of FACTS, all text: what ran, from the files that a job left, never from the config of the run.

    `told` holds a variant and its facts (loss, batches, cells ...) for each network. A fact in which networks of a variant
    differ has a row for each value: a claim that asks for one of them is then not comparable.
    """
    rows = [(variant, fact, value) for variant, each in told for fact, value in each.items()]
    texts = [(study, variant, fact, f"{value:g}" if isinstance(value, float) else str(value)) for variant, fact, value in rows]
    return pd.DataFrame(list(dict.fromkeys(texts)), columns=list(FACTS), dtype=str)
