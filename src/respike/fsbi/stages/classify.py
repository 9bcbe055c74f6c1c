"""What thins the proposals of a round: all rules simulated so far in, a classifier and a predictor out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from respike.core import seeds
from respike.fsbi import rules
from respike.fsbi.inference import classifier
from respike.fsbi.inference.targets import Target, group, plausible

FALSE_NEGATIVES = 0.01  # of the restricted prior: rules that finish but are refused


@dataclass(frozen=True)
class Labels:
    """Which rules are good."""

    thin: Literal["none", "finite", "aim", "plausible"]  # no classifier, finished, round's metrics in aim, all conditions met
    thin_by: str  # what the classifier sees of a rule: theta or mean_field, its coefficients
    metrics: tuple[str, ...]  # of the round
    targets: dict[str, Target]


def run(*, tables: list[Path], out: Path, predictor: Path, family: str, round: int, settings: Labels, seed: int) -> None:
    """Learn which rules of `tables` are good, and the metrics of those that finished, so that rules do what they are asked."""
    table = rules.read(tables)
    conditions = {name: settings.targets[name].aim for name in settings.metrics} if settings.thin == "aim" else {}
    if settings.thin == "plausible":
        conditions = plausible(settings.targets, group("plausible", family))
    good = classifier.labels(table, settings.thin, conditions)
    start = seeds.of(seed, "fsbi", "classify", family, round) % 2**31
    lose, theta = FALSE_NEGATIVES if settings.thin == "finite" else 0.0, rules.parameters(table, family)
    classifier.write(out, classifier.train(theta, good, start, lose, settings.thin_by))
    known = np.isfinite(table[list(settings.metrics)].to_numpy(float)).all(1)
    classifier.write(predictor, classifier.predictor(table[known], theta[known], settings.metrics, start, settings.thin_by))
