"""Ways to propose rules, compared at equal budget on the surrogate, where the best possible answer is known."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from sbi.utils import BoxUniform, RestrictedPrior, get_density_thresholder

from respike.core import seeds
from respike.fsbi import surrogate
from respike.fsbi.inference import classifier, flow
from respike.fsbi.inference.proposals import Proposal, inside, propose
from respike.fsbi.inference.targets import Interval, Target, meets, relation
from respike.fsbi.params import THETA
from respike.fsbi.rules import parameters

FAMILY = "poly"
EXCLUDED = 1e-4  # share of the estimator's mass outside the truncated prior, as in the paper on truncated proposals
SUPPORT = 5_000  # draws that tell where that mass lies
CONDITIONS = 5  # rates over the aim for which it is taken together


@dataclass(frozen=True)
class Comparison:
    """The budget, and the boxes that the rate should fall into."""

    rules: int  # prior draws to learn from
    proposals: int  # of each way
    rate: Interval  # Hz, the aim
    asked: Interval  # Hz, a wide aim: do rules follow the rate they were asked for?
    sizes: tuple[int, ...]  # numbers of rules to learn from, at most `rules`, at which this is looked at
    fit: flow.FlowSettings


def compare(settings: Comparison, root: int) -> pd.DataFrame:
    """Share of proposals whose rate falls into the aim, and `relation` of the rates asked for and found.

    Columns method, rules (learned from), acceptance, inside, relation, within_2, n (proposals), finished (of these). Methods
    `asked_...` aim at `settings.asked`, each for several numbers of rules.
    """
    drawn = simulated(propose(FAMILY, 0, index, [], [], Proposal((), {}), root) for index in range(settings.rules))
    linear = ensemble(drawn, replace(settings.fit, log_metrics=False, members=1), root)
    log = ensemble(drawn, replace(settings.fit, log_metrics=True), root)
    good = meets(drawn, {"rate": settings.rate})
    thinning = [classifier.train(parameters(drawn, FAMILY), good, seeds.of(root, "classify") % 2**31)]
    ways = {
        "prior": ([], []),
        "prior_thinned": ([], thinning),
        "npe_linear": (linear, []),
        "npe_log": (log[:1], []),
        "npe_log_ensemble": (log, []),
        "npe_log_ensemble_thinned": (log, thinning),
        "npe_log_ensemble_predicted": (log, [*thinning, predictor(drawn, root)]),
        "npe_truncated": (truncated(drawn, settings, root), []),
    }
    rows = [{"method": name, "rules": len(drawn), **judged(*way, settings, settings.rate, root)} for name, way in ways.items()]
    n = parameters(drawn, FAMILY).shape[1]
    exact = {name: getattr(surrogate, f"{name}_acceptance")(n, settings.rate) for name in ("prior", "posterior")}
    rows += [{"method": f"{name}_exact", "acceptance": value, "inside": 1.0, "n": 0} for name, value in exact.items()]
    for size in sorted({min(size, len(drawn)) for size in settings.sizes}):
        fewer = drawn[:size]
        flows = log if size == len(drawn) else ensemble(fewer, replace(settings.fit, log_metrics=True), root)
        for name, thin in {"npe": [], "predicted": [predictor(fewer, root)]}.items():
            judgement = judged(flows, thin, settings, settings.asked, root)
            rows.append({"method": f"asked_{name}", "rules": len(fewer), **judgement})
    correlation, near = surrogate.posterior_relation(n, settings.asked)
    rows.append({"method": "asked_exact", "inside": 1.0, "relation": correlation, "within_2": near, "n": 0, "finished": 0})
    return pd.DataFrame(rows)


def predictor(rules: pd.DataFrame, root: int) -> classifier.Predictor:
    """What the rate of a rule will be, learned from those of `rules` that finished."""
    finished = rules[np.isfinite(rules["rate"])]
    return classifier.predictor(finished, parameters(finished, FAMILY), ["rate"], seeds.of(root, "classify") % 2**31)


class Mixture:
    """What a flow says of rules in the prior box whose rate is one of a few in `interval`, as sbi wants a distribution."""

    def __init__(self, member: flow.Member, interval: Interval) -> None:
        self.member = member
        self.conditions = member.conditions(pd.DataFrame({"rate": np.linspace(*interval, CONDITIONS)}))

    def sample(self, shape: tuple[int]) -> torch.Tensor:
        """About as many draws."""
        number = int(torch.randint(2**31, ()))
        drawn = [self.member.sample(condition, 2 * shape[0] // CONDITIONS, number) for condition in self.conditions]
        return torch.as_tensor(inside(np.concatenate(drawn), self.member.box)[: shape[0]])

    def log_prob(self, theta: torch.Tensor) -> torch.Tensor:
        """Log density, up to a constant."""
        densities = [self.member.log_density(theta.numpy(), condition) for condition in self.conditions]
        return torch.as_tensor(np.logaddexp.reduce(densities))


def truncated(rules: pd.DataFrame, settings: Comparison, root: int) -> list[flow.Member]:
    """Truncated sequential estimation (Deistler et al. 2022) at the same budget: half of the rules are drawn from the prior,
    half from the prior where the first half says that rules of the aim can lie; the last flow learns from all.
    """
    fit = replace(settings.fit, log_metrics=True, members=1)
    first, second = np.split(rules.index, [len(rules) // 2])
    member = ensemble(rules.loc[first], fit, root)[0]
    low, high = map(torch.as_tensor, member.box)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.of(root, "truncated") % 2**31)
        likely = get_density_thresholder(Mixture(member, settings.rate), EXCLUDED, SUPPORT)
        theta = RestrictedPrior(BoxUniform(low, high), likely).sample((len(second),), max_sampling_batch_size=2_000)
    anew = rules.loc[second, ["index", "round", "seed", *THETA[FAMILY]]].copy()
    anew[list(THETA[FAMILY][:-1])] = theta.numpy()
    return ensemble(pd.concat([rules.loc[first], simulated(anew.to_dict("records"))]), fit, root)


def simulated(rows: Iterable[dict]) -> pd.DataFrame:
    """Rules with the metrics of the surrogate."""
    table = pd.DataFrame(list(rows))
    return pd.concat([table, surrogate.metrics_of_rules(table, FAMILY)], axis=1)


def ensemble(rules: pd.DataFrame, settings: flow.FlowSettings, root: int) -> list[flow.Member]:
    """Flows trained on the rate of those `rules` that finished."""
    usable = rules[np.isfinite(rules["rate"])]
    starts = [seeds.of(root, "fit", number) % 2**32 for number in range(settings.members)]
    return [flow.train(usable, FAMILY, ["rate"], settings, start) for start in starts]


def judged(members: list, thinning: list, settings: Comparison, interval: Interval, root: int) -> dict[str, float]:
    """Of proposals: share inside the aim `interval`, their relation to what was asked for; of candidates: share in the box."""
    n = settings.proposals
    proposal = Proposal(("rate",) if members else (), {"rate": Target(interval)})
    table = simulated(propose(FAMILY, 1, index, members, thinning, proposal, root) for index in range(n))
    correlation, near = relation(table, "rate") if members else (np.nan, np.nan)
    share = {"acceptance": meets(table, {"rate": interval}).mean(), "inside": table["inside"].sum() / table["drawn"].sum()}
    return {**share, "relation": correlation, "within_2": near, "n": n, "finished": int(table["rate"].notna().sum())}
