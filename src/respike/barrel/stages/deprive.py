"""Remove whiskers and play the test samples: one row per set of removed whiskers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.barrel import encoding, learning, params
from respike.core import files, seeds


def run(*, fit: Path, inputs: Path, out: Path, coding: params.Encoding, settings: params.Deprivation, seed: int) -> None:
    """Accuracy without any removal, without each whisker, without drawn sets of 2 to 8, and without all 31."""
    stored = learning.read(fit)
    network = learning.restore(stored, "trained")
    samples, is_test = learning.load(inputs, "spiking", coding)
    test = samples.part(is_test)
    rows = []
    for draw, removed in enumerate(removals(settings.draws, seeds.generator(seed, "barrel", "deprivation"))):
        without = replace(test, values=encoding.deprived(test.values, removed))
        value = learning.accuracy(network, without, stored["seed"], round_=draw)
        rows.append({"k": len(removed), "whiskers": " ".join(map(str, removed)), "accuracy": value, "n": len(test)})
    files.write_table(out, pd.DataFrame(rows).assign(seed=stored["seed"], dataset=samples.dataset))


def removals(draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Sets of whiskers to remove, from none to all; 2 to 8 are drawn `draws` times without replacement from all 31."""
    single = [np.array([k]) for k in range(params.WHISKERS)]
    several = [
        np.sort(rng.choice(params.WHISKERS, k, replace=False)) for k in range(2, params.MOST_REMOVED + 1) for _ in range(draws)
    ]
    return [np.array([], dtype=int), *single, *several, np.arange(params.WHISKERS)]
