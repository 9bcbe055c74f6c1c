"""Spikes of one LIF network of each task, for the reports of all studies."""

from pathlib import Path

from respike.core import spikes
from respike.rate2lif import archives
from respike.rate2lif.params import LIF_STEP

DATASET = "task (synthetic by definition)"


def run(*, trials: list[Path], out: Path) -> None:
    """Write the spikes of the first network in each archive of trials."""
    networks = []
    for path in trials:
        source = archives.Archives(path)
        with source.unpacked(source.names[0]) as folder:
            fired = spikes.read(folder / "spikes.npz")
        networks.append(spikes.Network("rate2lif", source.names[0].variant, DATASET, False, fired, LIF_STEP))
    spikes.write_networks(out, networks)
