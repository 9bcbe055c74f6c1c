"""Rules that stand in several files, as one table: they are drawn in larger lots than they are simulated in."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from respike.core import files

PLACE = ["index", "round", "seed"]  # what tells one rule of a family from all others


def read(paths: Sequence[Path], columns: Sequence[str], first: int = 0, count: int | None = None) -> pd.DataFrame:
    """Rows `first` to `first + count - 1` of the files, one after another; without `count`, all from `first` on.

    Fewer when the files end before. ValueError when one of `columns` is missing in a file.
    """
    tables = [files.read_table(path, columns) for path in paths]
    # without rows, a column has no type, and would take it from the others
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return table.iloc[first : None if count is None else first + count].reset_index(drop=True)
