"""Compile the network into a binary that runs any rule of its family."""

from pathlib import Path

from respike.fsbi.params import Network
from respike.fsbi.simulator.build import build


def run(*, network: Network, folder: Path, out: Path) -> None:
    """Compile `network` below `folder`, unless it is there, and write to `out` where the binary is."""
    build(network, folder, out)
