"""The scorecard as a table: a row per claim, with its verdict; and the one place where verdicts are counted."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files

COLUMNS = ("study", "item", "source", "paper_value", "value", "unit", "dataset", "size", "verdict", "note")
VERDICTS = ("met", "not met", "not comparable")
NOT_MEASURED = "not measured"  # counted apart: claims without a value, which are not comparable either


def read(path: Path) -> pd.DataFrame:
    """The scorecard in a CSV file; texts may be empty, numbers nan. FileNotFoundError when there is none yet."""
    missing = {"value": [""], "paper_value": [""]}
    return pd.read_csv(files.checked(path), keep_default_na=False, na_values=missing, dtype={"unit": str})


def counts(card: pd.DataFrame) -> pd.DataFrame:
    """How many claims of each study (rows, in the order of the card) met which of the VERDICTS, or were not measured."""
    verdicts = card["verdict"].where(card["value"].notna(), NOT_MEASURED)
    columns = [*VERDICTS, NOT_MEASURED]
    return pd.crosstab(card["study"], verdicts).reindex(index=card["study"].unique(), columns=columns, fill_value=0)


def text(value: object) -> str:
    """A cell of the card as a reader sees it: numbers to four digits, nothing for a missing one."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)
