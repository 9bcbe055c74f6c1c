"""The table of `docs/performance.md`, made from the published results of `make bench`."""

from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

NONE = "*Not measured in the published run: `make bench`, then `make publish`.*"
COLUMNS = {
    "workload": "workload",
    "cpu_s": "ours (CPU s)",
    "yardstick": "yardstick",
    "yardstick_cpu_s": "yardstick (CPU s)",
    "ratio": "ratio",
    "peak_mb": "peak memory (MB)",
}


def lines(published: Path, pattern: str) -> list[list[str]]:
    """Workloads of bench.csv whose name matches `pattern`, in the order of COLUMNS; none without such a file.

    ValueError when the file has no such workload.
    """
    path = published / "bench.csv"
    if not path.exists():
        return []
    table = pd.read_csv(path)
    asked = table[table["workload"].map(lambda name: fnmatchcase(name, pattern))]
    if asked.empty:
        raise ValueError(f"{path} has no workload {pattern!r}; it has {', '.join(table['workload'])}")
    return [[_short(value) for value in line] for line in asked[list(COLUMNS)].itertuples(index=False, name=None)]


def _short(value: object) -> str:
    return "" if pd.isna(value) else f"{value:.3g}" if isinstance(value, float) else str(value)
