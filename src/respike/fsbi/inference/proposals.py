"""How rules are drawn: from the prior box, or by the estimator of a round, kept inside the box and thinned.

A rule depends on its number alone, not on the chunk it stands in: it has its own random numbers, and its candidates are
drawn in blocks of one size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import seeds
from respike.fsbi.inference.targets import Target
from respike.fsbi.params import RATE_IN_BOX, THETA, boxes

BLOCK = 64  # candidates drawn at once
Aim = dict[str, float]  # value of each metric that a rule is drawn for
Block = Callable[[int], Float[np.ndarray, "candidate parameter"]]  # seed -> candidates


@dataclass(frozen=True)
class Proposal:
    """How the rules of a round are drawn."""

    metrics: tuple[str, ...]  # conditioned on; none: the prior
    targets: dict[str, Target]
    sharpness: float = 1.0  # power of the classifier's probability by which candidates are chosen
    among: int = 1  # candidates inside the prior box of which one is chosen, at least
    patience: int = 20_000  # candidates for one rule, before the estimator is called useless


def propose(
    family: str, round: int, index: int, members: list, thinning: list, settings: Proposal, seed: int
) -> dict[str, Any]:
    """One row of the table of rules: rule number `index` of a round, from the ensemble `members` (none: the prior).

    It is thinned by the committees `thinning`; None among them: one that had nothing to learn from.
    Beside what a simulation needs it holds the metric values the rule was drawn for (`aim_<metric>`), how many candidates
    that took (`drawn`) and how many of them lay in the prior box (`inside`).
    """
    rng = seeds.generator(seed, "fsbi", "data", family, round, index)
    aim = {name: rng.uniform(*settings.targets[name].aim) for name in settings.metrics}
    rate_in = rng.uniform(*RATE_IN_BOX)
    box = np.array(boxes(family)).T
    block = posterior_block(members, aim, rng) if members else prior_block(box)
    about = f"fsbi.{family}: round {round}, rule {index}"
    theta, drawn, inside = chosen(block, box, list(filter(None, thinning)), rng, settings, aim, about)
    identity = {"index": index, "round": round, "seed": seeds.of(seed, "fsbi", "simulate", round, index)}
    values = dict(zip(THETA[family], (*theta.tolist(), rate_in), strict=True))
    return {**identity, **values, **{f"aim_{name}": value for name, value in aim.items()}, "drawn": drawn, "inside": inside}


def inside(theta: Float[np.ndarray, "rule parameter"], box: Float[np.ndarray, "2 parameter"]) -> np.ndarray:
    """Those rows of `theta` that lie inside the box."""
    low, high = box
    return theta[((theta > low) & (theta < high)).all(1)]


def prior_block(box: Float[np.ndarray, "2 parameter"]) -> Block:
    """Source of candidates from the prior box."""
    return lambda number: np.random.default_rng(number).uniform(*box, (BLOCK, box.shape[1]))


def posterior_block(members: list, aim: Aim, rng: np.random.Generator) -> Block:
    """Source of candidates from one member of the ensemble, chosen at random, given the values `aim`."""
    member = members[rng.integers(len(members))]
    condition = member.conditions(pd.DataFrame([aim]))[0]
    return lambda number: member.sample(condition, BLOCK, number)


def chosen(
    block: Block, box: np.ndarray, thinning: list, rng: np.random.Generator, settings: Proposal, aim: Aim, about: str
) -> tuple[np.ndarray, int, int]:
    """One candidate inside the box, how many were drawn for it, and how many of them lay inside.

    The choice is by the weights of the committees `thinning`, which know the `aim`: where they see no difference, any
    candidate; where they do, the promising ones. Raises ValueError after `settings.patience` candidates.
    """
    drawn, gathered, weights = 0, [], []
    while drawn < settings.patience:
        candidates = block(int(rng.integers(2**31)))
        kept = inside(candidates, box)
        gathered.extend(kept)
        weights.extend(np.prod([np.ones(len(kept)), *(one.weight(kept, aim, settings.sharpness) for one in thinning)], axis=0))
        drawn += len(candidates)
        if len(gathered) >= settings.among and sum(weights) > 0:
            return gathered[rng.choice(len(gathered), p=np.array(weights) / sum(weights))], drawn, len(gathered)
    why = "the estimator leaks out of the prior box" if not gathered else "the classifier refuses what lies inside"
    raise ValueError(
        f"{about}: none of {drawn} candidates was accepted ({len(gathered)} inside the prior box): {why}; use more rules "
        f"(fsbi.compare: rules), widen the filter or set thin: none in fsbi.<network>.schedule"
    )
