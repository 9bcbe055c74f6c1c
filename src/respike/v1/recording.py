"""The raw files of the data set, read and written.

CRCNS pvc-11, monkey 1, natural movie: `natural_movie.mat` holds the frames (MATLAB v7 or older, variable M, row x column x
frame) and `data_monkey1_natural_movie.mat` the spike times (MATLAB v7.3, data/EVENTS, a cell array unit x trial of times
in seconds, stored transposed as references). The stand-in is written in the same two formats.
"""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import scipy.io
from jaxtyping import Float, Int, Num, Shaped

from respike.core import mat
from respike.core.sources import Source

OBTAIN = (
    "Free account at crcns.org, data set pvc-11 (Kohn, Smith), archive data_and_scripts.tar.gz; docs/v1.md tells the steps. "
    "The data may not be passed on."
)
MOVIE = Source("natural_movie.mat", "frames of the natural movie", OBTAIN)
MOVIE_ALSO = ("natural_movie_one.mat",)
EVENTS = Source("data_monkey1_natural_movie.mat", "spike times of monkey 1", OBTAIN)
LATE_SECONDS, LATE_SHARE = 1.0, 0.02  # spikes so far, and so many, past the end are an error; fewer are dropped and counted
EARLY_END = 0.8  # a recording whose last spike comes before this share of the movie belongs to another movie


class SpikeTimes(NamedTuple):
    """All spikes as flat arrays."""

    times: Float[np.ndarray, " spike"]  # s from the start of the trial
    trials: Int[np.ndarray, " spike"]
    units: Int[np.ndarray, " spike"]
    n_trials: int
    n_units: int


def read_movie(path: Path) -> Float[np.ndarray, "row column frame"]:
    """Frames in `path`, grey values 0 to 1; ValueError that names file and field when they cannot be used."""
    return checked_frames(path, "M", _variable(path, "M"))


def checked_frames(path: Path, name: str, frames: Num[np.ndarray, "..."]) -> Float[np.ndarray, "row column frame"]:
    """Grey values 0 to 1 of `frames`, called `name` in `path`; ValueError when they are no movie.

    Whole numbers are divided by the largest of their type, floats with values above 1.5 by 255.
    """
    if frames.ndim != 3 or frames.dtype.kind not in "uif" or 0 in frames.shape:
        raise ValueError(f"{path}: {name} is {frames.dtype} of shape {frames.shape}; expected numbers, row x column x frame")
    if not np.isfinite(frames).all():
        bad = np.unique(np.argwhere(~np.isfinite(frames))[:, 2])
        raise ValueError(
            f"{path}: {name} has {len(bad)} frames with nan or infinity, first frame {bad[0]}; expected grey values"
        )
    if frames.min() < 0:
        raise ValueError(f"{path}: {name} has negative values (least {frames.min()}); expected grey values from 0")
    if frames.dtype.kind in "ui":
        return frames / np.iinfo(frames.dtype).max
    return frames / 255 if frames.max() > 1.5 else frames.astype(float)


def _variable(path: Path, name: str) -> np.ndarray:
    try:
        content = scipy.io.loadmat(path, variable_names=[name])
    except NotImplementedError as error:
        raise ValueError(f"{path}: a MATLAB v7.3 file; expected v7 or older (in MATLAB: save(file, 'M', '-v7'))") from error
    except Exception as error:  # scipy raises a different class for each way a file can be broken
        raise ValueError(f"{path}: not a MATLAB file that can be read ({type(error).__name__}); copy it again") from error
    if name not in content:
        variables = [field[0] for field in scipy.io.whosmat(path)]
        raise ValueError(f"{path}: no variable {name!r}; it has {variables}")
    return content[name]


def read_spike_times(path: Path) -> SpikeTimes:
    """Spike times in `path`; ValueError that names file and field when they cannot be used."""
    if not h5py.is_hdf5(path):
        with path.open("rb") as file:
            old = file.read(10).startswith(b"MATLAB 5")
        state = "a MATLAB file older than v7.3" if old else "not an HDF5 file"
        raise ValueError(f"{path}: {state}; expected MATLAB v7.3 (in MATLAB: save(file, 'data', '-v7.3'))")
    try:
        with h5py.File(path, "r") as file:
            cells = _cells(path, file)
    except Exception as error:  # h5py raises a different class for each way a file can be broken
        if str(path) in str(error):  # already said by us
            raise
        raise ValueError(f"{path}: data/EVENTS cannot be read ({type(error).__name__}: {error}); copy it again") from error
    return _flat(path, cells)


