"""rate2lif: constants, first networks, records of the LIF network and measures against values written down here."""

import math
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from respike.rate2lif import activity, archives, conversion, learning, lif, model, params, tasks
from respike.rate2lif.params import Lif, Search, Simulation, Training, scheduled
from respike.rate2lif.stages import metrics, search
from respike.rate2lif.tasks import TASKS, Task
from tests.constants import check
from tests.rate2lif_small import SMALL, plain_lif, untrained


def test_constants_of_the_published_programs():
    """Steps, noise, criterion and grid; the LIF network; windows of the tasks."""
    check(
        params, RATE_STEP=0.005, LIF_STEP=5e-5, STEPS_PER_COLUMN=100, UNCOUNTED=9, RATE_NOISE=0.1, RATE_START=0.01,
        OUTPUT_START=0.01, GAMMA=(2, 0.003), CLIP=20, REACH=0.7, QUIET=0.3, CONVERTED=0.95,
        PUBLISHED_GRID=(20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75),
    )  # fmt: skip
    assert asdict(Lif()) == {
        "tau_membrane": 0.01, "refractory": 0.002, "threshold": -40, "reset": -65, "peak": 30, "bias": -40, "rise": 0.002,
        "noise": 0.1, "downsample": 1, "neuron": "lif", "initial_weights": False, "output_bias": False, "lesion": 0,
        "lesion_by_type": False, "stimulate": "none", "stimulated_cells": (), "stimulus_begin": 0, "stimulus_end": 0,
        "stimulus_size": 0.5,
    }  # fmt: skip
    assert asdict(Training("xor")) == {
        "task": "xor", "cells": 200, "taus": (4, 20), "activation": "sigmoid", "dale": True, "sst_cells": 0,
        "p_inhibitory": 0.2, "p_recurrent": 0.2, "gain": 1.5, "weights": "gaussian", "loss": "l2", "trainer": "batched",
        "batch": 4, "trials": 6000, "learning_rate": 0.01, "check_every": 200, "check_trials": 100, "stop_loss": 1,
        "stop_accuracy": 0.95, "least_trials": 0,
    }  # fmt: skip
    assert {
        "go-nogo": Task("go-nogo", 200, 1, 75, 100, 200, False),
        "xor": Task("xor", 300, 2, 200, 200, 270, True),
        "mante": Task("mante", 500, 4, 299, 260, 500, True),
    } == TASKS
    check(Search(), method="grid", trials=100)
    check(Simulation(), trials=100, recorded=20, shown_scales=(1, 10, 25))
    check(
        conversion,
        FIRST_GUESS=25,
        ROUNDS=4,
        FITTED_TRIALS=6,
        SMALLEST=1,
        LARGEST=200,
        OUTPUT_EVERY=20,
    )
    check(search, AROUND=(0.5, 0.64, 0.8, 1, 1.25))
    check(lif, QIF={"threshold": 30, "bias": 0})
    assert (metrics.COMPONENTS, archives.EPOCH, learning.EVALUATED) == (3, (1980, 1, 1, 0, 0, 0), 100)
    published = scheduled(Training("go-nogo", trainer="reference"))
    check(published, batch=1, check_every=100, check_trials=100, stop_loss=7, stop_accuracy=0.95, least_trials=1500)
    assert scheduled(Training("xor", trainer="reference")).least_trials == 0


