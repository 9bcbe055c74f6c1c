"""Raw files in, one recording out: frames, binary spikes, splits, and counts of what was lost."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files, sources
from respike.v1 import recording
from respike.v1.params import Preprocessing

SPLITS = ("train", "test", "validation")
PREPARED_MOVIE = "M_train(last)_natural.npy"  # layout of the published program's own input
PREPARED_SPIKES = tuple(f"S_1_train(last)_natural_{part}.npy" for part in ("first80", "mid30", "last10"))  # in order of SPLITS


def run(*, folder: Path, out: Path, preprocessing: Preprocessing, dataset: str, key: str = "v1.data_dir") -> None:
    """Write `out`: movie (frame, row, column), spikes (trial, frame, cell), split of each trial, counts.

    `folder` holds the raw files of the data set or the arrays that the published program reads. `key` is the config value
    that names it, for the messages.
    """
    prepared = (folder / PREPARED_MOVIE).is_file()
    movie, binned, split = read_prepared(folder) if prepared else read_raw(folder, preprocessing, key)
    last = slice(-preprocessing.last_frames if preprocessing.last_frames else None, None)
    if preprocessing.last_frames > len(movie):
        raise ValueError(
            f"{folder}: the movie has {len(movie)} frames; v1.data.last_frames asks for {preprocessing.last_frames}"
        )
    units = chosen_units(binned.spikes, preprocessing, folder)
    spikes = binned.spikes[:, last][:, :, units]
    files.write_arrays(
        out,
        movie=movie[last].astype(np.float32),
        spikes=spikes,
        split=split,
        units=units,
        bin_ms=preprocessing.bin_ms,
        late=binned.late,
        merged=binned.merged,
        dataset=dataset,
    )


def read_raw(
    folder: Path, preprocessing: Preprocessing, key: str
) -> tuple[Float[np.ndarray, "frame row column"], recording.Binned, np.ndarray]:
    """Frames, bins and split from the files of the data set."""
    movie_path = sources.find(folder, recording.MOVIE, key, recording.MOVIE_ALSO)
    events_path = sources.find(folder, recording.EVENTS, key)
    frames = recording.resize(recording.read_movie(files.checked(movie_path)), preprocessing.pixels)
    spikes = recording.read_spike_times(files.checked(events_path))
    width = preprocessing.bin_ms / 1000
    recording.check_duration(events_path, spikes, movie_path, frames.shape[2], width)
    split = split_trials(spikes.n_trials, preprocessing, events_path)
    binned = recording.bin_spikes(spikes, frames.shape[2], width)
    return frames.transpose(2, 0, 1), binned._replace(spikes=binned.spikes[: len(split)]), split


def split_trials(n_trials: int, preprocessing: Preprocessing, path: Path) -> np.ndarray:
    """Name of the split of each trial; trials beyond the last split are left out."""
    sizes = [getattr(preprocessing, name) for name in SPLITS]
    if sum(sizes) > n_trials:
        asked = " + ".join(f"v1.data.{name} {size}" for name, size in zip(SPLITS, sizes, strict=True))
        raise ValueError(f"{path}: data/EVENTS has {n_trials} trials, fewer than the split asks for ({asked} = {sum(sizes)})")
    return np.repeat(SPLITS, sizes)


def read_prepared(folder: Path) -> tuple[Float[np.ndarray, "frame row column"], recording.Binned, np.ndarray]:
    """Frames, bins and split from arrays made for the published program: rows of spikes are repetition x frame."""
    paths = [files.checked(folder / name) for name in (PREPARED_MOVIE, *PREPARED_SPIKES)]
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
    return movie.transpose(2, 0, 1), recording.Binned(spikes, 0, 0), split


def chosen_units(spikes: Bool[np.ndarray, "trial bin unit"], preprocessing: Preprocessing, folder: Path) -> np.ndarray:
    """Numbers of the units to keep, in their order."""
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
