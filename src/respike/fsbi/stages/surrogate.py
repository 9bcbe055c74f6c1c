"""Metrics of rules from a formula with a known answer, in place of a simulation."""

from pathlib import Path

from respike.core import files
from respike.fsbi import rules as tables
from respike.fsbi import surrogate
from respike.fsbi.params import THETA


def run(*, rules: list[Path], rows: tables.Rows, out: Path, family: str) -> None:
    """Metrics of `rows` of the files `rules`: the columns that `fsbi.simulate` writes, but for static weights."""
    table = tables.read(rules, (*tables.IDENTITY, *THETA[family]), rows)
    files.write_table(out, surrogate.measured(table, family))
