"""The same statistics of the spikes of every network and recording of all studies: one table and two pictures."""

from pathlib import Path

from respike.core import files, spikes
from respike.report import activity, activity_figures


def run(*, networks: list[Path], table: Path, folder: Path) -> None:
    """Write the `table` (a row per network and statistic) and the figures `activity` and `rasters` into `folder`.

    `networks` are the files that the studies hand over (see `core.spikes.write_networks`), in the order of the table.
    """
    shown = [network for path in networks for network in spikes.read_networks(path)]
    rows = activity.table(shown)
    files.write_table(table, rows)
    activity_figures.statistics(rows, folder)
    activity_figures.rasters(shown, folder)
