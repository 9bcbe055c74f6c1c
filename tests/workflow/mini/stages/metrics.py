"""The study's table."""

from pathlib import Path

from respike.core import files, measures
from respike.mini import noise


def run(*, rounds: list[Path], fit: Path, out: Path) -> None:
    """Number of rows kept in each round, and the last loss of the training."""
    rows = [
        measures.Measure(f"round{n}", -1, "mini", "kept", len(files.read_arrays(path)["numbers"]), "", 1)
        for n, path in enumerate(rounds)
    ]
    rows.append(measures.Measure("fit", 0, "mini", "loss", files.read_checkpoint(fit)["loss"][-1] * noise.SCALE, "", 1))
    files.write_table(out, measures.table("mini", rows))
