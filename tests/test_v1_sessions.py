"""Sessions of any lab into v1: NWB files and plain spike times; what is found, what is refused, and with which choices."""

import h5py
import numpy as np
import pytest

from respike.formats import session, spike_times
from respike.formats.choice import Choice
from respike.v1.params import Preprocessing
from respike.v1.stages import data
from tests import sessions

STARTS = np.array([2.5, 7.25, 11.0, 30.0])
SPLIT = {"pixels": 9, "train": 2, "test": 1, "validation": 1}


@pytest.fixture
def times(rng):
    return sessions.spike_trains(rng)


@pytest.fixture
def movie(rng):
    return sessions.film(rng, shape=(9, 9))


def load(path, **choice):
    out = path.parent / "recording.npz"
    settings = {key: choice.pop(key) for key in ("last_frames", "units_kept") if key in choice}
    if "units_kept" in settings:
        settings["units"] = settings.pop("units_kept")
    data.run(folder=path, out=out, preprocessing=Preprocessing(session=Choice(**choice), **SPLIT, **settings), dataset="test")
    return dict(np.load(out))


def refused(path, *words, **choice):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load(path, **choice)
    for word in (str(path), *words):
        assert word in str(error.value), str(error.value)


def usual(folder, times, movie, **more):
    given = {"starts": STARTS, "stops": STARTS + 1.6, "movies": {"film": (movie, 0.0, 25.0)}, **more}
    return sessions.write(folder / "session.nwb", times, **given)


@pytest.mark.parametrize("how", [{}, {"compression": "gzip", "chunks": True}], ids=["plain", "compressed"])
def test_spikes_of_the_trials_and_the_only_movie_are_read(tmp_path, times, movie, how):
    found = load(usual(tmp_path, times, movie, **how))
    np.testing.assert_array_equal(found["spikes"], sessions.binned(times, STARTS, 40, 0.04))
    np.testing.assert_allclose(found["movie"], movie / 255, atol=1e-6)
    assert found["units"].tolist() == [0, 1, 2]


def test_units_may_be_unsorted_silent_or_fire_once_and_before_the_first_trial(tmp_path, rng, times, movie):
    odd = [rng.permutation(times[0]), np.empty(0), np.array([7.3]), np.array([-3.0, 0.1])]
    found = load(usual(tmp_path, odd, movie))
    np.testing.assert_array_equal(found["spikes"], sessions.binned(odd, STARTS, 40, 0.04))
    assert found["spikes"].sum((0, 1)).tolist()[1:] == [0, 1, 0]


@pytest.mark.parametrize("zero", [0.0, 5000.0])
def test_a_spike_on_the_edge_of_a_bin_falls_into_the_bin_that_begins_there(tmp_path, movie, zero):
    """Times of a clock of 10 ms, of which one in four is an edge: unit k fires in every bin, 10 k ms after its start."""
    starts = STARTS + zero
    times = [np.concatenate([start + np.arange(unit, 160, 4) / 100 for start in starts]) for unit in range(4)]
    found = load(usual(tmp_path, times, movie, starts=starts, stops=starts + 1.6))
    assert found["spikes"].shape == (4, 40, 4)
    assert found["spikes"].all()
    assert found["late"] == found["merged"] == 0


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f2"])
def test_times_in_fewer_digits_are_never_too_early(kind):
    exact = np.arange(-2000, 2000) / 7
    found, digit = session.not_early(exact.astype(kind)), np.abs(np.spacing(exact.astype(kind))).astype(float)
    assert (found >= exact).all()
    assert (found <= exact + 2 * digit).all()
    assert session.not_early(np.array([np.inf], kind)) == np.inf, "a trial without an end"


