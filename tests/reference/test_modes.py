"""Every case of the published SMNN programs that is there: identical spikes, values and gradients within tolerance."""

from functools import cache

import numpy as np
import pytest
import torch

from respike.core import cells
from respike.modes import analysis, encoding, model
from respike.modes.params import A_MEMBRANE, RATE_CELLS, Size, spike_filter
from tests.conftest import reference_cases

NAMES = {"win": "Win", "pin": "pin", "pout": "pout", "scores": "l", "wout": "Wout"}
RUNS = {"compiled": model.run, "plain": model.run_spiking_plainly}


def network_of(case) -> model.Network:
    size = Size(case["Win"].shape[1], *case["pin"].shape, case["Wout"].shape[0])
    network = model.Network(size, torch.Generator())
    network.load_state_dict({ours: torch.from_numpy(case[theirs]) for ours, theirs in NAMES.items()})
    return network


def close(found, expected, rtol=1e-4):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=1e-5)


def check_gradients(network, case):
    for ours, theirs in NAMES.items():
        expected = case[f"grad_{theirs}"]
        error = np.abs(getattr(network, ours).grad.numpy() - expected).max()
        assert error <= 1e-4 * np.abs(expected).max(), f"gradient of {theirs}: {error}"


def check_steps(network, activity, case):
    close(activity.v.detach(), case["U"])
    close(activity.r.detach(), case["R"])
    output = model.read_steps(network, activity.r)
    close(output.detach(), case["y"])
    loss = model.step_loss(output, torch.from_numpy(case["target"]))
    assert loss.item() == pytest.approx(float(case["loss"]), rel=1e-5)
    loss.backward()
    check_gradients(network, case)


def check_adam_step(network, case):
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 20)
    assert float(norm) == pytest.approx(float(case["grad_norm"]), rel=1e-4)
    for ours, theirs in NAMES.items():
        expected = case[f"clipped_grad_{theirs}"]
        np.testing.assert_allclose(getattr(network, ours).grad, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    optimiser.step()
    for ours, theirs in NAMES.items():
        # Adam's first step is lr * sign(gradient): entries with a vanishing gradient have no defined sign
        clear = np.abs(case[f"clipped_grad_{theirs}"]) > 1e-5
        np.testing.assert_allclose(getattr(network, ours).detach().numpy()[clear], case[f"after_{theirs}"][clear], atol=1e-5)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("path", reference_cases("modes", "mante_spiking_*.npz"))
def test_contextual_spiking(path, run):
    case = np.load(path)
    network = network_of(case)
    synapse = spike_filter("contextual", "single" if "single" in path.stem else "double")
    activity = run(network, model.drive_of(network, torch.from_numpy(case["x"])), synapse)
    np.testing.assert_array_equal(activity.spikes, case["S"])
    check_steps(network, activity, case)
    if "after_Win" in case:
        check_adam_step(network, case)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("path", reference_cases("modes", "mante_trained_*.npz"))
def test_contextual_trained(path, run):
    case = np.load(path)
    network = network_of(case)
    synapse = spike_filter("contextual", "single" if "single" in path.stem else "double")
    with torch.no_grad():
        activity = run(network, model.drive_of(network, torch.from_numpy(case["x"])), synapse)
        output = model.read_steps(network, activity.r)
    np.testing.assert_array_equal(activity.spikes, case["S"])
    close(activity.r[-len(case["R_last100"]) :], case["R_last100"])
    close(output, case["y"])
    target = case["target"][..., 0]
    assert np.mean((output[..., 0].numpy() - target) ** 2) == pytest.approx(
        np.mean((case["y"][..., 0] - target) ** 2), abs=1e-4
    )


@pytest.mark.parametrize("path", reference_cases("modes", "mante_rate*.npz"))
def test_contextual_rate(path):
    case = np.load(path)
    network = network_of(case)
    activity = model.run(network, model.drive_of(network, torch.from_numpy(case["x"])), RATE_CELLS["leaky"])
    check_steps(network, activity, case)


def encoded_input(case) -> torch.Tensor:
    return torch.from_numpy(np.unpackbits(case["in_spikes"], axis=-1, count=784).astype(np.float32))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("path", reference_cases("modes", "mnist_spiking_*.npz"))
def test_digits_spiking(path, run):
    case = np.load(path)
    network = network_of(case)
    synapse = spike_filter("digits", "single" if "single" in path.stem else "double")
    activity = run(network, model.drive_of(network, encoded_input(case)), synapse)
    np.testing.assert_array_equal(activity.spikes, case["S"])
    close(activity.v.detach(), case["U"])
    close(activity.r.detach(), case["R"])
    close(activity.r.detach().max(0).values, case["rm"])
    check_digits(network, activity.r, case)


@pytest.mark.parametrize("path", reference_cases("modes", "mnist_rate*.npz"))
def test_digits_rate(path):
    case = np.load(path)
    network = network_of(case)
    # the rate case runs on the input spikes of the spiking cases, and may leave them to those files
    source = case if "in_spikes" in case else np.load(path.with_name(path.name.replace("rate", "spiking_double")))
    activity = model.run(network, model.drive_of(network, encoded_input(source)), RATE_CELLS["leaky"])
    close(activity.r.detach().max(0).values, case["R_max"])
    close(activity.v[-1].detach(), case["U_last"])
    check_digits(network, activity.r, case)


def check_digits(network, r, case):
    logits = model.read_peaks(network, r)
    close(torch.softmax(logits, 1).detach(), case["y"])
    loss = model.digit_loss(logits, torch.from_numpy(case["labels"]), "reference")
    assert loss.item() == pytest.approx(float(case["loss"]), rel=1e-5)
    loss.backward()
    check_gradients(network, case)


@pytest.mark.parametrize("path", reference_cases("modes", "mnist_spiking_*.npz"))
def test_event_driven_input_is_the_dense_product(path):
    """The drive gathered from spiking pixels, and its adjoint, equal the product with the recorded input spikes."""
    case = np.load(path)
    inputs = encoded_input(case)
    steps, trials, pixels = inputs.shape
    rows, index = np.nonzero(inputs.reshape(-1, pixels).numpy())
    start = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=steps * trials))])
    weights = torch.from_numpy(case["Win"]).requires_grad_()
    spikes = (torch.from_numpy(part.astype(np.int32)) for part in (start, index))
    drive = encoding.EncodedDrive.apply(weights, *spikes).view(steps, trials, -1)
    dense_weights = weights.detach().clone().requires_grad_()
    dense = inputs @ dense_weights.T
    close(drive.detach(), dense.detach())
    upstream = torch.sin(torch.arange(drive.numel())).view_as(drive)
    drive.backward(upstream)
    dense.backward(upstream)
    np.testing.assert_allclose(weights.grad, dense_weights.grad, atol=2e-5)


