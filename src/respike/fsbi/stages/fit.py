"""One member of the ensemble of posterior estimators: rules that survived the filter in, trained flow out."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.fsbi import flow
from respike.fsbi.params import THETA, boxes
from respike.fsbi.targets import scaled

FEWEST = 10  # rules; with fewer, a flow cannot even be stopped in time


def run(
    *,
    training: Path,
    out: Path,
    rule: str,
    round: int,
    member: int,
    metrics: list[str],
    settings: flow.FlowSettings,
    device: str,
    seed: int,
) -> None:
    """Train member number `member` of the estimator that proposes the rules of `round`."""
    names = list(THETA[rule][:-1])
    table = files.read_table(training, (*names, *metrics))
    if len(table) < FEWEST:
        raise ValueError(
            f"{training}: {len(table)} rules survived the filter, expected at least {FEWEST}; "
            f"widen fsbi.{rule}.schedule[{round}].filter or simulate more rules (fsbi.{rule}.schedule[..].rules)"
        )
    condition = scaled(table, metrics, settings.log_metrics)
    start = seeds.of(seed, "fsbi", "fit", rule, round, member) % 2**32
    theta = table[names].to_numpy(float)
    box = np.array(boxes(rule)).T
    net, trainer = flow.train(theta, condition, box, settings, start, flow.device_of(device))
    flow.write(out, net, trainer, settings, tuple(metrics), box)
