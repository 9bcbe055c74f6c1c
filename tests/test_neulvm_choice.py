"""neuLVM's choice by free runs: probabilities by hand, a family that keeps its mean input, fits that share parameters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad
from scipy.stats import poisson

from respike.neulvm import freerun, model
from respike.neulvm.inference import box, choice
from respike.neulvm.inference.choice import Seen
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Prior

TRUE = Circuit()
DT = 0.004


@pytest.fixture
def trial(rng):
    """Four seconds of nine cells of the true circuit."""
    population = np.repeat(np.arange(3), 3)
    spikes = freerun.record(TRUE, np.zeros((1075, 3)), population, rng, DT, 75)
    return Trial(DT, 75, spikes[None], population, np.zeros((1, 1000, 3)))


class TestKinds:
    def test_populations_of_a_kind(self):
        assert TRUE.kinds == (0, 0, 2)
        assert replace(TRUE, sizes=(400, 300, 200)).kinds == (0, 1, 2)
        one_way = replace(TRUE, connectivity=((1, 0, 1), (1, 0, 1), (-1, -1, -1)))  # both excite the first, nobody the second
        assert one_way.kinds == (0, 1, 2)
        assert replace(TRUE, syn_rate=(300.0, 200.0, 100.0)).kinds == (0, 1, 2)

    def test_they_share_their_parameters(self, rng):
        search = box.build(TRUE, Prior(), shared=True)
        drawn = search.draw(rng)
        for group in ("mem_rate", "coupling", "rest", "threshold"):
            values = getattr(drawn, group)
            assert values[0] == values[1] != values[2]
        assert search.names[2:4] == ["coupling_0", "coupling_2"]
        np.testing.assert_allclose(search.circuit(search.vector(TRUE)).vector(), TRUE.vector())
        assert search.at_bound(search.circuit(search.bounds[:, 1])) == search.names

    def test_slope_of_what_is_shared(self, rng, trial):
        """Against differences of the loss."""
        search = box.build(TRUE, Prior(), shared=True)
        latent = np.clip(rng.normal(0.06, 0.01, (1, 1075, 3)), 0.01, 1)

        def loss(x):
            return model.loss(search.circuit(x), trial, latent, "exact")

        x = search.vector(TRUE)
        wrong = check_grad(lambda x: loss(x).total, lambda x: search.gradient(loss(x)), x, epsilon=1e-6)
        assert wrong < 1e-4 * np.linalg.norm(search.gradient(loss(x)))


class TestChoice:
    def test_what_a_run_shows(self):
        """Population 0 wins for 0.48 s, then population 1."""
        rates = np.repeat([[20.0, 5.0, 24.0], [4.0, 22.0, 26.0]], 120, axis=0)
        found = choice.seen(rates, rates, DT, np.full(3, 3))
        assert found.switches == 1
        assert found.seconds == pytest.approx(0.96)
        np.testing.assert_allclose(found.rates, [21, 4.5, 25])
        np.testing.assert_allclose(found.exposure, 3 * 0.96)

    def test_spikes_count_as_those_of_the_cells_that_were_recorded(self):
        """Six cells of population 0, two of population 1: it wins for 0.48 s and loses for 0.96 s, and the other way round."""
        rates = np.repeat([[20.0, 5.0, 24.0], [4.0, 22.0, 26.0], [4.0, 22.0, 26.0]], 120, axis=0)
        found = choice.seen(rates, rates, DT, np.array([6, 2, 4]))
        np.testing.assert_allclose(found.exposure, [0.48 * 6 + 0.96 * 2, 0.48 * 2 + 0.96 * 6, 1.44 * 4])
        spikes = [20 * 0.48 * 6 + 22 * 0.96 * 2, 5 * 0.48 * 2 + 4 * 0.96 * 6, (24 * 0.48 + 26 * 0.96) * 4]
        np.testing.assert_allclose(found.rates * found.exposure, spikes)

    def test_of_two_populations_each_counts_once(self):
        data = choice.seen(np.full((240, 2), [20.0, 5.0]), np.full((240, 2), [20.0, 5.0]), DT, np.full(2, 3))
        runs = [Seen(0, 100.0, np.array([20.0, 5.0, last]), np.ones(3)) for last in (5.0, 9.0)]
        assert choice.log_likelihood(data, runs[0]) == choice.log_likelihood(data, runs[1])
        np.testing.assert_allclose(data.exposure, [0.96 * 3, 0.96 * 3, 0])

    def test_likelihood_by_hand(self):
        """One switch and 30, 10, 40 spikes in 2 s; the run switches 49.5 + 0.5 times in 100 s: once in 2 s."""
        data = Seen(1, 2.0, np.array([15.0, 5, 20]), np.full(3, 2.0))
        found = [
            choice.log_likelihood(data, Seen(switches, 100.0, np.array(rates), np.ones(3)))
            for switches, rates in ((49.5, (15.0, 5, 20)), (19.5, (18.0, 4, 20)))
        ]
        spikes = [poisson.logpmf([30, 10, 40], 2 * np.array(rates)).sum() for rates in ((15.0, 5, 20), (18.0, 4, 20))]
        by_hand = spikes[0] - spikes[1] + poisson.logpmf(1, 1) - poisson.logpmf(1, 0.4)
        assert found[0] - found[1] == pytest.approx(by_hand)
        assert choice.log_likelihood(data, Seen(0, 100.0, np.full(3, np.nan), np.ones(3))) == -np.inf

    def test_members_keep_the_mean_input(self):
        rates = np.array([12.0, 12.0, 24.0])
        found = choice.scaled(TRUE, 1.05, rates, box.build(TRUE, Prior(), shared=True))
        np.testing.assert_allclose(found.coupling, np.array(TRUE.coupling) * [1.05, 1.05, 1])
        np.testing.assert_allclose(found.asymptote(rates), TRUE.asymptote(rates))

    def test_median_of_the_probabilities(self):
        table = pd.DataFrame({"switch_rate": [0.3, 0.1, 0.2, 0.0], "probability": [0.2, 0.3, 0.4, 0.1]})
        assert choice.middle(table) == 2  # 0.0, 0.1, then 0.2 takes the sum from 0.4 to 0.8
        np.testing.assert_allclose(choice.probabilities(np.array([-np.inf, 0.0, np.log(3)])), [0, 0.25, 0.75])

    def test_cells_that_never_fired_are_no_surprise_to_a_member_that_never_fires(self):
        silent = Seen(0, 2.0, np.array([15.0, 0, 20]), np.full(3, 2.0))
        found = [choice.log_likelihood(silent, Seen(0, 2.0, np.array([15.0, rate, 20]), np.ones(3))) for rate in (0.0, 1.0)]
        assert found[0] - found[1] == pytest.approx(2.0)  # no spike in 2 s at 1 Hz
        assert choice.log_likelihood(silent._replace(rates=np.full(3, 5.0)), Seen(0, 2.0, np.zeros(3), np.ones(3))) == -np.inf

    def test_the_best_fit_where_no_member_does_what_the_recording_does(self, trial, caplog):
        """The winner of the recording changes; the members hardly fire, so that nobody wins."""
        latent = np.zeros((1, 1075, 3))
        latent[0, 75:] = np.repeat([[19.2, 5.7, 24.5], [5.7, 19.2, 24.5]], 500, axis=0) * DT
        search = box.build(TRUE, Prior(rest=((0.01, 30.0),)), shared=True)
        weak = [replace(TRUE, rest=(rest,) * 3, coupling=(3.0, 3.0, 10.0)) for rest in (0.1, 0.2)]
        settings, streams = Choice(factors=(1.02, 1.0), seconds=4.0), [np.random.default_rng(k) for k in (1, 2)]
        found, table = choice.choose(weak, [latent] * 2, trial, search, settings, "exact", streams)
        assert found == weak[0]
        assert (len(table), table["probability"].notna().any()) == (4, False)
        assert "the best fit is chosen as it is" in caplog.text

    def test_finds_the_circuit_that_switches_as_the_recording_does(self, trial):
        """Of the true circuit and one whose winner never changes, for a recording of the former with its true states."""
        latent = np.zeros((1, 1075, 3))
        latent[0, 75:] = np.repeat([[19.2, 5.7, 24.5], [5.7, 19.2, 24.5]], 500, axis=0) * DT
        settings = Choice(factors=(1.0, 1.3), seconds=60.0)
        streams = [np.random.default_rng(3)]
        search = box.build(TRUE, Prior(), shared=True)
        found, table = choice.choose([TRUE], [latent], trial, search, settings, "exact", streams)
        assert found.coupling[0] == pytest.approx(TRUE.coupling[0])
        assert table["probability"].tolist() == pytest.approx([1, 0], abs=0.01)

    def test_one_population_has_nobody_to_switch_with(self):
        one = Circuit((8,), ((1,),), (50.0,), (5.0,), (8.0,), (3.7,), (300.0,), typical_rates=(5.0,))
        alone = Trial(DT, 5, np.zeros((1, 15, 1), np.uint8), np.zeros(1, int), np.zeros((1, 10, 1)))
        search = box.build(one, Prior(coupling=((3.0, 25.0),)), shared=True)
        assert choice.choose([one], [np.zeros((1, 15, 1))], alone, search, Choice(), "exact", [])[0] == one

    def test_an_excitatory_and_an_inhibitory_population_are_no_rivals(self):
        two = Circuit((8, 4), ((1, 1), (-1, -1)), (50.0,) * 2, (5.0,) * 2, (8.0,) * 2, (3.7,) * 2, (300.0,) * 2,
                      typical_rates=(5.0, 5.0))  # fmt: skip
        trial = Trial(DT, 5, np.zeros((1, 15, 2), np.uint8), np.arange(2), np.zeros((1, 10, 2)))
        search = box.build(two, Prior(coupling=((3.0, 25.0),)), shared=True)
        fits = [two, replace(two, rest=(9.0, 9.0))]
        found, table = choice.choose(fits, [np.zeros((1, 15, 2))] * 2, trial, search, Choice(), "exact", [])
        assert (found, table["factor"].tolist()) == (two, [1.0])
