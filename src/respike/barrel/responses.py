"""What a network does and is made of: spikes of all samples, irregularity, time constants, degrees, driven rates."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from respike.barrel import analysis, anatomy, learning, model, params
from respike.barrel.samples import Samples

KEPT = 24  # samples, evenly through all of them, whose spikes are kept
RASTER_SAMPLE = 15  # of class 0, as in the paper's figure; the last one where there are fewer


def describe(network: model.BarrelNetwork, samples: Samples, seed: int) -> dict[str, np.ndarray]:
    """Spikes of the cortical cells.

    counts (trial, cell), sums (class, step, cell), mean cv of each trial, correct (trial), raster (cell, step) of one
    sample and spikes (trial, step, cell) of some.
    """
    output = learning.play(network, samples, seed, batch=32)
    trains = output.spikes[:, network.n_thalamic :].permute(2, 0, 1).cpu().numpy()  # trial, step, cell
    helmets = np.flatnonzero(samples.label == 0)
    return {
        "counts": trains.sum(1, dtype=np.int32),
        "sums": np.stack([trains[samples.label == kind].sum(0, dtype=np.int32) for kind in range(len(params.CLASSES))]),
        "cv": analysis.cv(trains.transpose(0, 2, 1)).mean(1),
        "raster": trains[helmets[min(RASTER_SAMPLE, len(helmets) - 1)]].T,
        "spikes": trains[np.unique(np.linspace(0, len(samples) - 1, KEPT).astype(int))] > 0,
        "correct": output.votes.cpu().numpy().argmax(1) == samples.label,
    }


@torch.no_grad()
def parts(network: model.BarrelNetwork) -> dict[str, np.ndarray]:
    """Time constants, weighted degrees, and the rate of each population under a constant current."""
    own = {"baseline": network.baseline.item(), "adaptation": network.adaptation.item()}
    cortex, sizes = slice(network.n_thalamic, None), network.bounds.diff().tolist()
    into, out = analysis.degrees(network.dense_weights().numpy()[cortex, cortex].T)
    tau_m, tau_b = network.tau_membrane, network.tau_adaptation
    populations = list(zip(tau_m.split(sizes), tau_b.split(sizes), strict=True))
    return {
        "in_degree": into,
        "out_degree": out,
        "tau_membrane": tau_m.numpy()[cortex],
        "tau_adaptation": tau_b.numpy()[cortex],
        "driven_rate": np.array([driven_rate(*taus, **own) for taus in populations[1:]]),
    }


@torch.no_grad()
def driven_rate(tau_m: Float[Tensor, " cell"], tau_b: Float[Tensor, " cell"], steps: int = params.DRIVE_STEPS,
                baseline: float = params.DRIVE_BASELINE, adaptation: float = params.ADAPTATION) -> float:  # fmt: skip
    """Spikes per step and cell under a current of 1 for 550 steps, from rest and without synapses.

    The published figure makes `steps` = 549, from its step 1 on, and divides by 550 all the same.
    """
    alpha, rho = torch.exp(-1 / tau_m)[:, None], torch.exp(-1 / tau_b)[:, None]
    (v, s), b, total = alpha.new_zeros(2, *alpha.shape), torch.full_like(alpha, baseline), 0.0
    for _ in range(steps):
        v, b, s = model.step(torch.ones_like(v), v, b, s, alpha, rho, baseline, adaptation)
        total += s.sum().item()
    return total / (params.DRIVE_STEPS * len(alpha))


@torch.no_grad()
def shuffle(network: model.BarrelNetwork, rng: np.random.Generator) -> None:
    """Exchange the senders within each projection: probabilities, weights and signs stay, who meets whom does not."""
    bounds = network.bounds.numpy()
    number = np.zeros((network.n_cells, network.n_cells), dtype=int)  # of each synapse, from 1 on
    number[network.receiver, network.sender] = np.arange(1, len(network.weight) + 1)
    mixed = np.zeros_like(number)
    for (low, high), (first, last) in product(pairwise(bounds[1:]), pairwise(bounds)):
        mixed[low:high, first + rng.permutation(last - first)] = number[low:high, first:last]
    network.wire(replace(anatomy.load(), sizes=np.diff(bounds)), mixed > 0)
    network.weight.copy_(network.weight[torch.from_numpy(mixed[mixed > 0] - 1)])


def irregularity(network: model.BarrelNetwork, samples: Samples, seed: int) -> tuple[float, float]:
    """Mean over samples of the mean CV of the cortical cells' spike trains (a silent cell counts 0), and spikes per step."""
    spikes = learning.play(network, samples, seed).spikes[:, network.n_thalamic :]
    trains = spikes.permute(2, 1, 0).cpu().numpy()  # trial, cell, step
    return float(analysis.cv(trains).mean()), float(trains.mean(dtype=np.float64))
