"""All rules of a round in one table: simulated, from the surrogate, or released by the authors."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import files
from respike.fsbi import released
from respike.fsbi.params import OUTCOMES, THETA
from respike.fsbi.rules import PLACE, read
from respike.fsbi.targets import metrics_of


def run(*, rules: list[Path], chunks: list[Path], out: Path, records: Path, rule: str, round: int, dataset: str) -> None:
    """Parquet table of the round, and the same in the released format.

    `rules` are the proposals (with the metric values they were drawn for) and `chunks` what came of them, cut in their own
    way; for the released data `rules` is empty and `chunks` is the one file of the authors.
    """
    table = from_released(chunks[0], rule, round) if not rules else joined(rules, chunks, rule)
    table["dataset"] = dataset
    names = table["name"] if "name" in table else [name_of(theta) for theta in table[list(THETA[rule])].to_numpy(float)]
    files.write_table(out, table)
    released.write(records, released.records(table, rule, list(names)))


def joined(rules: list[Path], chunks: list[Path], rule: str) -> pd.DataFrame:
    """Proposals and results side by side, in the order of rounds and numbers; proposals beyond the last result are left out.

    ValueError when the chunks hold other rules than the first of those proposed, or one of them twice.
    """
    results = [*metrics_of(rule), "outcome", "stop_time"]  # not cpu_s: the same run gives the same bytes
    found = read(chunks, (*PLACE, *results))[[*PLACE, *results]]
    proposed = read(rules, (*PLACE, *THETA[rule])).head(len(found))
    table = proposed.merge(found, on=PLACE)
    if len(table) < len(found) or found.duplicated(PLACE).any():
        known = pd.MultiIndex.from_frame(proposed[PLACE])
        strange = [path for path in chunks if not pd.MultiIndex.from_frame(read([path], PLACE)[PLACE]).isin(known).all()]
        names, files_of_rules = (", ".join(map(str, paths)) for paths in (strange or chunks, rules))
        raise ValueError(f"{names} does not hold the rules of {files_of_rules}; delete it and run the workflow again")
    return table.sort_values(["round", "index"], ignore_index=True)


def from_released(path: Path, rule: str, round: int) -> pd.DataFrame:
    """A released file with our columns; its random seeds were not published (-1), a blown-up rule has nan metrics."""
    table = released.read(path, rule)
    stopped = table[list(metrics_of(rule))].isna().all(axis=1)
    table.insert(0, "index", np.arange(len(table)))
    table.insert(1, "round", round)
    table.insert(2, "seed", -1)
    return table.assign(outcome=np.where(stopped, "blow_up", OUTCOMES[0]), stop_time=np.where(stopped, np.nan, -1.0))


def name_of(theta: Float[np.ndarray, " parameter"]) -> str:
    """Name of a rule: md5 of its numbers as text. It identifies the rule; it is no random seed."""
    return hashlib.md5(" ".join(map(repr, theta.tolist())).encode()).hexdigest()
