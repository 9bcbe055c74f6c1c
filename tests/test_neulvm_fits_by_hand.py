"""neuLVM: how fits go on and end, what is drawn and measured of them, and other models, on small cases by hand."""

import json
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import eigh
from scipy.special import expit, softmax
from scipy.stats import poisson

from respike.core import calibration, seeds
from respike.neulvm import embedded, freerun, measurement, model, trials
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import (
    ascent,
    box,
    choice,
    diagnostics,
    em,
    meanfield,
    particles,
    partition,
    posterior,
    summaries,
    tried,
)
from respike.neulvm.model import Loss, Trial
from respike.neulvm.params import Choice, Circuit, Fit, Free, Posterior, Prior, Refine, Window
from respike.neulvm.rivals import glm, hmm, plds
from respike.neulvm.smoothing import smooth
from respike.neulvm.stages import metrics

TRUE, DT = Circuit(), 0.004
ONE = Circuit((50,), ((-1,),), (50.0,), (3.0,), (8.0,), (4.0,), (300.0,), typical_rates=(15.0,))


def losses_of(values):
    """Losses (spikes, latent) one after the other, as `model.loss` would give them."""
    return [Loss(spikes, latent, None, None, np.zeros((1, 9, 1)), np.zeros(4), np.zeros((1, 1))) for spikes, latent in values]


@pytest.fixture
def trial(rng):
    spikes = (rng.random((1, 65, 2)) < 0.1).astype(np.uint8)
    return Trial(DT, 25, spikes, np.zeros(2, int), 5 * rng.standard_normal((1, 40, 1)))


class TestExpectationMaximisation:
    def state(self, **changes):
        return em.State(ONE, np.full((1, 9, 1), 0.05), **changes)

    @pytest.mark.parametrize(
        ("losses", "patience", "used", "best_at", "improved"),
        [
            ([(5, 5), (4, 4), (3, 3), (2, 2), (1, 1), (9, 9), (9, 9), (9, 9)], 3, 8, 4, True),
            ([(5, 5), (4, 6), (3, 4), (9, 1), (1, 9)], 2, 5, 2, True),  # both parts must be the lowest ever seen
            ([(5, 5), (9, 9), (9, 9)], 2, 3, 0, False),  # too few steps
            ([(5, 5), (5, 4), (5, 3), (4, 3), (9, 9)], 4, 5, 0, True),  # as low as before is no record
        ],
    )
    def test_published_rules_by_a_list_of_losses(self, monkeypatch, trial, losses, patience, used, best_at, improved):
        queue, tried_at = losses_of(losses), []

        def loss(circuit, trial_, latent, scheme):
            tried_at.append(latent)
            return queue[len(tried_at) - 1]

        monkeypatch.setattr(model, "loss", loss)
        monkeypatch.setattr(em.Adam, "step", lambda self, latent, gradient, rate: latent + 0.01)
        state = self.state()
        best, found = em.e_step_adam(state, trial, Fit(e_steps=50, e_patience=patience))
        assert (len(tried_at), found) == (used, improved)
        np.testing.assert_allclose(best, 0.05 + 0.01 * best_at)
        assert [row["number"] for row in state.rows] == list(range(1, used + 1))
        assert state.lowest == (min(each[0] for each in losses), min(each[1] for each in losses))

    def test_at_most_so_many_steps(self, monkeypatch, trial):
        queue = iter(losses_of([(9 - k, 9 - k) for k in range(9)]))
        monkeypatch.setattr(model, "loss", lambda *_: next(queue))
        for steps, improved in ((4, False), (5, True)):
            state = self.state()
            queue = iter(losses_of([(9 - k, 9 - k) for k in range(9)]))
            assert em.e_step_adam(state, trial, Fit(e_steps=steps))[1] == improved
            assert len(state.rows) == steps

    @pytest.mark.parametrize(
        ("iterations", "m_moves", "improves", "ends_after"),
        [(3, [5, 5, 5], [True] * 3, 3), (9, [5, 1, 5], [True] * 9, 2), (9, [2, 2, 2], [True, False], 2), (1, [1], [True], 1)],
    )
    def test_steps_take_turns_until_one_gains_nothing(self, monkeypatch, trial, iterations, m_moves, improves, ends_after):
        moves, gains, order = iter(m_moves), iter(improves), []
        monkeypatch.setattr(em, "m_step", lambda *_: order.append("M") or (ONE, next(moves)))
        monkeypatch.setattr(em, "e_step_adam", lambda *_: order.append("E") or (np.ones(1), next(gains)))
        state = self.state()
        while not state.done:
            em.advance(state, trial, None, Fit(e_step="adam", iterations=iterations))
        assert "".join(order) == "ME" * ends_after
        assert state.iteration == ends_after

    def test_m_step_ends_where_the_slope_is_none(self, trial):
        search = box.build(ONE, Prior(coupling=((1.0, 9.0),)))
        latent, seen = np.full((1, 65, 1), 0.04), []
        found, n = em.m_step(ONE, trial, latent, search, Fit(m_steps=60), seen.append)
        loss, x = model.loss(found, trial, latent, "exact"), search.vector(found)
        slope, (low, high) = search.gradient(loss), search.bounds.T
        inside = (x > low + 1e-9) & (x < high - 1e-9)
        assert np.abs(slope[inside]).max(initial=0) < 1e-3
        assert ((slope >= 0) | (x > low + 1e-9)).all()
        assert (n, len(seen)) == (len(seen), n)
        short = em.m_step(ONE, trial, latent, search, Fit(m_steps=1), seen.append)
        assert short[1] == 1

    def test_fit_at_the_truth_searches_from_three_tenths_to_three_times(self, monkeypatch, trial):
        told = {}
        monkeypatch.setattr(em, "m_step", lambda *given: told.update(given=given))
        em.at_truth(TRUE, SimpleNamespace(trial=trial, truth="truth"), Fit())
        circuit, of_trial, latent, search, *_ = told["given"]
        assert (circuit, of_trial, latent) == (TRUE, trial, "truth")
        np.testing.assert_allclose(search.low, 0.3 * TRUE.vector())
        np.testing.assert_allclose(search.high, 3 * TRUE.vector())

    def test_activity_at_the_start_is_the_smoothed_mean_of_the_cells(self, trial):
        found = em.first_latent(trial, Fit(smoothing=0.02, kernel="ma"))
        expected = np.convolve(trial.spikes[0].mean(1), np.full(5, 0.2), mode="same")
        np.testing.assert_allclose(found[0, :, 0], expected)
        with pytest.raises(ValueError, match="expected gaussian, ma or ma_forward"):
            smooth(np.ones(9), 3, "box")

    def test_adam_clips_and_forgets_what_is_not_a_number(self):
        adam = em.Adam()
        found = adam.step(np.array([0.5, 1e-5, 0.9999, 0.5]), np.array([1.0, 1.0, -1.0, np.nan]), 0.01)
        np.testing.assert_allclose(found, [0.49, 1e-5, 1.0, 0.5], rtol=1e-5)

    def test_best_start_first(self, monkeypatch, trial):
        totals = {0.3: 7.0, 0.1: 5.0, 0.2: 6.0}
        search = SimpleNamespace(draw=lambda number: number)
        monkeypatch.setattr(em, "advance", lambda state, *_: setattr(state, "done", True))
        monkeypatch.setattr(model, "loss", lambda circuit, *_: SimpleNamespace(total=totals[circuit]))
        assert [state.circuit for state in tried.ranked(trial, search, Fit(), [0.3, 0.1, 0.2])] == [0.1, 0.2, 0.3]


