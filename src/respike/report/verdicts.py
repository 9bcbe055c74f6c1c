"""Claims of the papers, and the verdict on each from what a run has measured."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from respike.core import files

SIZES = ("quick", "medium", "paper")
RULES = ("within", "at least", "at most", "none")


class Claim(NamedTuple):
    """A row of a study's claims.csv."""

    item: str  # what the paper reports
    source: str  # where: paper section, figure, stored result, code
    paper_value: float  # nan for a claim in words
    unit: str
    variant: str  # with `metric`: which rows of the study's metrics table answer the claim
    metric: str  # empty: we do not measure it, `note` says why
    rule: str  # within, at least, at most (of paper_value, give or take `tolerance`), or none: no verdict is possible
    tolerance: float  # in the unit of the claim; nan: none
    dataset: str  # beginning of the name of the data set that the claim is about; empty: any
    size: str  # run size from which the claim can be judged: quick, medium or paper; empty: any
    note: str  # what a reader must know


def read_claims(path: Path) -> list[Claim]:
    """Claims of a study in the order of its file; ValueError for a wrong column or rule."""
    numbers = ("paper_value", "tolerance")
    table = pd.read_csv(
        files.checked(path),
        dtype={name: float if name in numbers else str for name in Claim._fields},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )
    if tuple(table.columns) != Claim._fields:
        raise ValueError(f"{path}: columns {list(table.columns)}, expected {list(Claim._fields)}")
    claims = [Claim(*row) for row in table.itertuples(index=False, name=None)]
    for claim in claims:
        if claim.rule not in RULES:
            raise ValueError(f"{path}: rule {claim.rule!r} of {claim.item!r}, expected one of {RULES}")
    return claims


def judge(study: str, claim: Claim, measured: pd.DataFrame, size: str) -> dict[str, Any]:
    """Row of the scorecard (see `cards`): mean over seeds of what the metrics table `measured` says, and the verdict.

    `size` is that of the run. The note holds the reason when there is no verdict, and the value of each seed.
    """
    rows = measured[
        (measured["study"] == study) & (measured["variant"] == claim.variant) & (measured["metric"] == claim.metric)
    ]
    value = rows["value"].mean()
    reason = why_not_comparable(claim, rows, size)
    verdict = "not comparable" if reason else "met" if holds(claim, value) else "not met"
    seeds = "seeds: " + ", ".join(f"{of_seed:.4g}" for of_seed in rows["value"]) if len(rows) > 1 else ""
    return {
        "study": study,
        "item": claim.item,
        "source": claim.source,
        "paper_value": claim.paper_value,
        "value": value,
        "unit": claim.unit,
        "dataset": _datasets(rows),
        "size": size,
        "verdict": verdict,
        "note": "; ".join(part for part in (reason, claim.note, seeds) if part),
    }


def _datasets(rows: pd.DataFrame) -> str:
    return ", ".join(sorted(rows["dataset"].unique()))


def why_not_comparable(claim: Claim, rows: pd.DataFrame, size: str) -> str:
    """The first reason why a claim cannot be judged by the measures `rows` of a run of that `size`; empty when it can."""
    if not claim.metric:
        return "not measured"
    if claim.rule == "none":
        return "no verdict possible"
    if rows.empty:
        return "not measured in this run"
    if not rows["dataset"].str.startswith(claim.dataset).all():
        return f"the claim is about {claim.dataset}, measured on {_datasets(rows)}"
    if claim.size and SIZES.index(size) < SIZES.index(claim.size):
        return f"the claim needs {claim.size} size, this run is {size}"
    if not np.isfinite(rows["value"]).all():
        return "no finite value in this run"
    return ""


def holds(claim: Claim, value: float) -> bool:
    """Whether `value` agrees with the claim by its rule. What lies just at the tolerance agrees."""
    tolerance = 0.0 if np.isnan(claim.tolerance) else claim.tolerance
    above = value - claim.paper_value
    if claim.rule == "at least":
        return above >= -tolerance
    if claim.rule == "at most":
        return above <= tolerance
    return abs(above) <= tolerance
