"""Remove whiskers and play the test samples: one row per set of removed whiskers."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from respike.barrel import encoding, fitted, learning, params, samples
from respike.core import files, seeds


def run(*, fit: Path, inputs: Path, coding: params.Encoding, draws: int, seed: int, out: Path) -> None:
    """Accuracy without any removal, without each whisker, without drawn sets of 2 to 8, and without all 31."""
    trained = fitted.read(fit)
    network = trained.network("trained")
    given, is_test = samples.read(inputs, "spiking", coding)
    test = given.part(is_test)
    rows = []
    for draw, removed in enumerate(encoding.removals(draws, seeds.generator(seed, "barrel", "deprivation"))):
        without = replace(test, values=encoding.deprived(test.values, removed))
        accuracy = learning.accuracy(network, without, trained.seed, round_=draw)
        rows.append({"k": len(removed), "whiskers": " ".join(map(str, removed)), "accuracy": accuracy, "n": len(test)})
    files.write_table(out, pd.DataFrame(rows).assign(replicate=trained.replicate, dataset=given.dataset))
