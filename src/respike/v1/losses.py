"""The terms of the loss: what the network does against what was recorded.

y spikes (0 or 1), p probabilities, z sampled spikes; axes trial, step, cell.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from respike.v1.model import Pass
from respike.v1.params import Objective

Spikes = Float[Tensor, "trial step cell"]
Covariances = Float[Tensor, "lag cell cell"]
EDGE = 1e-7  # probabilities inside a logarithm stay this far from 0 and 1


def cross_entropy(logits: Spikes, y: Spikes) -> Float[Tensor, ""]:
    """Negative log likelihood of single trials, nats per bin and cell."""
    return functional.binary_cross_entropy_with_logits(logits, y)


def psth_cross_entropy(data: Float[Tensor, "step cell"], model: Float[Tensor, "step cell"]) -> Float[Tensor, ""]:
    """Cross-entropy of the model's trial mean Q (of probabilities) with the data's P."""
    q = model.clamp(EDGE, 1 - EDGE)
    return -(data * q.log() + (1 - data) * (1 - q).log()).mean()


def psth_mse(data: Float[Tensor, "step cell"], model: Float[Tensor, "step cell"]) -> Float[Tensor, ""]:
    """Mean squared distance of the trial means."""
    return (data - model).square().mean()


def delayed_covariance(now: Spikes, before: Spikes, n_lags: int, circular: bool = True) -> Covariances:
    """Mean over trials and steps of now_i(t) before_j(t - d), for d = 0 .. n_lags - 1.

    Circular: the end of a trial stands before its start. Otherwise only the steps t >= d count.
    """
    n_trials, n_steps, n_cells = now.shape
    if circular:
        before = torch.cat([before[:, n_steps - n_lags + 1 :], before], 1) if n_lags > 1 else before
    rows = []
    for lag in range(n_lags):
        start = 0 if circular else lag
        shifted = before[:, n_lags - 1 - lag :] if circular else before
        steps = n_steps - start
        product = now[:, start:].transpose(1, 2) @ shifted[:, :steps]
        rows.append(product.sum(0) / (n_trials * steps))
    return torch.stack(rows)


def published_covariance(now: Spikes, before: Spikes | None, n_lags: int) -> Covariances:
    """Noise covariance as published: trial mean removed, circular, `now` at both times.

    For a model of probabilities the entry (0, i, i) is not the variance of its spikes, and for d > 0 the effect of a spike
    of j on p_i is missing. `before` is not used.
    """
    noise = _noise(now)
    return delayed_covariance(noise, noise, n_lags)


def lag_consistent_covariance(now: Spikes, before: Spikes | None, n_lags: int) -> Covariances:
    """Unbiased noise covariance: p_i(t) with the spikes z_j(t - d) that shaped it, no wrap-around, B / (B - 1).

    Lag 0 uses `now` twice, for given the past the cells are independent; its diagonal is left out (set to 0).
    """
    n_trials, _, n_cells = now.shape
    noise = _noise(now)
    past = noise if before is None else _noise(before)
    lagged = delayed_covariance(noise, past, n_lags, circular=False)
    off_diagonal = 1 - torch.eye(n_cells, device=now.device, dtype=now.dtype)
    same_time = noise.flatten(0, 1).T @ noise.flatten(0, 1) / (n_trials * now.shape[1]) * off_diagonal
    return torch.cat([same_time[None], lagged[1:]]) * (n_trials / (n_trials - 1))


def _noise(x: Spikes) -> Spikes:
    """Deviation from the trial mean; ValueError for a single trial, which deviates from itself nowhere."""
    if len(x) < 2:
        raise ValueError(f"noise covariance of {len(x)} trial; expected 2 or more")
    return x - x.mean(0)


COVARIANCE: dict[str, Callable[[Spikes, Spikes | None, int], Covariances]] = {
    "published": published_covariance,
    "lag_consistent": lag_consistent_covariance,
}


def noise_correlation(data: Covariances, model: Covariances) -> Float[Tensor, ""]:
    """Mean squared distance of the covariances over lags and pairs."""
    return (data - model).square().mean()


def hidden_rate(spikes: Spikes, target: float) -> Float[Tensor, ""]:
    """Mean squared distance of each hidden cell's rate (spikes per bin) from `target`; 0 without hidden cells."""
    if not spikes.shape[2]:
        return spikes.new_zeros(())
    return (spikes.mean((0, 1)) - target).square().mean()


class Targets:
    """Statistics of the recorded spikes that the free runs are held against."""

    def __init__(self, y: Spikes, objective: Objective, n_lags: int) -> None:
        self.psth = y.mean(0)
        wanted = objective.noise_correlation
        self.covariance = COVARIANCE[objective.nc_estimator](y, None, n_lags) if wanted else None
        self.rate = float(y.mean()) if objective.target_rate is None else objective.target_rate


def terms(
    objective: Objective, y: Spikes, targets: Targets, forced: Pass | None, free: Pass | None
) -> dict[str, Float[Tensor, ""]]:
    """The unweighted terms that `objective` asks for; a term without weight is left out."""
    n_recorded = y.shape[2]
    values = {}
    if objective.likelihood:
        values["likelihood"] = cross_entropy(forced.logits[..., :n_recorded], y)
    if free is not None:
        values |= _free_terms(objective, y, targets, free)
    ran = forced if free is None else free
    if objective.hidden_rate and ran.spikes.shape[2] > n_recorded:
        values["hidden_rate"] = hidden_rate(ran.spikes[..., n_recorded:], targets.rate)
    return values


def _free_terms(objective: Objective, y: Spikes, targets: Targets, free: Pass) -> dict[str, Float[Tensor, ""]]:
    n_recorded = y.shape[2]
    p, z = free.probabilities[..., :n_recorded], free.spikes[..., :n_recorded]
    values = {}
    if objective.psth:
        values["psth"] = psth_cross_entropy(targets.psth, p.mean(0))
    if objective.psth_mse:
        values["psth_mse"] = psth_mse(targets.psth, p.mean(0))
    if objective.noise_correlation:
        model = COVARIANCE[objective.nc_estimator](p, z, len(targets.covariance))
        values["noise_correlation"] = noise_correlation(targets.covariance, model)
    if objective.single_trial:
        values["single_trial"] = cross_entropy(free.logits[: len(y), :, :n_recorded], y[: len(free.logits)])
    return values


def total(objective: Objective, values: dict[str, Float[Tensor, ""]], nc_share: float = 1.0) -> Float[Tensor, ""]:
    """Weighted sum of the terms; `nc_share` scales the noise correlation while its weight rises."""
    shares = {"noise_correlation": nc_share}
    return sum(getattr(objective, name) * shares.get(name, 1.0) * term for name, term in values.items())
