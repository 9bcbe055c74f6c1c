"""What is measured on trained networks: decisions, mode importance, coordinates in mode space. Plain arrays in and out."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

KIM_LEVEL = 0.7  # Kim et al. 2019: the output must pass +-0.7 in the response window
EPSILON = 1e-9  # what is left of a direction and counts as nothing, relative to its length


def decision_steps(steps: int) -> int:
    """Last steps of a trial whose mean output is the decision: a fifth (100 of 500)."""
    return steps // 5


def correct_decisions(
    output: Float[np.ndarray, "step trial"], target: Float[np.ndarray, "step trial"]
) -> Bool[np.ndarray, " trial"]:
    """Whether the mean output over the last `decision_steps` of each trial has the sign of the target."""
    last = decision_steps(len(output))
    return np.sign(output[-last:].mean(0)) == np.sign(target[-1])


def kim_criterion(
    output: Float[np.ndarray, "step trial"], target: Float[np.ndarray, "step trial"]
) -> Bool[np.ndarray, " trial"]:
    """Whether the output passes 0.7 on the target's side somewhere in the last two fifths of the trial (200 of 500 steps).

    A maximum over a window is lenient: the output may return or cross to the other side; see `correct_decisions`.
    """
    last = 2 * len(output) // 5
    return (output[-last:] * np.sign(target[-1])).max(0) > KIM_LEVEL


def importance(
    pin: Float[np.ndarray, "*replica cell mode"],
    scores: Float[np.ndarray, "*replica mode"],
    pout: Float[np.ndarray, "*replica cell mode"],
) -> Float[np.ndarray, "*replica mode"]:
    """Importance of each mode (Li and Huang 2023), its scaled norms plus its score.

    tau_p = gamma (|pin_p| + |pout_p|) + |l_p| with gamma = sum |l| / sum (|pin| + |pout|).
    """
    norms, sizes = np.linalg.norm(pin, axis=-2) + np.linalg.norm(pout, axis=-2), np.abs(scores)
    gamma = sizes.sum(-1, keepdims=True) / norms.sum(-1, keepdims=True)
    return gamma * norms + sizes


def ranked(
    tau: Float[np.ndarray, "replica mode"], scores: Float[np.ndarray, "replica mode"]
) -> tuple[Float[np.ndarray, " mode"], Float[np.ndarray, " mode"]]:
    """Importance sorted from large to small and averaged over replicas, and |l| in the same order."""
    order = np.argsort(-tau, axis=1, kind="stable")
    return np.take_along_axis(tau, order, 1).mean(0), np.take_along_axis(np.abs(scores), order, 1).mean(0)


def power_laws(
    importance: Float[np.ndarray, " mode"], neurons: int
) -> Iterator[tuple[Int[np.ndarray, " rank"], Float[np.ndarray, "2"]]]:
    """The lines of figure 5: their ranks, counted from 1, with slope and offset of log importance against log rank.

    Ranks 1-9 and 10-19, or 1-10 and 11-18 for 200 neurons; a line for whose ranks there are not modes enough is left out.
    """
    for first, last in ((1, 10), (11, 18)) if neurons == 200 else ((1, 9), (10, 19)):
        if last <= len(importance):
            ranks = np.arange(first, last + 1)
            yield ranks, np.polyfit(np.log(ranks), np.log(importance[first - 1 : last]), 1)


def mode_basis(win: Float[np.ndarray, "cell input"], pin: Float[np.ndarray, "cell mode"]) -> Float[np.ndarray, "cell mode"]:
    """Orthonormal directions of the input modes after the inputs: Gram-Schmidt over [win, pin], the part of pin.

    A mode that those before it span, as every one after as many directions as cells, has none: its column is 0.
    """
    basis: list[np.ndarray] = []
    for column in np.concatenate([win, pin], axis=1).T.astype(float):
        rest = column.copy()
        for direction in basis:
            rest -= direction @ rest * direction
        size = np.linalg.norm(rest)
        basis.append(rest / size if size > EPSILON * np.linalg.norm(column) else np.zeros_like(rest))
    return np.stack(basis[win.shape[1] :], axis=1)
