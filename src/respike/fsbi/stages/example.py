"""The rule that is shown in detail: of all rules of the last rounds, the one that meets the most conditions."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.fsbi.params import THETA
from respike.fsbi.targets import Target, group, meets, plausible


def run(*, tables: list[Path], out: Path, rule: str, targets: dict[str, Target], seed: int) -> None:
    """A table of one rule, with a random seed of its own; of equals, the first."""
    table = pd.concat([files.read_table(path) for path in tables], ignore_index=True)
    conditions = plausible(targets, group("plausible", rule))
    met = np.sum([meets(table, {name: bounds}) for name, bounds in conditions.items()], axis=0)
    best = table.iloc[[int(np.argmax(met))]]
    number = seeds.of(seed, "fsbi", "example", int(best["round"].iloc[0]), int(best["index"].iloc[0]))
    files.write_table(out, best[["index", "round", "seed", *THETA[rule]]].assign(seed=number))
