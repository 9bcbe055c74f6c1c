"""Spikes of a population as flat arrays, their binning, and their files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.core import files


@dataclass(frozen=True)
class Spikes:
    """Spikes of `n_cells` cells between 0 s and `duration`, in any order.

    `trials` numbers the trial of each spike; all trials have the same duration.
    """

    times: Float[np.ndarray, " spike"]  # s
    cells: Int[np.ndarray, " spike"]
    n_cells: int
    duration: float  # s
    trials: Int[np.ndarray, " spike"] | None = None
    n_trials: int = 1

    def __post_init__(self) -> None:
        times = np.ravel(self.times)
        object.__setattr__(self, "times", times := times if times.dtype.kind == "f" else times.astype(float))
        if odd := int(np.sum(~np.isfinite(times))):
            raise ValueError(f"{odd} of {len(times)} times are not finite, expected seconds from 0 to {self.duration:g}")
        if late := int(np.sum(~((times >= 0) & (times <= float(self.duration))))):
            raise ValueError(
                f"{late} spikes fall outside the recording (last {np.max(times):.3f} s, duration {self.duration:.3f} s); "
                "are the times in milliseconds?"
            )
        for name, given, n in (("cells", np.ravel(self.cells), self.n_cells), ("trials", np.ravel(self.trial), self.n_trials)):
            numbers = given.astype(np.int64)
            odd = len(numbers) != len(times) or np.any(numbers != given)
            if odd or numbers.min(initial=0) < 0 or numbers.max(initial=-1) >= n:
                found = f"{len(given)} numbers from {min(given, default='-')} to {max(given, default='-')}"
                raise ValueError(f"{name} are {found}, expected {len(times)} from 0 to {n - 1}, whole ones")
            object.__setattr__(self, name, numbers)

    @property
    def trial(self) -> Int[np.ndarray, " spike"]:
        """Trial of each spike; all 0 when there is one trial."""
        return np.zeros(len(self.times), dtype=np.int64) if self.trials is None else self.trials


@dataclass(frozen=True)
class Network:
    """Spikes of one network, or of one recording, as reports and exports show them."""

    study: str
    name: str
    dataset: str
    recorded: bool  # a recording rather than a simulation
    spikes: Spikes
    step: float  # s, how finely time is known


def from_raster(raster: Bool[np.ndarray, "trial step cell"] | Int[np.ndarray, "trial step cell"], dt: float) -> Spikes:
    """Spikes of a raster of 0 and 1 with steps of `dt` seconds; each spike stands in the middle of its step."""
    if np.ndim(raster) != 3 or not np.isin(raster, (0, 1)).all():
        raise ValueError(f"the raster is {np.shape(raster)} with {np.max(raster)}, expected trial x step x cell of 0 and 1")
    trials, steps, cells = np.nonzero(raster)
    n_trials, n_steps, n_cells = np.shape(raster)
    return Spikes((steps + 0.5) * dt, cells, n_cells, n_steps * dt, trials, n_trials)


def bin_counts(spikes: Spikes, width: float) -> Int[np.ndarray, "trial bin cell"]:
    """Spike counts in bins of `width` seconds; a last bin that would be cut short is left out."""
    n_bins = int(np.floor(spikes.duration / width * (1 + 1e-12)))
    slack = max(1e-12, np.finfo(spikes.times.dtype).eps)  # as far as times are known: an edge in float32 may lie below itself
    index = np.floor(spikes.times.astype(float) / width * (1 + slack)).astype(np.int64)
    inside = index < n_bins
    flat = (spikes.trial[inside] * n_bins + index[inside]) * spikes.n_cells + spikes.cells[inside]
    counts = np.bincount(flat, minlength=spikes.n_trials * n_bins * spikes.n_cells)
    return counts.reshape(spikes.n_trials, n_bins, spikes.n_cells)


FIELDS = ("times", "cells", "trials", "n_cells", "n_trials", "duration")


def write(path: str | Path, spikes: Spikes) -> None:
    """npz file of `spikes`."""
    files.write_arrays(path, **_arrays(spikes))


def _arrays(spikes: Spikes) -> dict[str, np.ndarray | int | float]:
    cells, trials = (np.asarray(numbers, dtype=np.int32) for numbers in (spikes.cells, spikes.trial))
    return dict(zip(FIELDS, (spikes.times, cells, trials, spikes.n_cells, spikes.n_trials, spikes.duration), strict=True))


def read(path: str | Path) -> Spikes:
    """Spikes in the npz file `path`, as written by `write`."""
    return _spikes(files.read_arrays(path, *FIELDS))


def _spikes(stored: Mapping[str, np.ndarray]) -> Spikes:
    return Spikes(**{name: stored[name] if stored[name].ndim else stored[name].item() for name in FIELDS})


def write_networks(path: str | Path, networks: Iterable[Network]) -> None:
    """npz file of several networks in their order: what every study hands to reports and exports."""
    arrays = {}
    for number, network in enumerate(networks):
        facts = {key: fact for key, fact in vars(network).items() if key != "spikes"} | _arrays(network.spikes)
        arrays |= {f"{number}_{key}": value for key, value in facts.items()}
    files.write_arrays(path, **arrays)


def read_networks(path: str | Path) -> list[Network]:
    """Networks in the npz file `path`, as written by `write_networks`."""
    stored = files.read_arrays(path)
    networks = []
    for number in range(sum(key.endswith("_study") for key in stored)):
        arrays = {key.removeprefix(f"{number}_"): array for key, array in stored.items() if key.startswith(f"{number}_")}
        names = (str(arrays[key]) for key in ("study", "name", "dataset"))
        networks.append(Network(*names, bool(arrays["recorded"]), _spikes(arrays), float(arrays["step"])))
    return networks
