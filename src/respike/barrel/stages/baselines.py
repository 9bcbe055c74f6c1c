"""Accuracy of other classifiers on the input of the networks: one row per classifier and division of the samples."""

from itertools import product
from pathlib import Path

import pandas as pd

from respike.barrel import classifiers, learning, params, samples
from respike.core import files, seeds


def run(*, inputs: Path, form: params.Form, coding: params.Encoding, repeats: int, folds: int, seed: int, out: Path) -> None:
    """Test accuracy on the test samples of the data (repeat -1) and on every fold."""
    given, is_test = samples.read(inputs, form, coding)
    features = classifiers.binned(given.inputs(learning.replicate_seed(seed, 0)))  # the spikes that the first network gets
    splits = [(-1, 0, is_test)]
    for repeat, number in product(range(repeats), range(folds)):
        splits.append((repeat, number, samples.in_fold(given.label, params.Fold(repeat, number, folds), seed)))
    rows = [
        {"classifier": name, "repeat": repeat, "fold": number, "n_test": int(test.sum()), "accuracy": accuracy}
        for repeat, number, test in splits
        for name, accuracy in classifiers.accuracies(
            features, given.label, test, seeds.of(seed, "barrel", "baselines", repeat + 1, number)
        )
    ]
    files.write_table(out, pd.DataFrame(rows).assign(form=form, seed=seed, dataset=given.dataset))
