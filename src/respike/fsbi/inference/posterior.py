"""What a trained ensemble says: whether it is calibrated, and how its parameters depend on each other."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import calibration
from respike.fsbi.inference import classifier
from respike.fsbi.inference.flow import Member
from respike.fsbi.inference.proposals import Proposal, inside
from respike.fsbi.inference.targets import scaled
from respike.fsbi.params import THETA
from respike.fsbi.rules import parameters

AIMS = 5  # asked-for values that are held against what rules do
FEWEST = 10  # rules to learn from


@dataclass(frozen=True)
class Examination:
    """How much is drawn."""

    held_out: int  # rules whose rank is computed, at most, per member
    draws: int  # of the posterior for each of them
    condition: dict[str, float]  # metric values of the conditional correlations; others: the middle of the aim
    samples: int  # posterior draws over which the conditional correlations are averaged
    grid: int  # points per parameter


def bounded_draws(member: Member, condition: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Up to `n` draws inside the prior box, fewer when 20 n candidates do not hold them, and the share of all inside."""
    draws, drawn = inside(member.sample(condition, 4 * n, int(rng.integers(2**31))), member.box), 4 * n
    if len(draws) < n:
        more = inside(member.sample(condition, 16 * n, int(rng.integers(2**31))), member.box)
        draws, drawn = np.concatenate([draws, more]), 20 * n
    return draws[:n], len(draws) / drawn


def held_out(
    members: list[Member], table: pd.DataFrame, family: str, settings: Examination, rngs: list[np.random.Generator]
) -> dict[str, np.ndarray]:
    """Held-out rules of the training `table` against draws of the member that has not seen them, given their metrics.

    `ranks` (rule, parameter) and `joint` (rule) are uniform, and `tarp` (credibility, coverage) is the diagonal, if the
    posterior is right (core.calibration); `surplus` is log q(rule | its metrics), cut to the prior box as the draws are,
    minus the log density of the prior. A rule for which the flow leaks too much to give all draws is left out.
    """
    rules, drawn, joint, surplus = [np.zeros((0, len(THETA[family]) - 1))], [], [np.zeros(0)], [np.zeros(0)]
    for member, rng in zip(members, rngs, strict=True):
        rows = table.iloc[member.held_out[: settings.held_out]]
        conditions = member.conditions(rows)
        draws = [bounded_draws(member, condition, settings.draws, rng) for condition in conditions]
        full = np.array([number for number, (of_rule, _) in enumerate(draws) if len(of_rule) == settings.draws], dtype=int)
        if len(full):
            rules.append(parameters(rows, family)[full])
            drawn.append(np.stack([draws[number][0] for number in full], 1))
            mass = np.array([draws[number][1] for number in full])
            density = lambda theta, case, of=member, at=conditions[full]: of.log_density(theta, at[case])  # noqa: E731
            log_q = [density(rule[None], case)[0] for case, rule in enumerate(rules[-1])]
            surplus.append(np.array(log_q) - np.log(mass) + np.log(np.diff(member.box, axis=0)).sum())
            joint.append(calibration.joint_ranks(rules[-1], drawn[-1], density))
    truth, found = np.concatenate(rules), {"joint": np.concatenate(joint), "surplus": np.concatenate(surplus)}
    if not len(truth):
        return {**found, "ranks": truth, "tarp": np.zeros((2, 0))}
    draws = np.concatenate(drawn, 1)
    tarp = np.stack(calibration.tarp(truth, draws, rngs[0]))
    return {**found, "ranks": calibration.ranks(truth, draws), "tarp": tarp}


def aims(table: pd.DataFrame, family: str, proposal: Proposal, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Is what proposals are asked for inside what the rules of the training `table` do, and can it be predicted from theta?

    `unexpected`: p-value of each of AIMS draws of the aim among the metrics of the rules. `attainable` (number of rules,
    metric): correlation of asked-for and found values if every proposal were predicted to have exactly what was asked for,
    s / sqrt(s^2 + e^2) with the spread s of the aim and the error e of a predictor that learned from so many (`learned`).
    """
    bounds = [proposal.targets[name].aim for name in proposal.metrics]
    asked = pd.DataFrame(rng.uniform(*np.array(bounds).T, (1000, len(bounds))), columns=list(proposal.metrics))
    asked, found = (scaled(rows, proposal.metrics, True) for rows in (asked, table))
    theta, seed = parameters(table, family), int(rng.integers(2**31))
    sees = "mean_field" if family == "poly" else "theta"
    sizes = sorted({max(len(table) // part, min(len(table), FEWEST)) for part in (8, 4, 2, 1)})
    errors = [classifier.predictor(table[:n], theta[:n], proposal.metrics, seed, sees).spread for n in sizes]
    return {
        "unexpected": np.array([calibration.unexpected(one, found, seed) for one in asked[:AIMS]]),
        "learned": np.array(sizes),
        "attainable": asked.std(0) / np.sqrt(asked.var(0) + np.array(errors) ** 2),
    }


def condition_of(settings: Examination, proposal: Proposal) -> dict[str, float]:
    """Value of each metric of the round at which the posterior is examined."""
    return {name: settings.condition.get(name, float(np.mean(proposal.targets[name].aim))) for name in proposal.metrics}


def correlations(
    members: list[Member], condition: dict[str, float], settings: Examination, rng: np.random.Generator
) -> Float[np.ndarray, "parameter parameter"]:
    """Correlation of each pair of parameters, the others held at a posterior draw; mean over draws. Diagonal 1."""
    matrices = []
    for number in range(settings.samples):
        member = members[number % len(members)]
        value = member.conditions(pd.DataFrame([condition]))[0]
        for theta in bounded_draws(member, value, 1, rng)[0]:
            matrices.append(conditional(member, theta, value, settings.grid))
    n = members[0].box.shape[1]
    return sum(matrices, np.zeros((n, n))) / len(matrices) if matrices else np.full((n, n), np.nan)


def conditional(member: Member, theta: np.ndarray, value: np.ndarray, grid: int) -> Float[np.ndarray, "parameter parameter"]:
    """Correlation matrix of the density of each pair of parameters on a grid over the prior box."""
    axes = [np.linspace(low, high, grid + 2)[1:-1] for low, high in member.box.T]
    matrix = np.eye(len(axes))
    for i, j in combinations(range(len(axes)), 2):
        x, y = (part.ravel() for part in np.meshgrid(axes[i], axes[j], indexing="ij"))
        points = np.repeat(theta[None], len(x), 0)
        points[:, i], points[:, j] = x, y
        log_density = member.log_density(points, value)
        matrix[i, j] = matrix[j, i] = weighted_correlation(x, y, np.exp(log_density - log_density.max()))
    return matrix


def weighted_correlation(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Pearson correlation of x and y under unnormalised weights; 0 when all weight is on one value."""
    weight = weight / weight.sum()
    dx, dy = x - weight @ x, y - weight @ y
    spread = np.sqrt((weight @ dx**2) * (weight @ dy**2))
    return float(weight @ (dx * dy) / spread) if spread > 0 else 0.0
