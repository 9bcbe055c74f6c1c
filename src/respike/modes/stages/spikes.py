"""Spikes of one network of each task, for the reports of all studies."""

from collections.abc import Iterator
from pathlib import Path

from respike.core import files, spikes
from respike.core.spikes import Network
from respike.modes.params import DT


def run(*, simulations: list[Path], out: Path) -> None:
    """Write the spikes of the first network in each file of trials."""
    spikes.write_networks(out, [network for path in simulations for network in first_network(path)])


def first_network(path: Path) -> Iterator[Network]:
    """Trials of the first network in the file; nothing for a rate network."""
    kept = files.read_arrays(path, "replica0_dataset", "replica0_task")
    if "replica0_spikes" in kept:
        trials = spikes.from_raster(kept["replica0_spikes"], DT)
        yield Network("modes", str(kept["replica0_task"]), str(kept["replica0_dataset"]), False, trials, DT)
