"""Whether the posterior can be trusted: calibration, what prior and posterior predict, and which combinations it knows.

Calibration is that near the recording: on the simulations most like it, each judged by the posterior that the others give.
"""

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh

from respike.core import calibration, seeds
from respike.neulvm.inference.posterior import Regression

DRAWS = 300  # of each case's posterior, at most


def cases(
    learnt: Regression, features: Float[np.ndarray, " feature"], share: float
) -> tuple[Float[np.ndarray, "case free"], Float[np.ndarray, "draw case free"]]:
    """Parameters (logits) of the simulations near the recording, and draws of the posterior of each, itself left out."""
    judged, others = zip(*learnt.cases(features, share), strict=True)
    rows = [near[np.linspace(0, len(near) - 1, min(DRAWS, len(judged))).astype(int)] for near in others]
    draws = [learnt.guesses[k] + learnt.errors[own] for k, own in zip(judged, rows, strict=True)]
    return (learnt.guesses + learnt.errors)[list(judged)], np.stack(draws, axis=1)


def combinations(
    prior: Float[np.ndarray, "simulation free"], draws: Float[np.ndarray, "draw free"]
) -> tuple[Float[np.ndarray, " combination"], Float[np.ndarray, "combination free"]]:
    """Share of the prior's standard deviation that the posterior leaves to uncorrelated combinations, the best known first.

    The combinations are weights (of length 1) of the parameters in units of their standard deviation under the prior.
    """
    spread = prior.std(0)
    left, vectors = eigh(np.cov((draws / spread).T), np.cov((prior / spread).T))
    return np.sqrt(np.maximum(left, 0)), (vectors / np.linalg.norm(vectors, axis=0)).T


def diagnose(
    learnt: Regression, features: Float[np.ndarray, " feature"], simulations: Float[np.ndarray, "simulation feature"],
    predicted: Float[np.ndarray, "draw feature"], share: float, seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """All diagnostics. `features`: of the recording; `predicted`: of simulations with parameters from its posterior."""
    truth, draws = cases(learnt, features, share)
    covered = calibration.tarp(truth, draws, seeds.generator(seed, "neulvm", "tarp"))
    guess = learnt.guess(features[None])[0]
    left, weights = combinations(learnt.guesses + learnt.errors, guess + learnt.errors[learnt.near(guess, share)])
    numbers = {"unexpected": calibration.unexpected(features, simulations, seed), "predicted": len(predicted)}
    numbers |= {"outside": calibration.outside(features, predicted), "tarp": covered}
    curves = {"ranks": calibration.ranks(truth, draws), "joint": calibration.joint_ranks(truth, draws)}
    return {name: np.array(value) for name, value in numbers.items()} | curves | {"left": left, "weights": weights}
