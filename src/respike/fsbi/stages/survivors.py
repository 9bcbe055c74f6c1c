"""The rules of the longevity test: those that met the conditions in the short simulations, with new random seeds."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from respike.core import files, seeds
from respike.fsbi.params import THETA
from respike.fsbi.targets import Target, group, meets, plausible


@dataclass(frozen=True)
class Survival:
    """Who is simulated again."""

    condition: str  # a group of conditions: activity, weights, irregular, plausible
    targets: dict[str, Target]


def run(*, tables: list[Path], out: Path, rule: str, first: int, count: int, settings: Survival, seed: int) -> None:
    """Of the rules that meet the conditions, those numbered `first` to `first + count - 1`; the latest is number 0.

    The table is empty when fewer survive.
    """
    table = pd.concat([files.read_table(path) for path in tables], ignore_index=True)
    alive = table[meets(table, plausible(settings.targets, group(settings.condition, rule)))]
    alive = alive.iloc[::-1].iloc[first : first + count]
    fresh = [
        seeds.of(seed, "fsbi", "longevity", row.round, row.index_)
        for row in alive.rename(columns={"index": "index_"}).itertuples()
    ]
    columns = ["index", "round", "seed", *THETA[rule]]
    files.write_table(out, alive.assign(seed=pd.Series(fresh, alive.index, dtype="int64"))[columns])