def test_first_network_by_its_draws():
    """Cells, weights, mask and the rest in the order of the random numbers."""
    settings = replace(SMALL, cells=20, sst_cells=2, p_inhibitory=0.4, gain=1.3, p_recurrent=0.3)
    found, rng = model.initial(settings, 3, np.random.default_rng(1)), np.random.default_rng(1)
    inhibitory = rng.random(20) < 0.4
    values = np.abs(rng.standard_normal((20, 20)) * 1.3 / math.sqrt(20 * 0.3))
    np.testing.assert_allclose(found.w, np.where(rng.random((20, 20)) < 0.3, values, 0))
    np.testing.assert_array_equal(found.w_in, rng.standard_normal((20, 3)))
    np.testing.assert_allclose(found.w_out, 0.01 * rng.standard_normal(20))
    np.testing.assert_array_equal(found.taus_gaus, rng.standard_normal(20))
    np.testing.assert_array_equal(found.signs, np.where(inhibitory, -1, 1))
    sst = np.flatnonzero(inhibitory)[:2]
    for post, pre in np.ndindex(20, 20):
        assert found.mask[post, pre] == (0 if post in sst and inhibitory[pre] else 1)
    assert np.flatnonzero(found.sst()).tolist() == sst.tolist()
    assert (found.b_out, found.n_cells, found.taus) == (0, 20, (4.0, 20.0))
    np.testing.assert_allclose(found.decay(), 0.005 * (4 + 16 / (1 + np.exp(-found.taus_gaus))))
    np.testing.assert_array_equal(found.recurrent(), found.w * found.signs[None] * found.mask)
    np.testing.assert_array_equal(replace(found, w=0 * found.w).recurrent(initial=True), found.recurrent())
    assert model.initial(replace(settings, p_inhibitory=1.0, sst_cells=20), 1, rng).sst_cells == 20


@pytest.mark.parametrize("activation", ["sigmoid", "clipped_relu", "softplus"])
def test_rate_model_by_a_loop_over_cells(activation):
    """From x_0 = noise / 100 on; the noise is added outside of 1 / tau, the output begins with the second step."""
    rng = np.random.default_rng(2)
    network = replace(model.initial(replace(SMALL, activation=activation), 2, rng), b_out=0.3)
    module, n = model.RateNetwork(replace(network, w=3 * network.w), True), 12
    inputs, noise = rng.standard_normal((6, 1, 2)), rng.standard_normal((6, 1, n))
    with torch.no_grad():
        x, r, output = module(torch.tensor(inputs, dtype=torch.float32), torch.tensor(noise, dtype=torch.float32))
    phi = {
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "clipped_relu": lambda v: np.clip(v, 0, 20),
        "softplus": lambda v: np.minimum(np.log1p(np.exp(v)), 20),
    }[activation]
    weights, tau = 3 * network.w * network.signs * network.mask, network.decay() / 0.005
    state = noise[0, 0] / 100
    for t in range(6):
        if t:
            state = (1 - 1 / tau) * state + (weights @ phi(state) + network.w_in @ inputs[t - 1, 0]) / tau + 0.1 * noise[t, 0]
            assert output[t - 1, 0].item() == pytest.approx(phi(state) @ network.w_out + 0.3, abs=1e-5)
        np.testing.assert_allclose(x[t, 0], state, atol=1e-5)
        np.testing.assert_allclose(r[t, 0], phi(state), atol=1e-5)
    negative = model.RateNetwork(replace(network, w=-network.w), True)
    assert not negative.recurrent().any()
    assert not negative.trained().w.any()
    np.testing.assert_allclose(model.RateNetwork(replace(network, w=-network.w), False).trained().w, -network.w, rtol=1e-6)


@pytest.mark.parametrize(("options", "every"), [(Lif(), 7), (Lif(rise=0.0, downsample=2), 100)])
def test_recorded_states_are_those_of_the_plain_equations(options, every):
    """In steps 0, every, 2 every, ...: voltage and filtered spikes at their end, the synaptic current before them."""
    rng = np.random.default_rng(3)
    small = untrained(rng)
    network = replace(small, w=2 * small.w, w_out=100 * small.w_out)
    columns, start, noise = (20 * rng.random((9, 1))) @ network.w_in.T, rng.random(12), rng.standard_normal((800, 12))
    (run,) = lif.simulate([lif.wire(network, 2.0, options)], lif.Drive(columns, start, noise, np.zeros(800)), options, every)
    plain = plain_lif(network, 2.0, options, columns, start, noise, np.zeros((800, 12)))
    assert len(plain.fired) > 5
    for name in ("voltage", "filtered", "current"):
        np.testing.assert_allclose(getattr(run, name), getattr(plain, name)[::every], rtol=1e-9, atol=1e-9)
    (nothing,) = lif.simulate([lif.wire(network, 2.0, options)], lif.Drive(columns, start, noise, np.zeros(800)), options)
    assert len(nothing.voltage) == 0


