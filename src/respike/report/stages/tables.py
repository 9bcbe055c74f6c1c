"""The metrics tables of all studies in, one table out."""

from pathlib import Path

import pandas as pd

from respike.core import files, measures


def run(*, tables: list[Path], out: Path) -> None:
    """Join the metrics tables of the studies; ValueError when one lacks a column."""
    parts = [files.read_table(path, measures.COLUMNS) for path in tables]
    files.write_table(out, pd.concat(parts, ignore_index=True)[list(measures.COLUMNS)])
