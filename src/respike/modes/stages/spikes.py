"""Spikes of one network of each task, for the reports of all studies."""

from pathlib import Path

from respike.core import spikes
from respike.core.spikes import Network
from respike.modes import trials
from respike.modes.params import DT


def run(*, simulations: list[Path], out: Path) -> None:
    """Write the spikes of the first network in each file of trials."""
    first = [next(iter(trials.read([path]).values())) for path in simulations]
    networks = [
        Network("modes", str(one["task"]), str(one["dataset"]), False, spikes.from_raster(one["spikes"], DT), DT)
        for one in first
    ]
    spikes.write_networks(out, networks)
