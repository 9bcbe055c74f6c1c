"""Readers of the project and of users' files: what was written comes back, whatever it was."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from respike.barrel import params
from respike.barrel import recording as sweeps
from respike.core import files, partial
from respike.export import nwb as exported
from respike.formats import arrays as npz
from respike.formats import mat, matlab, nwb, spike_times
from respike.formats.choice import Choice
from respike.fsbi import recording as fsbi
from respike.fsbi import released
from respike.modes import digits, trials
from respike.neulvm import recording as neulvm
from respike.v1 import recorded
from tests.core.test_properties import recordings
from tests.properties import few

times = some.lists(some.floats(0, 1e4, allow_subnormal=False), max_size=6)
trains = some.lists(times, min_size=1, max_size=4).filter(any)
texts = some.text("aZ09 _äß神.-'\"\\/", max_size=6)
numbers = arrays.arrays(
    some.sampled_from([np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64]),
    arrays.array_shapes(max_dims=3, max_side=4, min_side=0),
)
named = some.dictionaries(some.from_regex(r"[a-z][a-z_0-9]{0,5}", fullmatch=True), numbers, min_size=1, max_size=3)


def same(found, expected) -> None:
    """Arrays by name, with types and shapes."""
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@few
@given(content=named)
def test_arrays_of_the_workflow_and_of_users(content, tmp_path):
    files.write_arrays(tmp_path / "a.npz", **content)
    same(files.read_arrays(tmp_path / "a.npz", *content), content)
    same(npz.read_npz(tmp_path / "a.npz", tuple(content)), content)
    npz.write_npz(tmp_path / "b.npz", content)
    same(npz.read_npz(tmp_path / "b.npz", tuple(content)), content)
    for name, array in content.items():
        np.save(tmp_path / "c.npy", np.asfortranarray(array))
        same({name: npz.read_npy(tmp_path / "c.npy")}, {name: array})


@few
@given(rows=some.lists(some.tuples(some.integers(-(2**63), 2**63 - 1), some.floats(), texts), max_size=5))
def test_tables(rows, tmp_path):
    table = pd.DataFrame(rows, columns=["n", "x", "name"]).astype({"n": "int64", "x": "float64", "name": str})
    files.write_table(tmp_path / "a.parquet", table)
    pd.testing.assert_frame_equal(files.read_table(tmp_path / "a.parquet", ["n", "x", "name"]), table)


states = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**53), 2**53) | some.floats(allow_nan=False) | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
)


@few
@given(
    rows=some.lists(states, min_size=1, max_size=4),
    form=some.sampled_from([partial.JSON, partial.CHECKPOINT]),
    n=some.integers(),
)
def test_unfinished_work(rows, form, n, tmp_path):
    """The state with the most rows is the one to go on with, for the same settings alone."""
    output = tmp_path / "out.parquet"
    partial.save(output, {"n": n}, {"rows": rows[:-1]}, form)
    partial.save(output, {"n": n}, {"rows": rows}, form)
    assert partial.resume(output, {"n": n}, form)["rows"] == rows
    assert partial.resume(output, {"n": n + 1}, form) is None
    assert not any(path.exists() for path in partial.paths(output))


@few
@given(own=trains, onsets=some.lists(some.floats(0, 9e3), min_size=1, max_size=4), names=some.data())
def test_spike_times_of_users(own, onsets, names, tmp_path):
    path = tmp_path / "mine.npz"
    populations = names.draw(some.none() | some.lists(texts, min_size=len(own), max_size=len(own)))
    spike_times.write(path, [np.array(train) for train in own], np.array(onsets), populations=populations)
    session = spike_times.read(path, Choice(), "key", movie=False)
    assert [train.tolist() for train in session.times] == [sorted(train) for train in own]
    assert session.starts.tolist() == onsets
    assert session.columns["populations"].tolist() == populations if populations else not session.columns


@few
@given(own=recordings(least=1), recorded_=some.booleans())
def test_networks_in_nwb(own, recorded_, tmp_path):
    """Spikes of the trials of a network are spikes on the clock of a session, cut at its trials."""
    path = tmp_path / "a.nwb"
    exported.write_network(path, exported.Network("modes", "a", "b", recorded_, own, 0.5), {})
    session = nwb.read(path, Choice(), "key", movie=False)
    expected = [[(own.times + 2.0 * own.trial)[own.cells == cell] for cell in range(own.n_cells)]]
    for found, train in zip(session.times, *expected, strict=True):
        np.testing.assert_array_equal(found, np.sort(train))
    for trial, cut in enumerate(session.cut(2.0, 0.0)):
        for cell, found in enumerate(cut):
            np.testing.assert_array_equal(found, np.sort(own.times[(own.cells == cell) & (own.trial == trial)]))


@few
@given(
    cells=some.tuples(some.integers(1, 3), some.integers(1, 3)).flatmap(
        lambda shape: some.lists(some.lists(times, min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0])
    ),
    frames=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=4)),
)
def test_files_of_matlab(cells, frames, tmp_path):
    matlab.write_cells(tmp_path / "a.mat", "data", "EVENTS", cells)
    found = matlab.read_cells(tmp_path / "a.mat", "data", "EVENTS", ("unit", "trial"), "times")
    assert [[cell.tolist() for cell in row] for row in found] == cells
    (tmp_path / "b.mat").write_bytes(mat.content({"M": frames}))
    np.testing.assert_array_equal(matlab.variable(tmp_path / "b.mat", "M"), frames, strict=True)


@few
@given(own=recordings(), numbers_of=some.sets(some.integers(0, 999), min_size=1, max_size=3), weights=some.data())
def test_recordings_of_fsbi(own, numbers_of, weights, tmp_path):
    kinds = weights.draw(
        some.dictionaries(some.sampled_from(["EE", "EI", "IE", "II"]), arrays.arrays(np.float32, (2, 3)), max_size=2)
    )
    excitatory = own.cells % 2 == 0
    first = fsbi.Recording(
        own.times[excitatory] + 1, own.cells[excitatory], 5, own.times[~excitatory] + 1, own.cells[~excitatory], 5, 1.0, 3.0,
        np.arange(2.0), kinds, 2.5, "blew up",
    )  # fmt: skip
    fsbi.write(tmp_path / "a.npz", dict.fromkeys(numbers_of, first))
    found = fsbi.read(tmp_path / "a.npz")
    assert list(found) == sorted(numbers_of)
    for each in found.values():
        same(each.weights, kinds)
        rest = {name: np.asarray(value) for name, value in vars(first).items() if name != "weights"}
        same({name: np.asarray(value) for name, value in vars(each).items() if name != "weights"}, rest)
    both = fsbi.spikes(first)
    np.testing.assert_array_equal(np.sort(both.times), np.sort(own.times))
    np.testing.assert_array_equal(both.cells >= 5, np.repeat([False, True], [excitatory.sum(), (~excitatory).sum()]))


@few
@given(data=some.data(), family=some.sampled_from(sorted(released.THETA)))
def test_released_rules_of_fsbi(data, family, tmp_path):
    columns = [*released.THETA[family], *released.metrics_of(family)]
    n = data.draw(some.integers(1, 3))
    table = pd.DataFrame(
        data.draw(arrays.arrays(float, (n, len(columns)), elements=some.floats(-9, 9, width=32))), columns=columns
    )
    names = [f"rule {number}" for number in range(n)]
    released.write(tmp_path / "a.npy", table.assign(name=names), family)
    pd.testing.assert_frame_equal(released.read(tmp_path / "a.npy", family), table.assign(name=names), check_dtype=False)


@few
@given(images=arrays.arrays(np.uint8, some.tuples(some.integers(1, 3), some.integers(1, 4), some.integers(1, 4))))
def test_digits_and_trials_of_modes(images, tmp_path):
    for array in (images, images[:, 0, 0]):
        digits.write_idx(tmp_path / "a", array)
        np.testing.assert_array_equal(digits.read_idx(tmp_path / "a", array.ndim), array, strict=True)
    of = {number: {"input": images + number, "mean_rate": images.mean(2)} for number in (3, 12)}
    trials.write(tmp_path / "digits_spike_3-12.npz", of)
    found = trials.read([tmp_path / "digits_spike_3-12.npz"])
    for number, arrays_ in of.items():
        same(found.pop(f"digits_spike_replica{number}"), arrays_)
    assert not found


@few
@given(raster=arrays.arrays(bool, some.tuples(some.integers(2, 9), some.integers(1, 3))), rate=some.floats(0, 99))
def test_recordings_of_neulvm(raster, rate, tmp_path):
    rates, drive = np.full((len(raster), 2), rate), np.arange(2.0 * len(raster)).reshape(-1, 2)
    written = neulvm.Recording(rates, [raster, ~raster[:, :1]], drive)
    neulvm.write(tmp_path / "a.pkl", written, 0.001, raster * 0.5)
    found = neulvm.read(tmp_path / "a.pkl", (1, 1), window=neulvm.Window(fine=0.001))
    same(dict(enumerate([found.rates, found.drive, *found.spikes])), dict(enumerate([rates, drive, *written.spikes])))


@few
@given(seed=some.integers(0, 99), label=some.permutations(range(len(params.LABELS))))
def test_sweeps_of_barrel(seed, label, tmp_path):
    force = np.random.default_rng(seed).normal(size=(3, 2, 4, 31, 3, 3)).astype(np.float32)
    sweeps.write(tmp_path / "a.h5", force, force[::-1], np.array(label), dataset="mine")
    found = sweeps.read(tmp_path / "a.h5", "key", frames=4)
    expected = {"force": force, "torque": force[::-1], "label": np.array(label)}
    same({name: np.asarray(getattr(found, name)) for name in expected}, expected)
    assert found.dataset == "mine"


@few
@given(spikes=arrays.arrays(bool, (4, 3, 2)), bin_ms=some.floats(1, 50), late=some.integers(0, 99), dataset=texts)
def test_recordings_of_v1(spikes, bin_ms, late, dataset, tmp_path):
    split = np.array(["train", "train", "test", "validation"])
    written = recorded.Recording(np.zeros((3, 2, 2)), spikes, split, np.array([1, 7]), bin_ms, late, late + 1, dataset)
    files.write_arrays(tmp_path / "a.npz", **written._asdict())
    found = recorded.read(tmp_path / "a.npz")
    same(*({name: np.asarray(value) for name, value in each._asdict().items()} for each in (found, written)))
    assert isinstance(found.bin_ms, float)
    np.testing.assert_array_equal(found.of("train"), spikes[:2])


def test_the_examples_are_the_same_each_time_and_nothing_is_kept(request):
    """Of a failure in a run elsewhere one wants to see the same here."""
    assert settings().derandomize
    assert settings().database is None
    assert not (request.config.rootpath / ".hypothesis").exists()
