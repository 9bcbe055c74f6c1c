"""The structured array in which the authors released their rules: read, checked, written. Never unpickled."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files
from respike.formats import arrays
from respike.fsbi.params import FINISHED, THETA, metrics_of

POINTER = b"version https://git-lfs"  # how a file begins that was not fetched


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
    with files.checked(path).open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ValueError(f"{path}: is a Git LFS pointer, expected the released array itself; run `git lfs pull`")
    records = arrays.read_npy(path)
    if difference := _difference(records.dtype, family):
        raise ValueError(f"{path}: {difference}; is it a file of the {family} family, listed under fsbi.{family}.released?")
    if records.size != max(records.shape, default=0):
        raise ValueError(f"{path}: has shape {records.shape}; expected one record for each rule, (n,)")
    records = records.ravel()
    bad = np.argwhere(~np.isfinite(records["theta"]))
    if len(bad):
        rule, place = bad[0].tolist()
        raise ValueError(
            f"{path}: row {rule}, theta[{place}] ({THETA[family][place]}) is {records['theta'][rule, place]}; "
            f"expected finite numbers ({len(bad)} are not); leave the rules out, or get the file again"
        )
    if len(np.unique(records["seed"])) < max(1, len(records)):
        raise ValueError(f"{path}: {len(records)} rules of {len(np.unique(records['seed']))} names, expected rules, each once")
    theta = pd.DataFrame(records["theta"], columns=list(THETA[family]))
    return theta.assign(**{name: records[name] for name in metrics_of(family)}, name=records["seed"])


def _difference(kind: np.dtype, family: str) -> str:
    """How `kind` differs from the released format, in words; neither the order of fields nor the length of names counts."""
    expected = dtype(family)
    if kind.names is None:
        return f"an array of {kind}, expected records with the fields {', '.join(expected.names)}"
    missing = [name for name in expected.names if name not in kind.names]
    unknown = [name for name in kind.names if name not in expected.names]
    parts = [f"{what} fields {names}" for what, names in (("missing", missing), ("unknown", unknown)) if names]
    for name in expected.names:
        is_name = name == "seed" and name in kind.names and kind[name].kind in "US"
        if name in kind.names and kind[name] != expected[name] and not is_name:
            parts.append(f"field {name} is {kind[name]}, expected {expected[name]}")
    return ", ".join(parts)


def read_round(path: Path, family: str, round: int) -> pd.DataFrame:
    """The same with the other columns of our tables. Not published: random seeds (-1), stop times (nan), and what ended a
    rule without metrics, which counts as blown up.
    """
    table = read(path, family)
    identity = pd.DataFrame({"index": np.arange(len(table)), "round": round, "seed": -1})
    outcome = np.where(table[list(metrics_of(family))].isna().all(axis=1), "blow_up", FINISHED)
    return pd.concat([identity, table.assign(outcome=outcome, stop_time=np.nan)], axis=1)


def write(path: Path, rules: pd.DataFrame, family: str) -> None:
    """npy file of a table of rules with metrics, in the released format.

    A rule without a `name` is named by the md5 of its numbers as text. That identifies the rule; it is no random seed.
    """
    array = np.zeros(len(rules), dtype(family))
    array["theta"] = rules[list(THETA[family])].to_numpy(float)
    texts = (" ".join(map(repr, theta.tolist())) for theta in array["theta"])
    array["seed"] = rules.get("name", [hashlib.md5(text.encode()).hexdigest() for text in texts])
    for name in metrics_of(family):
        array[name] = rules[name].to_numpy(float)
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
