"""rate2lif: tasks, rate model and network files, against closed forms, brute force or a plain second version."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from respike import __main__ as program
from respike.core import seeds
from respike.rate2lif import activity, conversion, fitted, model, tasks
from respike.rate2lif.params import Lif, Training
from respike.rate2lif.tasks import TASKS
from tests.rate2lif_small import SMALL, untrained

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

RATES = {
    "sigmoid": torch.sigmoid,
    "clipped_relu": lambda x: x.clamp(0, 20),
    "softplus": lambda x: torch.log(1 + torch.exp(x)).clamp(max=20),
}


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
    share, phi = 1 / module.taus(), RATES[module.network.activation]
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


@pytest.mark.parametrize(("name", "first"), [("go-nogo", 75), ("xor", 200), ("mante", 299)])
def test_response_window_of_the_rate_model(name, first):
    """Published: Go-NoGo from step 75, XOR from step 200, contextual integration the last 200 of 499 outputs."""
    task = TASKS[name]
    trials = tasks.draw(task, np.random.default_rng(0), 20)._replace(wanted=np.ones(20, dtype=int))

    def accuracy(step):
        output = torch.zeros(task.n_steps - 1, 20)
        output[step] = 0.71
        return activity.check(activity.Activity(trials, output, output, output), task, "l2")[1]

    assert accuracy(first) == 1
    assert accuracy(first - 1) == 0


@pytest.mark.parametrize(("output", "rate_program", "lif_program"), [(0.29, 1, 1), (-0.29, 1, 1), (-0.5, 0, 1), (0.5, 0, 0)])
def test_who_may_be_loud_below_zero_when_nothing_was_wanted(rng, output, rate_program, lif_program):
    """Published: |output| < 0.3 in the rate program, output < 0.3 in the LIF program."""
    task, small = TASKS["go-nogo"], untrained(rng)
    trials = tasks.draw(task, rng, 4)._replace(wanted=np.zeros(4, dtype=int))
    played = torch.full((task.n_steps - 1, 4), output)
    assert activity.check(activity.Activity(trials, played, played, played), task, "l2")[1] == rate_program
    run = next(conversion.play(small, trials, [50.0], Lif(), (0, "a")))[0]
    runs = [[run._replace(output=np.full_like(run.output, output))]] * 4
    assert conversion.judged(trials, task, runs, [50.0], Lif())["correct"].mean() == lif_program


def test_scales_on_trials_of_their_own_are_judged_as_if_alone(rng):
    task, small = TASKS["go-nogo"], untrained(rng)
    own = [tasks.draw(task, seeds.generator(1, scale), 6) for scale in (20, 50)]
    assert own[0].wanted.tolist() != own[1].wanted.tolist()
    together = conversion.try_scales(small, task, own, [20.0, 50.0], Lif(), (0, "a"))
    for trials, scale in zip(own, (20.0, 50.0), strict=True):
        alone = conversion.try_scales(small, task, trials, [scale], Lif(), (0, "a"))
        pd.testing.assert_frame_equal(together[together["scale"] == scale].reset_index(drop=True), alone)


def test_evaluation_equals_a_check_of_the_same_trials(rng):
    small = untrained(rng)
    module = model.RateNetwork(small, True)
    with torch.no_grad():
        fresh = activity.play(module, TASKS["go-nogo"], seeds.generator(0, "a"), 10)
    loss, accuracy = activity.check(fresh, TASKS["go-nogo"], "l2")
    output = fresh.output.numpy()
    assert loss == pytest.approx(np.sqrt(((output - fresh.trials.target[:-1]) ** 2).sum(0)).mean(), rel=1e-5)
    quiet, reached = np.abs(output[75:]).max(0) < 0.3, output[75:].max(0) > 0.7
    assert accuracy == np.mean(np.where(fresh.trials.wanted == 1, reached, quiet))


# files


def test_network_file_keeps_everything_and_is_the_same_each_time(tmp_path, rng):
    small = model.initial(replace(SMALL, sst_cells=1), 1, rng)
    network = replace(small, extra={"tr": np.array([[7]]), "losses": np.arange(3.0)[None]}, b_out=0.5)
    fitted.write(tmp_path / "a.mat", network)
    fitted.write(tmp_path / "b.mat", network)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    found = fitted.read(tmp_path / "a.mat")
    for name in ("w", "w0", "w_in", "w_out", "b_out", "signs", "mask", "inhibitory", "taus_gaus"):
        np.testing.assert_array_equal(getattr(found, name), getattr(network, name))
    assert (found.taus, found.activation, found.sst_cells) == (network.taus, "sigmoid", 1)
    np.testing.assert_array_equal(found.extra["losses"], [[0, 1, 2]])


@pytest.fixture
def fields(tmp_path, rng):
    fitted.write(tmp_path / "good.mat", untrained(rng))
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
        ({"m": np.zeros((12, 12))}, r"bad\.mat: fields inh, exc and m disagree"),
        ({"m": np.ones((12, 12))}, r"bad\.mat: fields inh, exc and m disagree"),
        ({"inh": np.ones((12, 1))}, r"bad\.mat: fields inh, exc and m disagree"),
        ({"exc": np.ones((12, 1))}, r"bad\.mat: fields inh, exc and m disagree"),
        ({"som_N": -3}, r"bad\.mat: field som_N is -3, expected 0 to"),
    ],
    ids=[
        *("missing", "misshaped", "not square", "nan", "reversed", "text"),
        *("no sign", "signs of pairs", "all inhibitory", "all excitatory", "SST cells"),
    ],
)
def test_bad_network_file_is_refused(tmp_path, fields, change, message):
    savemat(tmp_path / "bad.mat", {name: value for name, value in {**fields, **change}.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        fitted.read(tmp_path / "bad.mat")


def test_sparse_weights_are_read(tmp_path, fields):
    """As MATLAB saves `sparse(w)`."""
    sparse = {name: csc_matrix(fields[name]) for name in ("w", "m", "som_m")}
    savemat(tmp_path / "sparse.mat", {**fields, **sparse})
    for name in ("w", "signs", "mask"):
        given, full = (getattr(fitted.read(tmp_path / f"{file}.mat"), name) for file in ("sparse", "good"))
        np.testing.assert_array_equal(given, full)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(200), r"bad\.mat is a MATLAB version 7\.3 .* save it again .* -v7"),
        (b"not a MATLAB file at all".ljust(300), r"bad\.mat: not a MATLAB file that can be read"),
        (b"", r"bad\.mat is empty \(0 bytes\)"),
    ],
    ids=["v7.3", "other", "empty"],
)
def test_file_of_another_kind_is_refused(tmp_path, content, message):
    (tmp_path / "bad.mat").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        fitted.read(tmp_path / "bad.mat")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.mat does not exist"):
        fitted.read(tmp_path / "none.mat")


def test_too_few_inhibitory_cells_for_the_sst_count(rng):
    with pytest.raises(ValueError, match=r"sst_cells = 12, but only \d+ of 12 cells are inhibitory"):
        model.initial(replace(SMALL, sst_cells=12), 1, rng)


def test_reversed_decay_constants_are_refused():
    with pytest.raises(ValueError, match=r"taus = \[20\.0, 4\.0\], expected \[smallest, largest\]"):
        replace(SMALL, taus=(20.0, 4.0))


def test_unknown_task_is_refused_by_the_command_line(tmp_path, capsys):
    settings = json.dumps({"task": "nogo-go"})
    options = {"out": tmp_path / "a.zip", "variant": "a", "first": 0, "last": 0, "settings": settings, "seed": 0}
    end = program.main(["rate2lif.fit", *(text for name, value in options.items() for text in (f"--{name}", str(value)))])
    assert end == program.REFUSED
    assert "Training.task = 'nogo-go': expected one of 'go-nogo', 'xor', 'mante'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("taus", "fine"), [((1,), True), ((1, 1), True), ((4, 20), True), ((), False), ((0.5,), False),
                                            ((0.5, 2), False), ((1, 2, 3), False), ((4, 3), False)])  # fmt: skip
def test_one_time_constant_or_two_in_order(taus, fine):
    if fine:
        assert Training("xor", taus=taus).taus == taus
    else:
        with pytest.raises(ValueError, match="taus = .*, expected"):
            Training("xor", taus=taus)