@pytest.mark.parametrize("zero", np.arange(0, 1000, 77.7))
def test_a_spike_on_the_edge_of_a_bin_in_float32(tmp_path, movie, zero):
    starts = STARTS + zero + 0.1  # most edges lie above their nearest number in float32
    times = [np.concatenate([start + np.arange(unit, 160, 4) / 100 for start in starts]) for unit in range(4)]
    path = usual(tmp_path, times, movie, starts=starts, stops=starts + 1.6)
    with h5py.File(path, "a") as file:
        for name in ("units/spike_times", "intervals/trials/start_time", "intervals/trials/stop_time"):
            coarse = file[name][()].astype(np.float32)
            del file[name]
            file[name] = coarse
    found = load(path)
    assert found["spikes"].shape == (4, 40, 4)
    assert found["spikes"].all()
    assert found["late"] == found["merged"] == 0


def test_a_movie_at_another_rate_is_seen_frame_by_frame_in_the_middle_of_each_bin(tmp_path, rng, times):
    fast = sessions.film(rng, n=96, shape=(9, 9))
    found = load(usual(tmp_path, times, None, movies={"film": (fast, 0.0, 60.0)}))
    seen = [int((k + 0.5) * 0.04 * 60) for k in range(40)]
    np.testing.assert_allclose(found["movie"], fast[seen] / 255, atol=1e-6)


def test_a_movie_that_runs_through_the_session_is_cut_at_each_trial(tmp_path, rng, times, movie):
    starts = np.array([2.0, 6.0, 10.0, 14.0])
    long = sessions.film(rng, n=500, shape=(9, 9))
    for start in starts:
        long[int(start * 25) : int(start * 25) + 40] = movie
    path = usual(tmp_path, times, None, starts=starts, stops=starts + 1.6, movies={"film": (long, 0.0, 25.0)})
    found = load(path)
    np.testing.assert_allclose(found["movie"], movie / 255, atol=1e-6)
    long[300] = 0
    path = usual(tmp_path, times, None, starts=starts + 0.4, stops=starts + 2, movies={"film": (long, 0.0, 25.0)})
    refused(path, "trial 1 sees other frames", "v1.data.session.only")


def test_frames_that_are_no_numbers_are_named_in_a_movie_that_runs_through_the_session(tmp_path, rng, times):
    starts, long = np.array([2.0, 6.0, 10.0, 14.0]), rng.uniform(size=(500, 9, 9))
    for start in starts:
        long[int(start * 25) : int(start * 25) + 40] = long[50:90]
        long[int(start * 25) + 7] = np.nan
    path = usual(tmp_path, times, None, starts=starts, stops=starts + 1.6, movies={"film": (long, 0.0, 25.0)})
    refused(path, "film has 1 frames with nan or infinity, first frame 7")


def test_trials_of_unequal_length(tmp_path, times, movie):
    lengths = np.array([1.6, 1.7, 1.52, 2.0])
    found = load(usual(tmp_path, times, movie, stops=STARTS + lengths))
    np.testing.assert_array_equal(found["spikes"], sessions.binned(times, STARTS, 38, 0.04))
    path = usual(tmp_path, times, movie, stops=STARTS + [1.6, 1.7, 0.4, 2.0])
    refused(path, "0.4 s (trial 2)", "40 frames of 0.04 s", "v1.data.session.seconds")
    assert load(path, seconds=0.4)["spikes"].shape == (4, 10, 3)
    refused(path, "0.4 s", "seconds", seconds=1.0)


def test_what_is_ambiguous_is_refused_with_the_choices(tmp_path, times, movie, rng):
    other = sessions.film(rng, n=30, shape=(9, 9))
    path = usual(tmp_path, times, None, movies={"film": (movie, 0.0, 25.0), "second": (other, 0.0, 25.0)})
    refused(path, "which image series", "v1.data.session.movie", "film (40 x 9 x 9)", "second (30 x 9 x 9)")
    refused(path, "'third' is not among", "film", movie="third")
    np.testing.assert_allclose(load(path, movie="film")["movie"], movie / 255, atol=1e-6)
    with h5py.File(path, "r+") as file:
        file.move("intervals/trials", "intervals/movies")
        file.copy("intervals/movies", "intervals/gratings")
    refused(path, "which table", "v1.data.session.trials", "gratings, movies", movie="film")
    assert load(path, movie="film", trials="movies")["spikes"].shape == (4, 40, 3)
    refused(path, "'trials' is not among", "gratings", movie="film", trials="trials")


