"""The classifier that thins the proposals of a round: all rules simulated so far in, weights of a small committee out."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.fsbi import classifier
from respike.fsbi.params import OUTCOMES, THETA
from respike.fsbi.targets import Target, aims, group, meets, plausible

FALSE_NEGATIVES = 0.01  # of the restricted prior: rules that finish but are refused


def run(
    *,
    tables: list[Path],
    out: Path,
    rule: str,
    round: int,
    metrics: list[str],
    targets: dict[str, Target],
    thin: str,
    sees: str,
    seed: int,
) -> None:
    """Learn which rules are good: `finite` = the simulation finished, `aim` = the round's metrics in their target boxes,
    `plausible` = every condition met, `none` = nothing is learned and every proposal kept.

    The classifier `sees` theta or its mean-field coefficients.
    """
    table = pd.concat([files.read_table(path) for path in tables], ignore_index=True)
    conditions = plausible(targets, group("plausible", rule)) if thin == "plausible" else {}
    good = label(table, thin, aims(targets, metrics) if thin == "aim" else {}, conditions)
    start = seeds.of(seed, "fsbi", "classify", rule, round) % 2**31
    lose = FALSE_NEGATIVES if thin == "finite" else 0.0
    theta = table[list(THETA[rule][:-1])].to_numpy(float)
    classifier.write(out, classifier.train(theta, good, start, lose, sees))


def label(table: pd.DataFrame, thin: str, aim: dict, conditions: dict) -> np.ndarray:
    """Which rows of `table` count as good."""
    if thin == "finite":
        return (table["outcome"] == OUTCOMES[0]).to_numpy()
    if thin == "none":
        return np.ones(len(table), dtype=bool)
    return meets(table, aim if thin == "aim" else conditions)
