"""Spikes of the rule shown in detail, of each network that was simulated, for the reports of all studies."""

from pathlib import Path

from respike.core import spikes
from respike.core.spikes import Network
from respike.fsbi import recording
from respike.fsbi.params import DT


def run(*, recordings: list[Path], out: Path) -> None:
    """Write the recorded cells under each rule in the files, excitatory ones first."""
    networks = [
        Network("fsbi", f"{path.parents[1].name} rule{number}", "simulated network", False, recording.spikes(one), DT)
        for path in recordings
        for number, one in recording.read(path).items()
    ]
    spikes.write_networks(out, networks)
