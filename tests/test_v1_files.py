"""Recordings of V1 in the files that users bring: what is read, what is counted, and what the messages say."""

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from respike.core import files
from respike.formats import mat, matlab, movies
from respike.v1 import fitted, loading, plan, trials
from respike.v1 import recording as reader
from respike.v1.params import Network, Preprocessing
from respike.v1.stages import data


def cells_of(rng, trials=3, units=2, n=4):
    return [[np.sort(rng.uniform(0, 1.6, n)) for _ in range(units)] for _ in range(trials)]


def write_raw(folder, frames=None, cells=None):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (9, 9, 40), dtype=np.uint8) if frames is None else frames
    (folder / "natural_movie.mat").write_bytes(mat.content({"M": frames}))
    events = folder / "data_monkey1_natural_movie.mat"
    matlab.write_cells(events, "data", "EVENTS", cells_of(rng) if cells is None else cells)
    return folder


def load(folder, preprocessing=None):
    out = folder / "recording.npz"
    split = preprocessing or Preprocessing(pixels=9, train=1, test=1, validation=1)
    data.run(folder=folder, out=out, preprocessing=split, dataset="test")
    return dict(np.load(out))


def test_late_and_merged_spikes_are_counted(tmp_path, rng):
    cells = cells_of(rng, units=60)
    cells[0][0] = np.array([0.001, 0.002, 0.003, 1.59])  # three in the first of 40 bins of 40 ms
    cells[1][1] = np.array([0.5, 1.6, 1.65])  # two past the end
    expected = np.zeros((3, 40, 60), dtype=bool)
    for trial, row in enumerate(cells):
        for unit, times in enumerate(row):
            expected[trial, [int(t / 0.04) for t in times if t < 1.6], unit] = True
    found = load(write_raw(tmp_path / "raw", cells=cells))
    np.testing.assert_array_equal(found["spikes"], expected)
    assert found["late"] == 2
    assert found["merged"] == sum(len(times) for row in cells for times in row) - 2 - expected.sum()


def test_late_and_merged_spikes_are_of_what_is_kept(tmp_path):
    """Unit 0, the first two of three trials and the last 10 of 40 frames are kept; the others lose spikes too."""
    cells = [[np.array([0.001, 0.002, 1.3, *[1.59] * 4, *[1.61] * 2]), np.array([0.1] * 300 + [1.62])]]
    cells += [[np.array([0.1, 1.25, 1.26, 1.61]), np.array([1.5] * 4)], [np.array([0.5, 0.5, 1.3]), np.array([0.3])]]
    split = Preprocessing(pixels=9, train=1, test=1, validation=0, last_frames=10, units=(0,))
    found = load(write_raw(tmp_path / "raw", cells=cells), split)
    assert (found["late"], found["merged"]) == (2 + 1, 3 + 1)
    assert found["spikes"].sum() == 2 + 1
    published = write_published(tmp_path, np.ones((5, 5, 20)), np.full((6, 20, 2), [2, 5]))
    assert load(published, Preprocessing(pixels=5, units=(0,), last_frames=3))["merged"] == 6 * 3


def test_last_frames_and_most_active_units(tmp_path, rng):
    cells = [[np.sort(rng.uniform(0, 1.6, n)) for n in (3, 30, 1, 20)] for _ in range(3)]
    folder = write_raw(tmp_path / "raw", cells=cells)
    everything = load(folder)
    some = load(folder, Preprocessing(pixels=9, train=1, test=1, validation=1, last_frames=30, most_active=2))
    np.testing.assert_array_equal(some["spikes"], everything["spikes"][:, 10:][:, :, [1, 3]])
    np.testing.assert_array_equal(some["movie"], everything["movie"][10:])


def test_arrays_of_the_published_program_are_read(tmp_path, rng):
    movie, spikes = rng.random((5, 5, 20)), rng.random((6, 20, 3)) < 0.2
    np.save(tmp_path / "M_train(last)_natural.npy", movie)
    for part, name in zip((spikes[:3], spikes[3:5], spikes[5:]), ("first80", "mid30", "last10"), strict=True):
        np.save(tmp_path / f"S_1_train(last)_natural_{name}.npy", part.reshape(-1, 3))
    found = load(tmp_path, Preprocessing(pixels=5))
    np.testing.assert_array_equal(found["spikes"], spikes)
    np.testing.assert_allclose(found["movie"], movie.transpose(2, 0, 1), rtol=1e-6)
    assert found["split"].tolist() == ["train"] * 3 + ["test"] * 2 + ["validation"]


