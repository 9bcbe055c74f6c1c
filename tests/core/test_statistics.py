"""Spike statistics against elephant, scipy and closed forms."""

import elephant.statistics as elephant_statistics
import neo
import numpy as np
import pandas as pd
import pytest
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from elephant.spike_train_correlation import correlation_coefficient

from respike.core import spikes, statistics
from respike.core.spikes import Spikes, bin_counts

DURATION, WIDTH = 20.0, 0.05


@pytest.fixture
def poisson(rng):
    """Twelve Poisson cells of 1 to 12 Hz."""
    counts = rng.poisson(np.arange(1, 13) * DURATION)
    cells = np.repeat(np.arange(12), counts)
    return Spikes(rng.uniform(0, DURATION, len(cells)), cells, 12, DURATION)


@pytest.fixture
def trains(poisson):
    """The same as elephant's spike trains."""
    return [
        neo.SpikeTrain(np.sort(poisson.times[poisson.cells == cell]) * pq.s, t_stop=DURATION * pq.s)
        for cell in range(poisson.n_cells)
    ]


def test_rate_is_elephants(poisson, trains):
    expected = [float(elephant_statistics.mean_firing_rate(train).rescale("Hz")) for train in trains]
    np.testing.assert_allclose(statistics.rate(poisson), expected)


def test_isi_cv_is_elephants(poisson, trains):
    expected = [elephant_statistics.cv(elephant_statistics.isi(train).magnitude) for train in trains]
    np.testing.assert_allclose(statistics.isi_cv(poisson), expected)


def test_isi_cv_of_a_clock_and_of_a_nearly_silent_cell():
    clock = np.arange(10) * 0.1
    spikes = Spikes(np.concatenate([clock, [0.3]]), np.repeat([0, 1], [10, 1]), 3, 1.0)
    cv = statistics.isi_cv(spikes)
    assert cv[0] == pytest.approx(0, abs=1e-9)
    assert np.isnan(cv[1:]).all()


def test_intervals_do_not_cross_trials():
    spikes = Spikes(np.array([0.9, 0.1, 0.4]), np.zeros(3, int), 1, 1.0, trials=np.array([0, 1, 1]), n_trials=2)
    isi, cell = statistics.intervals(spikes)
    np.testing.assert_allclose(isi, [0.3])
    np.testing.assert_array_equal(cell, [0])


def test_bin_counts_is_elephants(poisson, trains):
    expected = BinnedSpikeTrain(trains, bin_size=WIDTH * pq.s, t_stop=DURATION * pq.s).to_array().T
    np.testing.assert_array_equal(bin_counts(poisson, WIDTH)[0], expected)


def test_bin_counts_leaves_out_a_short_last_bin():
    spikes = Spikes(np.array([0.05, 0.95]), np.array([0, 0]), 1, 1.0)
    assert bin_counts(spikes, 0.3)[0, :, 0].tolist() == [1, 0, 0]


def test_fano_is_elephants(poisson, trains):
    per_cell = statistics.fano(bin_counts(poisson, 1.0)[0])
    for cell, train in enumerate(trains):
        counts = np.histogram(train.magnitude, np.arange(0, DURATION + 1))[0]
        assert per_cell[cell] == pytest.approx(counts.var() / counts.mean())
    halves = [train.time_slice(begin * pq.s, (begin + 10) * pq.s) for train in trains for begin in (0, 10)]
    whole = bin_counts(poisson, 10.0)[0].reshape(-1)
    assert statistics.fano(whole) == pytest.approx(elephant_statistics.fanofactor(halves))


def test_fano_of_nothing_is_nan():
    assert np.isnan(statistics.fano(np.zeros((5, 1)))).all()
    assert np.isnan(statistics.fano(np.full((1, 3), 7))).all()  # one window: its variance is 0 whatever fires


def test_noise_correlation_without_stimulus_is_elephants(poisson, trains):
    counts = bin_counts(poisson, WIDTH)
    # one long trial cut into pieces without common time course: what is locked to the bin is noise as well
    pieces = counts.reshape(40, -1, poisson.n_cells)
    noise, locked = statistics.covariances(pieces)
    binned = BinnedSpikeTrain(trains, bin_size=WIDTH * pq.s, t_stop=DURATION * pq.s)
    total = noise + locked
    found = total / np.sqrt(np.outer(np.diag(total), np.diag(total)))
    np.testing.assert_allclose(found, correlation_coefficient(binned), atol=1e-9)


def test_noise_correlation_of_a_shared_gain(rng):
    """Counts a + b with shared a: covariance var(a), total variance var(a) + var(b) + locked variance."""
    shared = rng.normal(0, 1, (400, 50, 1))
    locked = np.sin(np.arange(50) / 5)[None, :, None] * [2.0, 0.0]
    counts = shared + rng.normal(0, 1, (400, 50, 2)) + locked
    correlation = statistics.noise_correlation(counts)[0, 1]
    assert correlation == pytest.approx(1 / np.sqrt((2 + locked.var(1)[0, 0]) * 2), abs=0.02)


