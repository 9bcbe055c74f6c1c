"""Repeated stratified cross-validation of the network: one row per epoch, fold and repeat."""

from pathlib import Path

import pandas as pd

from respike.barrel import learning, params
from respike.core import files


def run(*, inputs: Path, form: str, out: Path, settings: params.Fit, folds: params.Folds, seed: int, device: str) -> None:
    """Train a network for each fold; the other folds give its training and validation samples."""
    samples, _ = learning.load(inputs, form, settings.encoding)
    tables = []
    for repeat, fold, is_test in learning.folds(samples, folds, seed):
        state = out.with_name(f"{out.stem}_repeat{repeat}_fold{fold}.pt")
        about = {"form": form, "repeat": repeat, "fold": fold, "n_test": int(is_test.sum())}
        tables.append(learning.fit_table(state, samples, is_test, settings, seed, device, **about))
    files.write_table(out, pd.concat(tables, ignore_index=True))
