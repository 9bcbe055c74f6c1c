"""Recordings of any lab into neulvm: NWB, plain spike times, npz, pickles of Python 2; populations of a column or a list."""

import pickle
import pickletools

import h5py
import numpy as np
import pandas as pd
import pytest

from respike.formats import spike_times
from respike.neulvm import loader, plan, recording, states
from respike.neulvm.params import Circuit, Data, Window
from tests import sessions
from tests.test_neulvm_plan import settings

WINDOW = Window(fine=0.001, history=0.3, end=5.0, length=4.0, batch=4.0, held_out=3.0)
KINDS = np.array([b"PV", b"Pyr", b"PV", b"Pyr"])


@pytest.fixture
def times(rng):
    return sessions.spike_trains(rng, units=4, seconds=40.0)


def binned(times, start):
    """Whether a cell fired in each step of 1 ms of the 8 s that WINDOW needs, spike by spike."""
    found = np.zeros((8000, len(times)), dtype=bool)
    for cell, own in enumerate(times):
        for time in own:
            if 0 <= time - start < 8:
                found[int((time - start) / 0.001), cell] = True
    return found


def refused(path, sizes, data, *words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        recording.read(path, sizes, data, WINDOW)
    for word in (str(path), *words):
        assert word in str(error.value), str(error.value)


def test_populations_of_a_column_in_the_order_of_their_names_or_as_asked(tmp_path, times):
    path = sessions.write(tmp_path / "a.nwb", times, columns={"kind": KINDS})
    read = recording.read(path, (100, 400), Data(column="kind", start=20.0), WINDOW)
    np.testing.assert_array_equal(np.concatenate(read.spikes, 1), binned([times[k] for k in (0, 2, 1, 3)], 20.0))
    assert not read.drive.any()
    assert read.rates is None
    other = recording.read(path, (400, 100), Data(column="kind", order=("Pyr", "PV"), start=20.0), WINDOW)
    np.testing.assert_array_equal(other.spikes[0], read.spikes[1])


def test_populations_of_lists_and_one_population_of_all(tmp_path, times):
    path = sessions.write(tmp_path / "a.nwb", times)
    read = recording.read(path, (100, 400), Data(groups=((3,), (0, 1))), WINDOW)
    assert [part.shape for part in read.spikes] == [(8000, 1), (8000, 2)]
    np.testing.assert_array_equal(read.spikes[1], binned(times[:2], 0.0))
    assert recording.read(path, (100,), Data(), WINDOW).spikes[0].shape == (8000, 4)


def test_units_are_listed_by_their_numbers_in_the_file_whichever_are_chosen(tmp_path, times):
    quality = np.array([b"noise", b"good", b"good", b"good"])
    path = sessions.write(tmp_path / "a.nwb", times, columns={"quality": quality, "kind": KINDS})
    read = recording.read(path, (100, 400), Data(groups=((3,), (1,)), units={"quality": "good"}), WINDOW)
    np.testing.assert_array_equal(np.concatenate(read.spikes, 1), binned([times[3], times[1]], 0.0))
    assert read.units == [[3], [1]]
    assert recording.read(path, (1, 4), Data(column="kind", units={"quality": "good"}), WINDOW).units == [[2], [1, 3]]
    refused(path, (1, 1), Data(groups=((0,), (1,)), units={"quality": "good"}), "{'quality': 'good'}", "1 to 3")
    with h5py.File(path, "r+") as file:
        file["units/id"][:] = [31, 1, 7, 3]
    read = recording.read(path, (100, 400), Data(groups=((3,), (1, 31))), WINDOW)
    np.testing.assert_array_equal(np.concatenate(read.spikes, 1), binned([times[3], times[1], times[0]], 0.0))
    assert read.units == [[3], [1, 31]]
    refused(path, (1, 1), Data(groups=((0,), (1,))), "[[0], [1]]", "31, 1, 7, 3")


def test_what_the_file_leaves_open_is_refused_with_the_choices(tmp_path, times):
    path = sessions.write(tmp_path / "a.nwb", times, columns={"kind": KINDS})
    refused(path, (1, 1), Data(), "no column is named", "neulvm.data.populations", "kind: PV, Pyr")
    refused(path, (1, 1, 1), Data(column="kind"), "3 populations", "'kind': PV, Pyr")
    refused(path, (1, 1), Data(column="area"), "'area': not there", "kind: PV, Pyr")
    refused(path, (1, 1), Data(column="kind", order=("PV", "SST")), "'kind': PV, Pyr")
    refused(path, (1, 1), Data(groups=((0, 1), (1,))), "each once", "0 to 3")
    refused(path, (1, 1), Data(column="kind", start=33.0), "8 s", "neulvm.data.start", "33 s", "41 s")


def test_a_session_reaches_to_the_end_of_the_window_but_for_a_few_intervals(tmp_path, rng):
    """Four units of 8 Hz: five of their intervals together are 0.16 s; the window needs 8 s."""
    for name, last, says in (("short", 7.6, "up to 8 s"), ("long", 7.95, "")):
        spike_times.write(
            tmp_path / f"{name}.npz", sessions.spike_trains(rng, units=4, seconds=last), populations=[0, 0, 1, 1]
        )
        if says:
            refused(tmp_path / f"{name}.npz", (4, 4), Data(), says)
        else:
            assert len(recording.read(tmp_path / f"{name}.npz", (4, 4), Data(), WINDOW).spikes[0]) == 8000


def test_a_spike_on_the_edge_of_a_step_falls_into_the_step_that_begins_there(tmp_path):
    """Times of a clock of 1 ms, a day after its zero: cell 0 fires in every third step, cell 1 in every fourth."""
    times = [(100_000_000 + np.arange(0, 8000, 3 + cell)) / 1000 for cell in range(2)]
    spike_times.write(tmp_path / "a.npz", times)
    spikes = recording.read(tmp_path / "a.npz", (9,), Data(start=100_000.0), WINDOW).spikes[0]
    assert [np.flatnonzero(own).tolist() for own in spikes.T] == [list(range(0, 8000, 3 + cell)) for cell in range(2)]


def test_a_spike_on_the_edge_of_a_step_in_float32(tmp_path):
    times = np.arange(1_000_000, 1_008_000) / 1000
    np.savez(tmp_path / "a.npz", times=np.tile(times, 2).astype(np.float32), cells=np.repeat([0, 1], len(times)))
    assert recording.read(tmp_path / "a.npz", (9,), Data(start=1000.0), WINDOW).spikes[0].all()


@pytest.mark.parametrize("seen", [(0.0, 3.0), (3.0, 40.0)])
def test_time_in_which_a_unit_was_not_recorded_is_no_silence(tmp_path, times, seen):
    path = sessions.write(tmp_path / "a.nwb", times)
    with h5py.File(path, "r+") as file:
        sessions.ragged(file["units"], "obs_intervals", [[[0.0, 40.0]]] * 3 + [[seen]])
    refused(path, (1, 1), Data(groups=((0,), (3,))), "unit 3 was not recorded throughout (obs_intervals)", "up to 8 s")
    assert recording.read(path, (1, 1), Data(groups=((0,), (1,))), WINDOW).units == [[0], [1]], "others do not matter"
    with h5py.File(path, "r+") as file:
        group = file.create_group("intervals/invalid_times")
        group["start_time"], group["stop_time"] = np.array([20.0]), np.array([25.0])
    assert recording.read(path, (1,), Data(groups=((0,),)), WINDOW)
    refused(path, (1,), Data(groups=((0,),), start=15.0), "20 to 25 s are marked as invalid", "neulvm.data.start")


def test_a_recording_that_begins_late_is_no_silence(tmp_path, times):
    spike_times.write(tmp_path / "a.npz", [own[own > 3] for own in times], populations=[0, 0, 1, 1])
    refused(tmp_path / "a.npz", (4, 4), Data(), "spikes from 3", "neulvm.data.start, 0 s")
    assert recording.read(tmp_path / "a.npz", (4, 4), Data(start=3.0), WINDOW)


def test_populations_that_are_numbers_are_in_the_order_of_numbers(tmp_path, times):
    spike_times.write(tmp_path / "a.npz", times, populations=[10, 9, 9, 10])
    assert recording.read(tmp_path / "a.npz", (4, 4), Data(), WINDOW).units == [[1, 2], [0, 3]]


def test_steps_of_another_length_than_the_config_says_are_refused(tmp_path, rng):
    content = {"sampled_spikes": np.stack(rasters(rng, (3, 3)))}
    np.savez(tmp_path / "a.npz", **content, ts_P=np.arange(800) * 0.001)
    assert recording.read(tmp_path / "a.npz", (1, 1), window=WINDOW)
    gap = np.arange(800) * 0.001 + 50 * (np.arange(800) > 399)
    np.savez(tmp_path / "gap.npz", **content, ts_P=gap)
    with pytest.raises(
        ValueError, match=r"gap.npz: ts_P has steps of 0.001 s, and 1 others, the first of 50.001 s after step 399"
    ):
        recording.read(tmp_path / "gap.npz", (1, 1), window=WINDOW)
    np.savez(tmp_path / "single.npz", **content, ts_P=(np.arange(800) * 0.001 + 300).astype(np.float32))
    assert recording.read(tmp_path / "single.npz", (1, 1), window=WINDOW)
    with pytest.raises(ValueError, match=r"ts_P has steps of 0.001 s; expected neulvm.window.fine = 0.0002 s"):
        recording.read(tmp_path / "a.npz", (1, 1))


def test_a_silent_unit_is_named_by_its_number_in_the_file(tmp_path, times):
    times[1] = times[1][times[1] > 9]
    path = sessions.write(tmp_path / "a.nwb", times, columns={"kind": KINDS})
    read = recording.read(path, (100, 400), Data(column="kind"), WINDOW)
    circuit = Circuit(*[v[:2] for v in ((9, 9), ((1, 1), (-1, -1)), *((1.0, 1.0),) * 5)], typical_rates=(1.0, 1.0))
    with pytest.raises(ValueError, match="cell 1 of population 1 .from 0. fires no spike .*, as 1 of 4"):
        loader.cut(read, "d", circuit, WINDOW, 0, path)


def test_plain_spike_times(tmp_path, times):
    path = tmp_path / "a.npz"
    spike_times.write(path, times, populations=["E", "E", "I", "I"])
    read = recording.read(path, (400, 100), Data(), WINDOW)
    np.testing.assert_array_equal(np.concatenate(read.spikes, 1), binned(times, 0.0))


def rasters(rng, cells=(3, 4, 2)):
    return [rng.random((800, n)) < 0.05 for n in cells]


def test_npz_missing_drive_and_populations_of_different_numbers_of_cells(tmp_path, rng, caplog):
    uneven, even = rasters(rng), np.stack(rasters(rng, (3, 3, 3)))
    (tmp_path / "a").write_bytes(pickle.dumps({"sampled_spikes": uneven}))
    read = recording.read(tmp_path / "a", (1, 1, 1))
    for found, given in zip(read.spikes, uneven, strict=True):
        np.testing.assert_array_equal(found, given)
    assert "no external drive" in caplog.text
    assert not read.drive.any()
    np.savez(tmp_path / "b.npz", sampled_spikes=even, I_ext=rng.normal(size=(800, 3)))
    np.testing.assert_array_equal(recording.read(tmp_path / "b.npz", (1, 1, 1)).spikes, even)


def test_a_pickle_as_python_2_writes_it(tmp_path):
    """By hand, opcode by opcode: protocol 2, texts and the bytes of an array as Python 2's one kind of text."""
    array = np.arange(24, dtype=np.uint8).reshape(1, 12, 2) % 2
    raw = array.tobytes()
    content = b"\x80\x02}U\x0esampled_spikescnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    content += b"(K\x01(K\x01K\x0cK\x02tcnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    content += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U" + bytes([len(raw)]) + raw + b"tbs."
    list(pickletools.genops(content))  # a whole pickle
    (tmp_path / "old.pkl").write_bytes(content)
    np.testing.assert_array_equal(recording.read(tmp_path / "old.pkl", (1,)).spikes[0], array[0].astype(bool))


def derived(**blocks):
    return plan.derived(settings(**blocks))


def test_one_number_serves_all_populations_and_signs_say_the_rest():
    circuit = derived(circuit={"sizes": 200, "connectivity": [1, 1, -1, -1], "mem_rate": 40})["circuit"]
    assert circuit["sizes"] == [200] * 4
    assert circuit["connectivity"] == [[1.0] * 4] * 2 + [[-1.0] * 4] * 2
    assert circuit["mem_rate"] == [40.0] * 4
    assert circuit["coupling"] == [9.984, 9.984, 19.968, 19.968]
    assert circuit["syn_rate"] == [1000 / 3, 1000 / 3, 500 / 3, 500 / 3]
    assert derived(circuit={"sizes": [400], "connectivity": [-1]})["prior"]["coupling"] == [[10.0, 50.0]]
    assert derived(circuit={"sizes": [400], "connectivity": [-1]})["free"]["pulse_target"] == 0


def test_left_out_is_the_published_circuit():
    found = derived()["circuit"]
    assert all(found[name] == pytest.approx(getattr(Circuit(), name)) for name in ("sizes", "coupling", "rest", "syn_rate"))
    assert [tuple(row) for row in found["connectivity"]] == list(Circuit().connectivity)
    assert tuple(found["typical_rates"]) == Circuit().typical_rates


@pytest.mark.parametrize(("circuit", "key"), [({"sizes": [4, 1]}, "connectivity"), ({"connectivity": [1, -1]}, "sizes")])
def test_what_follows_from_nothing_is_refused_with_an_example(circuit, key):
    with pytest.raises(ValueError, match=rf"neulvm.circuit.{key} is left out; expected it for 2 populations, for instance"):
        plan.check(settings(circuit=circuit))


@pytest.mark.parametrize("n", [1, 2])
def test_there_are_no_states_where_no_population_can_win(rng, n):
    found = states.find(rng.random((1000, n)) * 20, 0.004, apart=False)
    assert np.isnan([found.n_switches, found.switch_rate, found.up, found.down]).all()
    assert found.others > 0
    assert not len(found.dwell)
    assert [Circuit().has_rivals, Circuit(*[v[:1] for v in ((9,), ((1,),), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,))],
                                          typical_rates=(1.0,)).has_rivals] == [True, False]  # fmt: skip


@pytest.mark.parametrize("form", [pd.Series, pd.Categorical, lambda names: np.array(names, dtype=object), tuple])
def test_a_column_of_a_table_names_the_populations(tmp_path, times, form):
    spike_times.write(tmp_path / "a.npz", pd.Series(times), populations=form(["E", "E", "I", "I"]))
    read = recording.read(tmp_path / "a.npz", (2, 2), Data(order=("E", "I")), WINDOW)
    assert read.units == [[0, 1], [2, 3]]
    np.testing.assert_array_equal(np.hstack(read.spikes), binned(times, 0.0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times": np.ones(3)}, r"times of cell 0 have shape \(\); expected an array of seconds for each cell"),
        ({"times": [np.ones((2, 1))]}, r"times of cell 0 have shape \(2, 1\); expected an array of seconds"),
        ({"populations": ["E", None]}, "populations are object values, .* expected numbers or names"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, given, message):
    with pytest.raises(ValueError, match=rf"a\.npz: {message}"):
        spike_times.write(tmp_path / "a.npz", **{"times": [np.ones(1), np.ones(2)], **given})
    assert not (tmp_path / "a.npz").exists()
