"""Neurodata Without Borders files (.nwb), read with h5py alone: units, one table of trials, one image series.

What the file leaves open is found when there is one of it, and refused with the choices when there are several.
"""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from respike.formats import hdf5
from respike.formats.choice import Choice
from respike.formats.movies import Movie
from respike.formats.session import Session, matching, not_early, rising

STIMULI = ("stimulus/presentation", "stimulus/templates")
UNIT_COLUMNS = {"spike_times", "spike_times_index", "obs_intervals", "obs_intervals_index"}


def read(path: Path, choice: Choice, key: str, trials: bool = True, movie: bool = True) -> Session:
    """The session in `path`; `key` is the config key of `choice`, for messages. Trials and movie are read when asked for.

    ValueError that names file and field, what was found and what to do.
    """
    with hdf5.opened(path) as file:
        if not isinstance(file.get("units"), h5py.Group):
            raise ValueError(
                f"{path}: no table of units; the file holds {sorted(file)}; expected sorted spikes in units/spike_times"
            )
        units = file["units"]
        times = rising(path, _ragged(path, units, "spike_times", 1))
        n = len(times)
        seen = _ragged(path, units, "obs_intervals", 2) if "obs_intervals" in units else None
        observed = None if seen is None else [intervals.astype(float) for intervals in seen]
        columns = _columns(path, units, n, UNIT_COLUMNS)
        none, invalid = np.empty(0), _invalid(path, file)
        session = Session(
            path, times, _numbers(path, units, n), columns, none, none, observed=observed, invalid=invalid, key=key
        )
        session = session.chosen(choice.units, f"{key}.units")
        found = {}
        if trials:
            found |= dict(zip(("trials", "starts", "stops"), _trials(path, file, choice, key), strict=True))
        if movie:
            found["movie"] = _movie(path, file, choice.movie, f"{key}.movie")
    return Session(**{**session.__dict__, **found})


def _ragged(path: Path, table: h5py.Group, name: str, ndim: int) -> list[np.ndarray]:
    """Entries of a column that has several for each row, row by row."""
    if not isinstance(table.get(name), h5py.Dataset):
        columns = [column for column in sorted(table) if column != "id"]
        raise ValueError(f"{path}: units has no column {name}; it has {columns}; expected times of sorted spikes")
    if table[name].shape is None or not table[name].size:
        ids = table.get("id")
        return [np.empty((0, 2)[:ndim])] * (len(ids) if isinstance(ids, h5py.Dataset) and ids.shape else 0)
    values = hdf5.read(path, table, name, ndim=(ndim,))
    ends = hdf5.read(path, table, f"{name}_index", kinds="iu", ndim=(1,)).astype(np.int64)
    if np.any(np.diff(ends, prepend=0) < 0) or (len(ends) and ends[-1] != len(values)) or not len(ends):
        raise ValueError(
            f"{path}: units/{name}_index ends at {ends[-1] if len(ends) else 'nothing'} and units/{name} has {len(values)} "
            "entries; expected numbers that rise to that; the file was not written to its end"
        )
    return np.split(values, ends[:-1])


def _numbers(path: Path, units: h5py.Group, n: int) -> np.ndarray:
    """By which number the file calls each unit: its column id; where it does not tell them apart, the row."""
    if not isinstance(units.get("id"), h5py.Dataset) or units["id"].shape != (n,):
        return np.arange(n)
    ids = hdf5.read(path, units, "id", kinds="iu").astype(np.int64)
    return ids if len(np.unique(ids)) == n else np.arange(n)


def _columns(path: Path, table: h5py.Group, n: int, but: set[str]) -> dict[str, np.ndarray]:
    """Columns with one plain value for each of `n` rows."""
    plain = {}
    for name, column in table.items():
        if f"{name}_index" in table or name in but or not isinstance(column, h5py.Dataset):
            continue
        if column.shape == (n,) and column.dtype.kind in "fiubSO" and h5py.check_ref_dtype(column.dtype) is None:
            plain[name] = hdf5.read(path, table, name, kinds="fiubSO")
    return plain


def _trials(path: Path, file: h5py.File, choice: Choice, key: str) -> tuple[str, np.ndarray, np.ndarray]:
    """Name of the table, start and stop of each trial (s)."""
    group = file.get("intervals")
    tables = sorted(set(group) - {"invalid_times"}) if isinstance(group, h5py.Group) else []
    name = choice.trials or ("trials" if "trials" in tables else tables[0] if len(tables) == 1 else "")
    if name not in tables or not isinstance(group[name], h5py.Group):
        state = f"{name!r} is not among its tables of intervals" if name else "which table of intervals holds the trials?"
        if not tables:
            raise ValueError(
                f"{path}: no table of intervals; expected intervals/trials with start_time and stop_time; add one"
            )
        raise ValueError(f"{path}: {state}; expected {key}.trials to be one of {', '.join(tables)}")
    table, where = group[name], f"intervals/{name}"
    starts, stops = _from_to(path, table, where)
    columns = _columns(path, table, len(starts), {"start_time", "stop_time"})
    fits = matching(path, where, columns, choice.only, len(starts), f"{key}.only")
    bad = np.flatnonzero(fits & ~(np.isfinite(starts) & (stops > starts)))
    if len(bad) or not fits.any():
        row = f"row {bad[0]} lasts from {starts[bad[0]]:g} to {stops[bad[0]]:g} s" if len(bad) else "no rows"
        choices = f"choose rows by {key}.only, columns {sorted(columns)}"
        raise ValueError(f"{path}: {where}: {row}; expected trials with a start and a later stop; {choices}")
    return name, starts[fits], stops[fits]