class TestAscent:
    @pytest.fixture
    def search(self):
        return box.build(ONE, Prior(mem_rate=((20.0, 100.0),), coupling=((1.0, 9.0),)))

    def test_begin_and_result(self, search):
        state = ascent.begin(search)
        np.testing.assert_allclose(np.exp(state.x) * search.high, ONE.vector())
        assert not state.speed.any()
        state.seen = [(state.x + 0.01 * k).tolist() for k in range(-2, 6)]
        state.log_likelihood = [0.0, 5, 5, 0, 0, 0, 0, 0]
        np.testing.assert_allclose(ascent.result(state, search).vector(), ONE.vector() * np.exp(-0.005), rtol=1e-9)
        state.seen, state.log_likelihood = state.seen[:3], [0.0, 1.0, 0.5]
        assert ascent.counted(state) == (1, 1)

    @pytest.mark.parametrize("number", [0, 3, 8])
    def test_a_round_by_hand(self, monkeypatch, trial, search, number):
        """Weighted slopes, a Newton step with momentum, at most 0.05, falling over the second half of ten rounds."""
        settings = Refine(rounds=10, paths=2, momentum=0.6, step=0.5)
        slopes, logs = {0: np.array([0.02, -0.01, 0.03, 0.01]), 1: np.array([-0.01, 0.02, 0.01, 0.02])}, np.array([-3.0, -2.5])
        monkeypatch.setattr(ascent, "draw", lambda *_: ([0, 1], logs))
        monkeypatch.setattr(model, "loss", lambda circuit, trial_, path, scheme, drawn: slopes[path])
        monkeypatch.setattr(box.Box, "gradient", lambda self, loss: loss)
        monkeypatch.setattr(ascent, "curvature_at", lambda slope, x: np.diag([1.0, 2.0, 3.0, 4.0]))
        state = ascent.begin(search)
        state.speed, state.curvature = np.full(4, 0.01), np.eye(4)
        before = state.x.copy()
        ascent.advance(state, number, trial, search, "exact", settings, (0,))
        share = softmax(logs)
        slope = (share[0] * slopes[0] + share[1] * slopes[1]) * np.exp(before)
        step = -slope / (np.array([1, 2, 3, 4]) if number % 5 == 0 else 1)
        moved = min(1, 2 * (1 - number / 10)) * (0.6 * 0.01 + 0.5 * step)
        moved *= min(1, 0.05 / np.abs(moved).max())
        np.testing.assert_allclose(state.x, np.clip(before + moved, *np.log(search.bounds).T))
        np.testing.assert_allclose(state.speed, state.x - before)
        assert state.seen == [before.tolist()]
        assert state.log_likelihood == [pytest.approx(math.log((math.exp(-3) + math.exp(-2.5)) / 2))]

    def test_no_step_is_longer_than_a_twentieth(self, monkeypatch, trial, search):
        monkeypatch.setattr(ascent, "draw", lambda *_: ([0], np.array([0.0])))
        monkeypatch.setattr(model, "loss", lambda *_, drawn: np.array([1.0, 0.0, -0.5, 0.0]))
        monkeypatch.setattr(box.Box, "gradient", lambda self, loss: loss)
        monkeypatch.setattr(ascent, "curvature_at", lambda slope, x: 1e-3 * np.eye(4))
        state = ascent.begin(search)
        before = state.x.copy()
        ascent.advance(state, 0, trial, search, "exact", Refine(rounds=10, paths=1), (0,))
        assert np.abs(state.x - before).max() == pytest.approx(0.05)

    def test_every_path_of_every_batch_has_a_filter_of_its_own(self, monkeypatch, trial):
        asked = []

        def sample(circuit, trial_, batch, n, m, rng, scheme):
            asked.append((batch, n, m, rng.random()))
            return SimpleNamespace(latent=np.full((1, 65, 1), len(asked)), log_likelihood=float(len(asked)))

        monkeypatch.setattr(ascent.particles, "sample", sample)
        double = replace(trial, spikes=np.tile(trial.spikes, (2, 1, 1)), drive=np.tile(trial.drive, (2, 1, 1)))
        paths, logs = ascent.draw(ONE, double, "exact", Refine(paths=3, particles=7), (5, "x"))
        assert paths.shape == (3, 2, 65, 1)
        assert logs.tolist() == [1 + 2, 3 + 4, 5 + 6]
        expected = [seeds.generator(5, "x", batch, path).random() for path in range(3) for batch in range(2)]
        assert [each[3] for each in asked] == expected
        assert {each[1:3] for each in asked} == {(7, 1)}


