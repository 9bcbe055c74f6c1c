"""The recording that networks are fitted to and measured against: frames of one size, binary spikes, splits of the trials.

Made of the raw files of the data set (`recording`) or of the arrays that the published program reads, and kept in one file.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from respike.core import files, sources
from respike.v1 import recording
from respike.v1.params import Preprocessing

SPLITS = ("train", "test", "validation")
PUBLISHED_MOVIE = "M_train(last)_natural.npy"
PUBLISHED_SPIKES = tuple(
    f"S_1_train(last)_natural_{part}.npy" for part in ("first80", "mid30", "last10")
)  # in order of SPLITS


class Recording(NamedTuple):
    """Binary spikes of repeated trials under one movie; a bin lasts as long as a frame."""

    movie: Float[np.ndarray, "frame row column"]  # grey values 0 to 1
    spikes: Bool[np.ndarray, "trial frame cell"]
    split: np.ndarray  # train, test or validation, per trial
    units: Int[np.ndarray, " cell"]  # numbers of the cells among the units of the raw files
    bin_ms: float
    late: int  # spikes after the last bin, dropped
    merged: int  # second and further spikes in a bin, dropped
    dataset: str

    @property
    def bin_seconds(self) -> float:
        """Width of a bin, s."""
        return self.bin_ms / 1000

    def of(self, split: str) -> Bool[np.ndarray, "trial frame cell"]:
        """Spikes of the trials of a split."""
        return self.spikes[self.split == split]


def write(path: Path, content: Recording) -> None:
    """npz file of a recording."""
    files.write_arrays(path, **content._asdict())


def read(path: Path) -> Recording:
    """Recording in a file of `write`; ValueError when it is another file."""
    stored = files.read_arrays(path, *Recording._fields)
    scalars = {"bin_ms": float, "late": int, "merged": int, "dataset": str}
    return Recording(**{name: scalars.get(name, np.asarray)(stored[name]) for name in Recording._fields})


class Binned(NamedTuple):
    """Spikes with one bin per frame, and how many got lost on the way."""

    spikes: Bool[np.ndarray, "trial bin unit"]
    late: int
    merged: int


Parts = tuple[Float[np.ndarray, "frame row column"], Binned, np.ndarray]  # movie, spikes, split of each trial


def prepare(folder: Path, preprocessing: Preprocessing, dataset: str, key: str) -> Recording:
    """The recording in `folder`, named `dataset`, cut to the frames and units that `preprocessing` keeps.

    `folder` holds the raw files of the data set or the arrays of the published program; `key` is the config value that names
    it. FileNotFoundError or ValueError say what is missing, or what is wrong in which field.
    """
    published = (folder / PUBLISHED_MOVIE).is_file()
    movie, binned, split = from_published(folder) if published else from_raw(folder, preprocessing, key)
    if preprocessing.last_frames > len(movie):
        raise ValueError(
            f"{folder}: the movie has {len(movie)} frames; v1.data.last_frames asks for {preprocessing.last_frames}"
        )
    last = slice(-preprocessing.last_frames if preprocessing.last_frames else None, None)
    units = chosen_units(binned.spikes, preprocessing, folder)
    spikes = binned.spikes[:, last][:, :, units]
    frames = movie[last].astype(np.float32)
    return Recording(frames, spikes, split, units, preprocessing.bin_ms, binned.late, binned.merged, dataset)


def from_raw(folder: Path, preprocessing: Preprocessing, key: str) -> Parts:
    """Frames, bins and split from the files of the data set."""
    movie_path = sources.find(folder, recording.MOVIE, key, recording.MOVIE_ALSO)
    events_path = sources.find(folder, recording.EVENTS, key)
    frames = resize(recording.read_movie(files.checked(movie_path)), preprocessing.pixels)
    spikes = recording.read_spike_times(files.checked(events_path))
    width = preprocessing.bin_ms / 1000
    recording.check_duration(events_path, spikes, movie_path, frames.shape[2], width)
    split = split_trials(spikes.n_trials, preprocessing, events_path)
    binned = bin_spikes(spikes, frames.shape[2], width)
    return frames.transpose(2, 0, 1), binned._replace(spikes=binned.spikes[: len(split)]), split


def from_published(folder: Path) -> Parts:
    """Frames, bins and split from arrays made for the published program: rows of spikes are repetition x frame."""
    paths = [files.checked(folder / name) for name in (PUBLISHED_MOVIE, *PUBLISHED_SPIKES)]
    movie, *parts = [np.load(path, allow_pickle=False) for path in paths]
    if movie.ndim != 3 or not np.isfinite(movie).all():
        raise ValueError(f"{paths[0]}: shape {movie.shape}; expected finite grey values, row x column x frame")
    n_frames = movie.shape[2]
    for path, part in zip(paths[1:], parts, strict=True):
        if part.ndim != 2 or len(part) % n_frames or part.shape[1] != parts[0].shape[1]:
            raise ValueError(
                f"{path}: shape {part.shape}; expected (repetitions x {n_frames} frames, {parts[0].shape[1]} units)"
            )
    split = np.repeat(SPLITS, [len(part) // n_frames for part in parts])
    spikes = np.concatenate(parts).reshape(len(split), n_frames, -1) > 0
    return movie.transpose(2, 0, 1), Binned(spikes, 0, 0), split


def resize(frames: Float[np.ndarray, "row column frame"], pixels: int) -> Float[np.ndarray, "pixel pixel frame"]:
    """Frames of pixels x pixels: blurred by (f - 1) / 2 for a factor f > 1, then linear on the grid of pixel centres."""
    factors = np.array(frames.shape[:2]) / pixels
    blur = np.maximum((factors - 1) / 2, 0)
    zoom = (*(1 / factors), 1)
    blurred = ndimage.gaussian_filter(frames, (*blur, 0), mode="mirror")
    return ndimage.zoom(blurred, zoom, order=1, mode="mirror", grid_mode=True)


def bin_spikes(spikes: recording.SpikeTimes, n_bins: int, bin_seconds: float) -> Binned:
    """Whether a unit fired in each bin. The bin is int(time / width), so a time on an edge may fall one bin early."""
    index = (spikes.times / bin_seconds).astype(np.int64)
    inside = index < n_bins
    binned = np.zeros((spikes.n_trials, n_bins, spikes.n_units), dtype=bool)
    binned[spikes.trials[inside], index[inside], spikes.units[inside]] = True
    return Binned(binned, int(np.sum(~inside)), int(inside.sum() - binned.sum()))


def split_trials(n_trials: int, preprocessing: Preprocessing, path: Path) -> np.ndarray:
    """Name of the split of each trial; trials beyond the last split are left out."""
    sizes = [getattr(preprocessing, name) for name in SPLITS]
    if sum(sizes) > n_trials:
        asked = " + ".join(f"v1.data.{name} {size}" for name, size in zip(SPLITS, sizes, strict=True))
        raise ValueError(f"{path}: data/EVENTS has {n_trials} trials, fewer than the split asks for ({asked} = {sum(sizes)})")
    return np.repeat(SPLITS, sizes)


def chosen_units(
    spikes: Bool[np.ndarray, "trial bin unit"], preprocessing: Preprocessing, folder: Path
) -> Int[np.ndarray, " cell"]:
    """Numbers of the units to keep, in their order; ValueError when `folder` has no such units."""
    n_units = spikes.shape[2]
    if preprocessing.units:
        wrong = [unit for unit in preprocessing.units if not 0 <= unit < n_units]
        if wrong:
            raise ValueError(f"v1.data.units: {wrong} are not among the {n_units} units of {folder}, counted from 0")
        return np.array(preprocessing.units)
    if preprocessing.most_active > n_units:
        raise ValueError(f"{folder}: {n_units} units; v1.data.most_active asks for {preprocessing.most_active}")
    by_rate = np.argsort(-spikes.mean((0, 1)), kind="stable")
    return np.sort(by_rate[: preprocessing.most_active or n_units])
