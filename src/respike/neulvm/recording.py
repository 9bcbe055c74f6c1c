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
from respike.formats.session import TICK, Session, as_text, listed
from respike.neulvm.params import Data, Window

KEY = "neulvm.data"
READERS = {".nwb": nwb.read, ".npz": spike_times.read}  # of sessions
SLACK = 5.0  # mean intervals between spikes, of all cells together, for which a session may be silent at either end (1 in 150)


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
    data, window, m = data or Data(), window or Window(), len(sizes)
    if path.suffix == ".npz" and "times" not in (content := arrays.read_npz(path)):
        return _published(path, content, m, window)
    if path.suffix in READERS:
        session = READERS[path.suffix](path, Choice(units=data.units), KEY, trials=False, movie=False)
        return _of_session(session, m, data, window)
    return _published(path, pickles.read(path, f"{KEY}.recording"), m, window)


def _published(path: Path, content: Mapping[str, Any], m: int, window: Window) -> Recording:
    if "sampled_spikes" not in content:
        raise ValueError(f"{path} has no ['sampled_spikes']; it has {sorted(content)}; the page of neulvm lists what it needs")
    spikes = _spikes(path, content["sampled_spikes"], m)
    shape = len(spikes[0]), m
    rates = _array(path, content, "A_t_pop", shape) if "A_t_pop" in content else None
    if "I_ext" not in content:
        logging.getLogger(__name__).warning("%s has no I_ext: the populations are taken to have no external drive", path)
    drive = _array(path, content, "I_ext", shape) if "I_ext" in content else np.zeros(shape)
    steps = np.diff(_array(path, content, "ts_P", shape[:1])) if "ts_P" in content else np.array([window.fine])
    step, gaps = np.median(steps), np.flatnonzero(np.abs(steps - np.median(steps)) > window.fine / 2)
    if len(gaps) or not np.isclose(step, window.fine, rtol=0.01):
        gap = f", and {len(gaps)} others, the first of {steps[gaps[0]]:g} s after step {gaps[0]}" if len(gaps) else ""
        raise ValueError(
            f"{path}: ts_P has steps of {step:g} s{gap}; expected neulvm.window.fine = {window.fine:g} s, without a gap"
        )
    if rates is not None and (rates < 0).any():
        raise ValueError(f"{path}: A_t_pop holds {rates.min():g}; rates in Hz cannot be negative")
    return Recording(rates, spikes, drive)


def _spikes(path: Path, given: Any, m: int) -> list[Bool[np.ndarray, "step cell"]]:
    """Spikes of each population; ValueError when they are no rasters of equal duration."""
    uneven = isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.dtype == object)
    try:
        parts = [np.asarray(part) for part in (given if uneven else np.asarray(given))]
    except (TypeError, ValueError) as error:
        said = f"sampled_spikes is a {type(given).__name__}; expected an array for each population"
        raise ValueError(f"{path}: {said}") from error
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


def _array(path: Path, content: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    array = np.asarray(content[name])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name} holds {array.dtype} values, expected numbers")
    if array.shape != shape:
        raise ValueError(
            f"{path}: {name} has shape {array.shape}, expected {shape}: (time, population), as many steps as sampled_spikes "
            "has and populations as neulvm.circuit.sizes in config.yaml"
        )
    bad = np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else []
    if len(bad):
        found = f"{name}{bad[0].tolist()} is {array[tuple(bad[0])]}"
        raise ValueError(f"{path}: {found}, expected finite numbers ({len(bad)} are not)")
    return array


def _of_session(session: Session, m: int, data: Data, window: Window) -> Recording:
    """The seconds of a session that `window` needs, from `data.start` on, without a drive; ValueError when they have gaps."""
    seconds = window.end + window.held_out
    pooled, chosen = np.sort(np.concatenate(session.times)), populations(session, m, data)
    end, slack = data.start + seconds, SLACK * (pooled[-1] - pooled[0]) / len(pooled)
    gap = session.of(np.concatenate(chosen)).gap(data.start, seconds, window.dt)
    if session.observed is None and (pooled[0] - slack > data.start or pooled[-1] + slack < end):
        gap = session.span()
    if gap:
        raise ValueError(
            f"{session.path}: {gap}; neulvm.window needs {seconds:g} s (end and held_out) from {KEY}.start, {data.start:g} s, "
            f"up to {end:g} s, of every unit in {KEY}.populations; make the window shorter, change {KEY}.start, or name others"
        )
    n_steps = round(seconds / window.fine)
    spikes = [np.zeros((n_steps, len(units)), dtype=bool) for units in chosen]
    for raster, units in zip(spikes, chosen, strict=True):
        for cell, unit in enumerate(units):
            steps = np.floor((session.times[unit] - data.start + TICK) / window.fine)
            raster[steps[(steps >= 0) & (steps < n_steps)].astype(np.int64), cell] = True
    return Recording(None, spikes, np.zeros((n_steps, m)), [session.numbers[own].tolist() for own in chosen])


def populations(session: Session, m: int, data: Data) -> list[list[int]]:
    """Units, counted as in `session`, of each of the `m` populations: those that `data` lists, or with its value in a column.

    ValueError that lists the choices when the file does not say which units are which.
    """
    place, path = {number: unit for unit, number in enumerate(session.numbers.tolist())}, session.path
    if data.groups:
        given = [number for group in data.groups for number in group]
        if len(data.groups) != m or not all(data.groups) or len(set(given)) < len(given) or not set(given) <= set(place):
            which = f" with {KEY}.units = {data.units}" if data.units else ""
            raise ValueError(
                f"{path}: {KEY}.populations = {[list(group) for group in data.groups]}; expected {m} lists (as many as "
                f"neulvm.circuit.sizes has) of units{which}, each once, by their numbers: {listed(session.numbers)}"
            )
        return [[place[number] for number in group] for group in data.groups]
    column = data.column or ("populations" if "populations" in session.columns else "")
    values = {name: [as_text(value) for value in column] for name, column in session.columns.items() if name != "id"}
    if m == 1 and not column:
        return [list(place.values())]
    names = list(data.order) or [as_text(value) for value in np.unique(session.columns.get(column, []))]
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