def test_autocovariance_is_brute_force(rng):
    x = rng.normal(size=(2, 60))
    centred = x - x.mean(1, keepdims=True)
    expected = [[np.sum(row[: 60 - lag] * row[lag:]) / 60 for lag in range(11)] for row in centred]
    np.testing.assert_allclose(statistics.autocovariance(x, 10), expected, atol=1e-12)


def test_r2_of_mean_and_of_truth(rng):
    truth = rng.normal(size=100)
    assert statistics.r2(truth, truth) == 1
    assert statistics.r2(truth, np.full(100, truth.mean())) == pytest.approx(0)
    assert np.isnan(statistics.r2(truth[:1], truth[1:2])), "of a single entry there is nothing to explain"
    assert np.isnan(statistics.r2(truth[:0], truth[:0]))


def test_spikes_refuse_milliseconds():
    with pytest.raises(ValueError, match="are the times in milliseconds"):
        Spikes(np.array([12.0]), np.array([0]), 1, 1.0)


def test_spikes_refuse_unknown_cells():
    with pytest.raises(ValueError, match="from 0 to 0"):
        Spikes(np.array([0.5]), np.array([3]), 1, 1.0)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint32", "uint64", "float64", "bool", list, pd.Series])
def test_numbers_of_cells_and_trials_are_the_same_in_any_form(kind, rng):
    times, cells, trials = (
        rng.uniform(0, 1, 60),
        rng.integers(0, 2, 60),
        rng.integers(0, 2, 60) * (1 if kind == "bool" else 99),
    )
    counts = np.zeros((100, 50, 2), dtype=int)
    np.add.at(counts, (trials, (times * 50).astype(int), cells), 1)
    as_given = kind if callable(kind) else lambda numbers: numbers.astype(kind)
    index = rng.permutation(60)
    if kind is pd.Series:  # rows in an order of their own
        times, as_given = pd.Series(times, index), lambda numbers: pd.Series(numbers, index)
    own = Spikes(times, as_given(cells), 2, 1.0, as_given(trials), 100)
    np.testing.assert_array_equal(spikes.bin_counts(own, 0.02), counts)
    np.testing.assert_allclose(statistics.rate(own), counts.sum((0, 1)) / 100)
    assert len(statistics.intervals(own)[0]) == 60 - (counts.sum(1) > 0).sum()


def test_numbers_that_are_not_whole_are_refused():
    with pytest.raises(ValueError, match=r"cells are 1 numbers from 0.5 to 0.5, expected 1 from 0 to 1, whole ones"):
        Spikes(np.array([0.5]), np.array([0.5]), 2, 1.0)


def test_times_in_float32_fall_into_the_bin_that_begins_with_them():
    times = (np.arange(3000) * 0.001).astype(np.float32)
    assert (spikes.bin_counts(Spikes(times, np.zeros(3000, int), 1, 3.0), 0.001) == 1).all()


@pytest.mark.parametrize("raster", [*(np.full((1, 3, 2), odd) for odd in (0.2, 2, np.nan)), np.ones((3, 2))])
def test_what_is_no_raster_of_spikes_is_refused(raster):
    with pytest.raises(ValueError, match="expected trial x step x cell of 0 and 1"):
        spikes.from_raster(raster, 0.1)


def test_a_single_trial_has_no_noise(rng):
    for counts in (rng.poisson(2, (1, 50, 3)), rng.poisson(2, (50, 3))):
        with pytest.raises(ValueError, match=r"expected \(trial, bin, cell\) and two trials or more"):
            statistics.noise_correlation(counts)


def test_lags_beyond_the_counts_hold_nothing(rng):
    x = rng.normal(size=(2, 10))
    found = statistics.autocovariance(x, 40)
    assert found.shape == (2, 41)
    np.testing.assert_allclose(found[:, 9], (x[:, 0] - x.mean(1)) * (x[:, 9] - x.mean(1)) / 10)
    np.testing.assert_allclose(found[:, 10:], 0, atol=1e-12)


def test_r2_of_bytes_and_of_other_axes(rng):
    truth, estimate = rng.integers(0, 255, (2, 50)).astype(np.uint8)
    by_hand = 1 - sum((int(a) - int(b)) ** 2 for a, b in zip(truth, estimate, strict=True)) / (50 * np.var(truth))
    assert statistics.r2(truth, estimate) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match=r"truth has shape \(50,\) and estimate \(50, 1\), expected the same"):
        statistics.r2(truth, estimate[:, None])
