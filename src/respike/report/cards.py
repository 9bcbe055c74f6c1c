"""The scorecard as a table: a row per claim, with its verdict; and the one place where verdicts are counted."""

from collections.abc import Collection
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from respike.core import files
from respike.report import verdicts
from respike.report.claims import Whose
from respike.report.verdicts import VERDICTS

COLUMNS = (
    *("study", "whose", "item", "source", "verdict", "paper", "ours", "unit"),
    *("paper_value", "value", "low", "high", "margin"),  # low, high: of the difference; nan for a sentence of several parts
    *("compared", "why", "dataset", "size", "note"),
)
NUMBERS = ("paper_value", "value", "low", "high", "margin")
WHOSE = get_args(Whose)
OURS = WHOSE[1:]  # whatever is not the paper's
OPEN = VERDICTS[3:]  # what this run cannot say anything about


def read(path: Path) -> pd.DataFrame:
    """The scorecard in a CSV file; texts may be empty, numbers nan. FileNotFoundError when there is none yet."""
    texts = dict.fromkeys(set(COLUMNS) - set(NUMBERS), str)
    card = pd.read_csv(files.checked(path), keep_default_na=False, na_values={name: [""] for name in NUMBERS}, dtype=texts)
    return card.astype(dict.fromkeys(NUMBERS, float))


def counts(card: pd.DataFrame, whose: Collection[str] = WHOSE) -> pd.DataFrame:
    """How many claims of each study (rows, in the order of the card) have which of the VERDICTS; `whose` are counted."""
    asked = card[card["whose"].isin(whose)]
    found = pd.crosstab(asked["study"], asked["verdict"])
    return found.reindex(index=card["study"].unique(), columns=list(VERDICTS), fill_value=0)


def in_order(card: pd.DataFrame) -> pd.DataFrame:
    """What was decided first, the papers' claims before ours."""
    by = {"verdict": VERDICTS.index, "whose": WHOSE.index}
    return card.sort_values(list(by), key=lambda column: column.map(by[column.name]), kind="stable")


def text(value: object) -> str:
    """A cell of the card as a reader sees it: numbers to four digits, nothing for a missing one."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)


def interval(row: pd.Series) -> str:
    """The 95 % interval of the difference."""
    return "" if np.isnan(row["low"]) else verdicts.interval(row["low"], row["high"])


def reason(row: pd.Series) -> str:
    """Why there is no verdict, or what was compared with what, and what that left open."""
    if row["verdict"] in VERDICTS[:3] and row["compared"]:
        return "; ".join(filter(None, (row["compared"], row["why"])))
    return row["why"] or row["note"]