def test_drive_takes_every_so_many_columns():
    small = untrained(np.random.default_rng(4))
    inputs = np.arange(7.0)[:, None]
    found = lif.drive(small, inputs, Lif(downsample=3), 1)
    np.testing.assert_allclose(found.columns, np.array([[0.0], [3.0], [6.0]]) @ small.w_in.T)
    pushed = lif._push(
        replace(found, coins=np.array([0.4, 0.5, 0.6, 0.1])),
        Lif(stimulate="inh", stimulated_cells=(0,), stimulus_begin=5e-5, stimulus_end=1.5e-4),
        0,
        4,
    )
    assert pushed.tolist() == [0, 0, 0, 0]
    pushed = lif._push(
        replace(found, coins=np.array([0.4, 0.49, 0.6, 0.1])),
        Lif(stimulate="exc", stimulated_cells=(0,), stimulus_begin=5e-5, stimulus_end=2e-4),
        0,
        4,
    )
    assert pushed.tolist() == [0, 0.5, 0, 0.5]


def test_spikes_and_outputs_of_several_runs():
    """Times of steps of 0.05 ms times the down-sampling; an output sample a millisecond. The first nine steps do not count."""
    none = np.empty((3, 0, 4))
    runs = [
        lif.Run(4, np.arange(200.0), np.array(steps), np.array(cells), *none)
        for steps, cells in (([8, 9, 40], [2, 0, 3]), ([0, 199], [2, 1]))
    ]
    found = conversion.fired(runs, Lif(downsample=2))
    np.testing.assert_allclose(found.times, [9e-4, 4e-3, 1.99e-2])
    assert (found.cells.tolist(), found.trial.tolist(), found.n_cells, found.n_trials) == ([0, 3, 1], [0, 0, 1], 4, 2)
    assert found.duration == pytest.approx(0.02)
    assert conversion.outputs(runs, Lif(downsample=2))[1].tolist() == list(range(0, 200, 10))
    trials = tasks.Trials(np.zeros((3, 3, 1)), np.zeros((3, 3)), np.array([0, 1, 1]), ["a", "b", "b"])
    kept = conversion.recordings([run._replace(filtered=np.ones((2, 4))) for run in runs], trials, Lif())
    assert (kept["filtered"].shape, kept["group"].tolist()) == ((2, 2, 4), ["a", "b"])


def test_scales_are_shown_on_the_first_trial_that_wants_a_response(monkeypatch):
    small = untrained(np.random.default_rng(5))
    trials = tasks.Trials(np.arange(12.0).reshape(2, 6, 1)[:, :3], np.zeros((2, 3)), np.array([0, 0, 1]), ["n", "n", "g"])
    found = conversion.at_scales(small, trials, (1.0, 5.0), Lif(), (0, "x"))
    drive = lif.drive(small, np.concatenate([trials.inputs, trials.inputs[-1:]])[:, 2], Lif(), 0, "x", 2)
    runs = lif.simulate([lif.wire(small, scale, Lif()) for scale in (1.0, 5.0)], drive, Lif())
    np.testing.assert_allclose(found["scale_output"], [run.output[::20] for run in runs], rtol=1e-6, atol=1e-9)
    assert found["shown_scales"].tolist() == [1, 5]


def test_least_squares_by_its_rounds(monkeypatch):
    """Four rounds of six trials from 25 on; a scale is the regression of LIF rates on the wanted ones, kept in 1 to 200."""
    used = []

    def rates(run, options):
        return np.array([run, 2.0])

    monkeypatch.setattr(lif, "wire", lambda network, scale, options, rng: used.append(scale) or scale)
    monkeypatch.setattr(lif, "drive", lambda network, inputs, options, *stream: stream[-1])
    monkeypatch.setattr(lif, "simulate", lambda wiring, drive, options: [used[-1] + drive])
    monkeypatch.setattr(lif, "rates", rates)
    wanted = np.tile([0.5, 0.1], (9, 1))
    found = conversion.least_squares(None, np.zeros((2, 9, 1)), wanted, Lif(), (0,))
    scale, expected = 25.0, []
    for _ in range(4):
        expected.append(scale)
        fired = np.array([[scale + trial, 2.0] for trial in range(6)])
        scale = min(max((fired * wanted[:6]).sum() / (wanted[:6] ** 2).sum(), 1), 200)
    assert used == pytest.approx(expected)
    assert found == pytest.approx(scale)
    assert conversion.least_squares(None, np.zeros((2, 9, 1)), 1e6 * wanted, Lif(), (0,)) == 1
    assert conversion.least_squares(None, np.zeros((2, 9, 1)), 1e-3 * wanted, Lif(), (0,)) == 200


