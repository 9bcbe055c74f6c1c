"""The study against cases made by running the published program."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from respike.core import files, statistics
from respike.core.adam import Adam
from respike.formats import movies
from respike.v1 import agreement, losses, recorded, recording, recurrence, trials, truth
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network, Objective, Sampling, Training, Variant
from respike.v1.stages import fit, metrics, simulate
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


def movie_of(case):
    """The case's movie: the first window of frames, then the last frame of each later one."""
    windows = tensor(case["x"]).permute(0, 3, 1, 2)
    movie = torch.cat([windows[0], windows[1:, -1]])
    np.testing.assert_array_equal(movie.unfold(0, windows.shape[1], 1).permute(0, 3, 1, 2), windows)
    return movie


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
    drive = model.drive(movie_of(case))
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
    latent = model.front_end(movie_of(case))
    np.testing.assert_allclose(latent.detach().numpy(), case["latent"], atol=1e-5)

    forced, free = passes(model, case)
    for label, run in (("forced", forced), ("free", free)):
        if run is not None:
            np.testing.assert_array_equal(run.spikes.detach().numpy(), case[f"z_{label}"])
            np.testing.assert_allclose(run.voltage.detach().numpy(), case[f"v_{label}"], atol=1e-5)
            scaled = run.logits.detach().numpy() / model.network.temperature
            np.testing.assert_allclose(scaled, case[f"vs_{label}"], atol=1e-5)

    objective, y = objective_of(case, name), tensor(case["y"])
    targets = losses.Targets(y, objective, model.network.history)
    found = losses.terms(objective, y, targets, forced, free)
    total = losses.total(objective, found)
    published = {"likelihood": "llh", "psth": "psth", "noise_correlation": "nc", "hidden_rate": "fr"}
    for ours, theirs in published.items():
        assert float(torch.as_tensor(found.get(ours, 0.0)).detach()) == pytest.approx(
            float(case[f"loss_{theirs}"]), rel=1e-5, abs=1e-12
        ), ours
    assert float(total.detach()) == pytest.approx(float(case["loss_total"]), rel=1e-5)
    if "loss_psth_mse" in case:
        n_recorded = y.shape[2]
        mse = losses.squared_distance(y.mean(0), free.probabilities[..., :n_recorded].mean(0))
        assert float(mse.detach()) == pytest.approx(float(case["loss_psth_mse"]), rel=1e-5)

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


