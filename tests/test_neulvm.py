"""neuLVM: kernel against torch and finite differences, generators against closed forms, loader, E- and M-step, bad input."""

import dataclasses
import itertools
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import binom, logsumexp, softmax

from respike.__main__ import main
from respike.core import files, training
from respike.neulvm import clusters, drives, fitted, freerun, loader, microscopic, model, states, trials
from respike.neulvm.inference import ascent, box, em, particles, partition
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Cluster, Data, Fit, Free, Prior, Refine, Window
from respike.neulvm.recording import read as read_recording
from respike.neulvm.smoothing import smooth
from respike.neulvm.stages import data, fit, preprocess, refine, simulate
from tests import neulvm_plain as plain
from tests.neulvm_plain import PUBLISHED

TRUE = Circuit()


def small_trial(rng, circuit=TRUE, batches=2, history=40, n_bins=60, cells=2, dt=0.004):
    """Random spikes, also two in a row and neurons without any in the history, a random drive, and a latent activity."""
    m = len(circuit.sizes)
    spikes = (rng.random((batches, history + n_bins, m * cells)) < 0.06).astype(np.uint8)
    spikes[0, :history, 0] = 0
    spikes[0, history + 5 : history + 7, 1] = 1
    trial = Trial(dt, history, spikes, np.repeat(np.arange(m), cells), 20 * rng.standard_normal((batches, n_bins, m)))
    return trial, rng.uniform(0.01, 0.1, (batches, history + n_bins, m))


