"""What must hold for all spikes, counts, chunks and seeds, whatever they are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from respike.core import chunks, seeds, spikes, statistics
from respike.core.spikes import Spikes
from tests.properties import few

TICK = 1 / 64  # s; times and widths of bins are exact in binary, so that no spike lies at an edge by rounding


@some.composite
def recordings(draw, least=0, most=40):
    """Spikes of up to five cells in up to three trials of two seconds, in any order."""
    n, cells, trials = draw(some.integers(least, most)), draw(some.integers(1, 5)), draw(some.integers(1, 3))
    ticks = draw(arrays.arrays(np.int64, n, elements=some.integers(0, 127)))
    of_cell = draw(arrays.arrays(np.int64, n, elements=some.integers(0, cells - 1)))
    of_trial = draw(arrays.arrays(np.int64, n, elements=some.integers(0, trials - 1)))
    return Spikes(ticks * TICK, of_cell, cells, 2.0, of_trial, trials)


def parts(own: Spikes, chosen) -> Spikes:
    """Some of the spikes, or all in another order."""
    return replace(own, times=own.times[chosen], cells=own.cells[chosen], trials=own.trial[chosen])


def sorted_intervals(own: Spikes) -> list:
    return sorted(zip(*statistics.intervals(own), strict=True))


counts_of_trials = arrays.arrays(
    np.int64, some.tuples(some.integers(2, 4), some.integers(2, 6), some.integers(1, 3)), elements=some.integers(0, 9)
)


@given(recordings(), some.randoms(use_true_random=False))
def test_the_order_in_which_spikes_are_listed_changes_nothing(own, chance):
    order = list(range(len(own.times)))
    chance.shuffle(order)
    other = parts(own, order)
    np.testing.assert_array_equal(spikes.bin_counts(other, 8 * TICK), spikes.bin_counts(own, 8 * TICK))
    np.testing.assert_array_equal(statistics.rate(other), statistics.rate(own))
    np.testing.assert_array_equal(statistics.isi_cv(other), statistics.isi_cv(own))
    assert sorted_intervals(other) == sorted_intervals(own)


@given(recordings(), some.randoms(use_true_random=False))
def test_other_numbers_of_cells_and_trials_are_other_places_in_the_result(own, chance):
    cells, trials = (chance.sample(range(n), n) for n in (own.n_cells, own.n_trials))
    other = replace(own, cells=np.array(cells)[own.cells], trials=np.array(trials)[own.trial])
    np.testing.assert_array_equal(statistics.rate(other)[cells], statistics.rate(own))
    np.testing.assert_allclose(statistics.isi_cv(other)[cells], statistics.isi_cv(own))
    found, expected = (spikes.bin_counts(each, 8 * TICK) for each in (other, own))
    np.testing.assert_array_equal(found[np.ix_(trials, range(16), cells)], expected)
    for here, there in zip(statistics.covariances(found), statistics.covariances(expected), strict=True):
        np.testing.assert_allclose(here[np.ix_(cells, cells)], there, atol=1e-12)


@given(recordings(), some.integers(0, 5))
def test_a_shift_by_whole_bins_moves_the_counts_and_nothing_else(own, bins):
    longer = replace(own, duration=own.duration + 1)
    later = replace(longer, times=own.times + bins * 8 * TICK)
    before, after = spikes.bin_counts(longer, 8 * TICK), spikes.bin_counts(later, 8 * TICK)
    np.testing.assert_array_equal(np.roll(before, bins, axis=1), after)
    np.testing.assert_array_equal(statistics.isi_cv(later), statistics.isi_cv(own))
    np.testing.assert_allclose(statistics.rate(later) * 3, statistics.rate(own) * 2)


@given(recordings(), some.floats(0.125, 8))
def test_slower_time_scales_rates_and_intervals(own, factor):
    slower = replace(own, times=own.times * factor, duration=own.duration * factor)
    np.testing.assert_allclose(statistics.rate(slower) * factor, statistics.rate(own))
    np.testing.assert_allclose(np.sort(statistics.intervals(slower)[0]), np.sort(statistics.intervals(own)[0]) * factor)
    np.testing.assert_allclose(statistics.isi_cv(slower), statistics.isi_cv(own), atol=1e-6)


@given(recordings(), some.integers(2, 5))
def test_thinning_scales_rates_and_what_was_taken_out_makes_up_for_it(own, every):
    """One spike in `every` of each cell."""
    own = parts(own, np.argsort(own.cells, kind="stable"))
    rank = np.arange(len(own.cells)) - np.searchsorted(own.cells, own.cells)
    kept, rest = parts(own, rank % every == 0), parts(own, rank % every != 0)
    n = np.array([int(np.sum(own.cells == cell)) for cell in range(own.n_cells)])
    np.testing.assert_allclose(statistics.rate(kept), -(-n // every) / (2.0 * own.n_trials))
    np.testing.assert_allclose(statistics.rate(kept) + statistics.rate(rest), statistics.rate(own))
    both = spikes.bin_counts(kept, 4 * TICK) + spikes.bin_counts(rest, 4 * TICK)
    np.testing.assert_array_equal(both, spikes.bin_counts(own, 4 * TICK))


@given(recordings(), some.sampled_from([1, 2, 4, 8, 32]), some.sampled_from([1, 2, 4]))
def test_every_spike_is_in_one_bin_and_wide_bins_hold_what_narrow_ones_hold(own, ticks, times):
    narrow, wide = (spikes.bin_counts(own, width * TICK) for width in (ticks, ticks * times))
    assert narrow.sum() == len(own.times)
    np.testing.assert_array_equal(wide, narrow.reshape(own.n_trials, -1, times, own.n_cells).sum(2))


@given(
    arrays.arrays(bool, some.tuples(some.integers(1, 3), some.integers(1, 60), some.integers(1, 4))), some.floats(1e-5, 3.0)
)
def test_a_raster_is_found_again_in_bins_of_its_steps(raster, dt):
    own = spikes.from_raster(raster, dt)
    assert (own.n_trials, own.n_cells) == (len(raster), raster.shape[2])
    np.testing.assert_array_equal(spikes.bin_counts(own, dt), raster.astype(int))


@given(recordings(least=1), some.integers(1, 9))
def test_a_cell_out_of_range_and_a_time_out_of_the_recording_are_refused(own, beyond):
    for cells in (own.cells - own.cells.max() - 1, own.cells + own.n_cells - own.cells.max()):
        with pytest.raises(ValueError, match=f"from 0 to {own.n_cells - 1}"):
            replace(own, cells=cells)
    for times in (own.times - own.times.max() - beyond * TICK, own.times + 2.0 + beyond * TICK):
        with pytest.raises(ValueError, match="outside the recording"):
            replace(own, times=times)


@given(counts_of_trials)
def test_noise_and_stimulus_covariance_add_up_to_the_covariance_of_all_counts(counts):
    noise, locked = statistics.covariances(counts)
    total = np.cov(counts.reshape(-1, counts.shape[2]).T, bias=True)
    np.testing.assert_allclose(noise + locked, np.atleast_2d(total), atol=1e-9)


@given(counts_of_trials, some.integers(2, 6), some.integers(-4, 4))
def test_correlations_know_neither_offsets_nor_units_of_the_counts(counts, factor, offset):
    found = statistics.noise_correlation(counts)
    np.testing.assert_allclose(statistics.noise_correlation(counts * factor + offset), found, atol=1e-9)
    np.testing.assert_array_equal(np.isnan(np.diag(found)), np.ptp(counts, axis=(0, 1)) == 0)
    assert (np.nan_to_num(np.abs(found)) <= 1 + 1e-9).all()


@given(counts_of_trials, some.integers(2, 6))
def test_fano_factors_scale_with_the_counts_and_know_no_order(counts, factor):
    found = statistics.fano(counts)
    np.testing.assert_allclose(statistics.fano(counts * factor), factor * found)
    np.testing.assert_allclose(statistics.fano(counts[::-1]), found)
    np.testing.assert_array_equal(np.isnan(found), counts.sum(0) == 0)


@given(arrays.arrays(np.int64, some.tuples(some.integers(1, 3), some.integers(2, 40)), elements=some.integers(-9, 9)))
def test_autocovariance_is_that_of_the_reversed_counts_and_begins_with_the_variance(counts):
    lags = counts.shape[1] - 1
    found = statistics.autocovariance(counts, lags)
    np.testing.assert_allclose(statistics.autocovariance(counts[:, ::-1] + 3, lags), found, atol=1e-9)
    np.testing.assert_allclose(found[:, 0], counts.var(1), atol=1e-9)
    np.testing.assert_allclose(found[:, 0] + 2 * found[:, 1:].sum(1), 0, atol=1e-8)  # all lags of centred counts


@given(arrays.arrays(float, (2, 12), elements=some.integers(-20, 20).map(float)), some.integers(1, 5), some.integers(-9, 9))
def test_explained_variance_knows_neither_offset_nor_unit(pair, factor, offset):
    assume(np.ptp(pair[0]) > 0)
    found = statistics.r2(*pair)
    assert statistics.r2(*(pair * factor + offset)) == pytest.approx(found)
    assert found <= statistics.r2(pair[0], pair[0]) == 1


@given(some.integers(1, 5), some.integers(1, 9), some.floats(-3, 3))
def test_lower_triangle_is_each_pair_once(n, factor, offset):
    matrix = np.arange(n)[:, None] * factor + np.arange(n) * offset
    expected = [matrix[row, column] for row in range(n) for column in range(row)]
    np.testing.assert_array_equal(statistics.lower_triangle(matrix), expected)


@few
@given(
    own=recordings(),
    recorded=some.booleans(),
    name=some.text(some.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
)
def test_spikes_and_networks_come_back_as_they_were_written(own, recorded, name, tmp_path):
    path = tmp_path / "spikes.npz"
    spikes.write(path, own)
    same(spikes.read(path), own)
    networks = [spikes.Network("modes", name, "a set", recorded, each, TICK) for each in (own, replace(own, n_cells=9))] * 6
    spikes.write_networks(path, networks)
    for found, expected in zip(spikes.read_networks(path), networks, strict=True):
        same(found.spikes, expected.spikes)
        assert replace(found, spikes=own) == replace(expected, spikes=own)


def same(found: Spikes, expected: Spikes) -> None:
    for name in ("times", "cells", "trial"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    for name in ("n_cells", "n_trials", "duration"):
        assert getattr(found, name) == getattr(expected, name)


ranges = some.lists(some.tuples(some.integers(0, 40), some.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))), max_size=5)


@given(ranges, some.integers(1, 50), some.integers(1, 12), some.booleans())
def test_chunks_hold_each_item_once_and_are_found_again(done, total, chunk, beyond):
    """Also where chunks of several runs overlap."""
    found = chunks.ranges(done, total, chunk, beyond)
    held = [number for first, last in found for number in range(first, last + 1)]
    assert held == list(range(len(held)))
    assert len(held) >= total if beyond else len(held) == total
    assert all(last - first < chunk for first, last in set(found) - set(done))
    assert chunks.ranges(found, total, chunk + 1, beyond) == found


paths = some.tuples(some.integers(0, 2**40), some.lists(some.integers(0, 99) | some.text(max_size=4), max_size=4))


@given(some.lists(paths, min_size=2, max_size=6, unique_by=repr))
def test_each_path_has_a_stream_of_its_own_that_is_the_same_each_time(drawn):
    numbers = [seeds.of(root, *path) for root, path in drawn]
    assert numbers == [seeds.of(root, *path) for root, path in drawn]
    assert all(0 <= number < 2**63 for number in numbers)
    assert len(set(numbers)) == len(drawn)
    streams = [tuple(seeds.generator(root, *path).integers(2**63, size=2)) for root, path in drawn]
    assert len(set(streams)) == len(drawn)
