"""The structured array in which the authors released their rules: read, checked, written. Never unpickled."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib import format as npy

from respike.core import files
from respike.fsbi.params import FINISHED, THETA, metrics_of

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def dtype(family: str) -> np.dtype:
    """Record of one rule: its name (32 hex digits), theta with the input rate last, and the metrics.

    >>> dtype("poly").itemsize, dtype("mlp").itemsize
    (592, 560)
    """
    metrics = [(name, "<f8") for name in metrics_of(family)]
    return np.dtype([("seed", "<U64"), ("theta", "<f8", (len(THETA[family]),)), *metrics])


def read(path: Path, family: str) -> pd.DataFrame:
    """Table of a released file: theta columns, metrics, and `name`. The metrics of a blown-up rule are nan.

    Raises ValueError when the file holds pickled objects, is not an array of this format or belongs to the other family.
    """
    files.checked(path)
    with path.open("rb") as file:
        kind = _dtype_in(file, path)
    if kind.hasobject:
        raise ValueError(
            f"{path}: holds pickled Python objects, which could run any code; expected plain records {_fields(family)}"
        )
    if kind != dtype(family):
        raise ValueError(
            f"{path}: {_difference(kind, family)}; is it a file of the {family} family, listed under fsbi.{family}.released?"
        )
    try:
        records = np.load(path, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read ({error}); it is cut short, download it again") from error
    return table(records, family)


def read_round(path: Path, family: str, round: int) -> pd.DataFrame:
    """The same with the other columns of our tables; the random seeds were not published (-1)."""
    table = read(path, family)
    stopped = table[list(metrics_of(family))].isna().all(axis=1)
    table.insert(0, "index", np.arange(len(table)))
    table.insert(1, "round", round)
    table.insert(2, "seed", -1)
    return table.assign(outcome=np.where(stopped, "blow_up", FINISHED), stop_time=np.where(stopped, np.nan, -1.0))


def _dtype_in(file, path: Path) -> np.dtype:
    """The dtype that the header of an npy file names, without reading what follows."""
    try:
        return HEADERS[npy.read_magic(file)](file)[2]
    except (ValueError, SyntaxError, KeyError) as error:
        head = path.read_bytes()[:24]
        hint = "a Git LFS pointer, run `git lfs pull`" if head.startswith(b"version https://git-lfs") else "not an npy file"
        raise ValueError(f"{path}: {hint} (it begins with {head!r}); expected the released structured array") from error


def _fields(family: str) -> str:
    return f"seed, theta ({len(THETA[family])}), {', '.join(metrics_of(family))}"


def _difference(kind: np.dtype, family: str) -> str:
    """In which fields `kind` differs from the released format, in words."""
    if kind.names is None:
        return f"an array of {kind}, expected records with the fields {_fields(family)}"
    expected = dtype(family)
    missing = [name for name in expected.names if name not in kind.names]
    other = [name for name in kind.names if name not in expected.names]
    shared = [name for name in expected.names if name in kind.names]
    changed = [f"field {name} is {kind[name]}, expected {expected[name]}" for name in shared if kind[name] != expected[name]]
    parts = [f"missing fields {missing}" if missing else "", f"unknown fields {other}" if other else "", *changed]
    return (
        ", ".join(part for part in parts if part) or f"the fields stand in the order {kind.names}, expected {expected.names}"
    )


def table(records: np.ndarray, family: str) -> pd.DataFrame:
    """Table of released records."""
    theta = pd.DataFrame(records["theta"], columns=list(THETA[family]))
    metrics = pd.DataFrame({name: records[name] for name in metrics_of(family)})
    return pd.concat([theta, metrics, pd.DataFrame({"name": records["seed"]})], axis=1)


def records(rules: pd.DataFrame, family: str, names: Sequence[str]) -> np.ndarray:
    """Released records of a table of rules with metrics."""
    array = np.zeros(len(rules), dtype(family))
    array["seed"] = list(names)
    array["theta"] = rules[list(THETA[family])].to_numpy(float)
    for name in metrics_of(family):
        array[name] = rules[name].to_numpy(float)
    return array


def write(path: Path, array: np.ndarray) -> None:
    """npy file of released records."""
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
