"""rate2lif: tasks, rate model, LIF network, files, stages; against closed forms, brute force or a plain second version."""

import io
import json
import re
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import loadmat, savemat

from respike import __main__ as program
from respike.core import measures, seeds, spikes
from respike.rate2lif import activity, conversion, data, fit, lif, metrics, model, search, simulate, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.adam import Adam
from respike.rate2lif.params import Lif, Search, Simulation, Training, scheduled
from respike.rate2lif.tasks import TASKS

SMALL = Training("go-nogo", cells=12, batch=2, trials=8, check_every=4, check_trials=5)
PLACE = (3, "a network")


@pytest.fixture(autouse=True)
def _one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(rng):
    return model.initial(SMALL, 1, rng)


# tasks


def test_go_nogo_windows():
    drawn = tasks.draw(TASKS["go-nogo"], np.random.default_rng(0), 400)
    go = drawn.wanted == 1
    assert 0.4 < go.mean() < 0.6
    assert np.flatnonzero(drawn.inputs[:, go, 0].min(1)).tolist() == list(range(50, 75))
    assert np.flatnonzero(drawn.target[:, go].min(1)).tolist() == list(range(75, 200))
    assert not drawn.inputs[:, ~go].any()
    assert not drawn.target[:, ~go].any()


def test_xor_target_is_the_product_of_the_inputs():
    drawn = tasks.draw(TASKS["xor"], np.random.default_rng(0), 200)
    first, second = drawn.inputs[75, :, 0], drawn.inputs[135, :, 1]
    np.testing.assert_array_equal(drawn.target[200], first * second)
    assert np.flatnonzero(np.abs(drawn.inputs[:, 0, 0])).tolist() == list(range(50, 100))
    assert np.flatnonzero(np.abs(drawn.inputs[:, 0, 1])).tolist() == list(range(110, 160))
    assert np.flatnonzero(drawn.target[:, 0]).tolist() == list(range(170, 270))
    assert set(drawn.group) == {"++", "+−", "−+", "−−"}


def test_mante_target_is_the_sign_of_the_cued_evidence():
    drawn = tasks.draw(TASKS["mante"], np.random.default_rng(0), 200)
    means = drawn.inputs[50:250, :, :2].mean(0)
    cued = np.where(drawn.inputs[0, :, 2] == 1, means[:, 0], means[:, 1])
    np.testing.assert_array_equal(drawn.wanted, np.sign(cued))
    np.testing.assert_array_equal(drawn.target[250:].mean(0), drawn.wanted)


def test_published_criterion():
    seen = tasks.Responses(np.array([0.8, 0.6, 0.2, 0.2, 0.1]), np.array([0.0, 0.0, -0.5, -0.1, -0.8]), np.zeros(5))
    wanted = np.array([1, 1, 0, 0, -1])
    assert tasks.is_correct(seen, wanted, quiet_both_ways=True).tolist() == [True, False, False, True, True]
    assert tasks.is_correct(seen, wanted, quiet_both_ways=False).tolist() == [True, False, True, True, True]


def test_mean_output_decides_for_the_nearest_response():
    wanted = np.array([1, 1, 0, 0])
    assert tasks.is_decided(TASKS["go-nogo"], np.array([0.6, 0.4, 0.4, 0.6]), wanted).tolist() == [True, False, True, False]
    assert tasks.is_decided(TASKS["xor"], np.array([0.1, -0.1]), np.array([1, 1])).tolist() == [True, False]


# rate model


@pytest.mark.parametrize("activation", sorted(model.ACTIVATIONS))
@pytest.mark.parametrize("dale", [True, False])
def test_written_out_gradient_equals_autograd_of_the_plain_loop(activation, dale):
    settings = replace(SMALL, activation=activation, dale=dale, sst_cells=1 if dale else 0)
    module = model.RateNetwork(model.initial(settings, 1, np.random.default_rng(4)), dale).double()
    rng = np.random.default_rng(5)
    trials = tasks.draw(TASKS["go-nogo"], rng, 3)
    inputs, target = torch.tensor(trials.inputs[40:90]).double(), torch.tensor(trials.target[40:90]).double()
    noise = torch.tensor(rng.standard_normal((50, 3, 12)))
    trained = [module.w, module.w_out, module.b_out, module.taus_gaus]
    fast = torch.autograd.grad(model.loss(module(inputs, noise)[2], target, "l2").sum(), trained)
    plain = torch.autograd.grad(model.loss(plain_output(module, inputs, noise), target, "l2").sum(), trained)
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other)


