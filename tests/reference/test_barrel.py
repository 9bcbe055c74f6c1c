"""The barrel network against cases of the published program, wherever RESPIKE_REFERENCE names a folder of them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from respike.barrel import anatomy, cells, encoding, measurements, model, params
from tests.conftest import reference_cases

STEPS = ("compiled", "checkpointed", "plain")


class Case(NamedTuple):
    network: model.BarrelNetwork
    x: torch.Tensor  # trial, step, channel
    state: model.State
    projections: list[tuple[str, int, int]]  # name in the case, receiving and sending population


def pairs(column: anatomy.Anatomy) -> list[tuple[str, int, int]]:
    """Projections in the order and with the names of the published program."""
    thalamic = [post for post in range(1, 14) if column.probability[post, 0]]
    found = [(f"ThtoPops.{k}", post, 0) for k, post in enumerate(thalamic)]
    for post in range(1, 14):
        sources = [pre for pre in range(1, 14) if column.probability[post, pre]]
        found += [(f"toPops.{post - 1}.{k}", post, pre) for k, pre in enumerate(sources)]
    return found


def projected(column, synapses, values, post, pre):
    """Part of `values` (one per synapse) of a projection, as its dense matrix."""
    bounds = column.bounds
    matrix = np.zeros((column.n_cells, column.n_cells), dtype=np.float64)
    matrix[synapses.receiver, synapses.sender] = values
    return matrix[bounds[post] : bounds[post + 1], bounds[pre] : bounds[pre + 1]]


def channels(x: np.ndarray) -> torch.Tensor:
    """(sample, kind, sweep, step, channel) as (sample, step, kind and channel)."""
    first = np.asarray(x, dtype=np.float32)[:, :, 0].transpose(0, 2, 1, 3)
    return torch.from_numpy(np.ascontiguousarray(first.reshape(*first.shape[:2], -1)))


def first_state(stored, baseline: float) -> model.State:
    v, s = (
        torch.from_numpy(np.concatenate([stored[f"init.{name}_thal"], stored[f"init.{name}"]], axis=1).T.copy())
        for name in ("mem", "spike")
    )
    return model.State(v, torch.full_like(v, baseline), s)


def small(case) -> tuple[Case, np.lib.npyio.NpzFile, anatomy.Anatomy, anatomy.Synapses]:
    stored = np.load(case)
    full = anatomy.load()
    n_thalamic = stored["init.mem_thal"].shape[1]
    column = replace(full, sizes=np.concatenate([[n_thalamic], stored["pop_sizes"]]))
    bounds, named = column.bounds, pairs(full)
    where = [np.argwhere(stored[f"mask.{name}"]) + (bounds[post], bounds[pre]) for name, post, pre in named]
    synapses = anatomy.ordered(*np.concatenate(where).T)
    form = "real" if "param.fc.weight" in stored else "spiking"
    settings = params.Network(baseline=float(stored["init_b"]), initial_weight=float(stored["init_w"]))
    network = model.BarrelNetwork(column, synapses, form, settings, 0)
    matrix = np.zeros((column.n_cells, column.n_cells), dtype=np.float32)
    for name, post, pre in named:
        matrix[bounds[post] : bounds[post + 1], bounds[pre] : bounds[pre + 1]] = stored[f"param.{name}.weight"]
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(matrix[synapses.receiver, synapses.sender]))
        for layer, name in dense(network):
            layer.weight.copy_(torch.from_numpy(stored[f"param.{name}.weight"]))
            layer.bias.copy_(torch.from_numpy(stored[f"param.{name}.bias"]))
        for kind, tau in (("m", network.tau_membrane), ("adp", network.tau_adaptation)):
            parts = [stored[f"param.barrelloid_tau_{kind}"], *(stored[f"tau_{kind}.{i}"] for i in range(13))]
            tau.copy_(torch.from_numpy(np.concatenate(parts)))
    network.project(None)
    state = first_state(stored, float(stored["init_b"]))
    return Case(network, channels(stored["x"]), state, named), stored, column, synapses


def dense(network):
    names = ("fc_f", "fc_t") if network.form == "spiking" else ("fc",)
    return [*zip(network.inputs, names, strict=True), (network.thalamus, "barrelloid"), (network.hidden, "fc2_1"), (network.classes, "fc2_2")]


def play(case: Case, how: str, monkeypatch) -> model.Output:
    if how == "plain":
        monkeypatch.setattr(model, "advance_compiled", model.advance_plain)
    return case.network(case.x, case.state, checkpoint_steps=7 if how == "checkpointed" else 0)


def close(found, wanted, relative):
    """Largest difference in units of the largest wanted value."""
    assert np.abs(found - wanted).max() <= relative * np.abs(wanted).max()


@pytest.mark.parametrize("how", STEPS)
@pytest.mark.parametrize("path", reference_cases("barrel", "small_net_*.npz"))
def test_small_network(path, how, monkeypatch):
    case, stored, column, synapses = small(path)
    network = case.network
    output = play(case, how, monkeypatch)
    fired = output.spikes[:, network.n_thalamic :].permute(0, 2, 1).numpy()
    assert np.sum(fired != stored["spikes"]) == 0
    assert np.abs(output.votes.detach().numpy() - stored["output_sum_softmax"]).max() <= 1e-5
    loss = torch.nn.functional.cross_entropy(output.votes / int(stored["T"]), torch.from_numpy(stored["y"]))
    assert abs(loss.item() - float(stored["loss"])) <= 1e-6
    loss.backward()
    for name, post, pre in case.projections:
        wanted = stored[f"grad.{name}.weight"] * stored[f"mask.{name}"]
        close(projected(column, synapses, network.weight.grad.numpy(), post, pre), wanted, 1e-4)
    for layer, name in dense(network):
        close(layer.weight.grad.numpy(), stored[f"grad.{name}.weight"], 1e-4)
        close(layer.bias.grad.numpy(), stored[f"grad.{name}.bias"], 1e-4)
    for kind, tau in (("m", network.tau_membrane), ("adp", network.tau_adaptation)):
        for i in range(13):
            low, high = column.bounds[i + 1 : i + 3]
            close(tau.grad[low:high].numpy(), stored[f"grad_tau_{kind}.{i}"], 1e-4)
        if f"grad_barrelloid_tau_{kind}" in stored:
            close(tau.grad[: network.n_thalamic].numpy(), stored[f"grad_barrelloid_tau_{kind}"], 1e-4)
    optimiser = torch.optim.Adam(
        [
            {"params": [p for n, p in network.named_parameters() if not n.startswith("tau")]},
            {"params": [network.tau_adaptation], "lr": 0.04},
            {"params": [network.tau_membrane], "lr": 0.016},
        ],
        lr=0.008,
    )
    optimiser.step()
    network.project(None)
    after = play(case, how, monkeypatch)
    fired = after.spikes[:, network.n_thalamic :].permute(0, 2, 1).numpy()
    assert np.sum(fired != stored["after1step.spikes"]) == 0
    assert np.abs(after.votes.detach().numpy() - stored["after1step.output_sum_softmax"]).max() <= 1e-4
    name, post, pre = next(found for found in case.projections if found[0] == "toPops.4.0")
    values = network.weight.detach().numpy()
    mask = stored[f"mask.{name}"]
    wanted = stored[f"after1step.param.{name}.weight"] * mask
    assert np.abs(projected(column, synapses, values, post, pre) - wanted).max() <= 1e-6
