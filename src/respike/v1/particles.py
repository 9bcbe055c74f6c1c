"""Likelihood of recorded spikes with the hidden cells' spikes summed out.

Bootstrap particle filter (Gordon, Salmond, Smith 1993): each particle is one possible past of the hidden cells. In each
bin the particles are weighed by how well they foresaw the recorded spikes, drawn anew in proportion, and go on. The mean
weight of a bin estimates p(recorded now | recorded before); the product over bins is unbiased for the likelihood, so the
negative log likelihood comes out slightly too high with few particles, never too low on average.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from respike.v1.model import SpikingNetwork


@torch.no_grad()
def marginal_nll(
    model: SpikingNetwork,
    drive: Float[Tensor, "step cell"],
    recorded: Bool[Tensor, "history+step visible"],
    uniforms: Float[Tensor, "step particle hidden"],
    offsets: Float[Tensor, " step"],  # uniform: where the evenly spaced points of each resampling begin
) -> float:
    """Negative log likelihood of one trial with the hidden cells summed out, nats per bin and recorded cell."""
    n_recorded, history = model.n_recorded, model.network.history
    n_particles, n_hidden = uniforms.shape[1:]
    from_recorded, from_hidden = model.couplings.split([n_recorded, n_hidden], 1)  # post, pre, oldest bin first
    observed, uniforms, offsets = recorded.to(drive.dtype), uniforms.to(drive.device), offsets.to(drive.device)
    past = observed.new_zeros(n_particles, n_hidden, history)
    total = 0.0
    for t, now in enumerate(drive):
        forced = now + torch.einsum("ki,jik->j", observed[t : t + history], from_recorded)
        voltage = forced + past.flatten(1) @ from_hidden.flatten(1).T
        logits = model.network.temperature * (voltage / model.network.threshold - 1)
        y = observed[t + history].expand(n_particles, -1)
        misfit = functional.binary_cross_entropy_with_logits(logits[:, :n_recorded], y, reduction="none").double().sum(1)
        total -= float(torch.logsumexp(-misfit, 0)) - torch.tensor(n_particles).log().item()
        ancestors = systematic(torch.softmax(-misfit, 0), offsets[t])
        spikes = (torch.sigmoid(logits[:, n_recorded:]) > uniforms[t]).to(past.dtype)
        past = torch.cat([past[:, :, 1:], spikes[:, :, None]], 2)[ancestors]
    return total / (len(drive) * n_recorded)


def systematic(weights: Float[Tensor, " particle"], offset: Float[Tensor, ""]) -> Tensor:
    """Ancestors of the next n particles: those in whose share of the cumulated weights n evenly spaced points fall.

    The first point is offset / n, with `offset` uniform in [0, 1), so a weight w (of a sum of 1) is drawn floor(n w) or
    ceil(n w) times.
    """
    points = (torch.arange(len(weights), device=weights.device) + offset) / len(weights)
    return torch.searchsorted(weights.cumsum(0), points).clamp(max=len(weights) - 1)