def plain_output(module, inputs, noise):
    """The equations of the rate model, one step after the other."""
    share, phi = 1 / module.taus(), module.activation.rate
    x = noise[0] / 100
    outputs = []
    for t in range(1, len(inputs)):
        received = phi(x) @ module.recurrent().T + inputs[t - 1] @ module.w_in.T
        x = (1 - share) * x + share * received + noise[t] / 10
        outputs.append(phi(x) @ module.w_out + module.b_out)
    return torch.stack(outputs)


def test_initial_network(rng):
    settings = Training("mante", cells=400, sst_cells=20)
    made = model.initial(settings, 4, rng)
    values = made.w[made.w > 0]
    assert abs(made.inhibitory.mean() - 0.2) < 0.06
    assert abs((made.w > 0).mean() - 0.2) < 0.01
    assert abs(np.sqrt(np.mean(values**2)) - 1.5 / np.sqrt(400 * 0.2)) < 0.005
    assert (made.recurrent()[:, made.inhibitory] <= 0).all()
    assert (made.recurrent()[:, ~made.inhibitory] >= 0).all()
    assert made.sst().sum() == 20
    assert not made.recurrent()[np.ix_(made.sst(), made.inhibitory)].any()
    assert made.recurrent()[np.ix_(~made.sst(), made.inhibitory)].any()


def test_gamma_weights_have_their_mean_and_variance(rng):
    values = model.initial(Training("xor", cells=300, weights="gamma", p_recurrent=1.0), 2, rng).w
    assert abs(values.mean() - 2 * 0.003) < 1e-4
    assert abs(values.var() - 2 * 0.003**2) < 1e-6


def test_without_dale_no_cell_is_inhibitory_and_weights_have_both_signs(rng):
    made = model.initial(replace(SMALL, dale=False, cells=50), 1, rng)
    assert not made.inhibitory.any()
    assert (made.recurrent() < 0).any()
    assert (made.recurrent() > 0).any()


def test_one_decay_constant_is_not_trained(rng):
    module = model.RateNetwork(model.initial(replace(SMALL, taus=(4.0,)), 1, rng), True)
    assert not module.taus_gaus.requires_grad
    torch.testing.assert_close(module.taus(), torch.full((12,), 4.0))


def test_losses():
    output, target = torch.tensor([[3.0], [0.0]]), torch.tensor([[0.0], [4.0], [9.0]])
    assert model.loss(output, target, "l2").tolist() == [5.0]
    assert model.loss(output, target, "l1").tolist() == [7.0]


def test_adam_adds_epsilon_before_the_bias_correction():
    parameter = torch.nn.Parameter(torch.tensor(0.0))
    adam = Adam([parameter], 0.01)
    m = v = expected = 0.0
    for number, gradient in enumerate((1e-7, -3e-7, 2e-6)):
        parameter.grad = torch.tensor(gradient)
        adam.step(number)
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        rate = 0.01 * np.sqrt(1 - 0.999 ** (number + 1)) / (1 - 0.9 ** (number + 1))
        expected -= rate * m / (np.sqrt(v) + 1e-8)
    assert float(parameter.detach()) == pytest.approx(expected, rel=1e-4)


# LIF network


