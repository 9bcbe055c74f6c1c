"""What a trained ensemble says: whether it is calibrated, and how its parameters depend on each other."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.fsbi.inference.flow import Member
from respike.fsbi.inference.proposals import inside
from respike.fsbi.inference.targets import Target
from respike.fsbi.rules import parameters


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


def bounded_draws(member: Member, condition: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Up to `n` draws inside the prior box; fewer when the flow leaks so much that 20 n candidates do not hold them."""
    draws = inside(member.sample(condition, 4 * n, int(rng.integers(2**31))), member.box)
    if len(draws) < n:
        more = inside(member.sample(condition, 16 * n, int(rng.integers(2**31))), member.box)
        draws = np.concatenate([draws, more])
    return draws[:n]


def ranks(
    member: Member, table: pd.DataFrame, family: str, settings: Examination, rng: np.random.Generator
) -> Float[np.ndarray, "rule parameter"]:
    """Rank of each held-out rule of the training `table` among posterior draws given its metrics, as a share of the draws.

    Ties are broken at random, so that the ranks of a calibrated posterior are uniform on [0, 1].
    """
    rows = table.iloc[member.held_out[: settings.held_out]]
    theta = parameters(rows, family)
    ranked = []
    for truth, condition in zip(theta, member.conditions(rows), strict=True):
        draws = bounded_draws(member, condition, settings.draws, rng)
        if len(draws):
            below = (draws < truth).sum(0)
            ranked.append((below + rng.random(len(truth))) / (len(draws) + 1))
    return np.array(ranked).reshape(-1, theta.shape[1])


def condition_of(settings: Examination, proposal: Conditioned) -> dict[str, float]:
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
        for theta in bounded_draws(member, value, 1, rng):
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