@pytest.mark.parametrize("path", reference_cases("modes", "surrogate_refractory*.npz"))
def test_surrogate_and_refractory(path):
    case = np.load(path)
    x = torch.from_numpy(case["x"]).requires_grad_()
    spike = cells.spike(x, model.fast_sigmoid)
    spike.sum().backward()
    np.testing.assert_array_equal(spike.detach(), case["spike"])
    np.testing.assert_allclose(x.grad, case["dspike"], rtol=1e-6)
    for step, expected in zip(case["spike_step"], case["first_unlocked_step"], strict=True):
        assert first_free_steps()[step] == expected


@cache
def first_free_steps(steps: int = 500) -> list[int]:
    """For each step k, the first step at which a neuron that is made to fire at k integrates again."""
    network = model.Network(Size(1, steps, 1, 1), torch.Generator())
    for weight in network.parameters():
        torch.nn.init.zeros_(weight)
    drive = torch.zeros(steps + 8, 1, steps)
    drive[range(steps), 0, range(steps)] = 1.5 / (1 - A_MEMBRANE)  # cell k fires at step k, and its current lingers
    with torch.no_grad():
        activity = model.run(network, drive, spike_filter("contextual", "double"))
    assert activity.spikes[range(steps), 0, range(steps)].all()
    moving = activity.before_reset[:, 0] != 0
    return [int(torch.nonzero(moving[k + 1 :, k])[0]) + k + 1 for k in range(steps)]


@pytest.mark.parametrize("path", reference_cases("modes", "mode_metrics*.npz"))
def test_mode_metrics(path):
    case = np.load(path)
    np.testing.assert_allclose(analysis.importance(case["pin"], case["l"], case["pout"]), case["tau"], rtol=1e-4)
    basis = analysis.mode_basis(case["Win"], case["pin"])
    np.testing.assert_allclose(np.swapaxes(basis, 0, 1) @ case["R"], case["mu"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("path", reference_cases("modes", "fig5_*.npz"))
def test_ranked_importance(path):
    case = np.load(path)
    pin, pout = (case[name][:, None] for name in ("norm_pin", "norm_pout"))  # as if of one cell
    tau = analysis.importance(pin, case["l"], pout)
    mean, sizes = analysis.ranked(tau, case["l"])
    np.testing.assert_allclose(mean, case["tau_mean"], rtol=1e-4)
    np.testing.assert_allclose(sizes, case["abs_lambda_mean"], rtol=1e-4)
    if "mnist_H100" in path.stem:
        slopes = [line[0] for _, line in analysis.power_laws(mean, 100)]
        assert slopes == pytest.approx([-0.0974, -0.1230], abs=1e-3)