def test_rounding_leaves_no_particle_without_an_ancestor():
    """Weights that add up to less than one: the last particle takes the rest."""
    for weights in ([0.3, 0.3, 0.0], [0.5, 0.25, 0.2]):
        ancestors = np.full(3, -1, np.int32)
        particles.systematic(np.random.default_rng(0), np.array(weights), ancestors)
        expected, position = [], np.random.default_rng(0).random() / 3
        for k in range(3):
            expected.append(min(int(np.searchsorted(np.cumsum(weights), position + k / 3)), 2))
        assert ancestors.tolist() == expected


class TestBox:
    def test_logits(self):
        search = box.build(TRUE, Prior())
        middle = (search.low + search.high) / 2
        np.testing.assert_allclose(search.logits(middle), 0, atol=1e-12)
        np.testing.assert_allclose(search.of_logits(np.full(12, math.log(3))), search.low + 0.75 * (search.high - search.low))

    def test_bounds_and_names(self):
        search = box.build(TRUE, Prior())
        assert search.low.tolist() == [20] * 3 + [3, 3, 10] + [6] * 3 + [1.5] * 3
        assert search.high.tolist() == [100] * 3 + [25, 25, 50] + [30] * 3 + [8] * 3
        full = box.build(TRUE, Prior(weights="full"))
        assert full.names[3:10] == [f"coupling_{a}_{b}" for a, b in ((0, 0), (0, 2), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2))]
        assert full.high[3:10].tolist() == [25, 25, 25, 25, 50, 50, 50]
        changed = full.circuit(np.concatenate([full.vector(TRUE)[:3], np.full(7, 0.5), full.vector(TRUE)[10:]]))
        np.testing.assert_allclose(changed.weights, [[12.5, 0, 12.5], [0, 12.5, 12.5], [-25, -25, -25]])
        np.testing.assert_allclose(changed.rest, TRUE.rest)
        np.testing.assert_allclose(changed.threshold, TRUE.threshold)

    def test_draws_are_uniform(self):
        search, rng = box.build(TRUE, Prior()), np.random.default_rng(0)
        drawn = np.array([search.draw(rng).vector() for _ in range(400)])
        share = (drawn - search.low) / (search.high - search.low)
        assert 0 <= share.min() < 0.01 < share.max() - 0.98
        np.testing.assert_allclose(share.mean(0), 0.5, atol=0.07)


