"""The terms of the loss: what the network does against what was recorded.

y spikes (0 or 1), p probabilities, z sampled spikes; axes trial, step, cell.
"""

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


def squared_distance(model: Float[Tensor, "*shape"], data: Float[Tensor, "*shape"] | float) -> Float[Tensor, ""]:
    """Mean squared distance: of trial means, of covariances, of the rates of hidden cells from their target."""
    return (model - data).square().mean()


def delayed_covariance(now: Spikes, before: Spikes, n_lags: int, circular: bool = True) -> Covariances:
    """Mean over trials and steps of now_i(t) before_j(t - d), for d = 0 .. n_lags - 1.

    Circular: the end of a trial stands before its start. Otherwise only the steps t >= d count.
    """
    n_trials, n_steps, n_cells = now.shape
    start = before[:, n_steps - n_lags + 1 :] if circular else before.new_zeros(n_trials, n_lags - 1, before.shape[2])
    # The sum over trials and steps is the weight gradient of a convolution over time: a third of the time of a product per lag
    both = (x.transpose(1, 2)[:, :, None] for x in (torch.cat([start, before], 1), now))
    past, present = (x.contiguous(memory_format=torch.channels_last) for x in both)
    sums = torch.nn.grad.conv2d_weight(past, (n_cells, before.shape[2], 1, n_lags), present)[:, :, 0]
    n_pairs = n_steps - torch.arange(n_lags, device=now.device) * (not circular)
    return sums.permute(2, 0, 1).flip(0) / (n_trials * n_pairs[:, None, None])


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


COVARIANCE = {"published": published_covariance, "lag_consistent": lag_consistent_covariance}  # by name of the estimator


class Targets:
    """Statistics of the recorded spikes that the free runs are compared with."""

    def __init__(self, y: Spikes, objective: Objective, n_lags: int) -> None:
        self.psth = y.mean(0)
        self.covariance = COVARIANCE[objective.nc_estimator](y, None, n_lags) if objective.noise_correlation else None
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
    hidden = (forced if free is None else free).spikes[..., n_recorded:]
    if objective.hidden_rate and hidden.shape[2]:
        values["hidden_rate"] = squared_distance(hidden.mean((0, 1)), targets.rate)
    return values


def _free_terms(objective: Objective, y: Spikes, targets: Targets, free: Pass) -> dict[str, Float[Tensor, ""]]:
    n_recorded = y.shape[2]
    p, z = free.probabilities[..., :n_recorded], free.spikes[..., :n_recorded]
    values = {}
    if objective.psth:
        values["psth"] = psth_cross_entropy(targets.psth, p.mean(0))
    if objective.psth_mse:
        values["psth_mse"] = squared_distance(p.mean(0), targets.psth)
    if objective.noise_correlation:
        covariance = COVARIANCE[objective.nc_estimator](p, z, len(targets.covariance))
        values["noise_correlation"] = squared_distance(covariance, targets.covariance)
    if objective.single_trial:
        values["single_trial"] = cross_entropy(free.logits[: len(y), :, :n_recorded], y[: len(free.logits)])
    return values


def total(objective: Objective, values: dict[str, Float[Tensor, ""]], nc_share: float = 1.0) -> Float[Tensor, ""]:
    """Weighted sum of the terms; `nc_share` scales the noise correlation while its weight rises."""
    shares = {"noise_correlation": nc_share}
    return sum(getattr(objective, name) * shares.get(name, 1.0) * term for name, term in values.items())
