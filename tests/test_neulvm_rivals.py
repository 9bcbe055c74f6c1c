"""neuLVM's baselines: by hand, by brute force, by dense algebra, by scikit-learn."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from respike.neulvm.model import Trial
from respike.neulvm.rivals import glm, hmm, plds


class TestGlm:
    def test_traces_by_hand(self):
        """Spikes in bins 1 and 2: their traces begin a bin later, so that no bin sees itself."""
        found = glm.traces(np.array([[0], [1], [1], [0], [0]]), 0.004)[:, 0]
        for tau, trace in zip(glm.TAUS, found.T, strict=True):
            keep = np.exp(-0.004 / tau)
            np.testing.assert_allclose(trace, [0, 0, keep, keep + keep**2, keep**2 + keep**3])

    def test_logistic_equals_scikit_learn(self, rng):
        x = rng.normal(size=(500, 3))
        y = (rng.random(500) < 1 / (1 + np.exp(-(x @ [1.0, -0.5, 0.0] - 1)))).astype(int)
        judge = LogisticRegression(C=1.0, tol=1e-10).fit(x, y)
        np.testing.assert_allclose(glm.logistic(x, y), [*judge.intercept_, *judge.coef_[0]], atol=1e-5)

    def test_free_run_and_score_of_neurons_without_memory(self, rng):
        weights = np.array([[np.log(0.25 / 0.75), 0, 0, 0, 0], [0.0, 0, 0, 0, 0]])
        free = glm.free(weights, 0.004, 50, rng)
        np.testing.assert_allclose(free, [[0.25, 0.5]] * 50)
        spikes = np.array([[[1, 1], [1, 0], [0, 0], [0, 1]]], dtype=np.uint8)
        trial = Trial(0.004, 1, spikes, np.array([0, 1]), np.zeros((1, 3, 1)))
        assert glm.score(weights, trial) == pytest.approx(np.log(0.25 * 0.75**2 * 0.5**3))

    def test_fit_finds_a_refractory_time(self, rng):
        spikes = np.zeros((1, 4000, 1), dtype=np.uint8)
        for t in range(1, 4000):
            spikes[0, t, 0] = (not spikes[0, t - 1, 0]) and rng.random() < 0.2
        weights = glm.fit(Trial(0.004, 10, spikes, np.zeros(1, int), np.zeros((1, 3990, 1))))
        chance = 1 / (1 + np.exp(-weights[0, 0] - glm.traces(spikes[0], 0.004)[:, 0] @ weights[0, 1:]))
        after = np.flatnonzero(spikes[0, :-1, 0]) + 1
        assert chance[after].mean() < 0.06  # the ridge is weak, but it is there
        assert chance[10:].mean() == pytest.approx(spikes[0, 10:].mean(), rel=1e-6)  # as the slope of the constant demands


class TestHmm:
    def test_finds_two_rates(self, rng):
        state = np.repeat([0, 1, 0, 1], 2500)
        spikes = (rng.random((10000, 2)) < np.array([[0.02, 0.1], [0.1, 0.02]])[state]).astype(int)
        found = hmm.fit(spikes, 30, 0.004, rng)
        assert sorted(np.unique(hmm.free(found, 40000, rng)[:, 0].round(2))) == [0.02, 0.1]
        assert hmm.score(found, spikes) > glm.bernoulli(np.broadcast_to(spikes.mean(0), spikes.shape), spikes) + 200

    def test_after_a_single_switch_no_state_is_left_for_ever(self, rng):
        """One transition is seen, and half a one counts beside it: of 2000 bins in the first state, 1.5 in 2001."""
        state = np.repeat([0, 1], 2000)
        spikes = (rng.random((4000, 4)) < np.array([[0.02, 0.2, 0.02, 0.2], [0.2, 0.02, 0.2, 0.02]])[state]).astype(int)
        found = hmm.fit(spikes, 20, 0.004, rng)
        first = int(found.p[1, 0] < found.p[0, 0])
        assert found.move[first, 1 - first] == pytest.approx(1.5 / 2001, rel=0.05)
        assert found.move[1 - first, first] == pytest.approx(0.5 / 2000, rel=0.05)

    def test_a_state_that_is_never_taken_has_numbers(self, rng, monkeypatch):
        share = np.repeat([[1.0, 0.0]], 400, axis=0)
        monkeypatch.setattr(hmm, "forward_backward", lambda *_: (share, np.array([[399.0, 0.0], [0.0, 0.0]]), 0.0))
        found = hmm.fit((rng.random((400, 2)) < 0.2).astype(int), 1, 0.004, rng)
        assert ((found.p >= hmm.LEAST) & (found.p < 1)).all()
        np.testing.assert_allclose(found.move, [[399.5 / 400, 0.5 / 400], [0.5, 0.5]])

    def test_forward_backward_by_brute_force(self, rng):
        emission, move, start = rng.normal(size=(4, 2)), np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.4, 0.6])
        share, _, total = hmm.forward_backward(emission, move, start)
        paths = [[(k >> t) & 1 for t in range(4)] for k in range(16)]
        weight = [
            start[p[0]] * np.prod([move[a, b] for a, b in zip(p[:-1], p[1:], strict=True)])
            * np.exp(sum(emission[t, s] for t, s in enumerate(p))) for p in paths
        ]  # fmt: skip
        assert total == pytest.approx(np.log(sum(weight)))
        assert share[2, 1] == pytest.approx(sum(w for w, p in zip(weight, paths, strict=True) if p[2]) / sum(weight))

    def test_free_run_stays_as_long_as_its_transitions_say(self, rng):
        two = hmm.Hmm(np.array([[0.1], [0.9]]), np.array([[0.95, 0.05], [0.2, 0.8]]))
        free = hmm.free(two, 200000, rng)[:, 0]
        high = free == 0.9
        assert high.mean() == pytest.approx(0.05 / 0.25, rel=0.05)
        assert np.mean(high[1:][~high[:-1]]) == pytest.approx(0.05, rel=0.05)


class TestPlds:
    def test_more_dimensions_than_cells_are_refused(self, rng):
        with pytest.raises(ValueError, match=r"neulvm.baselines.latents = 4: expected at most 3, the recorded cells"):
            plds.fit((rng.random((50, 3)) < 0.3).astype(int), 4, 1, 0.004)

    def test_posterior_by_dense_algebra(self, rng):
        spikes = (rng.random((12, 3)) < 0.3).astype(int)
        model_ = plds.Plds(0.9 * np.eye(2), 0.2 * np.eye(2), rng.normal(size=(3, 2)), -1 + rng.normal(size=3))
        x, own, cross = plds.posterior(model_, spikes)
        precision = np.zeros((24, 24))
        for t in range(12):
            block = slice(2 * t, 2 * t + 2)
            precision[block, block] += np.eye(2) if t == 0 else 5 * np.eye(2)
            precision[block, block] += (model_.c.T * np.exp(model_.c @ x[t] + model_.d)) @ model_.c
            if t:
                before = slice(2 * t - 2, 2 * t)
                precision[before, before] += 0.81 * 5 * np.eye(2)
                precision[before, block] -= 0.9 * 5 * np.eye(2)
                precision[block, before] -= 0.9 * 5 * np.eye(2)
        inverse = np.linalg.inv(precision)
        np.testing.assert_allclose(own[5], inverse[10:12, 10:12], atol=1e-8)
        np.testing.assert_allclose(cross[5], inverse[10:12, 12:14], atol=1e-8)

    ONE = plds.Plds(np.array([[0.9]]), np.array([[0.19]]), np.array([[0.4], [-0.3]]), np.array([-2.5, -3.0]))

    def test_score_by_a_grid(self, rng):
        """One latent: the filter on a grid of 600 points, with the same chance of a spike."""
        spikes = (rng.random((40, 2)) < 0.1).astype(int)
        x = np.linspace(-6, 6, 600)
        now, step, total = norm.pdf(x), norm.pdf(x[:, None], 0.9 * x, np.sqrt(0.19)), 0.0
        rate = np.exp(self.ONE.c[:, 0] * x[:, None] + self.ONE.d)
        for fired in spikes:
            now = now / now.sum() * np.where(fired > 0, -np.expm1(-rate), np.exp(-rate)).prod(1)
            total += np.log(now.sum())
            now = step @ now
        assert plds.score(self.ONE, spikes) == pytest.approx(total, abs=0.05)

    def test_free_run_has_the_mean_of_a_log_normal(self, rng):
        """x has variance q / (1 - a^2) = 1."""
        free = plds.free(self.ONE, 100000, rng).mean(0)
        np.testing.assert_allclose(free, np.exp(self.ONE.d + self.ONE.c[:, 0] ** 2 / 2), rtol=0.05)

    def test_fit_finds_what_two_neurons_share(self, rng):
        """Neurons that take turns: loadings of opposite sign, and most of what the true system explains."""
        true = plds.Plds(np.array([[0.97]]), np.array([[1 - 0.97**2]]), np.array([[1.2], [-1.2]]), np.full(2, -1.8))
        spikes = (rng.random((6000, 2)) < plds.free(true, 6000, rng)).astype(int)
        found = plds.fit(spikes, 1, 30, 0.004)
        assert found.c[0, 0] * found.c[1, 0] < 0
        constant = glm.bernoulli(np.broadcast_to(spikes.mean(0), spikes.shape), spikes)
        best = plds.score(true, spikes) - constant
        assert 0.8 * best < plds.score(found, spikes) - constant < 1.01 * best