class TestPosterior:
    @pytest.fixture
    def learnt(self, rng):
        guesses = rng.standard_normal((60, 3))
        return posterior.Regression(None, 0, 1, guesses, 0.1 * rng.standard_normal((60, 3)))

    def test_nearest_simulations(self, learnt):
        distance = (((learnt.guesses - 0.3) / learnt.errors.std(0)) ** 2).sum(1)
        assert learnt.near(np.full(3, 0.3), 0.25).tolist() == np.argsort(distance)[:15].tolist()
        assert len(learnt.near(np.full(3, 0.3), 0.001)) == 2

    def test_coverage_by_hand(self, learnt, monkeypatch):
        monkeypatch.setattr(posterior, "JUDGED", 9)
        monkeypatch.setattr(posterior.Regression, "guess", lambda self, features: np.zeros((1, 3)))
        found = posterior.coverage(learnt, np.zeros(2), 0.5, ["a", "b", "c"])
        judged = learnt.near(np.zeros(3), 0.5)[:9]
        ranks = []
        for k in judged:
            others = [other for other in learnt.near(learnt.guesses[k], 0.5) if other != k]
            ranks.append([(learnt.errors[others, j] < learnt.errors[k, j]).mean() for j in range(3)])
        ranks = np.array(ranks)
        assert found["judged"].tolist() == [9] * 3
        np.testing.assert_allclose(found["mean_rank"], ranks.mean(0))
        np.testing.assert_allclose(found["within_50"], (np.abs(ranks - 0.5) <= 0.25).mean(0))
        np.testing.assert_allclose(found["within_90"], (np.abs(ranks - 0.5) <= 0.45).mean(0))

    def test_cases_and_combinations(self, learnt, monkeypatch):
        monkeypatch.setattr(posterior.Regression, "guess", lambda self, features: np.zeros((1, 3)))
        monkeypatch.setattr(diagnostics, "DRAWS", 5)
        truth, draws = diagnostics.cases(learnt, np.zeros(2), 0.2)
        judged = learnt.near(np.zeros(3), 0.2)
        np.testing.assert_allclose(truth, learnt.guesses[judged] + learnt.errors[judged])
        k = judged[2]
        others = [other for other in learnt.near(learnt.guesses[k], 0.2) if other != k]
        rows = [others[int(each)] for each in np.linspace(0, len(others) - 1, 5)]
        np.testing.assert_allclose(draws[:, 2], learnt.guesses[k] + learnt.errors[rows])
        prior, after = np.random.default_rng(0).normal(size=(50, 2)) * [1, 9], np.random.default_rng(1).normal(size=(40, 2))
        left, weights = diagnostics.combinations(prior, after)
        spread = prior.std(0)
        values = eigh(np.cov((after / spread).T), np.cov((prior / spread).T))[0]
        np.testing.assert_allclose(left, np.sqrt(values))
        np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1)

    def test_all_diagnostics_together(self, learnt, monkeypatch):
        """What each of them is given; the two that are sbi's are played."""
        monkeypatch.setattr(posterior.Regression, "guess", lambda self, features: np.zeros((1, 3)))
        monkeypatch.setattr(calibration, "tarp", lambda truth, draws, rng: (truth.sum(), draws.sum() + rng.random()))
        monkeypatch.setattr(calibration, "unexpected", lambda *given: [np.sum(each) for each in given])
        rng = np.random.default_rng(2)
        features, simulations, predicted = np.zeros(4), rng.normal(size=(60, 4)), rng.normal(size=(30, 4))
        found = diagnostics.diagnose(learnt, features, simulations, predicted, 0.5, 7)
        truth, draws = diagnostics.cases(learnt, features, 0.5)
        np.testing.assert_array_equal(found["ranks"], calibration.ranks(truth, draws))
        np.testing.assert_array_equal(found["joint"], calibration.joint_ranks(truth, draws))
        drawn = draws.sum() + seeds.generator(7, "neulvm", "tarp").random()
        np.testing.assert_allclose(found["tarp"], [truth.sum(), drawn])
        np.testing.assert_allclose(found["unexpected"], [0, simulations.sum(), 7])
        assert found["outside"] == calibration.outside(features, predicted)
        assert found["predicted"] == 30
        left, _ = diagnostics.combinations(learnt.guesses + learnt.errors, learnt.errors[learnt.near(np.zeros(3), 0.5)])
        np.testing.assert_allclose(found["left"], left)

    def test_a_simulation_settles_before_it_counts(self, trial):
        """Half a second without the drive, then the drive of the trial; random numbers by the number of the draw."""
        search = box.build(ONE, Prior(coupling=((1.0, 9.0),)))
        theta = np.array([ONE.vector(), 1.1 * ONE.vector()])
        found = posterior.predicted(trial, search, Posterior(history=0.1), theta, (3, "p"))
        current = np.concatenate([np.zeros((125, 1)), trial.drive[0]])
        spikes = freerun.record(ONE.with_vector(theta[1]), current, trial.population, seeds.generator(3, "p", 1), DT, 25)
        np.testing.assert_allclose(found[1], summaries.find(spikes[125:], trial.population, DT))
        assert len(spikes) == 165