def test_trials_and_units_are_chosen_by_their_columns(tmp_path, times, movie):
    starts, stops = np.arange(8) * 5.0, np.arange(8) * 5.0 + 1.6
    stops[3] = np.nan  # an aborted trial
    shown = np.array([b"film", b"grey"] * 4)
    path = usual(tmp_path, times, movie, starts=starts, stops=stops, trial_columns={"stimulus": shown},
                 columns={"quality": np.array([b"good", b"noise", b"good"]), "depth": [1.0, 2.0, 2.5]})  # fmt: skip
    refused(path, "row 3", "later stop", "v1.data.session.only", "stimulus")
    found = load(path, only={"stimulus": "film"}, units={"quality": "good"})
    np.testing.assert_array_equal(found["spikes"], sessions.binned([times[0], times[2]], starts[::2], 40, 0.04))
    refused(path, "'no'", "film, grey", only={"stimulus": "no"})
    refused(path, "no column 'area'", "'depth', 'id', 'quality'", units={"area": "V1"})
    assert load(path, only={"stimulus": "film"}, units={"depth": "2"})["spikes"].shape == (4, 40, 1)


def test_units_are_numbered_as_in_the_file_whichever_are_chosen(tmp_path, times, movie):
    path = usual(tmp_path, times, movie, columns={"quality": np.array([b"noise", b"good", b"good"])})
    with h5py.File(path, "r+") as file:
        sessions.ragged(file["units"], "obs_intervals", [[[0.0, 60.0]]] * 3)
    assert load(path, units={"quality": "good"})["units"].tolist() == [1, 2]
    found = load(path, units={"quality": "good"}, units_kept=(2, 1))
    np.testing.assert_array_equal(found["spikes"], sessions.binned([times[2], times[1]], STARTS, 40, 0.04))
    assert found["units"].tolist() == [2, 1]
    refused(path, "v1.data.units: [0] are not among", "session.units", units={"quality": "good"}, units_kept=(0, 1))
    with h5py.File(path, "r+") as file:
        file["units/obs_intervals"][1] = 0.0, 9.0
    refused(path, "unit 1 was not recorded", units={"quality": "good"})


def test_numbers_of_units_are_those_that_the_file_gives_them(tmp_path, times, movie):
    """The column id, as sorters and labs number units; where two have one number, rows from 0."""
    path = usual(tmp_path, times, movie)
    with h5py.File(path, "r+") as file:
        file["units/id"][:] = [102, 2, 1]
    assert load(path)["units"].tolist() == [102, 2, 1]
    found = load(path, units_kept=(1, 102))
    np.testing.assert_array_equal(found["spikes"], sessions.binned([times[2], times[0]], STARTS, 40, 0.04))
    assert found["units"].tolist() == [1, 102]
    refused(path, "v1.data.units: [0] are not among 3 units: 102, 2, 1", units_kept=(0, 1))
    with h5py.File(path, "r+") as file:
        sessions.ragged(file["units"], "obs_intervals", [[[0.0, 60.0]], [[0.0, 9.0]], [[0.0, 60.0]]])
    refused(path, "unit 2 was not recorded")
    with h5py.File(path, "r+") as file:
        file["units/id"][:] = 5
        del file["units/obs_intervals"], file["units/obs_intervals_index"]
    assert load(path, units_kept=(2,))["units"].tolist() == [2]


def test_units_that_were_not_recorded_in_a_trial_are_not_taken_for_silent(tmp_path, times, movie):
    path = usual(tmp_path, times, movie)
    with h5py.File(path, "r+") as file:
        sessions.ragged(file["units"], "obs_intervals", [[[0.0, 60.0]]] * 2 + [[[0.0, 9.0], [10.0, 20.0]]])
    refused(path, "unit 2", "1 of 4 trials", "trial 3 at 30 s", "obs_intervals")


