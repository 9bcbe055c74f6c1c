"""The study against cases made by running the published program."""

import numpy as np
import pytest
import torch

from respike.v1 import losses, recurrence
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network, Objective
from tests.conftest import reference_cases


def tensor(array):
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


def network_of(case):
    """The case's network: sizes read from its weights."""
    layers = sorted(name[2:-2] for name in case if name.startswith("p_conv") and name.endswith("_w"))
    kernels = [case[f"p_{layer}_w"] for layer in layers]
    network = Network(
        hidden=int(case["n_hid"]),
        movie_frames=case["x"].shape[3],
        history=case["p_w_rec"].shape[2],
        filters=tuple(kernel.shape[3] for kernel in kernels),
        kernels=tuple(kernel.shape[0] for kernel in kernels),
        pools=(3,) * len(layers),
        strides=(2,) * len(layers),
        threshold=float(case["thr"]),
        temperature=float(case["temperature"]),
        dampening=float(case["dampening"]),
    )
    model = SpikingNetwork(network, int(case["n_vis"]), case["x"].shape[1])
    with torch.no_grad():
        for name, parameter, layout in parameters(model, layers):
            parameter.copy_(tensor(case[f"p_{name}"]).permute(layout))
    return model, layers


def parameters(model, layers):
    """Name in the case, parameter, and the order of axes that turns the case's array into ours."""
    rows = [("w_in", model.w_in, (0, 1)), ("w_rec", model.w_rec, (0, 1, 2)), ("bias", model.bias, (0,))]
    for layer, convolution in zip(layers, model.front_end.layers, strict=True):
        rows += [(f"{layer}_w", convolution.weight, (3, 2, 0, 1)), (f"{layer}_b", convolution.bias, (0,))]
    return rows


def recorded_of(case):
    """Recorded spikes with the history before the first step."""
    n_history = case["p_w_rec"].shape[2]
    before = case["past"][:, 0].reshape(len(case["y"]), -1, n_history).transpose(0, 2, 1)
    return torch.from_numpy(np.concatenate([before, case["y"]], 1) > 0)


def objective_of(case, name):
    likelihood_only = name.startswith("model_mle")
    return Objective(
        likelihood=1.0 if likelihood_only else float(case["w_gt"]),
        psth=0.0 if likelihood_only else float(case["w_psth"]),
        noise_correlation=0.0 if likelihood_only else float(case["w_nc"]),
        hidden_rate=float(case["w_fr"]),
        target_rate=float(case["target_fr"]),
    )


def passes(model, case):
    drive = model.drive(tensor(case["x"]).permute(0, 3, 1, 2))
    forced = model.forced(drive, recorded_of(case), tensor(case["u_forced"])) if "u_forced" in case else None
    free = model.free(drive, tensor(case["u_free"])) if "u_free" in case else None
    return forced, free


@pytest.fixture(params=["compiled", "plain"])
def time_loop(request, monkeypatch):
    if request.param == "plain":
        monkeypatch.setattr(recurrence, "run", recurrence.run_plain)


@pytest.mark.parametrize("case", reference_cases("v1", "model_*.npz"))
def test_passes_losses_and_gradients(case, time_loop):
    name, case = case.stem, dict(np.load(case))
    model, layers = network_of(case)
    latent = model.front_end(tensor(case["x"]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(latent.detach().numpy(), case["latent"], atol=1e-5)

    forced, free = passes(model, case)
    for label, run in (("forced", forced), ("free", free)):
        if run is not None:
            np.testing.assert_array_equal(run.spikes.detach().numpy(), case[f"z_{label}"])
            np.testing.assert_allclose(run.voltage.detach().numpy(), case[f"v_{label}"], atol=1e-5)
            np.testing.assert_allclose(run.scaled.detach().numpy(), case[f"vs_{label}"], atol=1e-5)

    objective, y = objective_of(case, name), tensor(case["y"])
    targets = losses.Targets(y, objective, model.network.history)
    found = losses.terms(objective, y, targets, forced, free)
    total = losses.total(objective, found)
    published = {"likelihood": "llh", "psth": "psth", "noise_correlation": "nc", "hidden_rate": "fr"}
    for ours, theirs in published.items():
        assert float(found.get(ours, 0.0)) == pytest.approx(float(case[f"loss_{theirs}"]), rel=1e-5, abs=1e-12), ours
    assert float(total) == pytest.approx(float(case["loss_total"]), rel=1e-5)
    if "loss_psth_mse" in case:
        n_recorded = y.shape[2]
        mse = losses.psth_mse(y.mean(0), free.probabilities[..., :n_recorded].mean(0))
        assert float(mse) == pytest.approx(float(case["loss_psth_mse"]), rel=1e-5)

    total.backward()
    for key, parameter, layout in parameters(model, layers):
        wanted = tensor(case[f"g_{key}"]).permute(layout)
        distance = torch.linalg.vector_norm(parameter.grad - wanted) / torch.linalg.vector_norm(wanted).clamp(min=1e-12)
        assert distance < 1e-4, key


@pytest.mark.parametrize("case", reference_cases("v1", "pseudo_derivative*.npz"))
def test_surrogate_derivative(case):
    case = dict(np.load(case))
    threshold = 0.4
    surrogate = recurrence.Surrogate("triangle", threshold, float(case["dampening"]), 1.0)
    voltage = torch.from_numpy(case["v_scaled"].astype(float)) * threshold + threshold
    np.testing.assert_allclose(surrogate.slope(voltage) * threshold, case["value"], atol=1e-6)


@pytest.mark.parametrize("case", reference_cases("v1", "delayed_cov*.npz"))
def test_delayed_covariance(case):
    case = dict(np.load(case))
    x = torch.from_numpy(case["x"].astype(float))
    found = losses.delayed_covariance(x, x, len(case["cov"]))
    np.testing.assert_allclose(found.flatten(1), case["cov"], atol=1e-6)