class TestMeanField:
    def test_table_by_a_loop_over_ages(self):
        rate_of = meanfield.table(np.array([30.0, 2.0]), np.array([80.0, 6.0]), 0.004)
        alpha, threshold, pull = 80.0, 2.0, -5 + 65 * 50 / 129
        total, summed = 0.0, 0.0
        for k in range(50000):  # 100 s
            summed += 0.002 * math.exp(min(pull * (1 - math.exp(-alpha * (k + 0.5) * 0.002)) - threshold, 30))
            total += math.exp(-summed)
        assert rate_of([[alpha, threshold, pull]])[0] == pytest.approx(-math.log(0.004 + 0.002 * (0.5 + total)))
        log_rate = rate_of([[alpha, threshold, pull]])[0]
        assert meanfield.potential(rate_of, np.array([alpha]), np.array([threshold]), log_rate)[0] == pytest.approx(pull)
        assert meanfield.potential(rate_of, np.array([alpha]), np.array([threshold]), -50)[0] == -5
        assert meanfield.potential(rate_of, np.array([alpha]), np.array([threshold]), 50)[0] == 60

    @pytest.mark.parametrize("pull", [-5 + 65 * k / 129 for k in (0, 12, 15, 17, 20)])
    def test_rates_from_a_spike_a_minute_on_by_a_long_integral(self, pull):
        """0.0002 to 5 Hz: beyond half a second the hazard is that of the potential that was reached, for ever."""
        rate_of = meanfield.table(np.array([50.0, 3.7]), np.array([80.0, 6.0]), 0.004)
        age = (np.arange(400_000) + 0.5) * 5e-4
        survival = np.exp(-5e-4 * np.cumsum(np.exp(pull * -np.expm1(-50 * age) - 3.7)))
        beyond = survival[-1] / np.exp(pull - 3.7)  # after 200 s
        exact = 1 / (0.004 + 5e-4 * (0.5 + survival.sum() - survival[-1] / 2) + beyond)
        assert np.exp(rate_of([[50.0, 3.7, pull]])[0]) == pytest.approx(exact, rel=1e-3)

    def test_pull_and_regimes(self, trial):
        search = box.build(TRUE, Prior())
        x, rates, drive = TRUE.vector()[None], np.array([[20.0, 5.0, 25.0]]), np.array([[1.0, 2.0, 3.0]])
        expected = (rates[0] @ TRUE.weights + drive[0]) / 50
        np.testing.assert_allclose(meanfield._pull(x, search, rates, drive)[0, 0], expected)
        rates, drive = meanfield.regimes(trial)
        rate = trial.spikes[0, 25:].mean(1) / DT
        slow = measurement.gaussian_filter1d(rate, 0.15 / DT)
        low = slow < (slow.min() + slow.max()) / 2
        assert sorted(rates[:, 0])[0] == pytest.approx(rate[low].mean(), rel=0.3)
        assert rates.shape == drive.shape == (2, 1)

    def test_rests_between_which_all_rates_are_right(self):
        rate_of = meanfield.table(np.array([30.0, 2.0]), np.array([80.0, 6.0]), 0.004)
        alpha, threshold = np.array([50.0]), np.array([4.0])
        pulls = np.array([[0.5], [2.0]])
        low, high = meanfield._rests(alpha, threshold, rate_of, np.log([10.0, 14.0]), pulls, 0.4)
        ends = [
            [meanfield.potential(rate_of, alpha, threshold, math.log(rate) + side * 0.4)[0] - pull for side in (-1, 1)]
            for rate, pull in ((10, 0.5), (14, 2.0))
        ]
        assert (low[0], high[0]) == pytest.approx((max(ends[0][0], ends[1][0]), min(ends[0][1], ends[1][1])))


class TestChoice:
    def test_likelihood_of_switches_and_spikes(self):
        data = choice.Seen(3, 10.0, np.array([20.0, 5.0, 25.0]), np.array([30.0, 30.0, 60.0]))
        run = choice.Seen(40, 400.0, np.array([19.0, 6.0, 24.0]), np.ones(3))
        expected = poisson.logpmf(3, 40.5 / 40)
        for count, rate, time in zip([600, 150, 1500], run.rates, [30, 30, 60], strict=True):
            expected += count * math.log(rate) - rate * time
        assert choice.log_likelihood(data, run) == pytest.approx(expected)
        assert choice.log_likelihood(data, run._replace(rates=np.array([np.nan, 1, 1]))) == -np.inf

    def test_probabilities(self):
        np.testing.assert_allclose(choice.probabilities(np.array([-1000.0, -1000 + math.log(3)])), [0.25, 0.75])

    def test_cells_multiply_the_time(self):
        rates = np.repeat([[20.0, 5.0, 9.0], [5.0, 20.0, 9.0]], 50, axis=0)
        found = choice.seen(rates, rates, 0.05, np.full(3, 3))
        assert (found.switches, found.seconds) == (1, pytest.approx(5.0))
        assert found.rates.tolist() == [20, 5, 9]
        np.testing.assert_allclose(found.exposure, [15.0] * 3)

    def test_recorded_window(self):
        spikes = np.zeros((1, 260, 6), np.uint8)
        spikes[0, 10::4, :2] = 1
        spikes[0, 10::20, 4:] = 1
        latent = np.zeros((1, 260, 3))
        latent[0, 10:135] = [0.08, 0.02, 0.1]
        latent[0, 135:] = [0.02, 0.08, 0.1]
        found = choice.recorded(Trial(DT, 10, spikes, np.repeat(np.arange(3), 2), np.zeros((1, 250, 3))), latent)
        assert found.switches == 1
        assert found.exposure[0] == pytest.approx(2 * 240 * DT)  # cells times whole bins of 48 ms
        first = 1000 / 4 / 4  # Hz of the first population, who wins in the first half
        assert found.rates[0] == pytest.approx(first / 2, rel=0.1)
        assert found.rates[2] == pytest.approx(1000 / 4 / 20, rel=0.1)