CIRCUITS = {
    "published": TRUE,
    "delay": replace(TRUE, delay=0.008, threshold=(3.5, 4.0, 3.0)),
    "long refractory": replace(TRUE, refractory=0.012),
    "one population": Circuit(
        (500,), ((-1,),), (50.0,), (3.0,), (12.0,), (4.0,), (1e6,), 0.004, 0.004, typical_rates=(15.0,)
    ),
    "four populations": Circuit(
        (100, 200, 300, 50), ((1, 0.5, 0, 1), (0, 1, 1, 1), (-1, -1, 0, -1), (0, 0, -0.3, 0)), (40.0,) * 4,
        (5.0, 6.0, 9.0, 4.0), (13.0,) * 4, (3.7,) * 4, (200.0,) * 4, typical_rates=(10.0,) * 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["compat", "exact"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_kernel_equals_torch(rng, name, scheme):
    circuit = CIRCUITS[name]
    trial, latent = small_trial(rng, circuit)
    found = model.loss(circuit, trial, latent, scheme)
    values, tensor = plain.parameters(circuit), plain.as_tensor(latent)
    for value in values.values():
        value.requires_grad_()
    judge = plain.loss(values, circuit, trial, tensor, scheme)
    (judge.spikes + judge.latent).backward()
    assert found.spikes == pytest.approx(judge.spikes.item(), rel=1e-10)
    assert found.latent == pytest.approx(judge.latent.item(), rel=1e-10)
    np.testing.assert_allclose(found.expected, judge.expected.detach(), rtol=1e-8)
    np.testing.assert_allclose(found.grad_vector, torch.cat([values[n].grad for n in values]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.grad_latent[:, 40:], tensor.grad[:, 40:], rtol=1e-8, atol=1e-10)
    assert not found.grad_latent[:, :40].any()


@pytest.mark.parametrize("scheme", ["compat", "exact"])
def test_gradient_of_a_population_that_was_silent_for_the_whole_history(rng, scheme):
    """Against torch; in scheme exact the silent population is expected to fire again, at the hazard of its oldest cohort."""
    trial, latent = small_trial(rng, batches=1)
    trial.spikes[:, :40, :2] = 0
    latent[:, :60, 0] = 0.0
    found = model.loss(TRUE, trial, latent, scheme)
    values, tensor = plain.parameters(TRUE), plain.as_tensor(latent)
    for value in values.values():
        value.requires_grad_()
    judge = plain.loss(values, TRUE, trial, tensor, scheme)
    (judge.spikes + judge.latent).backward()
    assert ((found.expected[0, :20, 0] > 0) == (scheme == "exact")).all()
    np.testing.assert_allclose(found.expected, judge.expected.detach(), rtol=1e-8)
    np.testing.assert_allclose(found.grad_vector, torch.cat([values[n].grad for n in values]), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.grad_latent[:, 40:], tensor.grad[:, 40:], rtol=1e-8, atol=1e-10)


def test_slope_of_the_start_of_a_silent_population_equals_differences(rng):
    trial, latent = small_trial(rng, batches=1)
    trial.spikes[:, :40, :2] = 0
    latent[:, :60, 0] = 0.0
    slope = model.loss(TRUE, trial, latent, "exact").grad_vector
    for place in (0, 6, 9):  # membrane rate, rest and threshold of the silent population
        ends = [
            model.loss(TRUE.with_vector(TRUE.vector() + change * np.eye(12)[place]), trial, latent, "exact").total
            for change in (1e-5, -1e-5)
        ]
        assert slope[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


def test_loss_does_not_depend_on_where_arrays_lie(rng):
    trial, latent = small_trial(rng)
    seen, taken = set(), []
    for _ in range(60):
        taken.append(np.empty(rng.integers(1, 3000)))
        fresh = replace(trial)  # without the memory of the last call
        seen.add(model.loss(TRUE, fresh, latent.copy(), "exact").grad_latent.tobytes())
    assert len(seen) == 1


def test_losses_of_populations_are_added_alike_on_every_python(rng, monkeypatch):
    """One after the other, rounding each time; `sum` of Python 3.12 and later would find the 1 again."""
    real, losses = model._population, itertools.cycle([1.0, 1e100, -1e100])

    def population(*arguments):
        _, of_latent, *rest = real(*arguments)
        return next(losses), of_latent, *rest

    monkeypatch.setattr(model, "_population", population)
    trial, latent = small_trial(rng)
    assert model.loss(TRUE, trial, latent, "exact").spikes == 0.0


def test_gradient_of_single_weights_equals_differences(rng):
    trial, latent = small_trial(rng)
    slope = model.loss(TRUE, trial, latent, "exact").grad_weights
    for place in ((0, 0), (2, 1)):
        totals = []
        for change in (1e-5, -1e-5):
            weights = TRUE.weights.copy()
            weights[place] += change
            free = replace(TRUE, coupling=(1.0,) * 3, connectivity=tuple(map(tuple, weights)))
            totals.append(model.loss(free, trial, latent, "exact").total)
        assert slope[place] == pytest.approx((totals[0] - totals[1]) / 2e-5, rel=1e-5)


def test_expected_activity_of_a_renewal_process():
    """At constant potential (infinitely fast membrane) and without refractory time, everybody fires with P = 1 - exp(-x)."""
    circuit = Circuit((100,), ((1,),), (1e4,), (0.0,), (3.0,), (1.0,), (100.0,), refractory=0.0, typical_rates=(5.0,))
    trial = Trial(0.004, 50, np.ones((1, 80, 1), np.uint8), np.zeros(1, int), np.zeros((1, 30, 1)))
    found = model.loss(circuit, trial, np.full((1, 80, 1), 0.02), "exact")
    np.testing.assert_allclose(found.expected, -np.expm1(-np.exp(3.0 - 1.0) * 0.004), rtol=1e-12)


@pytest.mark.parametrize("dt", [0.004, 0.0005, 0.0015])
def test_published_survival_sums_a_grid_that_counts_both_ends(dt):
    start = model.stationary(replace(TRUE, threshold=(4.0,) * 3), 0, 8.0, 30, dt, "compat")
    for k in (5, 17, 29):
        points = np.linspace(0, k * dt, int(np.floor(k * dt / 0.001 + 1e-9)) + 1)
        v = np.where(points >= 0.004 - 1e-12, 8.0 * (1 - np.exp(-50 * points)), 0.0)
        assert start.l[k] == pytest.approx(-0.001 * np.sum(np.where(v == 0, 0, np.exp(v - 4.0))), rel=1e-12, abs=1e-15)


def test_smoothing_keeps_a_constant_and_looks_back_only_when_asked():
    np.testing.assert_allclose(smooth(np.ones((2, 50)), 5, "gaussian"), 1)
    pulse = np.zeros(50)
    pulse[20] = 1
    forward = smooth(pulse, 4, "ma_forward")
    np.testing.assert_allclose(forward[20:24], 0.25)
    assert forward.sum() == pytest.approx(1)
    assert not forward[:20].any()


class TestGenerators:
    def test_a_free_population_fires_at_the_renewal_rate(self, rng):
        """One over the mean interval of the same cell, integrated numerically; network and mesoscopic model agree."""
        circuit = Circuit((500,), ((1,),), (50.0,), (0.0,), (8.0,), (4.0,), (100.0,), typical_rates=(20.0,))
        time = np.arange(0, 2, 1e-5)
        hazard = np.where(time < 0.004, 0, np.exp(8.0 * -np.expm1(-50 * (time - 0.004)) - 4.0))
        mean_interval = np.exp(-np.cumsum(hazard) * 1e-5).sum() * 1e-5
        counts = microscopic.simulate(circuit, 5, rng).counts
        assert counts.sum() / 500 / 5 == pytest.approx(1 / mean_interval, rel=0.02)
        latent = freerun.simulate(circuit, np.zeros((20000, 1)), rng, 0.0005, 400, "exact")
        assert latent.mean() / 0.0005 == pytest.approx(1 / mean_interval, rel=0.03)

    @pytest.mark.parametrize("rest", [1.0, 3.7])
    def test_a_population_that_fires_less_often_than_is_followed_fires_on(self, rng, rest):
        """20 cells, silent in the history, whose mean intervals are 15 and 1 s: the rate of the network, from its survival."""
        circuit = Circuit((20,), ((1,),), (50.0,), (0.0,), (rest,), (3.7,), (300.0,), typical_rates=(0.0,))
        time = np.arange(0, 200, 1e-3)
        survival = np.exp(-np.cumsum(np.exp(rest * -np.expm1(-50 * time) - 3.7)) * 1e-3)
        rates = freerun.rates(circuit, 2000.0, rng, 0.004, 75, "exact")
        assert rates.mean() == pytest.approx(1 / (survival.sum() * 1e-3), rel=0.1)
        assert rates[-10000:].any()

    def test_sampled_cells_are_cells_of_the_network(self, rng):
        small = replace(TRUE, sizes=(5, 4, 3))
        run = microscopic.simulate(small, 0.5, rng, n_sampled=3)
        assert run.counts[:, 2].sum() == run.sampled[:, 6:].sum()
        assert (run.sampled[:, :3].sum(1) <= run.counts[:, 0]).all()

    def test_refractory_time_of_the_network(self, rng):
        """Driven without mercy, a cell fires again in the first step in which it may: 4 ms and one step of 0.2 ms later."""
        strong = replace(TRUE, rest=(1e4,) * 3)
        steps, _ = np.nonzero(microscopic.simulate(strong, 0.2, rng, n_sampled=1).sampled[:, :1])
        assert set(np.diff(steps)) == {21}
        weak = microscopic.simulate(replace(TRUE, rest=(40.0,) * 3), 2.0, rng, n_sampled=20).sampled
        intervals = np.concatenate([np.diff(np.flatnonzero(cell)) for cell in weak.T])
        assert intervals.min() >= 21
        assert len(set(intervals)) > 20

    def test_delay_of_the_network(self, rng):
        """The first population fires at once; the second, which nothing else drives, not before its spikes arrive."""
        circuit = Circuit(
            (50, 50), ((0, 1), (0, 0)), (50.0,) * 2, (1e5, 0.0), (1e5, 0.0), (3.7, 30.0), (1e6,) * 2, delay=0.002,
            typical_rates=(0.0, 0.0),
        )  # fmt: skip
        counts = microscopic.simulate(circuit, 0.02, rng).counts
        first, second = (int(np.flatnonzero(counts[:, m])[0]) for m in (0, 1))
        assert second - first == 10 + 1  # steps of 0.2 ms: the delay, and the step of the scheme

    def test_same_seed_same_bytes(self):
        runs = [microscopic.simulate(TRUE, 0.2, np.random.default_rng(3), n_sampled=2) for _ in range(2)]
        for a, b in zip(*runs, strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("scheme", ["exact", "compat"])
    def test_states_of_the_circuit(self, scheme):
        """Levels and switching of the mesoscopic model with true parameters: the exact scheme switches, the other does not."""
        latent = freerun.simulate(TRUE, np.zeros((50000, 3)), np.random.default_rng(1), 0.004, 125, scheme)
        found = states.find(latent / 0.004, 0.004)
        if scheme == "exact":
            assert found.up == pytest.approx(19.08, rel=0.02)
            assert found.down == pytest.approx(5.9, rel=0.08)
            assert found.others == pytest.approx(24.57, rel=0.01)
            assert found.n_switches > 10
        else:
            assert found.up > 21
            assert found.n_switches <= 2

    @pytest.mark.slow
    def test_states_of_the_network(self):
        rates = microscopic.rates(microscopic.simulate(TRUE, 400, np.random.default_rng(1)).counts, TRUE, 0.0002, 20)
        found = states.find(rates, 0.004)
        assert 18.6 <= found.up <= 19.7
        assert 5.3 <= found.down <= 6.2
        assert 24.2 <= found.others <= 24.8
        assert 0.05 <= found.n_switches / found.duration <= 0.13


class TestStates:
    def test_hysteresis(self):
        """A swing that stays inside the margin is no switch."""
        rates = np.repeat([[20.0, 5, 24], [10, 9, 24], [14, 10, 24], [5, 20, 24], [20, 5, 24], [5, 20, 24]], 100, axis=0)
        found = states.find(rates, 0.01)
        assert found.n_switches == 3
        np.testing.assert_allclose(found.dwell, 1.0)
        assert (found.up, found.down, found.others) == (20.0, 5.0, 24.0)

    def test_width_is_that_of_whole_bins(self):
        assert states.find(np.zeros((1200, 2)), 0.004).duration == pytest.approx(4.8)

    def test_number_of_clusters_of_a_sine(self):
        """Activity that oscillates 3 times per spike of a cell has 3 clusters."""
        time = np.arange(0, 3, 0.0005)
        k = clusters.number(20 + 15 * np.sin(2 * np.pi * 60 * time), 0.0005)["k"]
        assert set(k) == {3}

    @pytest.mark.slow
    def test_cluster_states(self):
        k = clusters.number(clusters.simulate(Cluster(), np.random.default_rng(0)), 0.0005)["k"]
        assert min(np.mean(k == 3), np.mean(k == 4)) > 0.05
        assert np.count_nonzero(np.diff(k)) >= 20
        k = clusters.number(clusters.simulate(Cluster(noise=0.7), np.random.default_rng(0)), 0.0005)["k"]
        assert np.mean(k == 3) >= 0.95


class TestFit:
    def test_e_step_lowers_the_loss_each_time(self, rng):
        trial, latent = small_trial(rng)
        losses = []
        found = em.e_step_lbfgs(TRUE, trial, latent, Fit(e_steps=30), lambda loss: losses.append(loss.total))
        assert np.mean(np.diff(losses) <= 0) >= 0.95
        assert losses[-1] < model.loss(TRUE, trial, latent, "exact").total
        assert found.min() >= 1e-5 - 1e-12
        kept = em.e_step_lbfgs(TRUE, trial, latent, Fit(e_steps=0), losses.append)
        assert (kept is latent, isinstance(losses[-1], float)) == (True, True), "no step is none"

    @pytest.mark.parametrize("weights", ["row", "full"])
    def test_m_step_stays_in_the_box_and_descends(self, rng, weights):
        trial, latent = small_trial(rng)
        search = box.build(TRUE, Prior(weights=weights))
        start = search.draw(rng)
        found, _ = em.m_step(start, trial, latent, search, Fit(m_steps=15), lambda _: None)
        x = search.vector(found) * search.high
        assert ((x >= search.low - 1e-9) & (x <= search.high + 1e-9)).all()
        assert model.loss(found, trial, latent, "exact").total < model.loss(start, trial, latent, "exact").total
        assert len(search.names) == len(x) == (12 if weights == "row" else 16)

    def test_full_weights_keep_their_signs_and_gradient(self, rng):
        trial, latent = small_trial(rng)
        search = box.build(TRUE, Prior(weights="full"))
        x = search.vector(TRUE)
        np.testing.assert_allclose(search.circuit(x).weights, TRUE.weights)
        slope = search.gradient(model.loss(TRUE, trial, latent, "exact"))
        for i in (0, 4, 8, 13):
            change = np.zeros(len(x))
            change[i] = 1e-6
            pair = [model.loss(search.circuit(x + s * change), trial, latent, "exact").total for s in (1, -1)]
            assert slope[i] == pytest.approx((pair[0] - pair[1]) / 2e-6, rel=1e-4)

    def test_adam_by_hand(self):
        """The first step of Adam moves every entry by the rate against its gradient, and clips."""
        latent = np.array([[[0.5, 0.5, 1e-5]]])
        moved = em.Adam().step(latent, np.array([[[2.0, np.nan, 3.0]]]), 0.01)
        assert moved[0, 0, 0] == pytest.approx(0.49)
        assert moved[0, 0, 2] == 1e-5

    def test_published_rules_stop_after_steps_without_a_new_best(self, rng):
        trial, latent = small_trial(rng)
        state = em.State(TRUE, latent, lowest=(-100.0, -100.0))  # nothing can be the best
        found, improved = em.e_step_adam(state, trial, PUBLISHED)
        assert len(state.rows) == PUBLISHED.e_patience
        assert not improved
        assert found is latent

    def test_adam_goes_at_the_rate_of_the_config(self, rng):
        """At rate 0 the activity stays where it is: one step is the best, and then none is better."""
        trial, latent = small_trial(rng)
        state = em.State(TRUE, latent)
        em.e_step_adam(state, trial, replace(PUBLISHED, e_rate=0.0))
        assert len(state.rows) == 1 + PUBLISHED.e_patience
        assert len({row["loss_latent"] for row in state.rows}) == 1


@pytest.mark.parametrize("e_step", ["adam", "lbfgs"])
def test_a_killed_fit_goes_on_where_it_was(recording, tmp_path, monkeypatch, e_step):
    """Cut off in each step in turn and started again: the same bytes as undisturbed, and no step is taken twice."""
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    _preprocess(recording[0], tmp_path, recording[1])
    settings = Fit(iterations=2, m_steps=4, e_steps=6, e_step=e_step, scheme="compat")
    advance, taken = em.advance, []

    def fit_until(dies_at, name):
        def step(state, *rest):
            if len(taken) == dies_at:
                raise KeyboardInterrupt
            taken.append((state.iteration, state.due))
            advance(state, *rest)

        monkeypatch.setattr(em, "advance", step)
        made = [tmp_path / name / file for file in ("m.json", "z.npz", "log.parquet")]
        fit.run(trial=tmp_path / "trial.npz", out=made[0], latent=made[1], log=made[2], circuit=TRUE, prior=Prior(),
                fit=settings, form="start", start=1, seed=3)  # fmt: skip
        return [path.read_bytes() for path in made]

    undisturbed = fit_until(None, "a")
    n_steps = len(taken)
    taken.clear()
    for dies_at in range(1, n_steps):
        with pytest.raises(KeyboardInterrupt):
            fit_until(dies_at, "b")
    assert not (tmp_path / "b" / "m.json").exists()
    assert fit_until(None, "b") == undisturbed
    assert taken == [(0, "M"), (0, "E"), (1, "M"), (1, "E")][:n_steps]
    assert not any((tmp_path / "b" / ".partial").glob("m.json.*"))


def test_a_killed_fit_of_another_circuit_is_not_gone_on_with(recording, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    _preprocess(recording[0], tmp_path, recording[1])
    advance, taken = em.advance, []

    def step(state, *rest):
        if len(taken) == 1:
            raise KeyboardInterrupt
        taken.append(state.iteration)
        advance(state, *rest)

    made = {"out": tmp_path / "m.json", "latent": tmp_path / "z.npz", "log": tmp_path / "log.parquet"}
    rest = {
        "trial": tmp_path / "trial.npz",
        "prior": Prior(),
        "fit": Fit(m_steps=2, e_steps=2),
        "form": "start",
        "start": 0,
        "seed": 3,
    }
    monkeypatch.setattr(em, "advance", step)
    with pytest.raises(KeyboardInterrupt):
        fit.run(**made, **rest, circuit=TRUE)
    monkeypatch.setattr(em, "advance", advance)
    fit.run(**made, **rest, circuit=replace(TRUE, refractory=0.008))
    assert "made with other settings" in capsys.readouterr().out


class TestParticles:
    @pytest.mark.parametrize("name", ["published", "four populations"])
    def test_likelihood_without_uncertainty(self, rng, name):
        """Huge populations have no noise: each bin is as expected, and the likelihood that of the spikes given this."""
        circuit = replace(CIRCUITS[name], sizes=(10**13,) * len(CIRCUITS[name].sizes))
        trial, latent = small_trial(rng, circuit, batches=1, n_bins=30)
        values, activity = plain.parameters(circuit), torch.tensor(latent)
        for _ in range(30):  # what is expected of a bin rests on the bins before it
            judge = plain.loss(values, circuit, trial, activity, "exact")
            activity[:, 40:] = judge.expected
        found = particles.sample(circuit, trial, 0, 4, 1, rng, "exact")
        assert found.log_likelihood == pytest.approx(-judge.spikes.item() * trial.drive.size, abs=1e-3)
        np.testing.assert_allclose(found.latent[0, 40:], activity[0, 40:], atol=1e-5)

    @pytest.mark.parametrize("scheme", ["compat", "exact"])
    def test_independent_neurons(self, rng, scheme):
        """Without coupling the latent activity says nothing: the likelihood is the spikes' part of the loss, exactly."""
        circuit = replace(TRUE, coupling=(0.0,) * 3, rest=(7.0,) * 3)
        trial, latent = small_trial(rng, circuit, batches=1)
        found = particles.sample(circuit, trial, 0, 20, 2, rng, scheme)
        assert found.log_likelihood == pytest.approx(-model.loss(circuit, trial, latent, scheme).spikes * 3 * 60, rel=1e-9)
        assert found.latent.shape == (2, 100, 3)

    def test_systematic_resampling(self, rng):
        """Each particle as often as its weight times their number, rounded one way or the other; their order is kept."""
        ancestors = np.empty(8, np.int32)
        particles.systematic(rng, np.array([0.25, 0, 0.5, 0, 0, 0.25, 0, 0]), ancestors)
        assert ancestors.tolist() == [0, 0, 2, 2, 2, 2, 5, 5]
        weights, counts = np.array([0.06, 0.3, 0.64]), np.zeros(3)
        for _ in range(2000):
            ancestors = np.empty(3, np.int32)
            particles.systematic(rng, weights, ancestors)
            counts += np.bincount(ancestors, minlength=3)
        np.testing.assert_allclose(counts / 6000, weights, atol=0.02)

    def test_particles_that_do_not_count_die_out(self, rng):
        """Few neurons in each population: activities differ, most lines end, and resampling keeps the likelihood in hand."""
        circuit = replace(TRUE, sizes=(20, 20, 10))
        trial, _ = small_trial(rng, circuit, batches=1, n_bins=300)
        samples = [particles.sample(circuit, trial, 0, 300, 300, np.random.default_rng(k), "exact") for k in range(8)]
        assert max(len(np.unique(each.latent[:, 40], axis=0)) for each in samples) < 30
        assert np.std([each.log_likelihood for each in samples]) < 6

    def test_window_moves_without_a_trace(self, rng):
        """Bins beyond the first window: mean activity of many particles equals that of free runs at zero coupling."""
        circuit = replace(TRUE, coupling=(0.0,) * 3, rest=(7.0,) * 3)
        trial, _ = small_trial(rng, circuit, batches=1, n_bins=200)
        quiet = replace(trial, drive=np.zeros_like(trial.drive))
        found = particles.sample(circuit, quiet, 0, 60, 60, rng, "exact").latent[:, 140:].mean()
        free = freerun.simulate(circuit, np.zeros((2000, 3)), rng, 0.004, 40, "exact")[500:].mean()
        assert found == pytest.approx(free, rel=0.03)


class TestRefine:
    """The likelihood with the activity integrated out: all activities of a few cells can be counted."""

    CIRCUIT = Circuit((3,), ((1,),), (60.0,), (1.5,), (6.0,), (3.0,), (300.0,), 0.004, typical_rates=(20.0,))

    def trial(self, rng, n_bins=5):
        spikes = (rng.random((1, 10 + n_bins, 2)) < 0.2).astype(np.uint8)
        return Trial(0.004, 10, spikes, np.zeros(2, int), 200 * np.ones((1, n_bins, 1)), np.full((1, 1), 20.0))

    def activities(self, trial):
        """Every activity that three cells can have, and the number of ways to it."""
        n_bins = trial.shape[1]
        counts = np.array(list(itertools.product(range(4), repeat=n_bins)))
        latent = np.zeros((len(counts), trial.history + n_bins, 1))
        latent[:, trial.history :, 0] = counts / 3
        return latent, binom(3, counts).prod(1)

    def log_likelihood(self, circuit, trial):
        latent, ways = self.activities(trial)
        joint = [-trial.drive.size * model.loss(circuit, trial, z[None], "exact", drawn=True).total for z in latent]
        return logsumexp(joint, b=ways)

    def test_densities_add_up_to_one(self, rng):
        trial = self.trial(rng)
        blind = replace(trial, spikes=trial.spikes[:, :, :0], population=trial.population[:0])
        assert self.log_likelihood(self.CIRCUIT, blind) == pytest.approx(0, abs=1e-9)

    def test_filter_equals_the_sum_over_all_activities(self, rng):
        trial = self.trial(rng)
        found = particles.sample(self.CIRCUIT, trial, 0, 40000, 1, rng, "exact").log_likelihood
        assert found == pytest.approx(self.log_likelihood(self.CIRCUIT, trial), abs=0.02)

    def test_mean_slope_of_draws_is_that_of_the_likelihood(self, rng):
        trial, settings = self.trial(rng), Refine(paths=2000, particles=40)
        paths, likelihoods = ascent.draw(self.CIRCUIT, trial, "exact", settings, (0, "test"))
        slopes = [model.loss(self.CIRCUIT, trial, z, "exact", drawn=True).grad_vector for z in paths]
        found = -softmax(likelihoods) @ np.array(slopes) * trial.drive.size
        for k, value in enumerate(self.CIRCUIT.vector()):
            pair = [self.CIRCUIT.vector() + sign * 1e-4 * value * np.eye(4)[k] for sign in (1, -1)]
            up, down = (self.log_likelihood(self.CIRCUIT.with_vector(x), trial) for x in pair)
            assert found[k] * value == pytest.approx((up - down) / 2e-4, abs=0.6), k  # four standard errors

    @pytest.mark.parametrize("scheme", ["compat", "exact"])
    def test_slope_of_drawn_activity_equals_differences(self, rng, scheme):
        trial, latent = small_trial(rng)
        slope = model.loss(TRUE, trial, latent, scheme, drawn=True).grad_vector
        for k, value in enumerate(TRUE.vector()):
            pair = [TRUE.with_vector(TRUE.vector() + sign * 1e-6 * value * np.eye(12)[k]) for sign in (1, -1)]
            up, down = (model.loss(circuit, trial, latent, scheme, drawn=True).total for circuit in pair)
            assert slope[k] == pytest.approx((up - down) / (2e-6 * value), rel=2e-3, abs=1e-6)

    def test_newton_step_with_a_bound(self):
        """A quadratic whose minimum (1, -1) lies below the bound of the second number: the first still finds its own."""
        curvature, x = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([0.0, -0.5])
        gradient = curvature @ (x - [1.0, -1.0])
        step = ascent.newton(gradient, curvature, x, np.array([-9.0, -0.5]), np.array([9.0, 9.0]))
        np.testing.assert_allclose(step, [0.75, 0.0])  # d/dx of (x-1)^2 + (x-1) / 2 + ... is 0
        free = ascent.newton(gradient, curvature, x, np.full(2, -9.0), np.full(2, 9.0))
        np.testing.assert_allclose(x + free, [1.0, -1.0])

    def test_curvature_is_made_positive(self):
        turned = np.array([[3.0, 4.0], [4.0, -3.0]])  # eigenvalues 5 and -5
        sizes = np.linalg.eigvalsh(ascent.curvature_at(lambda x: turned @ x, np.ones(2)))
        np.testing.assert_allclose(sizes, [5 * ascent.FLATTEST, 5.0])

    def test_likeliest_rounds_in_a_row_count(self):
        state = ascent.State(np.zeros(1), np.zeros(1))
        state.log_likelihood, state.seen = [-9.0, -1, -1, -9, -9, 0, -9, -9], [[float(k)] for k in range(8)]
        assert ascent.counted(state) == (1, 2)

    def test_spikes_that_no_particle_explains(self, rng):
        wild = replace(self.CIRCUIT, threshold=(2000.0,))  # never fires
        with pytest.raises(ValueError, match=r"none of 20 particles explains .* raise neulvm.refine.particles"):
            ascent.draw(wild, self.trial(rng), "exact", Refine(particles=20), (0, "test"))

    def test_shorter_ages_keep_the_start(self, rng):
        trial, latent = small_trial(rng)
        assert model.loss(TRUE, trial.shortened(99), latent, "exact").total == model.loss(TRUE, trial, latent, "exact").total
        short = trial.shortened(30)
        np.testing.assert_array_equal(short.early_rates, trial.early_rates)
        assert (short.history, short.spikes.shape[1]) == (30, 90)

    def test_few_particles_are_made_up_for(self, rng):
        """With two particles a filter is far off, but many of them, each as much as it is worth, are right."""
        trial = self.trial(rng)
        _, likelihoods = ascent.draw(self.CIRCUIT, trial, "exact", Refine(paths=8000, particles=2), (0, "test"))
        right = self.log_likelihood(self.CIRCUIT, trial)
        assert logsumexp(likelihoods) - np.log(8000) == pytest.approx(right, abs=0.02)
        assert likelihoods.mean() < right - 0.03

    def test_a_killed_refinement_goes_on_where_it_was(self, recording, tmp_path, monkeypatch):
        monkeypatch.setattr(training, "SAVE_SECONDS", -1)
        _preprocess(recording[0], tmp_path, recording[1])
        held = fitted.Fitted(TRUE, "exact", 0.004, 50, "test", {"start": 0})
        fitted.write(tmp_path / "best.json", held)
        advance, taken = ascent.advance, []

        def refine_until(dies_at, name):
            def step(state, number, *rest):
                if number == dies_at:
                    raise KeyboardInterrupt
                taken.append(number)
                advance(state, number, *rest)

            monkeypatch.setattr(ascent, "advance", step)
            made = [tmp_path / name / file for file in ("m.json", "log.parquet")]
            settings = Refine(rounds=7, paths=1, particles=10, history=0.1)
            refine.run(trial=tmp_path / "trial.npz", best=tmp_path / "best.json", out=made[0], log=made[1], prior=Prior(),
                       refine=settings, seed=3)  # fmt: skip
            return [path.read_bytes() for path in made]

        undisturbed = refine_until(None, "a")
        taken.clear()
        for dies_at in (2, 6):
            with pytest.raises(KeyboardInterrupt):
                refine_until(dies_at, "b")
        assert not (tmp_path / "b" / "m.json").exists()
        assert refine_until(None, "b") == undisturbed
        assert taken == list(range(7))


def test_partition_of_groups_that_move_together(rng):
    common = np.repeat(rng.random((3, 40)) < 0.5, 100, axis=1)
    truth = np.repeat([0, 1, 2], 4)
    spikes = (rng.random((4000, 12)) < np.where(common[truth].T, 0.15, 0.02)).astype(int)
    assert partition.accuracy(partition.find(spikes, 3, 0.004, rng), truth) == 1
    assert partition.accuracy(np.array([1, 1, 0, 0]), np.array([0, 0, 1, 0])) == 0.75


class TestDrives:
    def test_windows_and_variance(self, rng):
        drive = drives.draw("pozzorini", rng, 25000, 2, 0.004)
        inside = drives.windows(25000, 0.004)
        assert not drive[~inside].any()
        assert (drive[:, 0] == drive[:, 1]).all()
        time = np.arange(25000) * 0.004
        assert np.std(drive[inside, 0] / (20 * np.abs(1 + 20 * np.sin(0.4 * np.pi * time[inside])))) == pytest.approx(
            1, abs=0.05
        )
        white = drives.draw("random", rng, 5000, 2, 0.004)
        assert not white[:, 1].any()
        assert not drives.draw("none", rng, 10, 2, 0.004).any()


# The chain and bad input


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Short recording with a drive in the published format, and the window that fits it."""
    path = tmp_path_factory.mktemp("neulvm") / "recording"
    window = Window(history=0.2, end=1.2, length=1.0, batch=0.5, held_out=0.4)
    data.run(out=path, circuit=TRUE, data=Data(seconds=2.0, drive="random", sampled=4), window=window, seed=0)
    return path, window


def _changed(recording, tmp_path, **changes) -> Path:
    content = pickle.loads(recording[0].read_bytes())
    content |= changes
    path = tmp_path / "changed"
    path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def _preprocess(path, tmp_path, window, circuit=TRUE):
    out = tmp_path / "trial.npz"
    preprocess.run(recording=path, out=out, dataset="test", circuit=circuit, data=Data(), window=window, seed=0)
    return trials.read(out)


class TestLoader:
    def test_bins(self, recording, tmp_path):
        found = _preprocess(recording[0], tmp_path, recording[1])
        raw = pickle.loads(recording[0].read_bytes())
        assert found.trial.spikes.shape == (2, 175, 9)
        # the second batch begins half a second later; its history overlaps the first batch
        np.testing.assert_array_equal(found.trial.spikes[0, 125:], found.trial.spikes[1, :50])
        first = raw["sampled_spikes"][:, 0:20, :3].any(1).ravel()
        np.testing.assert_array_equal(found.trial.spikes[0, 0], first)
        np.testing.assert_allclose(found.rates[0, 0], raw["A_t_pop"][:20].mean(0))
        np.testing.assert_allclose(found.trial.drive[0, 0], raw["I_ext"][1000:1020].mean(0))
        assert found.held_out.spikes.shape == (1, 150, 9)

    def test_truth_may_be_missing(self, recording, tmp_path):
        found = _preprocess(_changed(recording, tmp_path, A_t_pop=None), tmp_path, recording[1])
        assert np.isnan(found.rates).all()

    def test_random_cells(self, recording, tmp_path):
        window = replace(recording[1], pick="random")
        spikes = np.zeros((3, 10, 4), bool)
        chosen = loader.pick(window, spikes, 0)
        assert all(len(set(cells)) == 3 for cells in chosen)
        assert [c.tolist() for c in chosen] == [c.tolist() for c in loader.pick(window, spikes, 0)]

    def test_most_active_cells_and_all_cells_where_there_are_few(self):
        spikes = [np.arange(40)[:, None] < [5, 30, 2, 30], np.ones((40, 2), bool)]
        assert [c.tolist() for c in loader.pick(Window(pick="active"), spikes, 0)] == [[0, 1, 3], [0, 1]]

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"sampled_spikes": np.zeros((2, 10000, 4), bool)}, r"sampled_spikes has shape \(2, 10000, 4\).*3 populations"),
            ({"sampled_spikes": np.zeros((3, 10000), bool)}, r"sampled_spikes has shape \(3, 10000\)"),
            ({"sampled_spikes": np.full((3, 10000, 4), 2)}, "other than 0 and 1"),
            ({"sampled_spikes": np.zeros((3, 10000, 4), bool)}, "cell 0 of population 0 .from 0. fires no spike .* 9 of 9"),
            ({"sampled_spikes": np.zeros((3, 10000, 0), bool)}, r"shape \(3, 10000, 0\)"),
            ({"I_ext": np.zeros((9000, 3))}, r"I_ext has shape \(9000, 3\), expected \(10000, 3\).* as sampled_spikes"),
            ({"I_ext": np.zeros((10000, 2))}, r"I_ext has shape \(10000, 2\), expected \(10000, 3\).* neulvm.circuit.sizes"),
            ({"sampled_spikes": None}, r"has no \['sampled_spikes'\]"),
            ({"sampled_spikes": [np.zeros((9, 2)), np.zeros((8, 2)), np.zeros((9, 1))]}, r"shape \(\(9, 2\), \(8, 2\)"),
            ({"A_t_pop": np.full((10000, 3), np.nan)}, r"A_t_pop\[0, 0\] is nan.*finite"),
            ({"A_t_pop": np.full((10000, 3), -1.0)}, "cannot be negative"),
            ({"A_t_pop": np.full((10000, 3), "x")}, "expected numbers"),
        ],
    )
    def test_refuses(self, recording, tmp_path, change, says):
        with pytest.raises(ValueError, match=says):
            _preprocess(_changed(recording, tmp_path, **change), tmp_path, recording[1])
        assert not (tmp_path / "trial.npz").exists()

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"dt": 0.0041}, "dt = 0.0041 s is not a multiple of neulvm.window.fine"),
            ({"length": 1.001}, "length = 1.001 s is not a multiple"),
            ({"batch": 0.6}, "not a multiple of neulvm.window.batch"),
            ({"end": 1.9}, "lasts 2 s"),
            (
                {"dt": 0.0038, "history": 0.19, "length": 0.95, "batch": 0.95, "end": 1.14, "held_out": 0.38},
                "do not fill whole",
            ),
        ],
    )
    def test_refuses_window(self, recording, tmp_path, change, says):
        with pytest.raises(ValueError, match=says):
            _preprocess(recording[0], tmp_path, replace(recording[1], **change))

    def test_refuses_other_sizes(self, recording, tmp_path):
        two = Circuit((400, 200), ((1, 1), (-1, -1)), (50.0,) * 2, (10.0,) * 2, (14.0,) * 2, (3.7,) * 2, (300.0,) * 2,
                      typical_rates=(5.0, 20.0))  # fmt: skip
        with pytest.raises(ValueError, match="expected .* with 2 populations"):
            _preprocess(recording[0], tmp_path, recording[1], two)

    def test_runs_nothing_that_a_pickle_holds(self, tmp_path):
        """Neither on loading nor in the message: the command is refused before it could run."""
        witness = tmp_path / "was here"

        class Hostile:
            def __reduce__(self):
                return os.system, (f"touch '{witness}'",)

        class Sly:
            def __reduce__(self):
                return eval, (f"open({str(witness)!r}, 'w')",)

        for bad in (Hostile(), Sly(), {"A_t_pop": Hostile()}, np.array([Sly()], dtype=object)):
            path = tmp_path / "hostile"
            path.write_bytes(pickle.dumps(bad))
            with pytest.raises(ValueError, match="nothing was run"):
                read_recording(path, (400, 400, 200))
        assert not witness.exists()

    @pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04N."])
    def test_refuses_other_files(self, tmp_path, content):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            read_recording(path, (400, 400, 200))

    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_reads_every_protocol(self, recording, tmp_path, protocol):
        content = pickle.loads(recording[0].read_bytes())
        path = tmp_path / "again"
        path.write_bytes(pickle.dumps({**content, "extra": np.float64(1.0)}, protocol=protocol))
        np.testing.assert_array_equal(read_recording(path, TRUE.sizes).spikes, content["sampled_spikes"])


class TestConfig:
    def test_wrong_number_of_sizes(self):
        with pytest.raises(ValueError, match="mem_rate has 3 entries, expected 2"):
            replace(TRUE, sizes=(400, 200))

    def test_no_connection(self):
        with pytest.raises(ValueError, match="no connection"):
            replace(TRUE, connectivity=((0, 0, 0),) * 3)

    def test_bounds_the_wrong_way(self):
        with pytest.raises(ValueError, match="expected one pair"):
            box.build(TRUE, Prior(rest=((20.0, 10.0),)))

    def test_published_box(self):
        search = box.build(TRUE, Prior.around(TRUE, 0.4, 2.0))
        np.testing.assert_allclose(search.low, 0.4 * TRUE.vector())
        np.testing.assert_allclose(search.high, 2.0 * TRUE.vector())

    def test_pulse_into_a_population_that_is_not_there(self, tmp_path):
        fitted.write(tmp_path / "m.json", fitted.Fitted(TRUE, "exact", 0.004, 50, "test"))
        with pytest.raises(ValueError, match="pulse_target = 3: expected a population, 0 to 2"):
            simulate.run(model=tmp_path / "m.json", out=tmp_path / "r.npz", free=Free(pulse_target=3), seed=0)

    def test_model_file(self, tmp_path):
        path = tmp_path / "m.json"
        held = fitted.Fitted(CIRCUITS["four populations"], "exact", 0.004, 50, "test", {"loss": 1.0})
        fitted.write(path, held)
        assert fitted.read(path) == held
        for content in ("{", "[]", json.dumps({"circuit": {}}), path.read_text().replace('"exact"', '"other"')):
            files.record_path(path).unlink(missing_ok=True)
            path.write_text(content)
            with pytest.raises(ValueError, match="not a model file"):
                fitted.read(path)


def test_recording_that_never_switches():
    with pytest.raises(ValueError, match="none of 50 recordings switches"):
        data.run(
            out=Path("never"), circuit=replace(TRUE, sizes=(8, 8, 8), coupling=(0.0,) * 3, rest=(0.1,) * 3), seed=0,
            data=Data(seconds=1.2, sampled=2), window=Window(end=1.2, length=1.0),
        )  # fmt: skip
    assert not Path("never").exists()


def test_chain_twice_gives_the_same_bytes(recording, tmp_path):
    """Command line from recording to free run, two times."""
    quick = json.dumps({"iterations": 2, "m_steps": 5, "e_steps": 5})
    window = json.dumps(dataclasses.asdict(recording[1]))
    for run in ("a", "b"):
        out = tmp_path / run
        common = ["--circuit", "{}", "--seed", "3"]
        assert main(["neulvm.preprocess", "--recording", str(recording[0]), "--out", f"{out}/t.npz", "--dataset", "test",
                     "--data", "{}", "--window", window, *common]) == 0  # fmt: skip
        for start in ("0", "1"):
            assert main(["neulvm.fit", "--trial", f"{out}/t.npz", "--out", f"{out}/{start}.json", "--latent",
                         f"{out}/{start}.npz", "--log", f"{out}/{start}.parquet", "--prior", "{}", "--fit", quick,
                         "--form", "start", "--start", start, *common]) == 0  # fmt: skip
        pairs = {kind: [f"{out}/0.{kind}", f"{out}/1.{kind}"] for kind in ("json", "npz")}
        assert main(["neulvm.select", "--trial", f"{out}/t.npz", "--fits", *pairs["json"], "--latents", *pairs["npz"],
                     "--shared", *pairs["json"], "--shared-latents", *pairs["npz"], "--out", f"{out}/best.json",
                     "--latent", f"{out}/best.npz", "--chosen", f"{out}/chosen.json", "--candidates", f"{out}/c.parquet",
                     "--prior", "{}", "--choose", '{"seconds": 5, "factors": [1, 1.1]}', "--seed", "3"]) == 0  # fmt: skip
        assert main(["neulvm.simulate", "--model", f"{out}/best.json", "--out", f"{out}/run.npz", "--free",
                     json.dumps({"seconds": 2, "pulses": 2}), "--seed", "3"]) == 0  # fmt: skip
    names = sorted(path.name for path in (tmp_path / "a").iterdir() if path.is_file())
    assert len(names) == 12
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_command_line_refuses_bad_recordings(recording, tmp_path, capsys):
    """Status 2, one line that names the file, and no output: for numbers that are none, and for a hostile pickle."""
    infinite = _changed(recording, tmp_path, I_ext=np.full((10000, 3), np.inf))
    hostile = tmp_path / "hostile"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    window = json.dumps(dataclasses.asdict(recording[1]))
    for bad, says in ((infinite, "I_ext[0, 0] is inf"), (hostile, "nothing was run")):
        assert main(["neulvm.preprocess", "--recording", str(bad), "--out", f"{tmp_path}/no.npz", "--dataset", "test",
                     "--data", "{}", "--window", window, "--circuit", "{}", "--seed", "3"]) == 2  # fmt: skip
        found = capsys.readouterr().err
        assert str(bad) in found
        assert says in found
        assert not (tmp_path / "no.npz").exists()


def test_an_activity_of_another_length_than_the_trial_is_refused():
    spikes = np.zeros((1, 30, 3), np.uint8)
    spikes[:, ::5] = 1
    trial = model.Trial(0.004, 10, spikes, np.arange(3), np.zeros((1, 20, 3)))
    latent = np.full((1, 30, 3), 0.05)
    assert np.isfinite(model.loss(Circuit(), trial, latent, "exact").total)
    for wrong in (latent[:, :20], latent[:, :, :2], np.repeat(latent, 2, axis=0)):
        with pytest.raises(ValueError, match=r"latent has shape .*, expected .*\(1, 30, 3\)"):
            model.loss(Circuit(), trial, wrong, "exact")