def _cells(path: Path, file: h5py.File) -> list[list[np.ndarray]]:
    group = file.get("data")
    events = group.get("EVENTS") if isinstance(group, h5py.Group) else None
    if not isinstance(events, h5py.Dataset):
        content = f"data has {sorted(group)}" if isinstance(group, h5py.Group) else f"the file has {sorted(file)}"
        raise ValueError(f"{path}: no field data/EVENTS; {content}")
    if h5py.check_ref_dtype(events.dtype) is None or events.ndim != 2:
        raise ValueError(f"{path}: data/EVENTS is {events.dtype} of shape {events.shape}; expected a cell array unit x trial")
    return [[_cell(path, file, ref, trial, unit) for unit, ref in enumerate(row)] for trial, row in enumerate(events[()])]


def _cell(path: Path, file: h5py.File, reference: h5py.Reference, trial: int, unit: int) -> np.ndarray:
    name = f"{path}: data/EVENTS{{{unit + 1}, {trial + 1}}} (unit, trial)"
    if not reference:
        raise ValueError(f"{name} points nowhere; expected a vector of spike times")
    cell = file[reference]
    if not isinstance(cell, h5py.Dataset):
        raise ValueError(f"{name} is a {type(cell).__name__}; expected a vector of spike times")
    if cell.attrs.get("MATLAB_empty", 0):
        return np.empty(0)
    if cell.dtype.kind not in "fui" or (cell.ndim > 1 and max(cell.shape) != cell.size):
        raise ValueError(f"{name} is {cell.dtype} of shape {cell.shape}; expected a vector of spike times")
    return cell[()].astype(float).ravel()


def _flat(path: Path, cells: list[list[np.ndarray]]) -> SpikeTimes:
    counts = np.array([[len(cell) for cell in row] for row in cells])
    if not counts.sum():
        raise ValueError(f"{path}: all {counts.size} cells of data/EVENTS are empty; expected spike times")
    times = np.concatenate([cell for row in cells for cell in row])
    trials, units = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    bad = np.flatnonzero(~(times >= 0))
    if len(bad):
        first = bad[0]
        raise ValueError(
            f"{path}: data/EVENTS has {len(bad)} spike times below 0 or nan, first {times[first]} "
            f"(unit {units[first] + 1}, trial {trials[first] + 1}); expected seconds from the start of the trial"
        )
    return SpikeTimes(times, trials, units, *counts.shape)


def check_duration(path: Path, spikes: SpikeTimes, movie: Path, frames: int, bin_seconds: float) -> None:
    """ValueError when spike times and movie cannot belong together."""
    duration, last = frames * bin_seconds, spikes.times.max()
    late = int(np.sum(spikes.times >= duration))
    said = f"{movie.name} lasts {frames} frames x {bin_seconds:g} s = {duration:g} s (v1.data.bin_ms)"
    if late and (last > duration + LATE_SECONDS or late > LATE_SHARE * len(spikes.times)):
        hint = "are the times in milliseconds?" if last > 20 * duration else "does the movie have all its frames?"
        raise ValueError(
            f"{path}: data/EVENTS has {late} of {len(spikes.times)} spikes after the end of the movie (last {last:g} s); "
            f"{said}; {hint}"
        )
    if last < EARLY_END * duration:
        raise ValueError(f"{path}: data/EVENTS ends with a spike at {last:g} s; {said}; is it the movie of this recording?")


def write_mat(path: Path, frames: Shaped[np.ndarray, "row column frame"]) -> None:
    """`natural_movie.mat`, as the data set has it."""
    path.write_bytes(mat.content({"M": frames}))


def write_events(path: Path, cells: list[list[Float[np.ndarray, " spike"]]]) -> None:
    """`data_monkey1_natural_movie.mat`, as the data set has it, from spike times [trial][unit]."""
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        events = file.create_dataset("data/EVENTS", (len(cells), len(cells[0])), dtype=h5py.ref_dtype)
        for trial, row in enumerate(cells):
            for unit, times in enumerate(row):
                cell = _write_cell(references, f"{trial}_{unit}", times)
                events[trial, unit] = cell.ref
        events.attrs["MATLAB_class"] = np.bytes_("cell")
        file["data"].attrs["MATLAB_class"] = np.bytes_("struct")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def _write_cell(group: h5py.Group, name: str, times: Float[np.ndarray, " spike"]) -> h5py.Dataset:
    empty = not len(times)
    content = np.zeros(2, dtype=np.uint64) if empty else np.asarray(times, dtype=float)[None]
    cell = group.create_dataset(name, data=content)
    cell.attrs["MATLAB_class"] = np.bytes_("double")
    if empty:
        cell.attrs["MATLAB_empty"] = np.uint8(1)
    return cell