class TestRivals:
    def test_score_of_a_glm_by_hand(self):
        spikes = np.array([[[1], [0], [1], [1], [0]]], np.uint8)
        weights = np.array([[-1.0, 0.5, 0.2, -0.3, 0.1]])
        trial = Trial(DT, 2, spikes, np.zeros(1, int), np.zeros((1, 3, 1)))
        keep, trace, total = np.exp(-DT / np.array([0.004, 0.016, 0.064, 0.256])), np.zeros(4), 0.0
        for t in range(5):
            p = expit(-1 + trace @ weights[0, 1:])
            if t >= 2:
                total += math.log(p if spikes[0, t, 0] else 1 - p)
            trace = keep * (trace + spikes[0, t, 0])
        assert glm.score(weights, trial) == pytest.approx(total)
        sure = np.array([[100.0, 0, 0, 0, 0]])  # two spikes that had to come, one that should have: a billion to one
        assert glm.score(sure, trial) == pytest.approx(math.log(1e-9), rel=1e-6)
        assert glm.score(-sure, trial) == pytest.approx(2 * math.log(1e-9), rel=1e-6)

    def test_free_run_of_a_glm_by_a_loop(self):
        weights, keep = (
            np.array([[-1.0, 0.5, 0.2, -0.3, 0.1], [0.3, -2.0, 0.0, 0.1, 0.0]]),
            np.exp(-DT / np.array([0.004, 0.016, 0.064, 0.256])),
        )
        found, rng = glm.free(weights, DT, 15, np.random.default_rng(4)), np.random.default_rng(4)
        trace, expected = np.zeros((2, 20, 4)), np.zeros((15, 2))
        for t in range(15):
            for i in range(2):
                for copy in range(20):
                    p = 1 / (1 + math.exp(-weights[i, 0] - trace[i, copy] @ weights[i, 1:]))
                    expected[t, i] += p / 20
                    trace[i, copy] = keep * (trace[i, copy] + (rng.random() < p))
        np.testing.assert_allclose(found, expected, rtol=1e-9)

    def test_hmm_by_its_rounds(self):
        """EM by the sums over all paths of six bins."""
        spikes = np.array([[1, 0], [1, 1], [0, 0], [0, 0], [1, 1], [0, 1]])
        model_ = hmm.Hmm(np.array([[0.7, 0.6], [0.2, 0.3]]), np.array([[0.9, 0.1], [0.3, 0.7]]))
        total = 0.0
        for path in np.ndindex(*[2] * 6):
            chance = 0.5
            for t, state in enumerate(path):
                chance *= np.where(spikes[t], model_.p[state], 1 - model_.p[state]).prod()
                chance *= model_.move[path[t - 1], state] if t else 1
            total += chance
        assert hmm.score(model_, spikes) == pytest.approx(math.log(total))
        free, rng = hmm.free(model_, 50, np.random.default_rng(5)), np.random.default_rng(5)
        state, draws = rng.integers(2), None
        draws = rng.random(50)
        for t in range(50):
            if t:
                state = 0 if draws[t] < model_.move[state, 0] else 1
            assert free[t].tolist() == model_.p[state].tolist()

    def test_hmm_fit_clips_rates(self):
        spikes = np.zeros((300, 3), int)
        spikes[:150, 0] = spikes[:150, 1] = 1
        found = hmm.fit(spikes, 5, 0.1, np.random.default_rng(0))
        assert sorted(found.p[:, 0]) == pytest.approx([1e-5, 1 - 1e-5], rel=1e-6)
        assert found.p[:, 2].tolist() == [1e-5] * 2
        np.testing.assert_allclose(found.move.sum(1), 1)

    def test_loadings_of_a_plds_leave_no_slope(self):
        """M-step: expected log-likelihood of the spikes at its maximum, closed-form dynamics."""
        rng = np.random.default_rng(6)
        x, spikes = rng.standard_normal((80, 2)), rng.poisson(0.3, (80, 3))
        own = np.tile(0.1 * np.eye(2), (80, 1, 1))
        cross = np.tile(0.02 * np.eye(2), (79, 1, 1))
        fitted = plds.Plds(0.5 * np.eye(2), np.eye(2), 0.1 * np.ones((3, 2)), np.log(np.full(3, 0.3)))
        for _ in range(30):
            plds._update(fitted, spikes, x, own, cross)
        early = (own[:-1] + np.einsum("ti,tj->tij", x[:-1], x[:-1])).mean(0)
        late = (own[1:] + np.einsum("ti,tj->tij", x[1:], x[1:])).mean(0)
        step = (cross + np.einsum("ti,tj->tij", x[:-1], x[1:])).mean(0)
        a = np.linalg.solve(early, step).T
        np.testing.assert_allclose(fitted.a, a)
        np.testing.assert_allclose(fitted.q, late - a @ step - step.T @ a.T + a @ early @ a.T + 1e-8 * np.eye(2))

        def expected(i, c, d):
            rate = np.exp(x @ c + d + np.einsum("i,tij,j->t", c, own, c) / 2)
            return (spikes[:, i] * (x @ c + d) - rate).sum()

        for i in range(3):
            for way in np.eye(3):
                up, down = (expected(i, fitted.c[i] + s * way[:2], fitted.d[i] + s * way[2]) for s in (1e-4, -1e-4))
                assert abs(up - down) / 2e-4 < 1e-2


