"""Raw files in, one recording out: frames, binary spikes, splits, and counts of what was lost."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.core import files, sources
from respike.v1 import recorded, recording
from respike.v1.params import Preprocessing
from respike.v1.recorded import SPLITS, Binned, Recording

PUBLISHED = ("M_train(last)_natural.npy", *(f"S_1_train(last)_natural_{part}.npy" for part in ("first80", "mid30", "last10")))
Parts = tuple[Float[np.ndarray, "frame row column"], Binned, np.ndarray]  # movie, spikes, split of each trial


def run(*, folder: Path, out: Path, preprocessing: Preprocessing, dataset: str, key: str = "v1.data_dir") -> None:
    """Write the recording in `folder` to `out`, named `dataset`, cut to the frames and units that `preprocessing` keeps.

    `folder`, named by the config value `key`, holds the raw files of the data set or the arrays of the published program.
    """
    published = (folder / PUBLISHED[0]).is_file()
    movie, binned, split = read_published(folder) if published else read_raw(folder, preprocessing, key)
    n_frames = preprocessing.last_frames or len(movie)
    if n_frames > len(movie):
        raise ValueError(f"{folder}: the movie has {len(movie)} frames; v1.data.last_frames asks for {n_frames}")
    units = recorded.chosen_units(binned.spikes, preprocessing, folder)
    spikes, frames = binned.spikes[:, -n_frames:][:, :, units], movie[-n_frames:].astype(np.float32)
    lost = (binned.late, binned.merged)
    recorded.write(out, Recording(frames, spikes, split, units, preprocessing.bin_ms, *lost, dataset))


def read_raw(folder: Path, preprocessing: Preprocessing, key: str) -> Parts:
    """From the files of the data set."""
    movie_path = sources.find(folder, recording.MOVIE, key, recording.MOVIE_ALSO)
    events_path = sources.find(folder, recording.EVENTS, key)
    frames = recorded.resize(recording.read_movie(files.checked(movie_path)), preprocessing.pixels)
    spikes = recording.read_spike_times(files.checked(events_path))
    width = preprocessing.bin_ms / 1000
    recording.check_duration(events_path, spikes, movie_path, frames.shape[2], width)
    split = recorded.split_trials(spikes.n_trials, preprocessing, events_path)
    binned = recorded.bin_spikes(spikes, frames.shape[2], width)
    return frames.transpose(2, 0, 1), binned._replace(spikes=binned.spikes[: len(split)]), split


def read_published(folder: Path) -> Parts:
    """From the arrays that the published program reads: a row of spikes is repetition x frame, one file per split."""
    paths = [files.checked(folder / name) for name in PUBLISHED]
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
