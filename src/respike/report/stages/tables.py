"""The metrics tables of all studies in, one table out."""

from pathlib import Path

from respike.core import files, measures
from respike.report import records


def run(*, tables: list[Path], out: Path) -> None:
    """Join the metrics tables of the studies; ValueError when one lacks a column or has rows of another study."""
    files.write_table(out, records.joined(tables, measures.COLUMNS))