class TestMeasures:
    def numbers(self, rows):
        return {(variant, metric): value for variant, metric, value, *_ in rows}

    def recorded(self, rng, known=True):
        part = Trial(DT, 5, (rng.random((1, 505, 4)) < 0.2).astype(np.uint8), np.array([0, 0, 1, 1]), np.zeros((1, 500, 2)))
        return trials.Trials("d", part, rng.random((1, 505, 2)) * 20 if known else np.full((1, 505, 2), np.nan), part)

    def test_inferred_activity(self, rng):
        recorded = self.recorded(rng)
        first, last = rng.random((1, 505, 2)), rng.random((1, 505, 2))
        found = self.numbers(metrics.inferred(recorded, {"first": first, "last": last}, apart=False))
        for variant, activity in (("start", first), ("em", last)):
            for m in range(2):
                r = np.corrcoef(activity[0, 5:, m], recorded.rates[0, 5:, m])[0, 1]
                assert found[variant, f"z_corr_{m}"] == pytest.approx(r)
                assert (variant, f"z_corr_20ms_{m}") in found
        assert ("em", "rate_winner_inferred") not in found
        assert ("em", "rate_winner_inferred") in self.numbers(metrics.inferred(recorded, {"first": first, "last": last}))
        assert not list(metrics.inferred(self.recorded(rng, known=False), {}))

    def test_smoothing_of_twenty_milliseconds(self, rng):
        a, b = rng.random((2, 1, 200, 1))
        kernel = np.exp(-(np.arange(-20, 21) ** 2) / (2 * 5**2))
        kernel /= kernel.sum()
        both = [np.convolve(np.pad(x[0, :, 0], 20, mode="symmetric"), kernel, mode="valid") for x in (a, b)]
        found = {metric: value for metric, value, *_ in measurement.likeness(a, b, DT)}
        assert found["z_corr_20ms_0"] == pytest.approx(np.corrcoef(*both)[0, 1])

    def test_partition_and_its_accuracy(self, rng):
        group, truth = np.array([1, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 0])
        assert partition.accuracy(group, truth) == pytest.approx(0.8)
        assert partition.accuracy(np.array([2, 2, 0]), np.array([0, 0, 1])) == 1
        assert partition.accuracy(np.roll(np.arange(30), 7), np.arange(30)) == 1
        assert partition.find(rng.random((50, 1)) < 0.2, 1, DT, rng).tolist() == [0]

    def test_losses_of_starts_and_models(self, rng):
        def made(loss, start, edge=()):
            return Fitted(ONE, "exact", DT, 5, "d", {"loss": loss, "start": start, "at_bound": list(edge)})

        models = {"em": made(1.0, 1, ["a", "b"])}
        found = list(metrics.parameters([made(3.0, 0), made(1.0, 1)], models, None, None, 4))
        assert self.numbers(found) == {
            ("start0", "loss"): 3.0, ("start1", "loss"): 1.0, ("em", "loss"): 1.0,
            ("em", "loss_worst"): 3.0, ("em", "at_bound"): 2,
        }  # fmt: skip
        assert [n for *_, n in found] == [1, 1, 2, 2, 4]
        chosen = replace(models["em"], circuit=TRUE)
        rows = metrics.parameters([made(1.0, 1)], {**models, "chosen": chosen}, None, None, 19)
        of = {variant: n for variant, metric, _, _, n in rows if metric == "at_bound"}
        assert of == {"em": 19, "chosen": 8}, "two of three populations share theirs"
        of_truth = self.numbers(
            metrics.parameters(
                [made(1.0, 1)],
                models,
                ONE,
                SimpleNamespace(rates=np.full((1, 3, 1), 9.0)),
                4,
            )
        )
        assert of_truth["em", "ratio_rest"] == 1
        assert of_truth["em", "h_error_0"] == 0

    def test_posterior_by_quantiles(self):
        names = [f"{group}_{m}" for group in ("mem_rate", "coupling", "rest", "threshold") for m in range(3)]
        draws = pd.DataFrame(
            np.random.default_rng(0).normal(1, 0.2, (200, 12)) * [box.value(TRUE, name) for name in names], columns=names
        )
        draws["rest_1"] = -draws["coupling_2"]
        intervals = pd.DataFrame({"within_50": [0.4, 0.6], "within_90": [0.8, 0.9], "judged": [50, 50]})
        found = self.numbers(metrics.sampled(draws, intervals, TRUE))
        assert found["posterior", "ridge_coupling_rest"] == pytest.approx(-1)
        assert found["posterior", "within_50"] == pytest.approx(0.5)
        share = (draws[["coupling_0", "coupling_1"]] / 9.984).mean(axis=1)
        assert found["posterior", "ratio_coupling_excitatory"] == pytest.approx(share.mean())
        assert found["posterior", "low_coupling_excitatory"] == pytest.approx(share.quantile(0.05))
        assert found["posterior", "high_coupling_excitatory"] == pytest.approx(share.quantile(0.95))
        assert len(self.numbers(metrics.sampled(draws, intervals, None))) == 3

    def test_diagnosed(self):
        rng = np.random.default_rng(1)
        found = {
            "joint": rng.random(40), "ranks": rng.random((40, 3)), "tarp": np.array([[0.0, 0.5, 1.0], [0.0, 0.8, 1.0]]),
            "unexpected": 0.3, "outside": 0.1, "predicted": 70, "left": np.array([0.2, 0.5, 0.9]),
        }  # fmt: skip
        rows = {metric: (value, n) for _, metric, value, _, n in metrics.diagnosed(found)}
        ordered = np.sort(found["ranks"], axis=0)
        worst = np.abs((np.arange(40) + 0.5) / 40 - ordered.T).max(1).max()
        assert rows["off_diagonal_ranks"] == (pytest.approx(worst), 40)
        assert rows["off_diagonal_tarp"][0] == pytest.approx(0.3)
        assert (rows["unexpected"], rows["outside"]) == ((0.3, 1), (0.1, 70))
        assert (rows["left_best"][0], rows["left_worst"][0]) == (0.2, 0.9)

    def test_binned(self):
        table = pd.DataFrame([("network", 0.0002, 19.0), ("exact", 0.002, 20.0)], columns=["model", "dt", "up"])
        rows = list(metrics.binned(table.assign(down=5.0, others=24.0, switch_rate=0.1, seconds=400.0)))
        assert ("bins network", "up", 19.0, "Hz", 400) in rows
        assert ("bins exact 2 ms", "up", 20.0, "Hz", 400) in rows
        assert ("bins exact 2 ms", "switch_rate", 0.1, "1/s", 400) in rows

    def test_free_runs_against_the_network(self):
        rows = [("network", "rate_up", 19.0, "Hz", 5), ("em", "rate_up", 20.0, "Hz", 5), ("em", "dwell_mean", 3.0, "s", 5)]
        assert list(metrics.against_network(rows)) == [("em", "rate_up over network", 1.0, "Hz", 5)]

    def test_response_to_a_pulse(self, rng):
        pulsed, network = rng.random((2, 3, 60, 2))
        kernel = np.exp(-(np.arange(-20, 21) ** 2) / (2 * 5**2))
        kernel /= kernel.sum()
        means = [
            np.stack(
                [np.convolve(np.pad(x.mean(0)[:, m], 20, mode="symmetric"), kernel, mode="valid") for m in (0, 1)], 1
            ).ravel()
            for x in (pulsed, network)
        ]
        ((_, value, _, n),) = measurement.response(pulsed, network, DT)
        assert (value, n) == (pytest.approx(np.corrcoef(*means)[0, 1]), 3)
        assert not list(measurement.response(np.ones((2, 9, 1)), network[:2, :9, :1], DT))

    def test_rules_of_a_job(self):
        job = {"prior": asdict(Prior.around(TRUE, 0.4, 2.0)), "circuit": asdict(TRUE), "fit": asdict(Fit(iterations=7))}
        job["window"] = asdict(Window(cells=2))
        found = metrics.rules(json.loads(json.dumps(job)))
        told = {"scheme": "exact", "e_step": "lbfgs", "iterations": 7, "e_steps": 400, "cells": 2, "length": 10.0, "dt": 0.004}
        assert found == {**told, "box": "published"}
        job["prior"]["rest"] = [[5.0, 30.0]]
        assert metrics.rules(json.loads(json.dumps(job)))["box"] == "another"


