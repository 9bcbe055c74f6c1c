"""Ways to propose rules, compared at equal budget on the surrogate, where the best possible answer is known."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.fsbi import classifier, flow
from respike.fsbi.params import THETA, boxes
from respike.fsbi.proposals import Proposal, propose
from respike.fsbi.stages import surrogate
from respike.fsbi.targets import Interval, Target, meets, scaled

RULE = "poly"


@dataclass(frozen=True)
class Comparison:
    """The budget, and the box that the rate should fall into."""

    rules: int  # prior draws to learn from
    proposals: int  # of each way
    rate: tuple[float, ...]  # Hz, the aim
    fit: flow.FlowSettings


def run(*, out: Path, settings: Comparison, seed: int) -> None:
    """Share of proposals whose rate falls into the aim, per way of proposing: columns method, acceptance, inside, n."""
    root = seeds.of(seed, "fsbi", "compare")
    interval = (settings.rate[0], settings.rate[1])
    known = simulated([propose(RULE, 0, index, [], [], Proposal((), {}), root) for index in range(settings.rules)])
    linear = ensemble(known, settings.fit, 1, False, root)
    log = ensemble(known, settings.fit, settings.fit.members, True, root)
    thinning = [thinned_by(known, interval, root)]
    ways = {
        "prior": ([], []),
        "prior_thinned": ([], thinning),
        "npe_linear": (linear, []),
        "npe_log": (log[:1], []),
        "npe_log_ensemble": (log, []),
        "npe_log_ensemble_thinned": (log, thinning),
    }
    rows = [{"method": name, **acceptance(*way, settings.proposals, interval, root)} for name, way in ways.items()]
    n = len(THETA[RULE]) - 1
    exact = {
        "prior_exact": surrogate.prior_acceptance(n, interval),
        "posterior_exact": surrogate.posterior_acceptance(n, interval),
    }
    rows += [{"method": name, "acceptance": value, "inside": 1.0, "n": 0} for name, value in exact.items()]
    files.write_table(out, pd.DataFrame(rows))


def simulated(rows: list[dict]) -> pd.DataFrame:
    """Rules with the metrics of the surrogate."""
    rules = pd.DataFrame(rows)
    return pd.concat([rules, surrogate.metrics_of_rules(rules, RULE)], axis=1)


def ensemble(known: pd.DataFrame, settings: flow.FlowSettings, members: int, log: bool, root: int) -> list[flow.Member]:
    """Flows trained on the rate of `known` rules."""
    usable = known[np.isfinite(known["rate"])]
    theta = usable[list(THETA[RULE][:-1])].to_numpy(float)
    chosen = replace(settings, log_metrics=log)
    condition = scaled(usable, ["rate"], log)
    starts = [seeds.of(root, "fit", number) % 2**32 for number in range(members)]
    box = np.array(boxes(RULE)).T
    nets = [flow.train(theta, condition, box, chosen, start, "cpu")[0] for start in starts]
    return [flow.Member(net, ("rate",), log, np.zeros(0, int), (), box if chosen.bounded else None) for net in nets]


def thinned_by(known: pd.DataFrame, interval: Interval, root: int) -> classifier.Classifier:
    """Classifier of rules whose rate lies in `interval`."""
    good = meets(known, {"rate": interval})
    return classifier.train(known[list(THETA[RULE][:-1])].to_numpy(float), good, seeds.of(root, "classify") % 2**31)


def acceptance(nets: list, thinning: list, n: int, interval: Interval, root: int) -> dict[str, float]:
    """Share of `n` proposals inside `interval`, and of the candidates inside the prior box."""
    proposal = Proposal(("rate",) if nets else (), {"rate": Target(interval)})
    rows = [propose(RULE, 1, index, nets, thinning, proposal, root) for index in range(n)]
    table = simulated(rows)
    inside = table["inside"].sum() / table["drawn"].sum()
    return {"acceptance": meets(table, {"rate": interval}).mean(), "inside": inside, "n": n}
