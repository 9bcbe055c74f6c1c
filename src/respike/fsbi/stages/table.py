"""All rules of a round in one table: simulated, from the surrogate, or released by the authors."""

from pathlib import Path

from respike.core import files
from respike.fsbi import released
from respike.fsbi import rules as tables


def run(*, rules: list[Path], chunks: list[Path], out: Path, records: Path, family: str, round: int, dataset: str) -> None:
    """Parquet table of the round, and the same in the released format.

    `rules` are the proposals (with the metric values they were drawn for) and `chunks` what came of them, cut in their own
    way; for the released data `rules` is empty and `chunks` is the one file of the authors.
    """
    table = tables.joined(rules, chunks, family) if rules else released.read_round(chunks[0], family, round)
    table["dataset"] = dataset
    files.write_table(out, table)
    released.write(records, table, family)