def test_every_way_to_fit_is_tried_on_a_recording(monkeypatch):
    """One small recording: the models, their measures, and which circuit each of them is."""
    monkeypatch.setattr(embedded, "first_with_switch", lambda draw, circuit, window: draw(0))
    monkeypatch.setattr(tried, "ROUNDS", 2)
    small = replace(TRUE, sizes=(200, 200, 100))
    window = Window(history=0.2, end=2.2, length=2.0, batch=2.0, held_out=0.2)
    ways = Choice(starts=2, factors=(0.9, 1.1), seconds=4.0, history=0.1)
    free, network = Free(pulses=2, trial=1.0, pulse_start=0.6, pulse_length=0.1), np.random.default_rng(0).random((2, 250, 3))
    fit = Fit(m_steps=2, e_steps=2)
    rows = tried.tried(small, Prior(), fit, ways, window, free, network, 5, 3)
    assert {row[0] for row in rows} == {3}
    found = {(kind, metric): (value, n) for _, kind, metric, value, _, n in rows}
    assert {kind for kind, _ in found} == {"start", "known", "em", "shared", "chosen", "hmm", "plds2"}
    assert found["em", "loss"][1] == 2
    for kind in ("known", "em", "shared", "chosen"):
        assert {(kind, "ratio_rest"), (kind, "switch_rate"), (kind, "response_corr")} <= set(found)
        assert found[kind, "rate_last"][1] == 4
    for kind in ("start", "em"):
        assert (kind, "z_corr_20ms_1") in found
    assert found["start", "z_corr_0"][1] == 500
    assert ("hmm", "ratio_rest") not in found
    assert found["hmm", "switch_rate"][1] == 4
    assert found["chosen", "ratio_coupling_excitatory"] != found["em", "ratio_coupling_excitatory"]
