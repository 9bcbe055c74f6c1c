"""A chunk of rows of one round."""

import time
from pathlib import Path

import pandas as pd

from respike.core import files
from respike.mini import noise


def run(*, previous: Path, out: Path, number: int, first: int, rows: int, seed: int, pause: float) -> None:
    """Simulate rows `first` to `first + rows - 1` of round `number`."""
    offset = files.read_arrays(previous)["numbers"].mean()
    table = []
    for row in range(first, first + rows):
        time.sleep(pause)
        table.append({"row": row, "value": float(noise.row(seed, row, number).mean() + offset)})
        print(f"row {row - first + 1}/{rows}", flush=True)
    files.write_table(out, pd.DataFrame(table))