def test_facts_of_searches_at_the_ends_of_their_grid():
    """Of four networks three have their best scale at an end; one of these was not trained."""
    rows = [
        ("a", 0, "best scale", 20.0),
        ("a", 1, "best scale", 50.0),
        ("a", 2, "best scale", 75.0),
        ("a", 3, "best scale", 75.0),
        ("a", 0, "trained", 100.0),
        ("a", 2, "trained", 100.0),
        ("a", 3, "trained", 0.0),
    ]
    rows += [("a", 1, "trained", 0.0)]
    rows += [("a", k, f"{end} scale", value) for k in range(4) for end, value in (("smallest", 20.0), ("largest", 75.0))]
    # scales of each network's own: none of them was tried at 20 to 50
    rows += [("narrow", k, "best scale", best) for k, best in enumerate((10.0, 40.0))]
    rows += [("narrow", k, "trained", 100.0) for k in range(2)]
    rows += [("narrow", 0, "smallest scale", 10.0), ("narrow", 0, "largest scale", 25.0)]
    rows += [("narrow", 1, "smallest scale", 30.0), ("narrow", 1, "largest scale", 75.0)]
    rows += [("a", k, "published scales", 1.0) for k in range(4)] + [("narrow", k, "published scales", 0.0) for k in range(2)]
    found = dict(metrics.found(pd.DataFrame(rows, columns=["variant", "seed", "metric", "value"])))
    assert found == {
        "a": {"trained": 50.0, "at_edge": 2, "smallest_scale": 20, "largest_scale": 75, "published_grid": True},
        "narrow": {"trained": 100.0, "at_edge": 1, "smallest_scale": 30, "largest_scale": 25, "published_grid": False},
    }


def test_published_fields_are_of_the_last_check_and_its_last_trial(rng):
    trials = tasks.draw(TASKS["xor"], rng, 5)._replace(inputs=rng.random((300, 5, 2)), target=rng.random((300, 5)))
    x, r = (torch.from_numpy(rng.random((299, 5, 12))) for _ in range(2))
    network, output = untrained(rng), torch.from_numpy(rng.random((299, 5)))
    found = activity.published_fields(activity.Activity(trials, x, r, output), TASKS["xor"], "l2", network)
    window = output.numpy()[200:]
    reached = [window[:, k].max() > 0.7 if wanted > 0 else window[:, k].min() < -0.7 for k, wanted in enumerate(trials.wanted)]
    expected = {
        "eval_perf_mean": [[np.mean(reached)]],
        "eval_os": [[output[step, trial] for step in range(299)] for trial in range(5)],
        "eval_labels": [[wanted] for wanted in trials.wanted],
        "u": [[trials.inputs[step, 4, channel] for step in range(300)] for channel in range(2)],
        "target": [[trials.target[step, 4] for step in range(300)]],
        "x": [[x[step, 4, cell] for cell in range(12)] for step in range(299)],
        "r": [[r[step, 4, cell] for cell in range(12)] for step in range(299)],
        "o": [[output[step, 4] for step in range(299)]],
        "w_in0": network.w_in,
    }
    assert sorted(found) == sorted([*expected, "eval_loss_mean"])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, err_msg=name)