def write_published(folder, movie, spikes):
    np.save(folder / "M_train(last)_natural.npy", movie)
    for part, name in zip((spikes[:3], spikes[3:5], spikes[5:]), ("first80", "mid30", "last10"), strict=True):
        np.save(folder / f"S_1_train(last)_natural_{name}.npy", part.reshape(-1, spikes.shape[2]))
    return folder


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint16", "int64", "float32", "float64"])
@pytest.mark.parametrize("published", [False, True], ids=["mat", "npy"])
def test_the_same_pixels_are_the_same_movie_whatever_the_type(tmp_path, rng, kind, published):
    frames, spikes = rng.integers(0, 256, (9, 9, 40)), rng.random((6, 40, 3)) < 0.2
    values = frames.astype(kind)
    folder = write_published(tmp_path, values, spikes) if published else write_raw(tmp_path / "raw", frames=values)
    np.testing.assert_allclose(load(folder)["movie"], frames.transpose(2, 0, 1) / 255, atol=1e-6)
    ones = (frames > 100).astype(kind)
    folder = write_published(tmp_path, ones, spikes) if published else write_raw(tmp_path / "raw", frames=ones)
    np.testing.assert_array_equal(load(folder)["movie"], ones.transpose(2, 0, 1))


@pytest.mark.parametrize(("largest", "kind"), [(3, "uint8"), (1023, "uint16"), (65535, "uint16"), (4095.0, "f8"), (1.2, "f8")])
def test_grey_values_of_unknown_scale_are_refused_with_their_range(tmp_path, largest, kind):
    frames = np.linspace(0, largest, 9 * 9 * 40).reshape(9, 9, 40).astype(kind)
    refused(write_raw(tmp_path / "raw", frames=frames), "natural_movie.mat", f"from 0 to {largest:g}", "to 255", "white")


def test_arrays_of_the_published_program_are_checked_like_the_raw_files(tmp_path, rng):
    movie, spikes = rng.random((18, 24, 40)), rng.random((6, 40, 3)) < 0.2
    assert load(write_published(tmp_path, movie, spikes))["movie"].shape == (40, 9, 9)
    counts = spikes.astype(float)
    counts[0, 0, 0] = 3.0
    assert load(write_published(tmp_path, movie, counts))["merged"] == 2
    (tmp_path / "recording.npz").unlink()
    for wrong in (np.nan, -1.0, 0.5):
        bad = spikes.astype(float)
        bad[4, 7, 2] = wrong
        refused(write_published(tmp_path, movie, bad), "mid30.npy", "row 47, unit 2", str(wrong), "numbers of spikes")
    refused(write_published(tmp_path, -movie, spikes), "M_train(last)_natural.npy", "negative")
    refused(write_published(tmp_path, movie, spikes[:, :33]), "first80.npy", "(99, 3)", "40 frames")
    for empty in (np.zeros((0, 3)), np.zeros(())):
        np.save(write_published(tmp_path, movie, spikes) / "S_1_train(last)_natural_first80.npy", empty)
        refused(tmp_path, "first80.npy", str(empty.shape), "40 frames", "one repetition at least")
    (tmp_path / "M_train(last)_natural.npy").write_bytes(b"\x93NUMPY broken")
    refused(tmp_path, "M_train(last)_natural.npy", "cannot be read", "numpy.save")


@pytest.mark.parametrize("network", [{"nothing": 1}, {"movie_frames": 2}])
def test_a_network_that_cannot_be_is_told_with_its_file(tmp_path, network):
    content = {"weights": {}, "network": network, "n_recorded": 3, "pixels": 9}
    files.write_checkpoint(tmp_path / "fit.pt", content)
    with pytest.raises(ValueError, match=r"fit.pt: not a fit of v1 .*make it again with v1.fit"):
        fitted.read(tmp_path / "fit.pt", torch.device("cpu"))


@pytest.mark.parametrize("shape", [(1, 0), (0, 1), (0,), None], ids=str)
def test_a_silent_cell_in_any_spelling(tmp_path, rng, shape):
    folder = write_raw(tmp_path / "raw", cells=cells_of(rng))
    with h5py.File(folder / "data_monkey1_natural_movie.mat", "r+") as file:
        file["none"] = h5py.Empty("f8") if shape is None else np.empty(shape)
        file["data/EVENTS"][1, 0] = file["none"].ref
    found = load(folder)["spikes"]
    assert not found[1, :, 0].any()
    assert found[1, :, 1].any()


