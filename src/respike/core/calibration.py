"""Is a posterior as wide as its errors? Draws for cases whose truth is known in, ranks, coverage and bands of chance out.

Ranks of each parameter (Talts et al. 2018) and of the density of the truth (expected coverage, Deistler et al. 2022); by sbi
tests of accuracy with random points (TARP, Lemos et al. 2023), and the distance of an observation from what the prior
predicts (Schmitt et al. 2023). All shares lie in [0, 1] and are uniform where the posterior is right.
sbi asks for some hundred cases and draws. It is imported late, because that takes seconds.
"""

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import kstwo

Truth = Float[np.ndarray, "case parameter"]
Draws = Float[np.ndarray, "draw case parameter"]
NEAREST = 200  # predicted observations that one is held against, at most, and as many shuffles


class Coverage(NamedTuple):
    """Share of the cases (`coverage`) whose truth a region of each `credibility` holds: the diagonal if all is right."""

    credibility: Float[np.ndarray, " level"]
    coverage: Float[np.ndarray, " level"]


def _check(truth: Truth, draws: Draws) -> None:
    """ValueError for other axes, and for what is no number: it lies below no draw and above none."""
    if np.shape(draws)[1:] != np.shape(truth) or not (np.isfinite(truth).all() and np.isfinite(draws).all()):
        raise ValueError(f"draws {np.shape(draws)} of truth {np.shape(truth)}: expected finite ones, (draw, case, parameter)")


def ranks(truth: Truth, draws: Draws) -> Float[np.ndarray, "case parameter"]:
    """Share of the draws below the truth, parameter by parameter: blind to how the parameters go together."""
    _check(truth, draws)
    return (draws < truth).mean(0, dtype=np.float32)


def joint_ranks(
    truth: Truth, draws: Draws, log_density: Callable[[np.ndarray, int], np.ndarray] | None = None
) -> Float[np.ndarray, " case"]:
    """Share of the draws that are less likely than the truth: 1 - the credibility of the smallest region that holds it.

    `log_density(theta, case)`, up to a constant; without it that of the Gaussian with mean and covariance of every other draw,
    and the rank is that among the rest (those that it is fitted to lie nearer to it than the truth).
    """
    _check(truth, draws)
    if log_density is None:
        fitted, draws = draws[::2], draws[1::2]
        means = fitted.mean(0)
        whitenings = [np.linalg.pinv(np.atleast_2d(np.cov(of_case.T)), hermitian=True) for of_case in fitted.swapaxes(0, 1)]

        def log_density(theta: np.ndarray, case: int) -> np.ndarray:
            away = theta - means[case]
            return -np.einsum("ni,ij,nj->n", away, whitenings[case], away)

    densities = [(log_density(draws[:, case], case), log_density(truth[None, case], case)) for case in range(len(truth))]
    return np.array([np.mean(of_draws < of_truth, dtype=np.float32) for of_draws, of_truth in densities])


def tarp(truth: Truth, draws: Draws, rng: np.random.Generator) -> Coverage:
    """Coverage of balls around random points in the range of the truth: sees wrong correlations, needs no density."""
    import torch  # noqa: PLC0415
    from sbi.diagnostics import run_tarp  # noqa: PLC0415

    points, known, drawn = map(torch.as_tensor, (rng.uniform(truth.min(0), truth.max(0), truth.shape), truth, draws))
    cases = torch.arange(len(truth), dtype=torch.float64)[:, None]  # as observations
    stored = SimpleNamespace(sample_batched=lambda *_, **__: drawn)  # what sbi takes for a posterior
    options = {"show_progress_bar": False, "num_bins": max(5, len(truth) // 10), "z_score_theta": True}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Number of")  # small runs are labelled so elsewhere
        coverage, credibility = run_tarp(known, cases, stored, points, len(draws), **options)
    return Coverage(credibility.numpy().astype(float), coverage.numpy().astype(float))


def coverage(shares: Float[np.ndarray, " case"]) -> Coverage:
    """Shares that should be uniform (credibilities, 1 - joint ranks, or ranks of a parameter) as a curve."""
    ordered = np.sort(shares)
    return Coverage(ordered, (np.arange(len(ordered)) + 0.5) / len(ordered))


def deviation(curve: Coverage) -> float:
    """Greatest distance of a curve from the diagonal."""
    return float(np.abs(curve.coverage - curve.credibility).max())


def band(n_cases: int, level: float = 0.95) -> float:
    """Greatest distance from the diagonal that chance alone stays within, with probability `level` (Kolmogorov-Smirnov)."""
    return float(kstwo.ppf(level, n_cases))


def unexpected(observed: Float[np.ndarray, " feature"], predicted: Float[np.ndarray, "case feature"], seed: int) -> float:
    """p-value of an observation among what the prior predicts, by its distance (MMD); small: none is like it; nan for nan."""
    import torch  # noqa: PLC0415
    from sbi.diagnostics import calc_misspecification_mmd  # noqa: PLC0415

    centre, spread = predicted.mean(0), predicted.std(0) + 1e-9
    rows = np.linspace(0, len(predicted) - 1, min(len(predicted), NEAREST)).astype(int)
    one, many = (torch.as_tensor((x - centre) / spread) for x in (observed[None], predicted[rows]))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        p = float(calc_misspecification_mmd(one, many, n_shuffle=NEAREST)[0])
    return p if one.isfinite().all() and many.isfinite().all() else float("nan")


def outside(
    observed: Float[np.ndarray, " feature"], predicted: Float[np.ndarray, "draw feature"], level: float = 0.95
) -> float:
    """Share of the features that lie outside the central interval of what the posterior predicts; 1 - level by chance."""
    low, high = np.quantile(predicted, [(1 - level) / 2, (1 + level) / 2], axis=0, method="weibull")  # as ranks have it
    return float(np.mean(~((low <= observed) & (observed <= high))))  # nan lies in no interval
