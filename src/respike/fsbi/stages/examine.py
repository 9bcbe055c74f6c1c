"""What the trained ensemble of a round says: whether it is calibrated, and how its parameters depend on each other."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import files, seeds
from respike.fsbi import flow
from respike.fsbi.params import THETA, box, boxes
from respike.fsbi.targets import Target, scaled


@dataclass(frozen=True)
class Examination:
    """How much is drawn."""

    held_out: int  # rules whose rank is computed, at most, per member
    draws: int  # of the posterior for each of them
    condition: dict[str, float]  # metric values of the conditional correlations; others: the middle of the aim
    samples: int  # posterior draws over which the conditional correlations are averaged
    grid: int  # points per parameter


@dataclass(frozen=True)
class Conditioned:
    """The part of a round's proposal that tells the metrics and their aims."""

    metrics: tuple[str, ...]
    targets: dict[str, Target]


def run(
    *,
    training: Path,
    members: list[Path],
    out: Path,
    rule: str,
    round: int,
    settings: Examination,
    proposal: Conditioned,
    seed: int,
) -> None:
    """Ranks of held-out rules among posterior draws, and conditional correlations of the parameters."""
    nets = [flow.read(path) for path in members]
    table = files.read_table(training)
    place = (seed, "fsbi", "examine", rule, round)
    held = [ranks(net, table, rule, settings, seeds.generator(*place, number)) for number, net in enumerate(nets)]
    condition = condition_of(settings, proposal)
    files.write_arrays(
        out,
        rule=rule,
        round=round,
        dataset=table["dataset"].iloc[0],
        ranks=np.concatenate(held),
        draws=settings.draws,
        correlations=correlations(nets, rule, condition, settings, seeds.generator(*place, "correlations")),
        condition=np.array(list(condition.values())),
        condition_names=np.array(list(condition)),
    )


def bounded_draws(net: flow.Member, condition: np.ndarray, n: int, rule: str, rng: np.random.Generator) -> np.ndarray:
    """Up to `n` draws inside the prior box; fewer when the flow leaks so much that 20 n candidates do not hold them."""
    low, high = np.array(boxes(rule)).T
    candidates = net.sample(condition, 4 * n, int(rng.integers(2**31)))
    inside = candidates[((candidates > low) & (candidates < high)).all(1)]
    if len(inside) < n:
        candidates = net.sample(condition, 16 * n, int(rng.integers(2**31)))
        inside = np.concatenate([inside, candidates[((candidates > low) & (candidates < high)).all(1)]])
    return inside[:n]


def ranks(
    net: flow.Member, table: pd.DataFrame, rule: str, settings: Examination, rng: np.random.Generator
) -> Float[np.ndarray, "rule parameter"]:
    """Rank of each held-out rule among posterior draws given its metrics, as a share of the draws; uniform when calibrated."""
    rows = table.iloc[net.held_out[: settings.held_out]]
    theta = rows[list(THETA[rule][:-1])].to_numpy(float)
    conditions = scaled(rows, net.metrics, net.log)
    found = []
    for truth, condition in zip(theta, conditions, strict=True):
        draws = bounded_draws(net, condition, settings.draws, rule, rng)
        if len(draws):
            below = (draws < truth).sum(0)
            found.append((below + rng.random(len(truth))) / (len(draws) + 1))
    return np.array(found).reshape(-1, theta.shape[1])


def condition_of(settings: Examination, proposal: Conditioned) -> dict[str, float]:
    """Value of each metric of the round at which the posterior is examined."""
    return {name: settings.condition.get(name, float(np.mean(proposal.targets[name].aim))) for name in proposal.metrics}


def correlations(
    nets: list, rule: str, condition: dict[str, float], settings: Examination, rng: np.random.Generator
) -> Float[np.ndarray, "parameter parameter"]:
    """Correlation of each pair of parameters, the others held at a posterior draw; mean over draws. Diagonal 1."""
    n = len(THETA[rule]) - 1
    total, done = np.zeros((n, n)), 0
    for number in range(settings.samples):
        net = nets[number % len(nets)]
        value = scaled(pd.DataFrame([condition]), net.metrics, net.log)[0]
        for theta in bounded_draws(net, value, 1, rule, rng):
            total, done = total + conditional(net, theta, value, rule, settings.grid), done + 1
    return total / done if done else np.full((n, n), np.nan)


def conditional(net: flow.Member, theta: np.ndarray, value: np.ndarray, rule: str, grid: int) -> np.ndarray:
    """Correlation matrix of the density of each pair of parameters on a grid over the prior box."""
    names = THETA[rule][:-1]
    axes = [np.linspace(*box(name), grid + 2)[1:-1] for name in names]
    matrix = np.eye(len(names))
    for i, j in combinations(range(len(names)), 2):
        x, y = (part.ravel() for part in np.meshgrid(axes[i], axes[j], indexing="ij"))
        points = np.repeat(theta[None], len(x), 0)
        points[:, i], points[:, j] = x, y
        log_density = net.log_density(points, value)
        matrix[i, j] = matrix[j, i] = weighted_correlation(x, y, np.exp(log_density - log_density.max()))
    return matrix


def weighted_correlation(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Pearson correlation of x and y under unnormalised weights; 0 when all weight is on one value."""
    weight = weight / weight.sum()
    dx, dy = x - weight @ x, y - weight @ y
    spread = np.sqrt((weight @ dx**2) * (weight @ dy**2))
    return float(weight @ (dx * dy) / spread) if spread > 0 else 0.0
