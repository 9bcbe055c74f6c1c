"""The training set of a round: all rules simulated so far whose metrics are finite and inside the margins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from respike.core import files
from respike.fsbi import rules
from respike.fsbi.inference.targets import Interval, meets


@dataclass(frozen=True)
class Training:
    """Which rules an estimator is trained on."""

    metrics: tuple[str, ...]  # these are finite
    margins: dict[str, Interval]  # these are kept


def run(*, tables: list[Path], out: Path, family: str, round: int, settings: Training) -> None:
    """Those rules of `tables` that the estimator of `round` is trained on; ValueError when there are none."""
    metrics, margins = list(settings.metrics), settings.margins
    table = rules.read(tables, metrics)
    finite = np.isfinite(table[metrics].to_numpy(float)).all(1)
    survivors = table[finite & meets(table, margins)]
    if not len(survivors):
        each = ", ".join(f"{name} in {list(kept)}: {meets(table, {name: kept}).sum()}" for name, kept in margins.items())
        raise ValueError(
            f"{', '.join(map(str, tables))}: none of {len(table)} rules survives the filter of round {round} "
            f"({int(finite.sum())} finished; {each or 'no bounds'}); widen "
            f"fsbi.{family}.schedule[{round}].filter or simulate more rules (fsbi.{family}.schedule[..].rules)"
        )
    files.write_table(out, survivors)
