"""Plain spike times in one .npz file, for whoever has no NWB file.

times        (spike,) seconds on the clock of the session, in any order
cells        (spike,) number of the cell of each spike, from 0
n_cells      number of cells, where the first or the last ones are silent; else it may be left out
onsets       (trial,) seconds at which the trials start; for studies with trials
movie        (row, column, frame) grey values 0 to 1, or 0 to 255; for studies with a movie, shown from each onset
frame_rate   frames per second of it; left out, a frame lasts one bin of the study
populations  (cell,) name or number of each cell's population; for studies with populations
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Num

from respike.formats import arrays
from respike.formats.choice import Choice
from respike.formats.movies import Movie
from respike.formats.session import Session, rising


def write(
    path: str | Path,
    times: Sequence[Float[np.ndarray, " spike"]],
    onsets: Float[np.ndarray, " trial"] | None = None,
    movie: Num[np.ndarray, "row column frame"] | None = None,
    frame_rate: float | None = None,
    populations: Sequence[str] | Sequence[int] | None = None,
) -> None:
    """Write spike times (s), one array for each cell, and what else is given, so that v1 and neulvm read it.

    Columns of a table do as well as lists. ValueError that names file and argument for what could not be read again.
    """
    trains = [np.asarray(own, dtype=float) for own in times]
    if wrong := [(cell, own.shape) for cell, own in enumerate(trains) if own.ndim != 1]:
        cell, shape = wrong[0]
        raise ValueError(f"{path}: times of cell {cell} have shape {shape}; expected an array of seconds for each cell")
    cells, flat = np.repeat(np.arange(len(trains)), [len(own) for own in trains]), np.concatenate([*trains, np.empty(0)])
    given = {"onsets": onsets, "populations": populations}  # a column of texts is one of objects, which nobody reads
    more = {name: np.asarray(list(value)) for name, value in given.items() if value is not None}
    more |= {name: np.asarray(value) for name, value in (("movie", movie), ("frame_rate", frame_rate)) if value is not None}
    for name, array in more.items():
        if array.dtype.kind not in "biufUS":
            raise ValueError(f"{path}: {name} are {array.dtype} values, {array.ravel()[:3]} ...; expected numbers or names")
    arrays.write_npz(path, {"times": flat, "cells": cells, "n_cells": np.asarray(len(trains)), **more})


def read(path: Path, choice: Choice, key: str, trials: bool = True, movie: bool = True) -> Session:
    """The session in `path`; `key` is the config key of `choice`, for messages. ValueError that names file and array."""
    found = arrays.read_npz(path, ("times", "cells", *(("onsets",) if trials else ())))
    for name, value, remedy in (
        ("trials", choice.trials, "write the onsets of the trials that are meant"),
        ("only", choice.only, "write the onsets of the trials that are meant"),
        ("movie", choice.movie.removeprefix("movie"), "its array is called movie"),
    ):
        if value:
            raise ValueError(f"{path}: {key}.{name} = {getattr(choice, name)!r}: plain spike times hold no choice; {remedy}")
    flat, cells = (_vector(path, found, name) for name in ("times", "cells"))
    n = int(_number(path, found, "n_cells", cells.max() + 1 if len(cells) else 0))
    if len(cells) != len(flat) or cells.dtype.kind not in "iu" or (len(cells) and not 0 <= cells.min() <= cells.max() < n):
        span = f"from {cells.min()} to {cells.max()}" if len(cells) else "none"
        raise ValueError(
            f"{path}: cells are {len(cells)} {cells.dtype} numbers {span}; expected {len(flat)} whole numbers, one for "
            f"each of times, from 0 to {n - 1} (n_cells)"
        )
    if "n_cells" not in found and len(cells) and cells.min() > 0:
        raise ValueError(
            f"{path}: cells are numbered from {cells.min()} to {cells.max()}, none is 0; expected cells counted from 0: "
            f"subtract {cells.min()}, or add n_cells = {n} if the cells before are silent"
        )
    if n > 1_000_000:
        raise ValueError(f"{path}: n_cells = {n}; expected the number of recorded cells")
    order = np.argsort(cells, kind="stable")
    own = np.split(flat[order], np.cumsum(np.bincount(cells, minlength=n))[:-1]) if n else []
    columns = {}
    if "populations" in found:
        if found["populations"].shape != (n,) or found["populations"].dtype.kind not in "iuUSb":
            state = f"{found['populations'].dtype} of shape {found['populations'].shape}"
            raise ValueError(f"{path}: populations is {state}; expected a name or whole number for each of {n} cells")
        names = found["populations"]
        columns["populations"] = np.char.decode(names, "utf-8", "replace") if names.dtype.kind == "S" else names
    starts = _onsets(path, found) if trials else np.empty(0)
    stops = np.full(len(starts), np.inf)
    session = Session(path, rising(path, own), np.arange(n), columns, starts, stops, "onsets", key=key)
    session = session.chosen(choice.units, f"{key}.units")
    return Session(**{**session.__dict__, "movie": _movie(path, found, key)}) if movie else session


def _vector(path: Path, found: dict[str, np.ndarray], name: str) -> np.ndarray:
    if found[name].ndim != 1 or found[name].dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: {name} is {found[name].dtype} of shape {found[name].shape}; expected one number for each spike"
        )
    return found[name]


def _number(path: Path, found: dict[str, np.ndarray], name: str, otherwise: float) -> float:
    value = found.get(name, np.asarray(otherwise))
    if value.size != 1 or value.dtype.kind not in "fiu" or not (np.isfinite(value).all() and value.ravel()[0] >= 0):
        raise ValueError(f"{path}: {name} is {value.dtype} of shape {value.shape}; expected one number, not below 0")
    return value.ravel()[0].item()


def _onsets(path: Path, found: dict[str, np.ndarray]) -> np.ndarray:
    onsets = found["onsets"]
    if onsets.ndim != 1 or onsets.dtype.kind not in "fiu" or not len(onsets) or not np.isfinite(onsets).all():
        raise ValueError(f"{path}: onsets is {onsets.dtype} of shape {onsets.shape}; expected seconds, one for each trial")
    return onsets.astype(float)


def _movie(path: Path, found: dict[str, np.ndarray], key: str) -> Movie:
    frames, rate = found.get("movie"), _number(path, found, "frame_rate", 0)
    if frames is None or frames.ndim != 3:
        state = "no array movie" if frames is None else f"movie has shape {frames.shape}"
        raise ValueError(f"{path}: {state}; expected row x column x frame, or a .npy file of it that {key}.movie names")
    moments = np.arange(frames.shape[2]) / rate if rate else None
    return Movie("movie", frames.transpose(2, 0, 1), moments if frames.shape[2] > 1 else None)
