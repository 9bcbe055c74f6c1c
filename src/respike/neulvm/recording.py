"""Recordings that users bring: the published file format, a session in NWB, or plain spike times.

The published format is a pickle (or npz) of NumPy arrays, which is read without ever running what a pickle may hold:

sampled_spikes  (population, time, cell) bool; or a list with an array (time, cell) for each population
I_ext           (time, population) float   external drive, potential/s; none when it is missing
A_t_pop         (time, population) float   population rates in Hz; truth, for evaluation; may be missing
"""

import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files
from respike.formats import arrays, nwb, pickles, spike_times
from respike.formats.choice import Choice
from respike.formats.session import Session, as_text
from respike.neulvm.params import Data, Window

KEY = "neulvm.data"
SLACK = 5.0  # mean intervals between spikes, of all cells together, for which a session may be silent at its end (1 in 150)


class Recording(NamedTuple):
    """Spikes in fine time steps, the drive, and the truth where it is known."""

    rates: Float[np.ndarray, "step population"] | None
    spikes: Sequence[Bool[np.ndarray, "step cell"]]  # of each population
    drive: Float[np.ndarray, "step population"]
    units: Sequence[Sequence[int]] | None = None  # numbers in the file of each population's cells; none: as they come


def read(path: Path, sizes: Sequence[int], data: Data | None = None, window: Window | None = None) -> Recording:
    """Content of the file `path`, checked against the sizes of the populations.

    Of a session, the time that `window` needs. Raises ValueError that names file, field, what was found and was expected.
    """
    data, window = data or Data(), window or Window()
    if path.suffix == ".nwb":
        return _of_session(nwb.read(path, Choice(units=data.units), KEY, trials=False, movie=False), len(sizes), data, window)
    if path.suffix == ".npz":
        content: Mapping[str, Any] = arrays.read_npz(path)
        if "times" in content:
            session = spike_times.read(path, Choice(units=data.units), KEY, trials=False, movie=False)
            return _of_session(session, len(sizes), data, window)
        return _published(path, content, len(sizes))
    return _published(path, pickles.read(path, f"{KEY}.recording"), len(sizes))


def _published(path: Path, content: Mapping[str, Any], m: int) -> Recording:
    if "sampled_spikes" not in content:
        raise ValueError(f"{path} has no ['sampled_spikes']; it has {sorted(content)}; the page of neulvm lists what it needs")
    spikes = _spikes(path, content["sampled_spikes"], m)
    n_steps = len(spikes[0])
    rates = _array(path, content, "A_t_pop", m) if "A_t_pop" in content else None
    if "I_ext" not in content:
        logging.getLogger(__name__).warning("%s has no I_ext: the populations are taken to have no external drive", path)
    drive = _array(path, content, "I_ext", m) if "I_ext" in content else np.zeros((n_steps, m))
    for name, array in (("A_t_pop", rates), ("I_ext", drive)):
        if array is not None and len(array) != n_steps:
            raise ValueError(f"{path}: {name} has {len(array)} time steps, sampled_spikes has {n_steps}; they must be equal")
    if rates is not None and (rates < 0).any():
        raise ValueError(f"{path}: A_t_pop holds {rates.min():g}; rates in Hz cannot be negative")
    return Recording(rates, spikes, drive)


def _spikes(path: Path, given: Any, m: int) -> list[Bool[np.ndarray, "step cell"]]:
    """Spikes of each population; ValueError when they are no rasters of equal duration."""
    uneven = isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.dtype == object)
    try:
        parts = [np.asarray(part) for part in (given if uneven else np.asarray(given))]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: sampled_spikes is a {type(given).__name__}; expected an array for each population"
        ) from error
    shape = tuple(part.shape for part in parts) if uneven else np.shape(given)
    if any(part.dtype.kind not in "biuf" for part in parts):
        raise ValueError(f"{path}: sampled_spikes holds {parts[0].dtype} values, expected numbers")
    if len(parts) != m or any(part.ndim != 2 or len(part) != len(parts[0]) or 0 in part.shape for part in parts):
        raise ValueError(
            f"{path}: sampled_spikes has shape {shape}, expected (population, time, cell) with {m} populations, "
            "as many as neulvm.circuit.sizes in config.yaml has"
        )
    if not all(np.isin(part, (0, 1)).all() for part in parts):
        raise ValueError(f"{path}: sampled_spikes holds values other than 0 and 1; expected bool")
    return [part.astype(bool) for part in parts]


