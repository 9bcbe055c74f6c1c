"""The tidy table that every study's metrics stage writes: one row per measured number."""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

COLUMNS = ("study", "variant", "seed", "dataset", "metric", "value", "unit", "n")


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