@pytest.mark.parametrize("part", ["first80", "mid30", "last10"])
def test_a_missing_array_of_the_published_program_is_named(tmp_path, rng, part):
    folder = write_published(tmp_path, rng.random((9, 9, 40)), np.zeros((6, 40, 3)))
    (folder / f"S_1_train(last)_natural_{part}.npy").unlink()
    with pytest.raises(FileNotFoundError, match=part):
        loading.load(folder, Preprocessing(), "v1.data_dir")


def test_times_of_the_whole_session_are_told_from_milliseconds(tmp_path, rng):
    cells = [[times + 2.5 * trial for times in row] for trial, row in enumerate(cells_of(rng))]
    refused(write_raw(tmp_path / "raw", cells=cells), "times of the whole session", "subtract the onsets")


@pytest.mark.parametrize("top", ["", "data_and_scripts"])
def test_folders_as_the_archive_unpacks_them(tmp_path, top):
    flat = write_raw(tmp_path / "flat")
    (tmp_path / "raw" / top / "stimuli_movies").mkdir(parents=True)
    (tmp_path / "raw" / top / "spikes_movies").mkdir()
    (flat / "natural_movie.mat").rename(tmp_path / "raw" / top / "stimuli_movies/natural_movie_one.mat")
    (flat / "data_monkey1_natural_movie.mat").rename(tmp_path / "raw" / top / "spikes_movies/data_monkey1_natural_movie.mat")
    assert load(tmp_path / "raw")["spikes"].shape == (3, 40, 2)
    assert len(plan.raw_files({"data_dir": str(tmp_path / "raw"), "data": {}})) == 2


