"""The rule that is shown in detail: of all rules of all rounds, the one that meets the most conditions."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.fsbi import rules
from respike.fsbi.inference.targets import Target, group, meets, plausible
from respike.fsbi.params import THETA


def run(*, tables: list[Path], out: Path, family: str, targets: dict[str, Target], seed: int) -> None:
    """A table of one rule, with a random seed of its own; of equals, the first."""
    table = rules.read(tables)
    conditions = plausible(targets, group("plausible", family))
    met = np.sum([meets(table, {name: bounds}) for name, bounds in conditions.items()], axis=0)
    best = table.iloc[[int(np.argmax(met))]]
    number = seeds.of(seed, "fsbi", "example", int(best["round"].iloc[0]), int(best["index"].iloc[0]))
    files.write_table(out, best[[*rules.IDENTITY, *THETA[family]]].assign(seed=number))