def plain_lif(network, scale, options, columns, start, noise, push):
    """The equations of the LIF network as they are written, cell by cell, without any compiled code."""
    dt = 5e-5 * options.downsample
    tau, weights = network.decay(), network.recurrent(options.initial_weights) / scale
    n, steps = network.n_cells, len(noise)
    v, last = options.reset + (options.peak - options.reset) * start, np.zeros(n)
    current, h, r, hr = (np.zeros(n) for _ in range(4))
    output, fired_at = [], []
    for i in range(1, steps + 1):
        total = current + options.bias + columns[int(np.floor(i / 100 + 0.5))]
        slope = (v**2 + total if options.neuron == "qif" else total - v) / options.tau_membrane
        v = v + dt * np.where(i * dt > last + options.refractory, slope, 0) + noise[i - 1] * options.noise + push[i - 1]
        fired = v >= options.threshold
        received = weights @ fired
        if options.rise:
            current, r = current * np.exp(-dt / tau) + h * dt, r * np.exp(-dt / tau) + hr * dt
            h = h * np.exp(-dt / options.rise) + received / (options.rise * tau)
            hr = hr * np.exp(-dt / options.rise) + fired / (options.rise * tau)
        else:
            current, r = current * np.exp(-dt / tau) + received / tau, r * np.exp(-dt / tau) + fired / tau
        last = last + np.where(fired, i * dt - last, 0)  # the published form, whose rounding decides the last refractory step
        v = np.where(fired, options.reset, v)
        output.append(network.w_out @ r / scale)
        fired_at += [(i - 1, cell) for cell in np.flatnonzero(fired)]
    return np.array(output), fired_at


@pytest.mark.parametrize(
    "options",
    [
        Lif(),
        Lif(rise=0.0),
        Lif(refractory=0.0),
        Lif(downsample=2),
        Lif(initial_weights=True),
        Lif(neuron="qif", threshold=30.0, bias=0.0),
        Lif(stimulate="inh", stimulated_cells=(0, 5), stimulus_begin=0.01, stimulus_end=0.05),
    ],
    ids=["standard", "single filter", "no refractory", "downsampled", "initial weights", "qif", "stimulated"],
)
def test_compiled_lif_equals_the_plain_equations(small, options, rng):
    network = replace(small, w=1.5 * small.w, w_out=small.w_out * 100)
    columns = (20 * rng.random((21, 1))) @ network.w_in.T
    start, noise, coins = rng.random(12), rng.standard_normal((2000, 12)), rng.random(2000)
    push = np.zeros((2000, 12))
    if options.stimulate == "inh":
        push[200:1000, [0, 5]] = -0.5 * (coins[200:1000, None] < 0.5)
    (run,) = lif.run([lif.wire(network, 2.0, options)], lif.Drive(columns, start, noise, coins), options)
    output, fired = plain_lif(network, 2.0, options, columns, start, noise, push)
    assert len(fired) > 20
    assert list(zip(run.spike_step.tolist(), run.spike_cell.tolist(), strict=True)) == fired
    np.testing.assert_allclose(run.output, output, atol=1e-9)


