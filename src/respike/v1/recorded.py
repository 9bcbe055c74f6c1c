"""The recording that networks are fitted to and measured against: frames of one size, binary spikes, splits of the trials.

Made of the raw files of the data set (`recording`) or of the arrays that the published program reads; kept in one file.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.core import files
from respike.formats.session import listed
from respike.v1 import recording
from respike.v1.params import Preprocessing

SPLITS = ("train", "test", "validation")
Counts = Int[np.ndarray, "trial bin+1 unit"]  # spikes; in the last bin those after the end


class Recording(NamedTuple):
    """Binary spikes of repeated trials under one movie; a bin lasts as long as a frame."""

    movie: Float[np.ndarray, "frame row column"]  # grey values 0 to 1
    spikes: Bool[np.ndarray, "trial frame cell"]
    split: np.ndarray  # train, test or validation, per trial
    units: Int[np.ndarray, " cell"]  # numbers of the cells among the units of the file
    bin_ms: float
    late: int  # spikes of these cells and trials after the last bin, dropped
    merged: int  # second and further spikes in one of these bins, dropped
    dataset: str

    @property
    def bin_seconds(self) -> float:
        return self.bin_ms / 1000

    def of(self, split: str) -> Bool[np.ndarray, "trial frame cell"]:
        """Spikes of the trials of a split."""
        return self.spikes[self.split == split]


read = partial(files.read_tuple, Recording)  # from the npz file that `files.write_arrays` made of its fields


def bin_spikes(spikes: recording.SpikeTimes, n_bins: int, bin_seconds: float) -> Counts:
    """Spikes of each unit in each bin, which is int(time / width), so a time on an edge may fall one bin early."""
    counts = np.zeros((spikes.n_trials, n_bins + 1, spikes.n_units), dtype=np.int64)
    np.add.at(counts, (spikes.trials, np.minimum(spikes.times / bin_seconds, n_bins).astype(int), spikes.units), 1)
    return counts


def split_trials(n_trials: int, preprocessing: Preprocessing, path: Path) -> np.ndarray:
    """Name of the split of each trial; trials beyond the last split are left out."""
    sizes, test, validation = [getattr(preprocessing, name) for name in SPLITS], max(2, n_trials // 5), max(2, n_trials // 10)
    if sum(sizes) > n_trials:
        asked = " + ".join(f"v1.data.{name} {size}" for name, size in zip(SPLITS, sizes, strict=True))
        fits = f"{n_trials - test - validation}, {test}, {validation}" if n_trials > 5 else "ten trials"
        said = f"{n_trials} trials, fewer than the split asks for ({asked} = {sum(sizes)})"
        raise ValueError(f"{path}: {said}; expected for instance {fits}")
    return np.repeat(SPLITS, sizes)


def chosen_units(
    spikes: Bool[np.ndarray, "trial bin unit"], numbers: Int[np.ndarray, " unit"], preprocessing: Preprocessing, folder: Path
) -> Int[np.ndarray, " cell"]:
    """Which units to keep, in their order; `numbers` are those of `folder`. ValueError when it has no such units."""
    if preprocessing.units:
        place = {number: unit for unit, number in enumerate(numbers.tolist())}
        if wrong := [unit for unit in preprocessing.units if unit not in place]:
            which = " that v1.data.session.units takes" if preprocessing.session.units else ""
            raise ValueError(f"{folder}: v1.data.units: {wrong} are not among {len(numbers)} units{which}: {listed(numbers)}")
        return np.array([place[unit] for unit in preprocessing.units])
    if preprocessing.most_active > len(numbers):
        raise ValueError(f"{folder}: {len(numbers)} units; v1.data.most_active asks for {preprocessing.most_active}")
    by_rate = np.argsort(-spikes.mean((0, 1)), kind="stable")
    return np.sort(by_rate[: preprocessing.most_active or len(numbers)])