@pytest.mark.parametrize("case", reference_cases("v1", "dataloader*.npz"))
def test_windows_history_and_targets(case):
    case = dict(np.load(case))
    n_frames, (n_trials, _, n_cells) = case["x"].shape[3], case["y_1"].shape
    spikes = case["spikes"].reshape(int(case["n_rep"]), -1, n_cells)
    network = Network(movie_frames=n_frames, history=case["past_1"].shape[2] // n_cells)
    cut = trials.cut(case["movie"].transpose(2, 0, 1), spikes, network)
    np.testing.assert_array_equal(cut.movie.unfold(0, n_frames, 1), case["x"])
    np.testing.assert_array_equal(spikes.mean(0).T, case["psth_train"])
    for batch in ("1", "2"):
        picked = cut.pick(case[f"trial_ids_{batch}"])
        np.testing.assert_array_equal(picked.y, case[f"y_{batch}"])
        past = picked.recorded.unfold(1, network.history, 1)[:, :-1]  # trial, step, cell, bin
        np.testing.assert_array_equal(past.reshape(n_trials, len(case["x"]), -1), case[f"past_{batch}"])


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("case", reference_cases("v1", "adam_clipnorm*.npz"))
def test_adam_with_clipping_per_tensor(case, fused):
    case = dict(np.load(case))
    names = sorted(name[3:] for name in case if name.startswith("w0_"))
    weights = [torch.nn.Parameter(tensor(case[f"w0_{name}"])) for name in names]
    lr, clip, epsilon, *betas = (float(case[name]) for name in ("lr", "clipnorm", "eps", "beta1", "beta2"))
    optimiser = Adam(weights, lr, tuple(betas), epsilon, clip, fused=fused)
    n_steps = sum(name.endswith(f"_{names[0]}") for name in case) - 2
    for step in range(n_steps):
        for name, weight in zip(names, weights, strict=True):
            weight.grad = tensor(case[f"g{step}_{name}"])
        optimiser.step(step)
    for name, weight in zip(names, weights, strict=True):
        np.testing.assert_allclose(weight.detach(), case[f"w{n_steps}_{name}"], atol=1e-6)


@pytest.mark.parametrize("case", reference_cases("v1", "binning*.npz"))
def test_binning(case):
    case = dict(np.load(case))
    n_trials, n_bins, n_units = case["binned"].shape
    unit, trial, time = case["unit_trial_time"].T
    spikes = recording.SpikeTimes(time, trial.astype(int), unit.astype(int), n_trials, n_units)
    binned = recorded.bin_spikes(spikes, n_bins, float(case["dt"]))
    np.testing.assert_array_equal(binned[:, :-1] > 0, case["binned"])
    assert binned.sum() == len(time)


@pytest.mark.parametrize("case", reference_cases("v1", "resize_*.npz"))
def test_resize(case):
    case = dict(np.load(case))
    movie = case["movie"] if case["movie"].dtype.kind == "f" else movies.grey(Path("movie.mat"), "M", case["movie"])
    found = movies.resize(movie, case["resized"].shape[0])
    np.testing.assert_allclose(found, case["resized"], rtol=0, atol=1e-9 * max(1, np.abs(case["resized"]).max()))


def lagged_covariances(spikes, max_lag):
    """Stimulus, total and noise covariance of i at t with j at t - lag, lags -max_lag .. max_lag, circular in time."""
    noise, stimulus = (
        losses.delayed_covariance(x, x, max_lag + 1) for x in deviations(torch.from_numpy(spikes.astype(float)))
    )
    both = {"noise": noise, "stimulus": stimulus, "total": noise + stimulus}
    return {kind: torch.cat([x[1:].transpose(1, 2).flip(0), x]).permute(1, 2, 0) for kind, x in both.items()}


def deviations(spikes):
    """Of each trial from the trial mean, and of the trial mean from the mean of all bins."""
    mean = spikes.mean(0)
    return spikes - mean, (mean - mean.mean(0))[None]


@pytest.mark.parametrize("case", reference_cases("v1", "corr_stats*.npz"))
def test_correlations(case):
    case = dict(np.load(case))
    spikes = case["n"].transpose(0, 2, 1)
    found = lagged_covariances(spikes, case["C_stim"].shape[2] // 2)
    for kind, name in (("stimulus", "C_stim"), ("total", "C_tot"), ("noise", "C_noise")):
        np.testing.assert_allclose(found[kind], case[name], atol=1e-6)
    pairs = agreement.correlations(spikes)
    for kind, name in (("stimulus", "stim_corr"), ("total", "total_corr"), ("noise", "noise_corr")):
        np.testing.assert_allclose(pairs[kind], case[name], atol=1e-6)


@pytest.mark.parametrize("case", reference_cases("v1", "r2*.npz"))
def test_r2(case):
    case = dict(np.load(case))
    assert statistics.r2(case["gt"], case["pred"]) == pytest.approx(float(case["r2"]), abs=1e-6)


def quick_recording(case, folder):
    """The case's data set as a recording file, and its network."""
    n_trials, splits, n_cells = len(case["spikes"]), [80, 30, 10], case["spikes"].shape[2]
    assert n_trials == sum(splits)
    split = np.repeat(["train", "test", "validation"], splits)
    movie = case["movie"].transpose(2, 0, 1)
    record = recorded.Recording(movie, case["spikes"], split, np.arange(n_cells), 40.0, 0, 0, "stand-in")
    files.write_arrays(folder / "recording.npz", **record._asdict())
    spikes = np.concatenate([case["spikes"], case["hidden"]], 2)
    known = truth.Truth(case["W"], case["b"], case["drive"], spikes, n_cells)
    files.write_arrays(folder / "truth.npz", **known._asdict())
    return folder / "recording.npz", folder / "truth.npz"


@pytest.mark.slow
@pytest.mark.parametrize("case", reference_cases("v1", "standin_quick*.npz"))
def test_sampling_improves_noise_correlations_at_no_loss_of_likelihood(case, tmp_path):
    """Acceptance A9 to A11, two seeds; and the goal beyond: noise-correlation R2 of 0.45 for at most 0.005 nats."""
    recording_path, truth_path = quick_recording(dict(np.load(case)), tmp_path)
    ours = Objective(
        psth=1.0, noise_correlation=8000.0, nc_estimator="lag_consistent", target_stats="all", simulated_trials=40
    )
    variants = {
        "mle": Variant(),
        "sm": Variant(Objective(likelihood=0.4, psth=0.1, noise_correlation=50.0)),
        "ours": Variant(ours, hidden=8),
    }
    names = [f"{variant}_{replicate}" for variant in variants for replicate in (0, 1)]
    for name in names:
        variant, replicate = name.split("_")
        fit.run(
            recording=recording_path,
            fit=tmp_path / f"{name}.pt",
            history=tmp_path / f"{name}.parquet",
            network=Network(),
            variant=variants[variant],
            optimiser=Training(steps=400),
            seed=0,
            replicate=int(replicate),
            device="cpu",
        )
    fits, runs = ([tmp_path / f"{name}.{kind}" for name in names] for kind in ("pt", "npz"))
    simulate.run(fits=fits, recording=recording_path, runs=runs, sampling=Sampling(), seed=0, device="cpu")
    out = tmp_path / "metrics.parquet"
    metrics.run(
        recording=recording_path,
        runs=runs,
        names=names,
        ground_truth=truth_path,
        also=[],
        also_facts=[],
        out=out,
        facts=out.with_name("facts.parquet"),
    )
    found = pd.read_parquet(out).groupby(["variant", "metric"])["value"].mean()

    assert found["constant rate", "nll"] == pytest.approx(0.3952, abs=5e-5)
    assert found["psth", "nll"] == pytest.approx(0.3749, abs=5e-5)
    assert found["generator", "nll"] == pytest.approx(0.2708, abs=5e-5)
    nll, nc, psth = (
        {name: found[name, metric] for name in variants}
        for metric in ("nll", "noise correlation R2 (600 trials)", "psth r (600 trials)")
    )
    assert nll["mle"] <= 0.358
    assert nll["sm"] <= nll["mle"] + 0.004
    assert nc["sm"] >= max(nc["mle"] + 0.04, 0.16)
    assert psth["sm"] >= max(psth["mle"] - 0.02, 0.70)
    assert found["sm", "rate ratio"] == pytest.approx(1, abs=0.1)
    assert nll["ours"] <= nll["mle"] + 0.005
    assert nc["ours"] >= 0.45
    assert found["ours", "rate ratio"] == pytest.approx(1, abs=0.1)
