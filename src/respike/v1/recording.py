"""The raw files of the data set, read and written.

CRCNS pvc-11, monkey 1, natural movie: `natural_movie.mat` holds the frames (MATLAB v7 or older, variable M, row x column x
frame) and `data_monkey1_natural_movie.mat` the spike times (MATLAB v7.3, data/EVENTS, a cell array unit x trial of times
in seconds, stored transposed as references). The stand-in has the same two formats.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from respike.formats import matlab
from respike.formats.sources import Source

OBTAIN = (
    "Free account at crcns.org, data set pvc-11 (Kohn, Smith), archive data_and_scripts.tar.gz; docs/v1.md tells the steps. "
    "The data may not be passed on."
)
MOVIE = Source("natural_movie.mat", "frames of the natural movie", OBTAIN)
FILMS = ("", "stimuli_movies/", "data_and_scripts/stimuli_movies/")  # as the archive unpacks
MOVIE_ALSO = tuple(f"{folder}natural_movie{end}.mat" for end in ("_one", "") for folder in FILMS)
EVENTS = Source("data_monkey1_natural_movie.mat", "spike times of monkey 1", OBTAIN)
EVENTS_ALSO = tuple(f"{top}spikes_movies/{EVENTS.name}" for top in ("", "data_and_scripts/"))
LATE_SECONDS, LATE_SHARE = 1.0, 0.02  # spikes so far, and so many, past the end are an error; fewer are dropped and counted
EARLY_END = 0.8  # a recording whose last spike comes before this share of the movie belongs to another movie


class SpikeTimes(NamedTuple):
    """All spikes as flat arrays."""

    times: Float[np.ndarray, " spike"]  # s from the start of the trial
    trials: Int[np.ndarray, " spike"]
    units: Int[np.ndarray, " spike"]
    n_trials: int
    n_units: int


def read_spike_times(path: Path) -> SpikeTimes:
    """Spike times in `path`; ValueError that names file and field when they cannot be used."""
    return flat(path, "data/EVENTS", matlab.read_cells(path, "data", "EVENTS", ("unit", "trial"), "a vector of spike times"))


def flat(path: Path, field: str, cells: Sequence[Sequence[np.ndarray]]) -> SpikeTimes:
    """Spike times [trial][unit] of a field as flat arrays; ValueError when there are none, or some that cannot be."""
    counts = np.array([[len(cell) for cell in row] for row in cells])
    if not counts.sum():
        raise ValueError(f"{path}: all {counts.size} cells of {field} are empty; expected spike times")
    times = np.concatenate([cell for row in cells for cell in row])
    trials, units = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    bad = np.flatnonzero(~(times >= 0))
    if len(bad):
        first = bad[0]
        raise ValueError(
            f"{path}: {field} has {len(bad)} spike times below 0 or nan, first {times[first]} "
            f"(unit {units[first] + 1}, trial {trials[first] + 1}); expected seconds from the start of the trial"
        )
    return SpikeTimes(times, trials, units, *counts.shape)


def check_duration(path: Path, spikes: SpikeTimes, movie: Path, frames: int, bin_seconds: float) -> None:
    """ValueError when spike times and movie cannot belong together."""
    duration, last = frames * bin_seconds, spikes.times.max()
    late = int(np.sum(spikes.times >= duration))
    said = f"{movie.name} lasts {frames} frames x {bin_seconds:g} s = {duration:g} s (v1.data.bin_ms)"
    if late and (last > duration + LATE_SECONDS or late > LATE_SHARE * len(spikes.times)):
        firsts = [spikes.times[spikes.trials == trial].min() for trial in np.unique(spikes.trials)]
        hint = "are the times in milliseconds?" if last > 20 * duration else "does the movie have all its frames?"
        if len(firsts) > 1 and min(np.diff(firsts)) > 0 and firsts[-1] > duration:
            hint = f"they may be times of the whole session (trials begin at {np.round(firsts[:3], 1)}); subtract the onsets"
        raise ValueError(
            f"{path}: data/EVENTS has {late} of {len(spikes.times)} spikes after the end of the movie (last {last:g} s); "
            f"{said}; {hint}"
        )
    if last < EARLY_END * duration:
        raise ValueError(f"{path}: data/EVENTS ends with a spike at {last:g} s; {said}; is it the movie of this recording?")
