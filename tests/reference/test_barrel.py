"""The barrel network against cases of the published program, wherever RESPIKE_REFERENCE names a folder of them."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy import stats

from respike.barrel import analysis, anatomy, encoding, kernel, model, params, responses
from respike.core.cells import spike
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
    matrix = np.zeros(synapses.shape, dtype=np.float64)
    matrix[synapses] = values
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
    return v, torch.full_like(v, baseline), s


def small(case) -> tuple[Case, np.lib.npyio.NpzFile, anatomy.Anatomy, np.ndarray]:
    stored = np.load(case)
    full = anatomy.load()
    n_thalamic = stored["init.mem_thal"].shape[1]
    column = replace(full, sizes=np.concatenate([[n_thalamic], stored["pop_sizes"]]))
    bounds, named = column.bounds, pairs(full)
    synapses = np.zeros((column.n_cells, column.n_cells), dtype=bool)
    for name, post, pre in named:
        synapses[bounds[post] : bounds[post + 1], bounds[pre] : bounds[pre + 1]] = stored[f"mask.{name}"]
    form = "real" if "param.fc.weight" in stored else "spiking"
    settings = params.Network(baseline=float(stored["init_b"]), initial_weight=float(stored["init_w"]))
    network = model.BarrelNetwork(column, synapses, form, settings, 0)
    matrix = np.zeros((column.n_cells, column.n_cells), dtype=np.float32)
    for name, post, pre in named:
        matrix[bounds[post] : bounds[post + 1], bounds[pre] : bounds[pre + 1]] = stored[f"param.{name}.weight"]
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(matrix[synapses]))
        for layer, name in dense(network):
            layer.weight.copy_(torch.from_numpy(stored[f"param.{name}.weight"]))
            layer.bias.copy_(torch.from_numpy(stored[f"param.{name}.bias"]))
        for kind, tau in (("m", network.tau_membrane), ("adp", network.tau_adaptation)):
            parts = [stored[f"param.barrelloid_tau_{kind}"], *(stored[f"tau_{kind}.{i}"] for i in range(13))]
            tau.copy_(torch.from_numpy(np.concatenate(parts)))
    network.project(-np.inf)
    state = first_state(stored, float(stored["init_b"]))
    return Case(network, channels(stored["x"]), state, named), stored, column, synapses


def dense(network):
    names = ("fc_f", "fc_t") if network.form == "spiking" else ("fc",)
    return [
        *zip(network.inputs, names, strict=True),
        (network.thalamus, "barrelloid"),
        (network.hidden, "fc2_1"),
        (network.classes, "fc2_2"),
    ]


def play(case: Case, how: str, monkeypatch) -> model.Output:
    if how == "plain":
        monkeypatch.setattr(kernel, "advance", model.advance_plain)
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
    network.project(-np.inf)
    after = play(case, how, monkeypatch)
    fired = after.spikes[:, network.n_thalamic :].permute(0, 2, 1).numpy()
    assert np.sum(fired != stored["after1step.spikes"]) == 0
    assert np.abs(after.votes.detach().numpy() - stored["after1step.output_sum_softmax"]).max() <= 1e-4
    name, post, pre = next(found for found in case.projections if found[0] == "toPops.4.0")
    gradient = network.weight.grad.numpy()
    ours, by_ours = (projected(column, synapses, part, post, pre) for part in (network.weight.detach().numpy(), gradient))
    mask, by_theirs = stored[f"mask.{name}"], stored[f"grad.{name}.weight"]
    before, theirs = stored[f"param.{name}.weight"], stored[f"after1step.param.{name}.weight"]
    updated = np.clip(before - 0.008 * by_theirs / (np.abs(by_theirs) + 1e-8), 0, 1)
    assert np.abs(mask * (updated - theirs)).max() <= 1e-6, "the published update is Adam's on the published gradients"
    assert (np.abs(ours - theirs) <= 1e-6 + first_update_error(by_ours, by_theirs, 0.008))[mask > 0].all()


def first_update_error(one, other, rate):
    """Largest difference between Adam's first updates, rate g / (|g| + 1e-8), for gradients that differ a little.

    For gradients near zero it is up to rate / 1e-8 times their difference: rounding of 1e-11 becomes 8e-6 at a rate of 0.008.
    """
    smaller = np.where(one * other > 0, np.minimum(np.abs(one), np.abs(other)), 0)
    return rate * 1e-8 * np.abs(one - other) / (smaller + 1e-8) ** 2


def unit(o: np.ndarray, a: int) -> np.ndarray:
    """Number in [0, 1) that stands for a random one in the analytic cases."""
    return ((o * a) % 2147483647) / 2147483647


def analytic_dense(network) -> None:
    names = [layer for layer, _ in dense(network)]
    for number, layer in enumerate(names):
        n_out, n_in = layer.weight.shape
        o, i = np.arange(n_out)[:, None], np.arange(n_in)[None]
        for values, kk, scale, column in (
            (layer.weight, 1000 + 2 * number, np.sqrt(6 / (n_out + n_in)), i),
            (layer.bias, 1001 + 2 * number, 0.05, 0),
        ):
            drawn = scale * (2 * unit(o * 37 + column * 101 + kk * 59 + 1, 69621) - 1)
            values.copy_(torch.from_numpy(drawn.reshape(values.shape).astype(np.float32)))


def analytic_network(baseline: float) -> tuple[model.BarrelNetwork, int]:
    """Network of full size whose weights are formulas, and its number of thalamic synapses."""
    column = anatomy.load()
    receivers, senders, weights, thalamic = [], [], [], 0
    for k, (_, post, pre) in enumerate(pairs(column)):
        o, i = np.arange(column.sizes[post])[:, None], np.arange(column.sizes[pre])[None]
        there = np.nonzero(unit(o * 7919 + i * 104729 + k * 1299709, 48271) < column.probability[post, pre])
        receivers.append(there[0] + column.bounds[post])
        senders.append(there[1] + column.bounds[pre])
        weights.append(0.06 * unit(there[0] * 31 + there[1] * 17 + k * 13, 16807))
        thalamic += len(there[0]) * (pre == 0)
    receiver, sender = np.concatenate(receivers), np.concatenate(senders)
    synapses = np.zeros((column.n_cells, column.n_cells), dtype=bool)
    synapses[receiver, sender] = True
    network = model.BarrelNetwork(column, synapses, "spiking", params.Network(baseline=baseline), 0)
    with torch.no_grad():
        order = np.lexsort((sender, receiver))
        network.weight.copy_(torch.from_numpy(np.concatenate(weights)[order].astype(np.float32)))
        analytic_dense(network)
    return network, thalamic


@pytest.mark.parametrize("path", reference_cases("barrel", "full_net_*.npz"))
def test_full_network(path):
    stored = np.load(path)
    baseline = float(stored["init_b"]) if "init_b" in stored else 0.04
    network, thalamic = analytic_network(baseline)
    assert thalamic == int(stored["n_th_conn"])
    assert len(network.weight) == int(stored["n_conn_total"])
    with torch.no_grad():
        output = network(channels(stored["x"]), first_state(stored, baseline))
    fired = output.spikes[:, network.n_thalamic :].permute(0, 2, 1).numpy()
    shape = tuple(stored["spikes_shape"])
    wanted = np.unpackbits(stored["spikes_packed"], count=int(np.prod(shape))).reshape(shape)
    mismatch = np.mean(fired != wanted)
    assert mismatch <= 1e-3
    edges = (network.bounds[1:] - network.n_thalamic).tolist()
    rates = np.stack([fired[..., low:high].mean((1, 2)) for low, high in zip(edges, edges[1:], strict=False)], 1)
    assert np.abs(rates - stored["pop_rate_per_step"]).max() <= 1e-2
    votes = output.votes.numpy()
    assert np.abs(votes - stored["output_sum_softmax"]).max() <= (1e-3 if mismatch == 0 else 0.05)


@pytest.mark.parametrize("path", reference_cases("barrel", "surrogate*.npz"))
def test_surrogate(path):
    stored = np.load(path)
    x = torch.tensor(stored["x"], requires_grad=True)
    spikes = spike(x, kernel.surrogate)
    spikes.sum().backward()
    assert np.array_equal(spikes.detach().numpy(), stored["spike"])
    np.testing.assert_allclose(x.grad.numpy(), stored["dspike_dx"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("path", reference_cases("barrel", "alif_unroll*.npz"))
def test_neuron_unrolled(path):
    stored = np.load(path)
    current, tau_b, tau_m = (torch.tensor(stored[name], requires_grad=True) for name in ("current", "tau_adp", "tau_m"))
    v, s = torch.from_numpy(stored["mem0"]).T, torch.from_numpy(stored["spike0"]).T
    b = torch.full_like(v, float(stored["b_state0"]))
    baseline = float(stored["b_j0"])
    alpha, rho = torch.exp(-1 / tau_m)[:, None], torch.exp(-1 / tau_b)[:, None]
    result = {"mem": [], "spike": [], "threshold": [], "b_state": []}
    for now in current:
        v, b, s = model.step(now.T, v, b, s, alpha, rho, baseline, params.ADAPTATION)
        for name, value in zip(result, (v, s, baseline + params.ADAPTATION * b, b), strict=True):
            result[name].append(value.T)
    found = {name: torch.stack(values) for name, values in result.items()}
    for name, values in found.items():
        np.testing.assert_allclose(values.detach().numpy(), stored[name], atol=1e-6)
    loss = (torch.from_numpy(stored["loss_weights"]) * found["spike"]).sum() + 0.1 * (found["mem"] ** 2).sum()
    loss.backward()
    assert abs(loss.item() - float(stored["loss"])) <= 1e-5
    for name, value in (("current", current), ("tau_adp", tau_b), ("tau_m", tau_m)):
        close(value.grad.numpy(), stored[f"dL_d{name}"], 1e-4)


@pytest.mark.parametrize("path", reference_cases("barrel", "encoding*.npz"))
def test_encoding(path):
    stored = np.load(path)
    for kind in ("force", "torque"):
        found = encoding.probability(stored[kind], kind)
        np.testing.assert_allclose(found, stored[f"prob_{kind}"], rtol=1e-5, atol=1e-6)
    assert np.array_equal(np.searchsorted(params.LABELS, stored["label_raw"]), stored["label"])


@pytest.mark.parametrize("path", reference_cases("barrel", "encoding*.npz"))
def test_drawn_spikes_have_the_published_statistics(path):
    stored = np.load(path)
    theirs = stored["spikes_seed515_first"].astype(float)
    n, kinds, n_sweeps, n_steps = theirs.shape[:4]
    p = np.stack([stored["prob_force"], stored["prob_torque"]], 1)[:, :, :n_sweeps]
    repeats = n_steps // p.shape[3]
    assert theirs[p.repeat(repeats, 3) < 1e-4].mean() < 1e-3  # frames without any force
    flat = p[:, :, 0].transpose(0, 2, 1, 3, 4).reshape(n, p.shape[3], -1)
    ours = encoding.draw(flat.repeat(repeats, axis=1), np.arange(n), 0)
    published = theirs[:, :, 0].transpose(0, 2, 1, 3, 4).reshape(ours.shape)
    spread = np.sqrt((flat * (1 - flat)).sum() * repeats)
    for spikes in (ours, published):
        assert abs(spikes.sum() - repeats * flat.sum()) < 4 * spread


@pytest.mark.parametrize("path", reference_cases("barrel", "realvalued_norm*.npz"))
def test_normalisation_by_sweeps(path):
    stored = np.load(path)
    found = np.concatenate([encoding.by_sweeps(stored[name]) for name in ("force", "torque")], axis=-1)
    np.testing.assert_allclose(found.reshape(stored["out"].shape), stored["out"], atol=1e-6)


@pytest.mark.parametrize("path", reference_cases("barrel", "cv_rate*.npz"))
def test_cv_and_rate(path):
    stored = np.load(path)
    found = analysis.cv(stored["spikes"])
    np.testing.assert_allclose(found, stored["cv_per_neuron"], atol=1e-6)
    assert abs(found.mean() - float(stored["cv"])) <= 1e-6
    np.testing.assert_allclose(analysis.binned_rate(stored["spikes"]), stored["fr_interval10"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", reference_cases("barrel", "anova*.npz"))
def test_selectivity(path):
    stored = np.load(path)
    shape = tuple(stored["shape"])
    packed = (stored[f"spikes_class{k}"] for k in range(3))
    sums = np.stack([np.unpackbits(p, count=int(np.prod(shape))).reshape(shape).sum(0).T for p in packed])
    found = analysis.selectivity_by_steps(sums, np.arange(3))  # classes of one size
    # the published test sums squares in single precision by BLAS, in an order that depends on the processor: with
    # OPENBLAS_CORETYPE=SkylakeX the digits are the stored ones, with others they differ by up to 4e-5
    np.testing.assert_allclose(found.p, stored["p_values"], rtol=1e-4, atol=1e-300)
    assert np.array_equal(np.flatnonzero(found.selective), stored["significant"])
    np.testing.assert_allclose(found.position[found.selective], stored["coords_significant"], atol=1e-6)
    np.testing.assert_allclose(found.position[~found.selective], stored["coords_other"], atol=1e-6)


@pytest.mark.parametrize("path", reference_cases("barrel", "degree_*.npz"))
def test_degrees(path):
    stored = np.load(path)
    into, out = analysis.degrees(stored["conn"])
    np.testing.assert_allclose(into, stored["in_degree"], rtol=1e-6)
    np.testing.assert_allclose(out, stored["out_degree"], rtol=1e-6)
    assert np.count_nonzero(stored["conn"]) == int(stored["nonzero"])


@pytest.mark.parametrize("path", reference_cases("barrel", "single_neuron_drive*.npz"))
def test_single_neuron_drive(path):
    stored = np.load(path)
    taus = [(torch.from_numpy(stored[f"tau_m.{i}"]), torch.from_numpy(stored[f"tau_adp.{i}"])) for i in range(13)]
    # the published figure starts at step 1 and divides by all 550
    rates = np.array([responses.driven_rate(tau_m.float(), tau_b.float(), params.DRIVE_STEPS - 1) for tau_m, tau_b in taus])
    np.testing.assert_allclose(rates, stored["rate"], atol=1e-6)
    reference = np.array(params.REFERENCE_RATES, dtype=float)
    np.testing.assert_allclose(reference, stored["reference_rates"])
    np.testing.assert_allclose(analysis.scaled(rates), stored["rate_norm"], atol=1e-6)
    np.testing.assert_allclose(analysis.scaled(reference), stored["reference_norm"], atol=1e-6)
    r, p = stats.pearsonr(analysis.scaled(rates), analysis.scaled(reference))
    assert abs(r - float(stored["pearson_r"])) <= 1e-6
    assert p == pytest.approx(float(stored["pearson_p"]), rel=1e-6)