def _from_to(path: Path, table: h5py.Group, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Start and stop of each row of a table of intervals (s)."""
    starts, stops = (hdf5.read(path, table, name, ndim=(1,)) for name in ("start_time", "stop_time"))
    if len(starts) != len(stops):
        raise ValueError(f"{path}: {where} has {len(starts)} start times and {len(stops)} stop times; expected as many")
    return starts.astype(float), not_early(stops)


def _invalid(path: Path, file: h5py.File) -> list[tuple[float, float]]:
    """From when to when (s) the file says that nothing is to be used."""
    table = file.get("intervals/invalid_times")
    if not isinstance(table, h5py.Group) or not isinstance(table.get("start_time"), h5py.Dataset):
        return []
    return [(float(a), float(b)) for a, b in zip(*_from_to(path, table, "intervals/invalid_times"), strict=True)]


def _movie(path: Path, file: h5py.File, name: str, key: str) -> Movie:
    series = {}
    for folder in STIMULI:
        group = file.get(folder)
        for entry in group if isinstance(group, h5py.Group) else ():
            if isinstance(group.get(entry), h5py.Group) and (_is_film(group[entry]) or _film_of(group[entry])):
                series.setdefault(entry, group[entry])
        if len(series) == 1 and not name:  # a movie that was presented, whatever templates there are
            break
    if name and isinstance(file.get(name), h5py.Group):
        series = {name: file[name]}
    name = name or (next(iter(series)) if len(series) == 1 else "")
    if name not in series:
        choices = ", ".join(f"{entry} {_size(each)}" for entry, each in series.items()) or "none: the file has no image series"
        state = f"{name!r} is not among its image series" if name else "which image series do the trials show?"
        remedy = "" if series else "; the movie may also be a .npy file (row x column x frame) that this key names"
        raise ValueError(f"{path}: {state}; expected {key} to be one of {choices}{remedy}")
    return _frames(path, series[name], name)


def _is_film(group: h5py.Group) -> bool:
    data = group.get("data")
    return isinstance(data, h5py.Dataset) and ((data.shape is not None and data.ndim >= 3) or "external_file" in group)


def _film_of(group: h5py.Group) -> h5py.Group | None:
    """The frames that an index series shows."""
    film = group.get("indexed_timeseries")
    return film if isinstance(film, h5py.Group) and _is_film(film) else None


def _size(group: h5py.Group) -> str:
    data = (_film_of(group) or group).get("data")
    return f"({' x '.join(map(str, data.shape or ()))})"


def _frames(path: Path, group: h5py.Group, name: str) -> Movie:
    film = _film_of(group)
    source = film or group
    if "external_file" in source:
        raise ValueError(
            f"{path}: the frames of {name} lie in another file (external_file); write them into this one, or as .npy"
        )
    frames = hdf5.read(path, source, "data", kinds="fiub")
    if frames.ndim != 3 or 0 in frames.shape:
        colour = "; colours are not used: average them first" if frames.ndim == 4 else ""
        raise ValueError(f"{path}: {name} has shape {frames.shape}; expected grey frames, frame x row x column{colour}")
    if film is not None:
        shown = hdf5.read(path, group, "data", kinds="iu", ndim=(1,)).astype(np.int64)
        if not len(shown) or shown.min() < 0 or shown.max() >= len(frames):
            raise ValueError(f"{path}: {name} shows frames that are not among the {len(frames)} of its film")
        frames = frames[shown]
    return Movie(name, frames, _frame_times(path, group, name, len(frames)))


def _frame_times(path: Path, group: h5py.Group, name: str, n: int) -> Float[np.ndarray, " frame"] | None:
    """When each frame came on (s); none where the file does not say how fast the frames follow each other."""
    if isinstance(group.get("timestamps"), h5py.Dataset) and n > 1:
        times = hdf5.read(path, group, "timestamps", ndim=(1,)).astype(float)
        if len(times) != n or not np.isfinite(times).all() or np.any(np.diff(times) <= 0):
            raise ValueError(f"{path}: {name}/timestamps: {len(times)} times for {n} frames; expected as many, rising")
        return times
    start = group.get("starting_time")
    rates = np.ravel(start.attrs.get("rate", [])) if isinstance(start, h5py.Dataset) else np.empty(0)
    if len(rates) != 1 or n < 2:
        return None
    first, rate = float(np.ravel(hdf5.read(path, group, "starting_time"))[0]), float(rates[0])
    if not (np.isfinite(first) and 0 < rate < np.inf):
        raise ValueError(f"{path}: {name} starts at {first:g} s with {rate:g} frames per second; expected numbers above 0")
    return first + np.arange(n) / rate
