"""Fitted networks at work: free runs, and the likelihood of recorded trials with the hidden cells unknown.

Random numbers come from streams of the root seed: one per run or trial, whatever else is asked for.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from respike.v1 import losses, model, particles
from respike.v1.model import SpikingNetwork
from respike.v1.params import Sampling
from respike.v1.trials import Trials

CHUNK = 40  # runs at once; the spikes do not depend on it, and probabilities only by rounding
Stream = tuple[str | int, ...]  # which random numbers


@torch.no_grad()
def free_runs(
    network: SpikingNetwork, drive: Float[Tensor, "step cell"], n_runs: int, seed: int, stream: Stream, n_probabilities: int
) -> tuple[Bool[np.ndarray, "run step cell"], Float[np.ndarray, "run step cell"]]:
    """Spikes of `n_runs` runs from silence, each with random numbers of its own; spike probabilities of the first ones."""
    spikes, probabilities = [], []
    for start in range(0, n_runs, CHUNK):
        numbers = range(start, min(start + CHUNK, n_runs))
        draw = torch.stack([model.uniforms(seed, (*stream, number), *drive.shape) for number in numbers])
        ran = network.free(drive, draw)
        spikes.append(ran.spikes.cpu().numpy() > 0)
        if start < n_probabilities:
            probabilities.append(ran.probabilities[: n_probabilities - start].cpu().numpy())
    return np.concatenate(spikes), np.concatenate(probabilities)


@torch.no_grad()
def forced_likelihoods(
    network: SpikingNetwork, drive: Tensor, test: Trials, sampling: Sampling, seed: int, stream: Stream
) -> tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"]]:
    """Negative log likelihood of each test trial, nats per bin and cell, in two ways that agree without hidden cells.

    The first is that of probabilities averaged in each bin over runs of the hidden cells, the second has the hidden cells
    summed out. Both predict from the recorded past alone.
    """
    nll, marginal = [], []
    for trial in range(len(test.y)):
        one = test.pick([trial])
        nll.append(averaged_nll(network, drive, one, sampling.hidden_samples, seed, (*stream, "forced", trial)))
        if network.network.hidden:
            n_steps, shape = len(drive), (sampling.particles, network.network.hidden)
            draws = model.uniforms(seed, (*stream, "particles", trial), n_steps, *shape)
            offsets = model.uniforms(seed, (*stream, "offsets", trial), n_steps)
            marginal.append(particles.marginal_nll(network, drive, one.recorded[0], draws, offsets))
    return np.array(nll), np.array(marginal or nll)


def averaged_nll(network: SpikingNetwork, drive: Tensor, one: Trials, n_samples: int, seed: int, stream: Stream) -> float:
    """Negative log likelihood of one trial by the probabilities of each bin, averaged over runs of the hidden cells."""
    n_samples = n_samples if network.network.hidden else 1
    draw = model.uniforms(seed, stream, n_samples, *drive.shape)
    recorded = one.recorded.expand(n_samples, -1, -1).contiguous()
    logits = network.forced(drive, recorded, draw).logits[..., : network.n_recorded].double()
    if n_samples == 1:
        return float(losses.cross_entropy(logits, one.y.to(logits)))
    return float(functional.binary_cross_entropy(torch.sigmoid(logits).mean(0), one.y[0].to(logits)))
