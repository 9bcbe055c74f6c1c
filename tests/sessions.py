"""Session files for tests, written with h5py field by field as the NWB standard says, and what they hold."""

import h5py
import numpy as np

RATE, N_FRAMES = 25.0, 40


def film(rng, n=N_FRAMES, shape=(9, 12)):
    """Grey bytes, frame x row x column."""
    return rng.integers(0, 256, (n, *shape), dtype=np.uint8)


def spike_trains(rng, units=3, seconds=60.0, rate=8.0):
    """Spike times of each unit on the clock of the session."""
    return [np.sort(rng.uniform(0, seconds, rng.poisson(rate * seconds))) for _ in range(units)]


def ragged(group, name, entries, **how):
    """A column with several entries in each row."""
    group.create_dataset(name, data=np.concatenate([np.asarray(entry, dtype=float) for entry in entries]), **how)
    group.create_dataset(f"{name}_index", data=np.cumsum([len(entry) for entry in entries]).astype(np.uint16), **how)


def write(path, times, starts=None, stops=None, columns=None, trial_columns=None, movies=None, table="trials", **how):
    """An NWB file with units and, where they are given, a table of trials and movies {name: (frames, starting time, rate)}."""
    with h5py.File(path, "w") as file:
        file.attrs["nwb_version"] = "2.7.0"
        units = file.create_group("units")
        units["id"] = np.arange(len(times))
        ragged(units, "spike_times", times, **how)
        for name, column in (columns or {}).items():
            units[name] = column
        if starts is not None:
            trials = file.create_group(f"intervals/{table}")
            trials["id"] = np.arange(len(starts))
            trials["start_time"], trials["stop_time"] = np.asarray(starts, dtype=float), np.asarray(stops, dtype=float)
            for name, column in (trial_columns or {}).items():
                trials[name] = column
        for name, (frames, start, rate) in (movies or {}).items():
            series = file.create_group(f"stimulus/presentation/{name}")
            series["data"] = frames
            if rate:
                series["starting_time"] = start
                series["starting_time"].attrs["rate"] = rate
    return path


def binned(times, starts, n_bins, width):
    """Whether a unit fired in a bin, spike by spike (trial, bin, unit)."""
    found = np.zeros((len(starts), n_bins, len(times)), dtype=bool)
    for trial, start in enumerate(starts):
        for unit, own in enumerate(times):
            for time in own:
                if 0 <= time - start < n_bins * width:
                    found[trial, int((time - start) / width), unit] = True
    return found
