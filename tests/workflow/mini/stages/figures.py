"""A picture made of letters."""

from pathlib import Path

from respike.core import files


def run(*, table: Path, out: Path) -> None:
    """One line per measure."""
    files.write_text(out, files.read_table(table).to_csv(index=False))