class TestMeasures:
    origin = metrics.Origin("v", 3, "d")

    def values(self, rows):
        return {row.metric: (row.value, row.unit, row.n) for row in rows}

    def test_of_training(self):
        history = pd.DataFrame(
            {"trials": [4, 8, 12], "check_accuracy": [np.nan, 0.96, np.nan], "check_loss": [np.nan, 0.9, np.nan]}
        )
        found = self.values(metrics.of_training(self.origin, history, Training("xor")))
        assert found == {"trained": (100, "%", 100), "trials to train": (12, "trials", 1), "rate loss": (0.9, "1", 100)}
        for change in ({"check_loss": 1.0}, {"check_accuracy": 0.95}):
            worse = history.assign(**{name: [np.nan, value, np.nan] for name, value in change.items()})
            assert self.values(metrics.of_training(self.origin, worse, Training("xor")))["trained"][0] == 0

    def test_of_rate_model(self):
        """Six trials of Go-NoGo: reached, not reached, reached before the window, quiet, loud one way, loud the other."""
        output = np.zeros((200, 6))
        output[100, 0], output[[76, 150], 1], output[70, 2], output[199, 4], output[75, 5] = 0.71, 0.69, 2, 0.31, -0.31
        output[:, 2] += 0.51
        target = np.full((201, 6), 0.1)
        kept = {"output": output, "wanted": np.array([1, 1, 1, 0, 0, 0]), "target": target}
        found = self.values(metrics.of_rate_model(self.origin, kept, Training("go-nogo")))
        assert found["final loss"] == (pytest.approx(np.mean([math.dist(o, [0.1] * 200) for o in output.T])), "1", 6)
        assert found["rate accuracy"] == (pytest.approx(100 * 2 / 6), "%", 6)

    def test_of_cells(self):
        network = untrained(np.random.default_rng(6))
        found = self.values(metrics.of_cells(self.origin, network))
        tau = 1000 * network.decay()
        assert found["largest tau"] == (100, "ms", 12)
        assert found["mean tau"][0] == pytest.approx(tau.mean())
        assert found["sd tau"][0] == pytest.approx(tau.std())

    @pytest.mark.parametrize(("activation", "scales"), [("sigmoid", range(20, 80, 5)), ("softplus", range(4, 28, 2))])
    @pytest.mark.parametrize("whole", [True, False])
    def test_best_accuracy_is_that_of_the_published_grid(self, activation, scales, whole):
        """Two trials per scale; both are correct beyond the published grid alone, one on a scale of it."""
        inside = list(scales)[not whole :]
        correct = {100.0: [True, True], **{float(scale): [scale == inside[0], False] for scale in inside}}
        rows = [(trial, scale, met) for scale, both in correct.items() for trial, met in enumerate(both)]
        found = self.values(
            metrics.of_search(self.origin, pd.DataFrame(rows, columns=["trial", "scale", "correct"]), activation)
        )
        assert (found["best scale"][0], found["published scales"][0]) == (100, whole)
        assert found["best accuracy in the search"][0] == (50 if whole else 100)
        assert found["converted in the search"][0] == (0 if whole else 100)

    def test_of_search_and_trials(self):
        search = pd.DataFrame({"trial": [0, 0, 1, 1], "scale": [20.0, 30.0] * 2, "correct": [True, False, True, True]})
        found = self.values(metrics.of_search(self.origin, search, "sigmoid"))
        assert found["best scale"] == (20, "1", 2)
        assert (found["smallest scale"], found["largest scale"]) == ((20, "1", 2), (30, "1", 2))
        assert found["best accuracy in the search"] == (100, "%", 2)
        about = {"correct": [True] * 19 + [False], "decided": [True] * 10 + [False] * 10, "rate": np.arange(20.0)}
        trials = pd.concat([pd.DataFrame(about).assign(condition=name) for name in ("standard", "qif")])
        found = self.values(metrics.of_trials(self.origin, trials))
        assert found["LIF accuracy"] == (95, "%", 20)
        assert found["LIF accuracy, mean output, qif"] == (50, "%", 20)
        assert found["converted"] == (100, "%", 20)
        assert found["mean rate, qif"] == (9.5, "Hz", 20)
        worse = trials.assign(correct=[True] * 18 + [False] * 2 + [True] * 20)
        assert self.values(metrics.of_trials(self.origin, worse))["converted"][0] == 0

    def test_courses_and_their_components(self):
        shown = {"filtered": np.arange(24.0).reshape(3, 2, 4), "group": np.array(["b", "a", "b"])}
        found = conversion.courses(shown)
        np.testing.assert_array_equal(found, [shown["filtered"][1], shown["filtered"][[0, 2]].mean(0)])
        course = np.random.default_rng(0).standard_normal((3, 5, 6))
        value = self.values(metrics.of_components(self.origin, course, course))["variance in three components, LIF"]
        power = np.linalg.eigvalsh(np.cov(course.reshape(15, 6).T))[::-1]
        assert value == (pytest.approx(100 * power[:3].sum() / power.sum()), "%", 15)