def test_times_of_recording_may_touch(tmp_path, times, movie):
    """A session that was stored in blocks, in any order; a trial lies over two of them."""
    path = usual(tmp_path, times, movie)
    with h5py.File(path, "r+") as file:
        sessions.ragged(file["units"], "obs_intervals", [[[8.0, 60.0], [0.0, 8.0]]] * 3)
    np.testing.assert_array_equal(load(path)["spikes"], sessions.binned(times, STARTS, 40, 0.04))
    with h5py.File(path, "r+") as file:
        file["units/obs_intervals"][0] = 8.2, 60.0
    refused(path, "unit 0 was not recorded", "trial 1 at 7.25 s")


def test_trials_in_times_that_the_file_calls_invalid_are_refused(tmp_path, times, movie):
    path = usual(tmp_path, times, movie, trial_columns={"good": np.array([True, False, True, True])})
    with h5py.File(path, "r+") as file:
        group = file.create_group("intervals/invalid_times")
        group["start_time"], group["stop_time"] = np.array([5.0, 8.0]), np.array([6.0, 8.5])
    refused(path, "1 of 4 trials", "trial 1 at 7.25 s", "8 to 8.5 s are marked as invalid", "v1.data.session.only")
    with pytest.raises(ValueError, match="3 trials, fewer than the split asks for"):
        load(path, only={"good": "true"})


def test_a_still_image_stays_on(tmp_path, times, movie):
    path = usual(tmp_path, times, movie[:1])
    np.testing.assert_allclose(load(path)["movie"], np.repeat(movie[:1], 40, axis=0) / 255, atol=1e-6)
    spike_times.write(tmp_path / "a.npz", times, onsets=STARTS, movie=movie[:1].transpose(1, 2, 0))
    refused(tmp_path / "a.npz", "one frame", "v1.data.session.seconds")
    assert load(tmp_path / "a.npz", seconds=0.8)["spikes"].shape == (4, 20, 3)


def test_a_rate_that_is_stored_as_an_array_of_one(tmp_path, rng, times):
    fast = sessions.film(rng, n=96, shape=(9, 9))
    found = load(usual(tmp_path, times, None, movies={"film": (fast, [0.0], np.array([60.0]))}))
    np.testing.assert_allclose(found["movie"], fast[[int((k + 0.5) * 2.4) for k in range(40)]] / 255, atol=1e-6)


def test_a_movie_from_a_file_of_its_own(tmp_path, times, movie):
    np.save(tmp_path / "film.npy", movie.transpose(1, 2, 0))
    found = load(usual(tmp_path, times, None, movies=None), movie=str(tmp_path / "film.npy"))
    np.testing.assert_allclose(found["movie"], movie / 255, atol=1e-6)
    refused(usual(tmp_path, times, None, movies=None), "no image series", ".npy")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("units/spike_times", np.array([1.0, np.nan, 2.0]), ["spike 0 of unit 1", "nan", "seconds"]),
        ("units/spike_times_index", np.array([5, 3, 4]), ["spike_times_index", "rise"]),
        ("units/spike_times", np.array([b"a"]), ["units/spike_times", "expected numbers"]),
        ("intervals/trials/start_time", np.array([1.0, 2.0]), ["2 start times and 4 stop times"]),
        ("stimulus/presentation/film/data", np.zeros((40, 9, 9, 3), dtype=np.uint8), ["(40, 9, 9, 3)", "colours"]),
        ("units/spike_times", h5py.Empty("f8"), ["none of its 3 units has a spike"]),
    ],
    ids=["nan", "index", "text", "lengths", "colours", "null"],
)
def test_fields_that_cannot_be_used_are_named(tmp_path, movie, field, value, words):
    path = usual(tmp_path, [np.array([3.0]), np.array([8.0]), np.array([31.0])], movie)
    with h5py.File(path, "r+") as file:
        del file[field]
        file[field] = value
    refused(path, *words)


def test_spikes_on_another_clock_than_the_trials(tmp_path, times, movie):
    refused(usual(tmp_path, [1000 * own + 1e5 for own in times], movie), "no spike falls into 4 of 4 trials", "same clock")


