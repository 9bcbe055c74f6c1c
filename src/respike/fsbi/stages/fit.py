"""One member of the ensemble of posterior estimators: rules that survived the filter in, trained flow out."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.fsbi import fitted
from respike.fsbi.inference import flow
from respike.fsbi.params import THETA, boxes
from respike.fsbi.rules import parameters

FEWEST = 10  # rules; with fewer, a flow cannot even be stopped in time


def run(
    *,
    training: Path,
    out: Path,
    family: str,
    round: int,
    member: int,
    metrics: list[str],
    settings: flow.FlowSettings,
    device: str,
    seed: int,
) -> None:
    """Train member number `member` of the estimator that proposes the rules of `round`."""
    table = files.read_table(training, (*THETA[family][:-1], *metrics))
    if len(table) < FEWEST:
        raise ValueError(
            f"{training}: {len(table)} rules survived the filter, expected at least {FEWEST}; "
            f"widen fsbi.{family}.schedule[{round}].filter or simulate more rules (fsbi.{family}.schedule[..].rules)"
        )
    if settings.bounded:
        check_inside(training, table, family)
    start = seeds.of(seed, "fsbi", "fit", family, round, member) % 2**32
    fitted.write(out, flow.train(table, family, metrics, settings, start, device))


def check_inside(training: Path, table: pd.DataFrame, family: str) -> None:
    """ValueError for a rule that is not inside the prior box, where it has no logit."""
    theta, (low, high) = parameters(table, family), np.array(boxes(family)).T
    beyond = np.argwhere((theta <= low) | (theta >= high))
    if len(beyond):
        row, place = beyond[0]
        raise ValueError(
            f"{training}: row {row}, {THETA[family][place]} is {theta[row, place]:g}, expected more than {low[place]:g} and "
            f"less than {high[place]:g}, the prior box ({len(beyond)} values are not); set fsbi.{family}.fit.bounded: false"
        )
