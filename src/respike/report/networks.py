"""The spikes of every study's networks, and of the recordings they are held against, from the files of the studies."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from respike.core import files
from respike.core import spikes as core_spikes
from respike.core.spikes import Spikes

BARREL_STEP = 0.001  # s, what the paper's plots call a step of barrel
MODES_STEP = 0.002  # s


@dataclass(frozen=True)
class Network:
    """Spikes of one network, or of one recording; `step` (s) is how finely time is known."""

    study: str
    name: str
    dataset: str
    recorded: bool
    spikes: Spikes
    step: float


def modes(path: Path) -> Iterator[Network]:
    """Trials of the first mode-based network in the file; nothing for a rate network."""
    kept = files.read_arrays(path, "replica0_dataset", "replica0_task")
    if "replica0_spikes" in kept:
        spikes = core_spikes.from_raster(kept["replica0_spikes"], MODES_STEP)
        yield Network("modes", str(kept["replica0_task"]), str(kept["replica0_dataset"]), False, spikes, MODES_STEP)


def v1(recording: Path, runs: list[Path]) -> Iterator[Network]:
    """Test trials of the recording, and as many free runs of each fit; the bins before a free run starts are left out."""
    stored = files.read_arrays(recording, "spikes", "split", "dataset", "bin_ms")
    test, dataset, step = stored["spikes"][stored["split"] == "test"], str(stored["dataset"]), float(stored["bin_ms"]) / 1000
    free = {path: files.read_arrays(path, "spikes")["spikes"][: len(test), :, : test.shape[2]] for path in runs}
    first = test.shape[1] - min((ran.shape[1] for ran in free.values()), default=test.shape[1])
    yield Network("v1", "recording", dataset, True, core_spikes.from_raster(test[:, first:], step), step)
    for path, ran in free.items():
        yield Network("v1", path.stem.rsplit("_", 1)[0], dataset, False, core_spikes.from_raster(ran, step), step)


def fsbi(path: Path) -> Iterator[Network]:
    """Recorded cells under each rule in the file, excitatory ones first."""
    kept = files.read_arrays(path)
    for rule in sorted({name.split("_")[0] for name in kept}):
        part = {name.removeprefix(f"{rule}_"): value for name, value in kept.items() if name.startswith(f"{rule}_")}
        start, stop, n_e, n_i = float(part["start"]), float(part["stop"]), int(part["n_e"]), int(part["n_i"])
        times = np.concatenate([part["e_times"], part["i_times"]]) - start
        cells = np.concatenate([part["e_cells"], part["i_cells"] + n_e]).astype(np.int64)
        inside = (times >= 0) & (times <= stop - start)
        spikes = Spikes(times[inside], cells[inside], n_e + n_i, stop - start)
        yield Network("fsbi", f"{path.parents[1].name} {rule}", "simulated network", False, spikes, 0.0001)


def rate2lif(path: Path) -> Iterator[Network]:
    """Trials of the first LIF network in an archive <variant>_<first>-<last>.zip."""
    variant, first, _ = re.fullmatch(r"(\w+)_(\d+)-(\d+)", path.stem).groups()
    with zipfile.ZipFile(files.checked(path)) as packed, TemporaryDirectory() as folder:
        spikes = core_spikes.read(packed.extract(f"{variant}_{first}/spikes.npz", folder))
    yield Network("rate2lif", variant, "task (synthetic by definition)", False, spikes, 5e-5)


def barrel(path: Path) -> Iterator[Network]:
    """The same samples before and after training."""
    kept = files.read_arrays(path, "dataset", "initial_spikes", "trained_spikes")
    for condition in ("initial", "trained"):
        spikes = core_spikes.from_raster(kept[f"{condition}_spikes"], BARREL_STEP)
        yield Network("barrel", condition, str(kept["dataset"]), False, spikes, BARREL_STEP)


def neulvm(trial: Path, runs: list[Path]) -> Iterator[Network]:
    """The recorded neurons (fitted and held-out windows), and some cells of a network with each model's parameters."""
    kept = files.read_arrays(trial, "spikes", "later_spikes", "history", "dt", "dataset")
    history, step, dataset = int(kept["history"]), float(kept["dt"]), str(kept["dataset"])
    # the fitted batches and the held-out seconds follow each other in time
    windows = np.concatenate([part for name in ("spikes", "later_spikes") for part in kept[name][:, history:]])
    yield Network("neulvm", "recording", dataset, True, core_spikes.from_raster(windows[None], step), step)
    for path in runs:
        ran = files.read_arrays(path, "spikes", "fine", "dataset")
        spikes = core_spikes.from_raster(ran["spikes"][None], float(ran["fine"]))
        yield Network("neulvm", path.stem, str(ran["dataset"]), False, spikes, float(ran["fine"]))


def of_each(read: Callable[[Path], Iterator[Network]], paths: list[Path]) -> list[Network]:
    """Networks in all of `paths`."""
    return [network for path in paths for network in read(path)]
