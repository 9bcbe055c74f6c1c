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
from respike.fsbi.params import RATE_IN_BOX, THETA, box
from respike.fsbi.targets import Target, aims, scaled

BLOCK = 64  # candidates drawn at once
Block = Callable[[int], Float[np.ndarray, "candidate parameter"]]  # seed -> candidates


@dataclass(frozen=True)
class Proposal:
    """How the rules of a round are drawn."""

    metrics: tuple[str, ...]  # conditioned on; none: the prior
    targets: dict[str, Target]
    sharpness: float = 1.0  # power of the classifier's probability by which candidates are chosen
    patience: int = 20_000  # candidates for one rule, before the estimator is called useless


def propose(rule: str, round: int, index: int, nets: list, thin: list, settings: Proposal, seed: int) -> dict[str, Any]:
    """One row of the table of rules."""
    rng = seeds.generator(seed, "fsbi", "data", rule, round, index)
    aim = {name: rng.uniform(*bounds) for name, bounds in aims(settings.targets, settings.metrics).items()}
    rate_in = rng.uniform(*RATE_IN_BOX)
    low, high = np.array([box(name) for name in THETA[rule][:-1]]).T
    block = posterior_block(nets, aim, rng) if nets else prior_block(low, high)
    about = f"fsbi.{rule}: round {round}, rule {index}"
    theta, drawn, inside = chosen(block, low, high, thin, rng, settings, about)
    identity = {"index": index, "round": round, "seed": seeds.of(seed, "fsbi", "simulate", round, index)}
    values = dict(zip(THETA[rule], (*theta.tolist(), rate_in), strict=True))
    return {**identity, **values, **{f"aim_{name}": value for name, value in aim.items()}, "drawn": drawn, "inside": inside}


def prior_block(low: np.ndarray, high: np.ndarray) -> Block:
    """Source of candidates from the prior box."""
    return lambda number: np.random.default_rng(number).uniform(low, high, (BLOCK, len(low)))


def posterior_block(nets: list, aim: dict[str, float], rng: np.random.Generator) -> Block:
    """Source of candidates from one member of the ensemble, chosen at random, given the values `aim`."""
    net = nets[rng.integers(len(nets))]
    condition = scaled(pd.DataFrame([aim]), net.metrics, net.log)[0]
    return lambda number: net.sample(condition, BLOCK, number)


def chosen(
    block: Block, low: np.ndarray, high: np.ndarray, thin: list, rng: np.random.Generator, settings: Proposal, about: str
) -> tuple[np.ndarray, int, int]:
    """One candidate inside the box, how many were drawn for it, and how many of them lay inside.

    Within a block the choice is by the weights of the classifiers `thin`: where they see no difference, any candidate;
    where they do, the promising ones. Raises ValueError after `settings.patience` candidates.
    """
    drawn = inside = 0
    while drawn < settings.patience:
        candidates = block(int(rng.integers(2**31)))
        allowed = ((candidates > low) & (candidates < high)).all(1)
        weight = np.prod([allowed, *(one.weight(candidates) ** settings.sharpness for one in thin)], axis=0)
        drawn, inside = drawn + len(candidates), inside + int(allowed.sum())
        if weight.sum() > 0:
            return candidates[rng.choice(len(candidates), p=weight / weight.sum())], drawn, inside
    why = "the estimator leaks out of the prior box" if not inside else "the classifier refuses what lies inside"
    raise ValueError(
        f"{about}: none of {drawn} candidates was accepted ({inside} inside the prior box): {why}; train on more rules, "
        f"widen the filter or set thin: none in fsbi.<rule>.schedule"
    )
