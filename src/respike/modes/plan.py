"""What the workflow rules of modes are asked for: networks that can be, and their trials in chunks of replicas."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from respike.core import chunks
from respike.modes import idx
from respike.modes.params import network_size

FIGURES = ("1", "2a", "2b", "2c", "2d", "2e", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "4c", "4d", "5")


class Kind(NamedTuple):
    """Networks that differ in their random numbers alone."""

    task: str
    cell: str
    neurons: int
    modes: int
    replicas: int

    def __str__(self) -> str:
        return f"{self.task}_{self.cell}_N{self.neurons}_P{self.modes}"


def kinds(config: Mapping[str, Any]) -> list[Kind]:
    """Every kind of network of the config; ValueError when one has more modes than neurons and that is not allowed."""
    found = [
        Kind(one["task"], one["cell"], neurons, modes, one["replicas"])
        for one in config["networks"]
        for neurons, modes in product(one["neurons"], one["modes"])
    ]
    for kind in found:
        network_size(kind.task, kind.neurons, kind.modes, config["redundant_modes"])
    return found


def simulations(config: Mapping[str, Any], folder: str) -> list[str]:
    """Files of trials in `folder`, in chunks of replicas that one job simulates."""
    return [path for kind in kinds(config) for path in _chunks(kind, config["chunk"], folder)]


def _chunks(kind: Kind, size: int, folder: str) -> Iterator[str]:
    done = chunks.finished(folder, "npz").get(str(kind), [])
    return (f"{folder}/{kind}_{first}-{last}.npz" for first, last in chunks.ranges(done, kind.replicas, size))


def shown(config: Mapping[str, Any], folder: str) -> list[str]:
    """Of each task the trials of a spiking network whose number of modes is near three, the paper's example."""
    spiking = [kind for kind in kinds(config) if kind.cell == "spike"]
    nearest = {
        task: min((kind for kind in spiking if kind.task == task), key=lambda kind: (abs(kind.modes - 3), kind))
        for task in dict.fromkeys(kind.task for kind in spiking)
    }
    return [next(_chunks(kind, config["chunk"], folder)) for kind in nearest.values()]


def digit_files(config: Mapping[str, Any], standin: str) -> list[str]:
    """Files that `modes.data` reads: those of the user's folder that exist (the stage says what is missing), or the stand-in."""
    folder = config["digits_dir"]
    if folder is None:
        return [f"{standin}/{name}" for name in idx.FILES]
    candidates = (Path(folder) / name for stem in idx.FILES for name in (stem, f"{stem}.gz"))
    return [str(path) for path in candidates if path.is_file()]
