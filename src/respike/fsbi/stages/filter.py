"""The training set of a round: all rules simulated so far whose metrics are finite and inside the margins."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files
from respike.fsbi.targets import Interval, counts, meets


def run(
    *, tables: list[Path], out: Path, rule: str, round: int, metrics: list[str], margins: dict[str, tuple[float, ...]]
) -> None:
    """Rules of `tables` that the estimator of `round` is trained on: `metrics` finite, and every bound of `margins` kept."""
    table = pd.concat([files.read_table(path, metrics) for path in tables], ignore_index=True)
    bounds = intervals(margins, f"fsbi.{rule}.schedule[{round}].filter")
    absent = set(bounds) - set(table.columns)
    if absent:
        raise ValueError(
            f"config: fsbi.{rule}.schedule[{round}].filter names {sorted(absent)}, which a {rule} rule does not have"
        )
    finite = np.isfinite(table[metrics].to_numpy(float)).all(1)
    survivors = table[finite & meets(table, bounds)]
    if not len(survivors):
        each = ", ".join(f"{name} in {list(bounds[name])}: {n}" for name, n in counts(table, bounds).items())
        raise ValueError(
            f"{', '.join(map(str, tables))}: none of {len(table)} rules survives the filter of round {round} "
            f"({int(finite.sum())} finished; {each or 'no bounds'}); widen fsbi.{rule}.schedule[{round}].filter "
            f"or simulate more rules (fsbi.{rule}.schedule[..].rules)"
        )
    files.write_table(out, survivors)


def intervals(margins: dict[str, tuple[float, ...]], key: str) -> dict[str, Interval]:
    """Bounds as pairs; ValueError for another number of values, naming the config key."""
    wrong = {name: bounds for name, bounds in margins.items() if len(bounds) != 2}
    if wrong:
        raise ValueError(f"config: {key} = {wrong}: expected two numbers [lower, upper] for each metric")
    return {name: (bounds[0], bounds[1]) for name, bounds in margins.items()}
