"""neuLVM's posterior: summaries by hand, mean-field rates by simulation, the regression on a problem with a known answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from respike.core import calibration, files
from respike.neulvm import fitted, freerun, trials
from respike.neulvm.inference import box, diagnostics, meanfield, posterior, summaries
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Fit, Free, Posterior, Prior, Window
from respike.neulvm.stages import posterior as posterior_stage
from respike.neulvm.stages import recovery

TRUE = Circuit()
TWO = Circuit(
    (100, 80), ((1, 0.5), (-1, -1)), (50.0,) * 2, (6.0, 9.0), (13.0,) * 2, (3.7,) * 2, (300.0,) * 2, typical_rates=(20.0,) * 2
)
DT = 0.004


def trial_of(circuit, seconds, rng, cells=3):
    """Recording of a circuit by the mesoscopic model: half a second of history and `seconds` to fit."""
    m = len(circuit.sizes)
    population = np.repeat(np.arange(m), cells)
    n_bins = round((seconds + 0.5) / DT)
    spikes = freerun.record(circuit, np.zeros((n_bins, m)), population, rng, DT, 75)
    return Trial(DT, 125, spikes[None], population, np.zeros((1, n_bins - 125, m)))


class TestSummaries:
    def test_hazard_of_a_clock(self):
        """A cell that fires every fifth bin: the hazard is 1 at that age and 0 before."""
        spikes = np.zeros((1000, 1), dtype=np.uint8)
        spikes[::5] = 1
        fired = summaries._hazards(spikes, np.zeros((1000, 1), bool), np.zeros(1, int), DT)[0, 0]
        np.testing.assert_allclose(np.exp(fired[:3]), 0, atol=0.01)
        assert np.exp(fired[3]) == pytest.approx(0.5, abs=0.01)  # ages of 16 and 20 ms share a group: half of its bins

    def test_covariance_equals_the_plain_sum(self, rng):
        rate = rng.random((60, 2)) * 20
        found = summaries._covariances(rate, DT)
        c = rate - rate.mean(0)
        lagged = [(c[k:, 0] * c[: 60 - k, 1]).sum() / 60 for k in (1, 2)]
        scale = np.sqrt((rate.mean(0) + 0.5).prod())
        assert found[1, 0, 1] == pytest.approx(np.mean(lagged) / scale)
        assert found[0, 1, 1] == pytest.approx(rate[:, 1].var() / (rate[:, 1].mean() + 0.5))

    def test_changes_need_a_margin(self):
        assert summaries._changes(np.array([0.0, 9, 4.9, 5.1, 4.9, 9, 0]), 5.0, 2.0) == 2

    def test_silent_cells(self):
        """Every summary has its value at rate 0; a hazard is that of half a spike in 20 bins."""
        found = summaries.find(np.zeros((500, 4), np.uint8), np.array([0, 0, 1, 1]), DT)
        n_ages = len(summaries.AGES)
        rates, levels, states = [np.log(0.3)] * 2, [np.log(0.5)] * 10, [0.0] * 4
        hazards, covariances = [np.log(0.5 / 20)] * (2 * 2 * n_ages), [0.0] * (4 * len(summaries.LAGS))
        np.testing.assert_allclose(found, rates + levels + states + hazards + covariances)

    def test_order_of_a_recording(self):
        """The first population fires in each bin, the second in none, with two and one cells."""
        spikes = np.zeros((500, 3), np.uint8)
        spikes[:, :2] = 1
        found = summaries.find(spikes, np.array([0, 0, 1]), DT)
        np.testing.assert_allclose(found[:2], np.log([250.3, 0.3]))
        np.testing.assert_allclose(found[2:12].reshape(5, 2), np.log([[250.5, 0.5]] * 5))


class TestRecord:
    def test_cells_fire_as_their_population(self, rng):
        """Recorded cells have the rate of the population that they belong to."""
        spikes = freerun.record(TWO, np.zeros((25000, 2)), np.repeat([0, 1], 5), rng, DT, 75)
        latent = freerun.simulate(TWO, np.zeros((25000, 2)), rng, DT, 75, "exact")
        np.testing.assert_allclose(spikes.reshape(-1, 2, 5).mean((0, 2)), latent.mean(0), rtol=0.06)

    def test_drive_and_refractory_time(self, rng):
        strong = freerun.record(TWO, np.full((500, 2), 1e5), np.zeros(1, int), rng, DT, 75)
        assert strong[1:, 0].sum() == pytest.approx(250, abs=2)  # every second bin: one is refractory


class TestMeanField:
    def test_table_equals_simulated_cells(self, rng):
        free = Circuit((500,), ((1,),), (40.0,), (0.0,), (7.0,), (3.5,), (100.0,), typical_rates=(20.0,))
        rate_of = meanfield.table(np.array([40.0, 3.5]), np.array([41.0, 3.6]), free.refractory)
        simulated = freerun.simulate(free, np.zeros((20000, 1)), rng, 0.001, 300, "exact").mean() / 0.001
        assert np.exp(rate_of([[40.0, 3.5, 7.0]])[0]) == pytest.approx(simulated, rel=0.03)
        assert meanfield.potential(rate_of, np.array([40.0]), np.array([3.5]), np.log(simulated))[0] == pytest.approx(
            7, abs=0.1
        )

    @pytest.mark.parametrize("weights", ["row", "full"])
    def test_draws_lie_in_the_box_and_reach_the_rates(self, rng, monkeypatch, weights):
        trial = trial_of(TRUE, 4, rng)
        search = box.build(TRUE, Prior(weights=weights))
        monkeypatch.setattr(meanfield, "GRID", 12)
        monkeypatch.setattr(meanfield, "PER_ROUND", 500)
        draws = meanfield.propose(trial, search, 20, 0.3, rng)
        assert ((draws >= search.low) & (draws <= search.high)).all()
        rates, _ = meanfield.regimes(trial)
        monkeypatch.setattr(meanfield, "GRID", 2)
        for x in draws[:3]:
            circuit = search.circuit(x / search.high)
            h = circuit.rest + rates @ circuit.weights / circuit.mem_rate
            for m in range(3):
                place = np.array([circuit.mem_rate[m], circuit.threshold[m]])
                rate_of = meanfield.table(place, place + 0.01, TRUE.refractory)
                found = rate_of(np.column_stack([np.tile(place, (2, 1)), h[:, m]]))
                np.testing.assert_allclose(found, np.log(rates[:, m]), atol=0.36)

    def test_prior_without_such_circuits(self, rng, monkeypatch):
        monkeypatch.setattr(meanfield, "GRID", 2)
        monkeypatch.setattr(meanfield, "PER_ROUND", 100)
        search = box.build(TWO, Prior(coupling=((1.0, 2.0),), rest=((1.0, 1.1),), threshold=((7.0, 8.0),)))
        with pytest.raises(ValueError, match=r"no circuit in neulvm.prior fires at the recorded rates"):
            meanfield.propose(trial_of(TWO, 2, rng), search, 5, 0.2, rng)


class TestRegression:
    @pytest.fixture
    def gaussian(self, rng):
        """Logits are standard normal, each seen in a feature with noise of variance 1: posterior N(feature / 2, 1 / 2)."""
        search = replace(box.build(TRUE, Prior()), low=np.array([1.0, 2.0]), high=np.array([3.0, 10.0]))
        y = rng.standard_normal((4000, 2))
        features = np.column_stack([y + rng.standard_normal(y.shape), rng.standard_normal(4000)])
        return search, posterior.learn(search.of_logits(y), features, search)

    def test_posterior_of_a_gaussian(self, gaussian):
        search, learnt = gaussian
        found = search.logits(posterior.draws(learnt, np.array([1.0, -0.6, 0.0]), 0.25, search))
        np.testing.assert_allclose(found.mean(0), [0.5, -0.3], atol=0.08)
        np.testing.assert_allclose(found.std(0), np.sqrt(0.5), atol=0.05)

    def test_coverage_is_nominal_where_the_posterior_is_right(self, gaussian):
        _, learnt = gaussian
        found = posterior.coverage(learnt, np.zeros(3), 0.25, ["a", "b"])
        np.testing.assert_allclose(found["within_50"], 0.5, atol=0.08)
        np.testing.assert_allclose(found["within_90"], 0.9, atol=0.05)

    def test_diagnostics_where_the_posterior_is_right_and_where_its_errors_are_too_small(self, gaussian, rng):
        """Calibrated: every curve in the band of chance; errors halved: joint coverage leaves it."""
        _, learnt = gaussian
        joint = []
        for factor in (1.0, 0.5):
            truth, draws = diagnostics.cases(learnt, np.zeros(3), 0.25)
            draws = draws.mean(0) + factor * (draws - draws.mean(0))
            joint.append(calibration.deviation(calibration.coverage(calibration.joint_ranks(truth, draws))))
            assert truth.shape == (posterior.JUDGED, 2)
        assert joint[0] < calibration.band(posterior.JUDGED, 0.999) < joint[1]

    def test_which_combination_is_known(self, rng):
        """The sum of two parameters of unlike scale is known ten times as well as before, their difference not at all."""
        prior = rng.standard_normal((20000, 2))
        total, difference = 0.1 * prior.sum(1), prior[:, 0] - prior[:, 1]
        draws = np.stack([total + difference, total - difference], axis=1) / 2
        left, weights = diagnostics.combinations(prior * [1, 50], draws * [1, 50])
        np.testing.assert_allclose(left, [0.1, 1], rtol=0.03)
        np.testing.assert_allclose(np.abs(weights), np.sqrt(0.5), atol=0.02)
        assert weights[0].prod() > 0 > weights[1].prod()

    def test_logits_there_and_back(self, rng):
        search = box.build(TRUE, Prior())
        theta = rng.uniform(search.low, search.high, (5, 12))
        np.testing.assert_allclose(search.of_logits(search.logits(theta)), theta)


@pytest.mark.slow
def test_stages_write_the_same_bytes_twice(rng, tmp_path):
    """Posterior and recovery of a small recording; the model that is kept is one of those that were simulated."""
    trial = trial_of(TRUE, 2, rng)
    path = tmp_path / "trial.npz"
    trials.write(path, trials.Trials("test", trial, np.full((1, 625, 3), np.nan), trial))
    settings = Posterior(simulations=60, recordings=2)
    window = Window(history=0.5, end=2.5, length=2.0, batch=2.0)
    names = ("pairs.npz", "samples.parquet", "model.json", "calibration.parquet", "recovery.parquet", "diagnostics.npz",
             "recordings.parquet")  # fmt: skip
    fit, choose = Fit(m_steps=3, e_steps=3), Choice(starts=1, factors=(1.0,), seconds=5, recordings=1)
    network = tmp_path / "network.npz"
    files.write_arrays(network, pulsed=rng.uniform(0, 20, (2, 750, 3)))
    for run in ("a", "b"):
        out = [tmp_path / run / name for name in names]
        posterior_stage.run(
            trial=path, pairs=out[0], out=out[1], nearest=out[2], calibration=out[3], diagnostics=out[5],
            circuit=TRUE, prior=Prior(), posterior=settings, seed=1,
        )  # fmt: skip
        recovery.run(
            trial=path, pairs=out[0], network=network, out=out[4], models=out[6], circuit=TRUE, prior=Prior(),
            posterior=settings, window=window, fit=fit, choose=choose, free=Free(pulses=2), seed=1,
        )  # fmt: skip
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    theta = files.read_arrays(Path(out[0]), "theta")["theta"]
    assert np.isclose(theta, fitted.read(out[2]).circuit.vector()).all(1).any()
    table = files.read_table(out[4])
    assert len(table) == 2 * 12
    assert (table["low"] < table["mean"]).all()
    table = files.read_table(out[6])
    assert list(table["model"].unique()) == ["start", "em", "shared", "chosen", "known", "hmm", "plds2"]
    assert set(table.loc[table["metric"] == "response_corr", "model"]) == {"em", "shared", "chosen", "known"}
    assert table["value"].dropna().between(-1e4, 1e4).all()
