"""Test trials of the recording and free runs of some fitted networks, for the reports of all studies."""

from collections.abc import Iterator
from pathlib import Path

from respike.core import spikes
from respike.core.spikes import Network
from respike.v1 import recorded, simulated


def run(*, recording: Path, runs: list[Path], names: list[str], out: Path) -> None:
    """Write the spikes of the recording and of each of `runs`, called `names`."""
    spikes.write_networks(out, networks(recording, dict(zip(names, runs, strict=True))))


def networks(recording: Path, runs: dict[str, Path]) -> Iterator[Network]:
    """Test trials, and as many free runs of each network; bins before a free run starts are left out."""
    record, simulations = recorded.read(recording), {name: simulated.read(path) for name, path in runs.items()}
    test, step = record.of("test"), record.bin_seconds
    first = test.shape[1] - min((one.spikes.shape[1] for one in simulations.values()), default=test.shape[1])
    yield Network("v1", "recording", record.dataset, True, spikes.from_raster(test[:, first:], step), step)
    for name, simulation in simulations.items():
        raster = simulation.recorded_spikes[: len(test)]
        yield Network("v1", name, record.dataset, False, spikes.from_raster(raster, step), step)