def test_one_cell_fires_at_the_rate_of_the_closed_form():
    """A cell without noise and synapses, driven to J: period = refractory + tau log((J - reset) / (J - threshold))."""
    cell = networks.Network(
        np.zeros((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1), 0.0, np.ones(1), np.ones((1, 1)), np.zeros(1, bool),
        (4.0,), np.zeros(1),
    )  # fmt: skip
    options = Lif(noise=0.0)
    (run,) = lif.run([lif.wire(cell, 1.0, options)], lif.drive(cell, np.full((401, 1), 30.0), options, 0), options)
    expected = 0.002 + 0.010 * np.log((-10 + 65) / (-10 + 40))
    assert np.diff(run.spike_step[1:]).mean() * 5e-5 == pytest.approx(expected, rel=0.02)


def test_spike_filter_has_unit_area(small):
    """Each spike adds 1 to the time integral of the filtered spikes, with a double and with a single exponential."""
    for options in (Lif(noise=0.0), Lif(noise=0.0, rise=0.0)):
        network = replace(small, w=np.zeros((12, 12)), w_out=np.ones(12), taus=(2.0,))
        (run,) = lif.run([lif.wire(network, 1.0, options)], lif.drive(network, np.zeros((41, 1)), options, 1), options)
        assert len(run.spike_step) > 0
        assert run.output.sum() * 5e-5 == pytest.approx(len(run.spike_step), rel=0.03)


def test_result_does_not_depend_on_which_scales_run_together_nor_on_the_block(small, monkeypatch):
    options = Lif()
    inputs = np.ones((21, 1))
    together = lif.run([lif.wire(small, s, options) for s in (1.0, 3.0)], lif.drive(small, inputs, options, 0, 1), options)
    monkeypatch.setattr(lif, "BLOCK", 170)
    (alone,) = lif.run([lif.wire(small, 3.0, options)], lif.drive(small, inputs, options, 0, 1), options)
    np.testing.assert_array_equal(together[1].output, alone.output)
    np.testing.assert_array_equal(together[1].spike_step, alone.spike_step)


def test_lesion_removes_the_share_that_was_asked_for(rng):
    network = model.initial(Training("go-nogo", cells=100), 1, rng)
    whole = lif.wire(network, 1.0, Lif()).jump
    for by_type in (False, True):
        cut = lif.wire(network, 1.0, Lif(lesion=0.25, lesion_by_type=by_type), np.random.default_rng(0)).jump
        assert (cut != 0).sum() == pytest.approx(0.75 * (whole != 0).sum(), abs=1)
        assert ((cut == whole) | (cut == 0)).all()
    share = [(cut[kind] != 0).sum() / (whole[kind] != 0).sum() for kind in (network.inhibitory, ~network.inhibitory)]
    assert share == pytest.approx([0.75, 0.75], abs=0.01)


def test_stimulated_cell_that_does_not_exist_is_refused(small):
    options = Lif(stimulate="exc", stimulated_cells=(3, 12))
    with pytest.raises(ValueError, match=r"stimulated_cells \[12\]: the network has 12 cells"):
        lif.run([lif.wire(small, 1.0, options)], lif.drive(small, np.zeros((11, 1)), options, 0), options)


def test_output_bias_is_added_once(small):
    network = replace(small, b_out=0.25)
    runs = []
    for options in (Lif(), Lif(output_bias=True)):
        drive = lif.drive(network, np.zeros((11, 1)), options, 0)
        runs += lif.run([lif.wire(network, 5.0, options)], drive, options)
    np.testing.assert_allclose(runs[1].output - runs[0].output, 0.25)


# files


def test_network_file_keeps_everything_and_is_the_same_each_time(tmp_path, small):
    network = replace(small, extra={"tr": np.array([[7]]), "losses": np.arange(3.0)[None]}, sst_cells=1, b_out=0.5)
    networks.write(tmp_path / "a.mat", network)
    networks.write(tmp_path / "b.mat", network)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    found = networks.read(tmp_path / "a.mat")
    for name in ("w", "w0", "w_in", "w_out", "b_out", "signs", "mask", "inhibitory", "taus_gaus"):
        np.testing.assert_array_equal(getattr(found, name), getattr(network, name))
    assert (found.taus, found.activation, found.sst_cells) == (network.taus, "sigmoid", 1)
    np.testing.assert_array_equal(found.extra["losses"], [[0, 1, 2]])


@pytest.fixture
def fields(tmp_path, small):
    networks.write(tmp_path / "good.mat", small)
    return {name: value for name, value in loadmat(tmp_path / "good.mat").items() if not name.startswith("__")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"taus_gaus": None}, r"bad\.mat: no field \['taus_gaus'\]"),
        ({"w_out": np.zeros((1, 7))}, r"bad\.mat: field w_out has shape \(1, 7\), expected \(1, 12\)"),
        ({"w0": np.zeros((12, 11))}, r"bad\.mat: field w0 has shape \(12, 11\), expected \(12, 12\)"),
        ({"w": np.diag([np.nan] * 12)}, r"bad\.mat: field w\[0, 0\] is nan, expected finite numbers"),
        ({"taus": np.array([[20.0, 4.0]])}, r"bad\.mat: field taus is \[20\.0, 4\.0\], expected \[smallest, largest\]"),
        ({"inh": np.array([["a"]] * 12)}, r"bad\.mat: field inh is <U1, expected numbers"),
    ],
    ids=["missing", "misshaped", "not square", "nan", "reversed", "text"],
)
def test_bad_network_file_is_refused(tmp_path, fields, change, message):
    savemat(tmp_path / "bad.mat", {name: value for name, value in {**fields, **change}.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        networks.read(tmp_path / "bad.mat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(200), r"bad\.mat is a MATLAB version 7\.3 .* save it again .* -v7"),
        (b"not a MATLAB file at all".ljust(300), r"bad\.mat cannot be read as a MATLAB version 5 file"),
        (b"", r"bad\.mat cannot be read as a MATLAB version 5 file"),
    ],
    ids=["v7.3", "other", "empty"],
)
def test_file_of_another_kind_is_refused(tmp_path, content, message):
    (tmp_path / "bad.mat").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        networks.read(tmp_path / "bad.mat")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mat does not exist"):
        networks.read(tmp_path / "none.mat")


def test_too_few_inhibitory_cells_for_the_sst_count(rng):
    with pytest.raises(ValueError, match=r"sst_cells = 12, but only \d+ of 12 cells are inhibitory"):
        model.initial(replace(SMALL, sst_cells=12), 1, rng)


def test_reversed_decay_constants_are_refused():
    with pytest.raises(ValueError, match=r"taus = \[20\.0, 4\.0\], expected \[smallest, largest\]"):
        fit.checked(replace(SMALL, taus=(20.0, 4.0)))


def test_unknown_task_is_refused_by_the_command_line(tmp_path, capsys):
    settings = json.dumps({"task": "nogo-go"})
    end = program.main(["rate2lif.fit", "--archive", str(tmp_path / "a_0-0.zip"), "--settings", settings, "--seed", "0"])
    assert end == program.REFUSED
    assert "Training.task = 'nogo-go': expected one of 'go-nogo', 'xor', 'mante'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# stages


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    fit.train(folder, SMALL, (*PLACE, "fit"), "cpu")
    return folder


def test_training_writes_the_published_fields(trained):
    fields = loadmat(trained / "network.mat")
    named = "w w0 w_in w_in0 w_out b_out m som_m N exc inh som_N taus taus_gaus taus_gaus0 activation losses tr eval_perf_mean"
    missing = set(f"{named} eval_loss_mean eval_os eval_labels u target x r o x0 r0".split()) - set(fields)
    assert not missing
    assert fields["eval_os"].shape == (100, 199)
    assert fields["x"].shape == (200, 12)
    assert (fields["w"] >= 0).all()


def test_killed_training_goes_on_where_it_was(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("respike.core.training.SAVE_SECONDS", -1.0)
    whole_step = fit.Trainer.step
    monkeypatch.setattr(fit.Trainer, "step", lambda self, number: 1 / 0 if number == 2 else whole_step(self, number))
    with pytest.raises(ZeroDivisionError):
        fit.train(tmp_path, SMALL, (*PLACE, "fit"), "cpu")
    assert not (tmp_path / "network.mat").exists()
    monkeypatch.setattr(fit.Trainer, "step", whole_step)
    fit.train(tmp_path, SMALL, (*PLACE, "fit"), "cpu")
    for name in ("network.mat", "activity.npz"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_stop_rule():
    trainer = fit.Trainer(replace(SMALL, least_trials=10), (0,), "cpu")
    good = {"check_loss": 0.5, "check_accuracy": 0.96, "trials": 11}
    assert trainer.is_done(good)
    for worse in ({"check_loss": 1.5}, {"check_accuracy": 0.95}, {"trials": 10}, {"check_loss": np.nan}):
        assert not trainer.is_done({**good, **worse})


def test_reference_trainer_follows_the_published_schedule():
    settings = scheduled(replace(SMALL, trainer="reference", batch=16, stop_loss=0.1))
    assert (settings.batch, settings.check_every, settings.stop_loss, settings.least_trials) == (1, 100, 7.0, 1500)
    assert scheduled(replace(SMALL, trainer="reference", task="xor")).least_trials == 0
    assert scheduled(SMALL) == SMALL


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_without_a_device_is_refused():
    with pytest.raises(ValueError, match="device = cuda, but torch finds no CUDA device"):
        fit.chosen("cuda")


@pytest.fixture(scope="module")
def converted(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    search.find(trained, folder, "go-nogo", Search(trials=2, scales=(20.0, 5.0)), Lif(), (*PLACE, "search"))
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    return folder


def test_network_that_no_scale_converts_is_reported_and_kept(trained, tmp_path, capsys):
    search.find(trained, tmp_path, "go-nogo", Search(trials=6, scales=(1e6,)), Lif(), PLACE)
    assert "does not convert: no scale reaches 95%" in capsys.readouterr().out
    assert loadmat(tmp_path / "scaled.mat")["opt_scaling_factor"] == 1e6


def test_search_adds_the_published_fields(converted):
    fields = loadmat(converted / "scaled.mat")
    np.testing.assert_array_equal(fields["scaling_factors"], [[20.0, 5.0]])
    assert fields["all_perfs"].shape == (2, 1)
    assert fields["opt_scaling_factor"] == fields["scaling_factors"][0, np.argmax(fields["all_perfs"])]


def test_first_maximum_wins():
    found = pd.DataFrame({"scale": [30, 20, 25] * 2, "correct": [False, True, True, True, True, True]})
    assert conversion.best(found) == 20


def test_least_squares_finds_the_scale_that_was_put_in(small, rng):
    """With rates that are the LIF rates divided by 12, the fit answers 12 whatever the network."""
    drawn = tasks.draw(TASKS["go-nogo"], rng, search.FITTED_TRIALS)
    still = replace(small, w=np.zeros((12, 12)), w_in=20 * np.abs(small.w_in) + 30)
    options, wiring, inputs = Lif(), [lif.wire(still, 1.0, Lif())], tasks.extra_column(drawn.inputs)
    seen = [
        lif.rates(lif.run(wiring, lif.drive(still, inputs[:, k], options, 0, "fit", k), options)[0], options)
        for k in range(search.FITTED_TRIALS)
    ]
    shown = {"inputs": drawn.inputs, "mean_rate": np.array(seen) / 12}
    assert search.least_squares(still, shown, options, (0,)) == pytest.approx(12)


def test_narrow_search_tries_values_around_the_fit(trained, tmp_path):
    search.find(trained, tmp_path, "go-nogo", Search(method="narrow", trials=1), Lif(), PLACE)
    tried = pd.read_parquet(tmp_path / "search.parquet")["scale"].unique()
    np.testing.assert_allclose(tried / tried[3], search.AROUND, atol=1e-3)


def test_simulation_needs_the_searched_network(trained):
    with pytest.raises(ValueError, match="no field opt_scaling_factor; run rate2lif.search"):
        simulate.scale_of(trained / "network.mat", networks.read(trained / "network.mat"))


def test_simulation_and_metrics(converted, tmp_path):
    settings = Simulation(trials=6, recorded=6, shown_scales=(5.0,))
    conditions = {"standard": Lif(), "half": Lif(downsample=2)}
    simulate.record_all(converted, tmp_path, "go-nogo", settings, conditions, PLACE)
    trials = pd.read_parquet(tmp_path / "trials.parquet")
    shutil.copytree(converted, tmp_path, dirs_exist_ok=True)
    found = metrics.of_network("small_0", tmp_path, {"small": SMALL})
    table = measures.table("rate2lif", found).set_index("metric")
    assert table.loc["LIF accuracy", "value"] == 100 * trials[trials["condition"] == "standard"]["correct"].mean()
    assert table.loc["LIF accuracy, half", "n"] == 6
    assert table.loc["cells", "value"] == 12
    assert set(table["dataset"]) == {"go-nogo, network trained here"}
    fired = spikes.read(tmp_path / "spikes.npz")
    assert (fired.n_trials, fired.n_cells, fired.duration) == (6, 12, pytest.approx(1.0))
    with np.load(tmp_path / "shown.npz") as shown:
        assert shown["output"].shape == (6, 1000)
        assert shown["filtered"].shape == (6, 200, 12)
        one = int(np.sum(fired.trial == 0))
        rate = shown["filtered"][0].mean() * 12
    assert rate == pytest.approx(one, rel=0.5)


def test_given_network_takes_the_place_of_a_training(trained, tmp_path):
    data.take(tmp_path, trained / "network.mat", SMALL, PLACE)
    given, ours = networks.read(tmp_path / "network.mat"), networks.read(trained / "network.mat")
    np.testing.assert_array_equal(given.recurrent(), ours.recurrent())
    assert pd.read_parquet(tmp_path / "history.parquet")["trials"].iloc[0] == SMALL.trials
    with np.load(tmp_path / "activity.npz") as played:
        assert played["origin"] == "network given (network.mat)"


def test_given_network_of_another_task_is_refused(trained, tmp_path):
    archive, settings = tmp_path / "small_0-0.zip", replace(SMALL, task="mante")
    with pytest.raises(
        ValueError, match=r"w_in has 1 columns, but task mante has 4 inputs; .*variants\.small\.training\.task"
    ):
        data.run(source=trained / "network.mat", archive=archive, settings=settings, seed=0)
    assert not list(tmp_path.rglob("*.*"))


def test_evaluation_equals_a_check_of_the_same_trials(small):
    module = model.RateNetwork(small, True)
    with torch.no_grad():
        played = activity.play(module, TASKS["go-nogo"], seeds.generator(0, "a"), 10)
    loss, accuracy = activity.check(played, TASKS["go-nogo"], "l2")
    output = played.output.numpy()
    assert loss == pytest.approx(np.sqrt(((output - played.trials.target[:-1]) ** 2).sum(0)).mean(), rel=1e-5)
    quiet, reached = np.abs(output[75:]).max(0) < 0.3, output[75:].max(0) > 0.7
    assert accuracy == np.mean(np.where(played.trials.wanted == 1, reached, quiet))


@pytest.mark.slow
@pytest.mark.parametrize("replica", [0, 1, 2])
def test_go_nogo_network_of_200_cells_converts(tmp_path, replica):
    """Trained with the defaults, searched on the published grid, judged on trials that the search did not see."""
    fit.train(tmp_path, Training("go-nogo"), (0, "converts", replica), "cpu")
    search.find(tmp_path, tmp_path, "go-nogo", Search(trials=30), Lif(), (0, "converts", replica))
    trained = networks.read(tmp_path / "scaled.mat")
    trials, scale = simulate.shown_trials(tmp_path / "activity.npz", 60), simulate.scale_of(tmp_path / "scaled.mat", trained)
    runs = simulate.play(trained, trials, scale, Lif(), (0, "judged", replica))
    assert conversion.table(trials, TASKS["go-nogo"], runs, scale, Lif())["correct"].mean() >= 0.95


def commands_of_the_page() -> list[list[str]]:
    """The commands in the page of the study, as lists of words."""
    page = (Path(__file__).resolve().parents[1] / "docs/rate2lif.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    return [shlex.split(line)[3:] for line in block.splitlines()]


def test_the_commands_of_the_page_run_on_a_file_of_ones_own(trained, tmp_path, monkeypatch, capsys):
    shutil.copy(trained / "network.mat", tmp_path / "mine.mat")
    monkeypatch.chdir(tmp_path)
    assert [program.main(command) for command in commands_of_the_page()] == [0, 0, 0, 0]
    assert "mine_0: best 1/lambda" in capsys.readouterr().out
    table = pd.read_parquet("mine/metrics.parquet")
    assert set(table["dataset"]) == {"go-nogo, network given (mine.mat)"}
    assert {"LIF accuracy", "LIF accuracy, refractory 0", "best scale"} <= set(table["metric"])
    with zipfile.ZipFile("mine/searches/mine_0-0.zip") as archive:
        assert loadmat(io.BytesIO(archive.read("mine_0/scaled.mat")))["opt_scaling_factor"] in (20, 25, 30)


def test_bad_file_of_ones_own_is_refused_by_the_command_and_leaves_nothing(tmp_path, fields, monkeypatch, capsys):
    savemat(tmp_path / "mine.mat", {**fields, "w": np.full((12, 12), np.nan)})
    monkeypatch.chdir(tmp_path)
    assert program.main(commands_of_the_page()[0]) == program.REFUSED
    assert "mine.mat: field w[0, 0] is nan, expected finite numbers" in capsys.readouterr().err
    assert not list((tmp_path / "mine").rglob("*.*"))