def test_spikes_in_milliseconds_of_which_some_fall_into_trials(tmp_path, rng, movie):
    """Few units fall into few trials; of many units some spikes fall into each, and nearly all come after the last."""
    starts = np.arange(20) * 3.0
    few = [1000 * own for own in sessions.spike_trains(rng)]
    path = usual(tmp_path, few, movie, starts=starts, stops=starts + 1.6)
    refused(path, "of 20 trials, first trial", "spikes from", "trials from 0 to 58.6 s", "milliseconds")
    each = np.concatenate([starts + 1.0, rng.uniform(60, 60_000, 4100)])
    path = usual(tmp_path, [each], movie, starts=starts, stops=starts + 1.6)
    refused(path, "no spike falls into 0 of 20 trials; 4100 of 4120 spikes come after the last", "milliseconds")


def test_spikes_and_trials_both_in_milliseconds(tmp_path, rng, movie):
    """Of many units some spikes fall into four milliseconds of each trial."""
    times = [own * 1000 for own in sessions.spike_trains(rng, units=60, seconds=40.0, rate=25.0)]
    path = usual(tmp_path, times, movie, starts=STARTS * 1000, stops=(STARTS + 1.6) * 1000)
    refused(path, "0.0", "Hz each", "are spikes and trials in milliseconds?")
    spike_times.write(tmp_path / "a.npz", times, onsets=STARTS * 1000, movie=movie.transpose(1, 2, 0), frame_rate=25.0)
    refused(tmp_path / "a.npz", "4 trials", "Hz each", "are spikes and trials in milliseconds?")


def test_a_recording_may_go_on_long_after_the_trials_but_not_miss_some_of_them(tmp_path, rng, movie):
    """The trials of one movie, given in any order; with few cells a silent trial says nothing."""
    starts = rng.permutation(20) * 3.0
    whole = [np.concatenate([own, rng.uniform(60, 3 * 3600, 40 * len(own))]) for own in sessions.spike_trains(rng)]

    def of(times):
        return usual(tmp_path, times, movie, starts=starts, stops=starts + 1.6)

    assert load(of(whole))["spikes"].any((1, 2)).all(), "40 spikes in 41 come after the last trial"
    refused(of([own[own < 26.9] for own in whole]), "no spike falls into 11 of 20 trials", "end before the trials")
    refused(of([own[own < 56.9] for own in whole]), "the last 1 of 20 trials hold no spike", "to 56", "v1.data.session.only")
    refused(of([own[own > 11.9] for own in whole]), "the first 4 of 20 trials hold no spike", "begin late")
    rare = starts[starts < 57] + 1
    assert load(of([rare]))["spikes"].shape == (4, 40, 1)


def test_trials_that_repeat_or_overlap_are_named(tmp_path, times, movie):
    twice = np.tile(STARTS, 2)
    path = usual(tmp_path, times, movie, starts=twice, stops=twice + 1.6)
    refused(path, "trials: trial 0 starts at 2.5 s and trial 4 at 2.5 s (4 such pairs)", "v1.data.session.only")
    close = np.array([30.0, 2.5, 3.9, 20.0])
    path = usual(tmp_path, times, movie, starts=close, stops=close + 1.6)
    refused(path, "trial 1 starts at 2.5 s and trial 2 at 3.9 s (1 such pairs)", "1.6 s of each", "v1.data.session.seconds")
    assert load(path, seconds=1.36)["spikes"].shape == (4, 34, 3)
    touching = 2.5 + 1.57 * np.arange(4)  # a frame less than the movie: clocks differ
    path = usual(tmp_path, times, movie, starts=touching, stops=touching + 1.6)
    assert load(path)["spikes"].shape == (4, 40, 3)
    plain = tmp_path / "mine.npz"
    given = {"onsets": STARTS, "movie": movie.transpose(1, 2, 0)}
    spike_times.write(plain, times, **given, frame_rate=0.04)
    refused(plain, "onsets: trial 0 starts at 2.5 s and trial 1 at 7.25 s (3 such pairs)", "frames per second")
    spike_times.write(plain, times, **{**given, "onsets": twice}, frame_rate=25)
    refused(plain, "onsets: trial 0 starts at 2.5 s and trial 4 at 2.5 s")


