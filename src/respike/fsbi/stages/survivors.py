"""The rules of the longevity test: those that met the conditions in the short simulations, with new random seeds."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from respike.core import files, seeds
from respike.fsbi import rules
from respike.fsbi.inference.targets import Target, group, meets, plausible
from respike.fsbi.params import THETA


@dataclass(frozen=True)
class Survival:
    """Who is simulated again."""

    condition: str  # a group of conditions: activity, weights, irregular, plausible
    targets: dict[str, Target]


def run(*, tables: list[Path], out: Path, family: str, first: int, last: int, settings: Survival, seed: int) -> None:
    """Of the rules that meet the conditions, those numbered `first` to `last`; the latest is number 0.

    The table is empty when fewer survive. ValueError for a condition that rules out nothing.
    """
    table, asked = rules.read(tables), group(settings.condition, family)
    if not (conditions := plausible(settings.targets, asked)):
        expected = f"expected `plausible` bounds in fsbi.targets of one at least of {', '.join(asked)}"
        raise ValueError(f"config: fsbi.longevity.condition = {settings.condition!r}, of which every rule is: {expected}")
    alive = table[meets(table, conditions)]
    alive = alive.iloc[::-1].iloc[first : last + 1]
    numbers = zip(alive["round"], alive["index"], strict=True)
    fresh = [seeds.of(seed, "fsbi", "longevity", round, index) for round, index in numbers]
    files.write_table(out, alive.assign(seed=pd.Series(fresh, alive.index, dtype="int64"))[[*rules.IDENTITY, *THETA[family]]])
