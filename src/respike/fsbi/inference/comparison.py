"""Ways to propose rules, compared at equal budget on the surrogate, where the best possible answer is known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from respike.core import seeds
from respike.fsbi import surrogate
from respike.fsbi.inference import classifier, flow
from respike.fsbi.inference.proposals import Proposal, propose
from respike.fsbi.inference.targets import Target, meets
from respike.fsbi.rules import parameters

FAMILY = "poly"


@dataclass(frozen=True)
class Comparison:
    """The budget, and the box that the rate should fall into."""

    rules: int  # prior draws to learn from
    proposals: int  # of each way
    rate: tuple[float, ...]  # Hz, the aim
    fit: flow.FlowSettings


def compare(settings: Comparison, root: int) -> pd.DataFrame:
    """Share of proposals whose rate falls into the aim, per way of proposing: columns method, acceptance, inside, n."""
    interval = (settings.rate[0], settings.rate[1])
    drawn = simulated(propose(FAMILY, 0, index, [], [], Proposal((), {}), root) for index in range(settings.rules))
    linear = ensemble(drawn, replace(settings.fit, log_metrics=False, members=1), root)
    log = ensemble(drawn, replace(settings.fit, log_metrics=True), root)
    good = meets(drawn, {"rate": interval})
    thinning = [classifier.train(parameters(drawn, FAMILY), good, seeds.of(root, "classify") % 2**31)]
    ways = {
        "prior": ([], []),
        "prior_thinned": ([], thinning),
        "npe_linear": (linear, []),
        "npe_log": (log[:1], []),
        "npe_log_ensemble": (log, []),
        "npe_log_ensemble_thinned": (log, thinning),
    }
    rows = [{"method": name, **acceptance(*way, settings, root)} for name, way in ways.items()]
    n = parameters(drawn, FAMILY).shape[1]
    exact = {
        "prior_exact": surrogate.prior_acceptance(n, interval),
        "posterior_exact": surrogate.posterior_acceptance(n, interval),
    }
    rows += [{"method": name, "acceptance": value, "inside": 1.0, "n": 0} for name, value in exact.items()]
    return pd.DataFrame(rows)


def simulated(rows: Iterator[dict]) -> pd.DataFrame:
    """Rules with the metrics of the surrogate."""
    table = pd.DataFrame(list(rows))
    return pd.concat([table, surrogate.metrics_of_rules(table, FAMILY)], axis=1)


def ensemble(rules: pd.DataFrame, settings: flow.FlowSettings, root: int) -> list[flow.Member]:
    """Flows trained on the rate of those `rules` that finished."""
    usable = rules[np.isfinite(rules["rate"])]
    starts = [seeds.of(root, "fit", number) % 2**32 for number in range(settings.members)]
    return [flow.train(usable, FAMILY, ["rate"], settings, start) for start in starts]


def acceptance(members: list, thinning: list, settings: Comparison, root: int) -> dict[str, float]:
    """Share of proposals inside the aim, and of the candidates inside the prior box."""
    n, interval = settings.proposals, (settings.rate[0], settings.rate[1])
    proposal = Proposal(("rate",) if members else (), {"rate": Target(interval)})
    table = simulated(propose(FAMILY, 1, index, members, thinning, proposal, root) for index in range(n))
    inside = table["inside"].sum() / table["drawn"].sum()
    return {"acceptance": meets(table, {"rate": interval}).mean(), "inside": inside, "n": n}
