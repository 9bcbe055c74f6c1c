"""What users bring, whatever its form, as frames of one size, spikes in bins of a frame, and splits of the trials."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.formats import arrays, movies, nwb, session, sources, spike_times
from respike.v1 import recorded, recording
from respike.v1.params import Preprocessing
from respike.v1.recorded import SPLITS, Counts

PUBLISHED = ("M_train(last)_natural.npy", *(f"S_1_train(last)_natural_{part}.npy" for part in ("first80", "mid30", "last10")))
CHOICE = "v1.data.session"  # key of the config
READERS = {".nwb": (nwb.read, "units/spike_times"), ".npz": (spike_times.read, "times")}  # and where spike times are
Parts = tuple[Float[np.ndarray, "frame row column"], Counts, np.ndarray, np.ndarray]  # movie, spikes, split, unit numbers


def load(path: Path, preprocessing: Preprocessing, key: str) -> Parts:
    """The recording at `path`, which the config value `key` names; ValueError or FileNotFoundError that says what is wrong.

    A session file (.nwb, .npz), a folder with the raw files of the data set, or one with the arrays of the published program.
    """
    if path.suffix in READERS:
        return read_session(path, preprocessing)
    if path.is_file():
        raise ValueError(f"{path} is a file; expected {key} to be a folder or a file {' or '.join(READERS)}")
    return read_published(path, preprocessing) if (path / PUBLISHED[0]).is_file() else read_raw(path, preprocessing, key)


def read_raw(folder: Path, preprocessing: Preprocessing, key: str) -> Parts:
    """From the files of the data set."""
    movie_path = sources.find(folder, recording.MOVIE, key, recording.MOVIE_ALSO)
    events_path = sources.find(folder, recording.EVENTS, key, recording.EVENTS_ALSO)
    frames = movies.resize(movies.read(movie_path), preprocessing.pixels)
    spikes = recording.read_spike_times(events_path)
    recording.check_duration(events_path, spikes, movie_path, frames.shape[2], preprocessing.bin_ms / 1000)
    return _parts(events_path, frames, spikes, preprocessing, np.arange(spikes.n_units))


def _parts(
    path: Path, frames: Float[np.ndarray, "row column frame"], spikes: recording.SpikeTimes, preprocessing: Preprocessing,
    numbers: np.ndarray,
) -> Parts:  # fmt: skip
    split = recorded.split_trials(spikes.n_trials, preprocessing, path)
    counts = recorded.bin_spikes(spikes, frames.shape[2], preprocessing.bin_ms / 1000)
    return frames.transpose(2, 0, 1), counts[: len(split)], split, numbers


def read_published(folder: Path, preprocessing: Preprocessing) -> Parts:
    """From the arrays that the published program reads: a row of spikes is repetition x frame, one file per split."""
    paths = [folder / name for name in PUBLISHED]
    movie, *parts = [arrays.read_npy(path) for path in paths]
    frames = movies.resize(movies.grey(paths[0], "the array", movie), preprocessing.pixels)
    n_frames = frames.shape[2]
    for path, part in zip(paths[1:], parts, strict=True):
        units = parts[0].shape[-1] if parts[0].ndim else 0
        if part.dtype.kind not in "biuf" or part.ndim != 2 or len(part) % n_frames or part.shape[1] != units or not part.size:
            said = f"{part.dtype} of shape {part.shape}; expected numbers, (repetitions x {n_frames} frames, {units} units)"
            raise ValueError(f"{path}: {said}, and one repetition at least")
        bad = np.argwhere(~((part >= 0) & (part == np.floor(part)) & np.isfinite(part)))
        if len(bad):
            row, unit = bad[0]
            raise ValueError(
                f"{path}: row {row}, unit {unit} is {part[row, unit]} ({len(bad)} such values); expected numbers of spikes"
            )
    split = np.repeat(SPLITS, [len(part) // n_frames for part in parts])
    counts = np.concatenate(parts).astype(np.int64).reshape(len(split), n_frames, -1)
    return frames.transpose(2, 0, 1), np.pad(counts, ((0, 0), (0, 1), (0, 0))), split, np.arange(counts.shape[2])


def read_session(path: Path, preprocessing: Preprocessing) -> Parts:
    """From one file of a whole session: the frame in the middle of each bin, and spikes from the start of each trial."""
    choice, width = preprocessing.session, preprocessing.bin_ms / 1000
    inside = Path(choice.movie).suffix not in {".npy", ".mat"}
    reader, field = READERS[path.suffix]
    read = reader(path, choice, CHOICE, movie=inside)
    movie = read.movie or movies.Movie(choice.movie, movies.read(Path(choice.movie)).transpose(2, 0, 1), None)
    movie = movie._replace(times=np.arange(len(movie.frames)) * width if movie.times is None else movie.times)
    seen = movie.in_trials(path, read.starts, read.stops, choice.seconds, width, CHOICE)
    frames = movies.grey(path, movie.name, seen.transpose(1, 2, 0))
    spikes = recording.flat(path, field, read.cut(frames.shape[2] * width, width))
    spikes = spikes._replace(times=spikes.times + session.TICK)
    return _parts(path, movies.resize(frames, preprocessing.pixels), spikes, preprocessing, read.numbers)
