"""One member of the ensemble of posterior estimators: rules that survived the filter in, trained flow out."""

from pathlib import Path

from respike.core import files, seeds
from respike.fsbi import fitted
from respike.fsbi.inference import flow
from respike.fsbi.params import THETA

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
    start = seeds.of(seed, "fsbi", "fit", family, round, member) % 2**32
    fitted.write(out, flow.train(table, family, metrics, settings, start, device))
