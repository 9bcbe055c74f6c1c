"""The two tidy tables that every study's metrics stage writes: one row per measured number, and the facts of what ran."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from respike.core import files

COLUMNS = ("study", "variant", "seed", "dataset", "metric", "value", "unit", "n")
FACTS = ("study", "variant", "fact", "value")
# Data set of numbers from a closed form: they show that the chain works, and answer no claim of others
SURROGATE = "surrogate"


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
    rows = pd.DataFrame(list(measures), columns=list(COLUMNS[1:])).astype({"seed": "int64", "value": "float64", "n": "int64"})
    rows.insert(0, "study", study)
    twice = rows[rows.duplicated(["variant", "seed", "dataset", "metric"])]
    if len(twice):
        raise ValueError(f"{study}: measured twice: {twice[['variant', 'seed', 'metric']].head(3).to_dict('records')}")
    return rows


def ran(path: Path, stage: str) -> list[dict[str, Any]]:
    """What each job of `stage` was told that made `path` or one of the files it was made from, by their records.

    Arguments by name, as Python values; empty for a file that another program made.
    """
    record = files.read_record(path) or {}
    near = [record, *(files.read_record(Path(each)) or {} for each in record.get("inputs", {}))]
    return [_values(each["arguments"]) for each in near if each.get("stage") == stage]


def _values(arguments: list[str]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for word in arguments:
        if word.startswith("--"):
            name, tied, value = word.removeprefix("--").partition("=")
            words = found.setdefault(name.replace("-", "_"), [])
            words += [_value(value)] if tied else []
        else:
            words.append(_value(word))
    return {name: words[0] if len(words) == 1 else words for name, words in found.items()}


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def facts(study: str, told: Iterable[tuple[str, Mapping[str, object]]]) -> pd.DataFrame:
    """Table with the columns of FACTS, all text: what ran, from the files and records of jobs, never from the name of a size.

    `told` holds a variant and its facts (loss, batches, cells ...) for each network. A fact in which networks of a variant
    differ has a row for each value: a claim that asks for one of them is then not comparable.
    """
    rows = [(variant, fact, value) for variant, each in told for fact, value in each.items()]
    texts = [(study, variant, fact, f"{value:g}" if isinstance(value, float) else str(value)) for variant, fact, value in rows]
    return pd.DataFrame(list(dict.fromkeys(texts)), columns=list(FACTS), dtype=str)