def _array(path: Path, content: Mapping[str, Any], name: str, m: int) -> Float[np.ndarray, "step population"]:
    array = np.asarray(content[name])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name} holds {array.dtype} values, expected numbers")
    if array.ndim != 2 or array.shape[1] != m:
        raise ValueError(
            f"{path}: {name} has shape {array.shape}, expected (time, population) with {m} populations, "
            "as many as neulvm.circuit.sizes in config.yaml has"
        )
    bad = np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else []
    if len(bad):
        raise ValueError(
            f"{path}: {name}{bad[0].tolist()} is {array[tuple(bad[0])]}, expected finite numbers ({len(bad)} are not)"
        )
    return array


def _of_session(session: Session, m: int, data: Data, window: Window) -> Recording:
    """The seconds of a session that `window` needs, from `data.start` on, without a drive."""
    seconds, pooled = window.end + window.held_out, np.sort(np.concatenate(session.times))
    slack = SLACK * (pooled[-1] - pooled[0]) / len(pooled)
    last = max([pooled[-1] + slack, *(part[:, 1].max() for part in session.observed or [] if len(part))])
    if last < data.start + seconds:
        raise ValueError(
            f"{session.path}: {session.span()}; neulvm.window needs {seconds:g} s (end and held_out) from {KEY}.start, "
            f"{data.start:g} s, up to {data.start + seconds:g} s (or obs_intervals); make the window shorter or begin earlier"
        )
    n_steps, spikes, chosen = round(seconds / window.fine), [], populations(session, m, data)
    for units in chosen:
        raster = np.zeros((n_steps, len(units)), dtype=bool)
        for cell, unit in enumerate(units):
            steps = np.floor((session.times[unit] - data.start) / window.fine * (1 + 1e-12))
            raster[steps[(steps >= 0) & (steps < n_steps)].astype(np.int64), cell] = True
        spikes.append(raster)
    return Recording(None, spikes, np.zeros((n_steps, m)), chosen)


def populations(session: Session, m: int, data: Data) -> list[list[int]]:
    """Units of each of the `m` populations: those that `data` lists, or those with its value in a column.

    ValueError that lists the choices when the file does not say which units are which.
    """
    n, path = len(session.times), session.path
    if data.groups:
        listed = [unit for group in data.groups for unit in group]
        if len(data.groups) != m or not all(data.groups) or len(set(listed)) < len(listed) or not set(listed) <= set(range(n)):
            raise ValueError(
                f"{path}: {KEY}.populations = {[list(group) for group in data.groups]}; expected {m} lists (as many as "
                f"neulvm.circuit.sizes has) of units, each unit once, counted from 0 to {n - 1}"
            )
        return [list(group) for group in data.groups]
    column = data.column or ("populations" if "populations" in session.columns else "")
    values = {name: [as_text(value) for value in column] for name, column in session.columns.items() if name != "id"}
    if m == 1 and not column:
        return [list(range(n))]
    names = list(data.order) or sorted(set(values.get(column, [])))
    if len(names) != m or not set(names) <= set(values.get(column, [])):
        there = ", ".join(sorted(set(values[column]))) if column in values else "not there"
        state = f"column {column!r}: {there}" if column else "no column is named"
        choices = "; ".join(f"{name}: {', '.join(sorted(set(texts))[:6])}" for name, texts in values.items()) or "none"
        raise ValueError(
            f"{path}: which units belong to which of the {m} populations (neulvm.circuit.sizes)? {state}; expected "
            f"{KEY}.populations to be a column with {m} values or {m} lists of units, and {KEY}.order to be the values in the "
            f"order of the sizes; columns: {choices}"
        )
    return [[unit for unit, value in enumerate(values[column]) if value == name] for name in names]


def write(path: Path, recording: Recording, dt: float, probabilities: np.ndarray) -> None:
    """Pickle of the same dict as the published files."""
    content = {"A_t_pop": recording.rates, "sampled_spikes": recording.spikes, "I_ext": recording.drive}
    content |= {"ts_P": np.arange(len(recording.drive)) * dt, "sampled_spikeprobs": probabilities}
    with files.whole(path) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))