def test_cells_that_are_counted_from_1(tmp_path, times, movie):
    path = tmp_path / "mine.npz"
    spike_times.write(path, [np.empty(0), *times], onsets=STARTS, movie=movie.transpose(1, 2, 0), frame_rate=25)
    assert load(path)["spikes"].shape == (4, 40, 4), "the first cell is silent, and n_cells says so"
    arrays = dict(np.load(path))
    np.savez(path, **{name: array for name, array in arrays.items() if name != "n_cells"})
    refused(path, "cells are numbered from 1 to 3", "counted from 0", "add n_cells = 4")
    np.savez(path, **{**{name: array for name, array in arrays.items() if name != "n_cells"}, "cells": arrays["cells"] - 1})
    assert load(path)["spikes"].shape == (4, 40, 3)


def test_files_without_units_and_files_that_are_no_nwb(tmp_path, times, movie):
    path = usual(tmp_path, times, movie)
    with h5py.File(path, "r+") as file:
        del file["units/spike_times"]
    refused(path, "no column spike_times", "spike_times_index")
    with h5py.File(path, "r+") as file:
        del file["units"]
    refused(path, "no table of units")
    whole = usual(tmp_path, times, movie).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "cut off", f"{len(whole) // 2:,} bytes of {len(whole):,}")
    path.write_text("nwb")
    refused(path, "not an HDF5 file")


def test_plain_spike_times(tmp_path, times, movie):
    path = tmp_path / "mine.npz"
    spike_times.write(path, times, onsets=STARTS, movie=movie.transpose(1, 2, 0), frame_rate=25.0)
    found = load(path)
    np.testing.assert_array_equal(found["spikes"], sessions.binned(times, STARTS, 40, 0.04))
    np.testing.assert_allclose(found["movie"], movie / 255, atol=1e-6)


@pytest.mark.parametrize("choice", [{"only": {"stimulus": "film"}}, {"trials": "gratings"}, {"movie": "film"}])
def test_plain_spike_times_hold_no_choice(tmp_path, times, movie, choice):
    """What is chosen by a name that such a file cannot have is not left aside."""
    path = tmp_path / "mine.npz"
    spike_times.write(path, times, onsets=STARTS, movie=movie.transpose(1, 2, 0), frame_rate=25.0)
    ((name, value),) = choice.items()
    refused(path, f"v1.data.session.{name} = {value!r}", "hold no choice", **choice)
    refused(path, "trials have no end", "v1.data.session.seconds", seconds=20.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cells": np.array([0.0, 1.0])}, ["cells are", "whole numbers"]),
        ({"cells": np.array([0, 5])}, ["from 0 to 5", "0 to 1 (n_cells)"]),
        ({"times": np.array([1.0, np.inf])}, ["spike 0 of unit 1", "inf"]),
        ({"onsets": np.array([[1.0]])}, ["onsets", "(1, 1)"]),
        ({"movie": np.zeros((4, 4))}, ["movie has shape (4, 4)", "row x column x frame"]),
        ({"times": np.array([None, 1.0])}, ["times cannot be read", "Python objects"]),
    ],
)
def test_plain_spike_times_that_cannot_be_used(tmp_path, changes, words):
    path = tmp_path / "mine.npz"
    good = {"times": np.array([1.0, 2.0]), "cells": np.array([0, 1]), "n_cells": 2, "onsets": np.array([0.5, 1.5, 2.5, 3.5]),
            "movie": np.zeros((9, 9, 25))}  # fmt: skip
    np.savez(path, **{**good, **changes})
    refused(path, *words)
    np.savez(path, times=np.array([1.0]))
    refused(path, "no array ['cells', 'onsets']", "it has ['times']")
