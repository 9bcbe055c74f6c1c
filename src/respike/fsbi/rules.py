"""Tables of rules: what tells rules apart, how rules that stand in several files are read, checked and joined with results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import files
from respike.fsbi.params import DT, THETA, metrics_of

IDENTITY = ["index", "round", "seed"]  # what tells one rule of a family from all others


def parameters(table: pd.DataFrame, family: str) -> Float[np.ndarray, "rule parameter"]:
    """Theta of each row, without the input rate, which is a nuisance."""
    return table[list(THETA[family][:-1])].to_numpy(float)


@dataclass(frozen=True)
class Rows:
    """Which rows of several files, one after another: `count` of them, or all, from number `first` on."""

    first: int = 0
    count: int | None = None


ALL = Rows()


def read(paths: Sequence[Path], columns: Sequence[str] = (), rows: Rows = ALL) -> pd.DataFrame:
    """Rows of the files; fewer when the files end before. ValueError when one of `columns` is missing in a file."""
    tables = [files.read_table(path, columns) for path in paths]
    # without rows, a column has no type, and would take it from the others
    table = pd.concat([table for table in tables if len(table)] or tables[:1], ignore_index=True)
    return table.iloc[rows.first : None if rows.count is None else rows.first + rows.count].reset_index(drop=True)


def read_checked(paths: Sequence[Path], family: str, rows: Rows = ALL) -> list[dict]:
    """The same rows of one family as dicts; ValueError for a missing column or an entry that cannot be simulated."""
    checked = read(paths, [*IDENTITY, *THETA[family]], rows).to_dict("records")
    for rule in checked:
        check(family, rule, f"{', '.join(map(str, paths))}, rule {rule['index']} of round {rule['round']}")
    return checked


def check(family: str, theta: Mapping[str, float], where: str) -> None:
    """ValueError when a rule has an entry that is not finite, or a time constant or an input rate that cannot be."""
    for name in THETA[family]:
        value = float(theta[name])
        if not np.isfinite(value):
            raise ValueError(f"{where}: {name} = {value}, expected a finite number; correct the table of rules")
        if (name == "rate_in" or "_tau_" in name) and not 0 < value < 1 / DT:  # Hz: an input fires once in a step at most
            raise ValueError(
                f"{where}: {name} = {value}, expected a positive number below {1 / DT:g}; correct the table of rules"
            )


def joined(rules: Sequence[Path], chunks: Sequence[Path], family: str) -> pd.DataFrame:
    """Proposals and results side by side, in the order of rounds and numbers; proposals beyond the last result are left out.

    ValueError when the chunks hold other rules than the first of those proposed, or one of them twice.
    """
    measured = [*metrics_of(family), "outcome", "stop_time"]  # not cpu_s: the same run gives the same bytes
    results = read(chunks, (*IDENTITY, *measured))[[*IDENTITY, *measured]]
    proposed = read(rules, (*IDENTITY, *THETA[family])).head(len(results))
    table = proposed.merge(results, on=IDENTITY)
    if len(table) < len(results) or results.duplicated(IDENTITY).any():
        expected = pd.MultiIndex.from_frame(proposed[IDENTITY])
        other = [
            path for path in chunks if not pd.MultiIndex.from_frame(read([path], IDENTITY)[IDENTITY]).isin(expected).all()
        ]
        names, files_of_rules = (", ".join(map(str, paths)) for paths in (other or chunks, rules))
        raise ValueError(f"{names} does not hold the rules of {files_of_rules}; delete it and run the workflow again")
    return table.sort_values(["round", "index"], ignore_index=True)
