"""Play all samples through a network before and after training, and describe its parts: what the analyses need."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from respike.barrel import analysis, anatomy, cells, learning, model, params
from respike.core import files, seeds

CONDITIONS = ("initial", "trained", "shuffled")
KEPT = 24  # samples, evenly through all of them, whose spikes are kept
RASTER_SAMPLE = 15  # of class 0, as in the paper's figure; the last one where there are fewer


def run(*, fit: Path, inputs: Path, out: Path, coding: params.Encoding) -> None:
    """Spike counts and class sums under each condition, a raster, and time constants, degrees and driven rates."""
    stored = learning.read(fit)
    samples, is_test = learning.load(inputs, stored["form"], coding)
    arrays = {"label": samples.label, "is_test": is_test, "dataset": np.array(samples.dataset), "seed": stored["seed"]}
    for condition in CONDITIONS:
        network = learning.restore(stored, "initial" if condition == "initial" else "trained")
        if condition == "shuffled":
            shuffle(network, seeds.generator(stored["seed"], "barrel", "shuffle"))
        found = responses(network, samples, stored["seed"])
        if condition != "shuffled":
            found |= parts(network)
        arrays |= {f"{condition}_{name}": values for name, values in found.items()}
    sizes = np.diff(network.bounds.numpy())
    files.write_arrays(out, sizes=sizes[1:], **arrays)


@torch.no_grad()
def shuffle(network: model.BarrelNetwork, rng: np.random.Generator) -> None:
    """Exchange the senders within each projection: probabilities, weights and signs stay, who meets whom does not."""
    bounds, sender, receiver = (part.numpy() for part in (network.bounds, network.sender, network.receiver))
    to, origin = (np.searchsorted(bounds, part, side="right") - 1 for part in (receiver, sender))
    mixed = sender.copy()
    for post in range(1, len(bounds) - 1):
        for pre in range(len(bounds) - 1):
            here = (to == post) & (origin == pre)
            exchange = bounds[pre] + rng.permutation(bounds[pre + 1] - bounds[pre])
            mixed[here] = exchange[sender[here] - bounds[pre]]
    order = np.lexsort((mixed, receiver))
    column = replace(anatomy.load(), sizes=np.diff(bounds))
    network.weight.copy_(network.weight[torch.from_numpy(order)])
    network.wire(column, anatomy.ordered(receiver, mixed))


def responses(network: model.BarrelNetwork, samples: learning.Samples, seed: int) -> dict[str, np.ndarray]:
    """Spikes of the cortical cells: counts of each trial, sums of each class and step, CV; those of some trials in full."""
    shown = np.flatnonzero(samples.label == 0)
    shown = shown[min(RASTER_SAMPLE, len(shown) - 1)]
    kept = np.unique(np.linspace(0, len(samples) - 1, KEPT).astype(int))
    outputs = learning.play(network, samples, seed, batch=32)
    first, counts, irregular, sums, few = 0, [], [], 0, []
    for output in outputs:
        trains = output.spikes[:, network.n_thalamic :].numpy()
        last = first + trains.shape[2]
        label = samples.label[first:last]
        counts.append(trains.sum(0, dtype=np.int32).T)
        sums = sums + np.stack([trains[:, :, label == kind].sum(2, dtype=np.int32) for kind in range(len(params.CLASSES))])
        irregular.append(analysis.cv(trains.transpose(2, 1, 0)).mean(1))
        few.append(trains[:, :, kept[(first <= kept) & (kept < last)] - first].transpose(2, 0, 1) > 0)
        if first <= shown < last:
            raster = trains[:, :, shown - first].T
        first = last
    votes = np.concatenate([output.votes.numpy() for output in outputs])
    return {
        "counts": np.concatenate(counts),
        "sums": sums,
        "cv": np.concatenate(irregular),
        "raster": raster,
        "spikes": np.concatenate(few),
        "correct": votes.argmax(1) == samples.label,
    }


def parts(network: model.BarrelNetwork) -> dict[str, np.ndarray]:
    """Time constants, weighted degrees, and the rate of each population under a constant current."""
    matrix = network.dense_weights().detach().numpy()[network.n_thalamic :, network.n_thalamic :]
    into, out = analysis.degrees(matrix.T)
    tau_m, tau_b = network.tau_membrane.detach(), network.tau_adaptation.detach()
    edges = network.bounds[1:].tolist()
    rates = [
        cells.response_to_constant_current(tau_m[low:high], tau_b[low:high])
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    return {
        "in_degree": into,
        "out_degree": out,
        "tau_membrane": tau_m.numpy()[network.n_thalamic :],
        "tau_adaptation": tau_b.numpy()[network.n_thalamic :],
        "driven_rate": np.array(rates),
    }