def refused(folder, *words, preprocessing=None):
    """`data` stops with a message that holds all `words`, and leaves nothing behind."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(folder, preprocessing)
    for word in words:
        assert word in str(error.value), str(error.value)
    assert not (folder / "recording.npz").exists()
    assert not list(folder.glob(".tmp*"))


def test_missing_files_say_where_to_get_them(tmp_path):
    refused(tmp_path, "natural_movie.mat", "crcns.org", "v1.data_dir")


def test_events_of_an_older_matlab_version(tmp_path, rng):
    folder = write_raw(tmp_path / "raw")
    with (folder / "data_monkey1_natural_movie.mat").open("wb") as file:
        scipy.io.savemat(file, {"data": 1})
    refused(folder, "data_monkey1_natural_movie.mat", "older than v7.3", "-v7.3")


def test_events_without_the_field(tmp_path):
    folder = write_raw(tmp_path / "raw")
    with h5py.File(folder / "data_monkey1_natural_movie.mat", "w") as file:
        file["data/SPIKES"] = 1.0
    refused(folder, "data_monkey1_natural_movie.mat", "data/EVENTS", "SPIKES")


def test_events_that_are_numbers(tmp_path):
    folder = write_raw(tmp_path / "raw")
    with h5py.File(folder / "data_monkey1_natural_movie.mat", "w") as file:
        file["data/EVENTS"] = np.zeros((3, 2))
    refused(folder, "data/EVENTS", "float64", "cell array")


def test_empty_cells_are_silent_units_but_not_all_of_them(tmp_path, rng):
    cells = cells_of(rng)
    cells[1][0] = np.empty(0)
    assert not load(write_raw(tmp_path / "some", cells=cells))["spikes"][1, :, 0].any()
    refused(write_raw(tmp_path / "all", cells=[[np.empty(0)] * 2] * 3), "data/EVENTS", "6 cells", "empty")


def test_spike_times_in_milliseconds(tmp_path, rng):
    cells = [[1000 * times for times in row] for row in cells_of(rng)]
    refused(write_raw(tmp_path / "raw", cells=cells), "data/EVENTS", "milliseconds", "1.6 s")


@pytest.mark.parametrize("wrong", [-0.1, np.nan])
def test_spike_times_below_zero_or_nan(tmp_path, rng, wrong):
    cells = cells_of(rng)
    cells[2][1][0] = wrong
    refused(write_raw(tmp_path / "raw", cells=cells), "data/EVENTS", "unit 2, trial 3", str(wrong), "seconds")


@pytest.mark.parametrize(("frames", "hint"), [(30, "does the movie have all its frames"), (80, "is it the movie")])
def test_movie_with_another_frame_count(tmp_path, frames, hint):
    movie = np.zeros((9, 9, frames), dtype=np.uint8)
    refused(write_raw(tmp_path / "raw", frames=movie), "natural_movie.mat", f"{frames} frames", "v1.data.bin_ms", hint)


def test_movie_with_nan(tmp_path):
    movie = np.zeros((9, 9, 40))
    movie[2, 3, 7] = np.nan
    refused(write_raw(tmp_path / "raw", frames=movie), "natural_movie.mat", "M has 1 frames", "first frame 7")


def test_movie_without_its_variable_or_with_a_wrong_shape(tmp_path):
    folder = write_raw(tmp_path / "raw", frames=np.zeros((9, 40)))
    refused(folder, "natural_movie.mat", "M is", "(9, 40)", "row x column x frame")
    with (folder / "natural_movie.mat").open("wb") as file:
        scipy.io.savemat(file, {"movie": np.zeros((9, 9, 40))})
    refused(folder, "natural_movie.mat", "'M'", "movie")


def test_fewer_trials_than_the_split_asks_for(tmp_path):
    split = Preprocessing(pixels=9, train=2, test=1, validation=1)
    refused(write_raw(tmp_path / "raw"), "3 trials", "v1.data.train 2", "= 4", preprocessing=split)


def test_units_and_frames_that_are_not_there(tmp_path):
    folder, split = write_raw(tmp_path / "raw"), {"pixels": 9, "train": 1, "test": 1, "validation": 1}
    refused(folder, "v1.data.units", "[7]", "2 units", preprocessing=Preprocessing(units=(0, 7), **split))
    refused(folder, "v1.data.most_active", "3", preprocessing=Preprocessing(most_active=3, **split))
    refused(folder, "v1.data.last_frames", "50", preprocessing=Preprocessing(last_frames=50, **split))


def test_messages_name_the_field_of_the_times():
    with pytest.raises(ValueError, match=r"a.nwb: units/spike_times has 1 spike times below 0 or nan, first -1.0 \(unit 2"):
        reader.flat("a.nwb", "units/spike_times", [[np.array([1.0]), np.array([-1.0])]])
    with pytest.raises(ValueError, match="a.npz: all 2 cells of times are empty"):
        reader.flat("a.npz", "times", [[np.array([]), np.array([])]])


def test_movie_shorter_than_the_history_in_view():
    with pytest.raises(ValueError, match=r"movie_frames = 9: 8 frames .*history = 9 bins; expected .* at least 10"):
        Network(movie_frames=9)


def test_broken_bytes_never_end_in_another_error(tmp_path, rng):
    """One region of a good file overwritten, 60 times: read as before, or refused with a message that names the file."""
    folder = write_raw(tmp_path / "raw", cells=cells_of(rng, trials=2, units=2))
    good = (folder / "data_monkey1_natural_movie.mat").read_bytes()
    broken, refusals = tmp_path / "broken.mat", 0
    for _ in range(60):
        start, length = rng.integers(len(good)), rng.integers(1, 64)
        broken.write_bytes(good[:start] + rng.bytes(length) + good[start + length :])
        try:
            reader.read_spike_times(broken)
        except ValueError as error:
            refusals += 1
            assert str(broken) in str(error)  # noqa: PT017
    assert refusals


def test_resize_of_a_constant_and_of_a_ramp():
    """A constant stays, and a linear ramp is sampled at the centres of the new pixels (away from the mirrored edge)."""
    row = np.arange(64.0)[:, None, None] + np.zeros((1, 64, 1))
    found = movies.resize(row, 16)[:, :, 0]
    centres = (np.arange(16) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(found[3:-3], centres[3:-3, None] + np.zeros((1, 16)), atol=1e-3)
    np.testing.assert_allclose(movies.resize(np.full((40, 30, 2), 0.3), 13), 0.3)


def test_the_first_step_has_a_full_window_and_a_full_history():
    movie, frames = np.arange(20.0)[:, None, None], np.arange(20)
    spikes = np.stack([frames % 2 == 0, frames % 3 == 0])[:, :, None]  # two trials of a cell
    cut = trials.cut(movie, spikes, Network(movie_frames=12, history=4))
    np.testing.assert_array_equal(cut.movie, movie)
    np.testing.assert_array_equal(cut.y, spikes[:, 11:])  # the frames 0 to 11 are the window of step 0
    np.testing.assert_array_equal(cut.recorded, spikes[:, 7:])
