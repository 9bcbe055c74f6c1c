"""Spikes of networks as NWB files. Judges: pynwb and its validator, pynapple and Neo, where they are installed."""

import json
import warnings

import numpy as np
import pytest

from respike.core import spikes
from respike.core.spikes import Network, Spikes
from respike.export import nwb
from respike.formats import nwb as reader
from respike.formats.choice import Choice


def network_of(rng, name, trials=3, cells=4, n=200, recorded=False):
    """A network with a silent cell, spikes in no order and at the very start and end of a trial."""
    times = np.concatenate([rng.uniform(0, 1.7, n - 2), [0.0, 1.7]])
    rng.shuffle(times)
    own = Spikes(times, rng.integers(0, cells - 1, n), cells, 1.7, rng.integers(0, trials, n), trials)
    return Network("mine", name, "a set", recorded, own, 0.001)


@pytest.fixture
def exported(tmp_path, rng, monkeypatch):
    """Networks and their files, of the study `mine` that was run in this folder."""
    monkeypatch.chdir(tmp_path)
    networks = [network_of(rng, "a/b (no. 1)"), network_of(rng, "one trial", trials=1, recorded=True)]
    spikes.write_networks("results/mine/spikes.npz", networks)
    assert nwb.write("mine", tmp_path / "out") == f"2 files in {tmp_path / 'out'}"
    return list(zip(networks, sorted((tmp_path / "out").glob("*.nwb")), strict=True))


def expected(network):
    """Times of each cell on the clock of the file, spike by spike."""
    own, starts = network.spikes, nwb.trial_starts(network)
    found = [[] for _ in range(own.n_cells)]
    for time, cell, trial in zip(own.times, own.cells, own.trial, strict=True):
        found[cell].append(starts[trial] + time)
    return [np.sort(times) for times in found]


def test_our_own_reader_finds_times_trials_and_what_was_seen(exported):
    for network, path in exported:
        session = reader.read(path, Choice(), "key", movie=False)
        for found, times in zip(session.times, expected(network), strict=True):
            np.testing.assert_array_equal(found, times)
        np.testing.assert_array_equal(session.starts, nwb.trial_starts(network))
        end = network.spikes.n_trials * network.spikes.duration
        np.testing.assert_allclose(session.observed, np.tile([[[0.0, end]]], (4, 1, 1)))


def test_files_are_named_after_their_networks_and_say_what_made_them(exported):
    assert [path.name for _, path in exported] == ["mine_0_a_b_no._1_.nwb", "mine_1_one_trial.nwb"]
    again = exported[0][1].parent / "again"
    nwb.write("mine", again)
    assert [path.read_bytes() for path in sorted(again.glob("*.nwb"))] == [path.read_bytes() for _, path in exported]


def test_a_study_that_was_not_run_is_refused_with_those_that_were(exported):
    with pytest.raises(FileNotFoundError, match=r"results/v1/spikes.npz does not exist; .*one of mine; .*respike run"):
        nwb.write("v1", exported[0][1].parent)


def test_pynwb_validates_and_reads_them(exported):
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed (a judge of tests only)")
    for network, path in exported:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = pynwb.validate(path=str(path))
        assert not (said[0] if isinstance(said, tuple) else said)
        with pynwb.NWBHDF5IO(str(path), "r") as io:
            file = io.read()
            own, order = network.spikes, nwb.in_order(network)
            for cell, times in enumerate(expected(network)):
                np.testing.assert_array_equal(file.units.get_unit_spike_times(cell), times)
                np.testing.assert_array_equal(
                    file.units["spike_times_in_trial"][cell], own.times[order][own.cells[order] == cell]
                )
                np.testing.assert_array_equal(file.units["spike_trials"][cell], own.trial[order][own.cells[order] == cell])
            assert len(file.trials) == own.n_trials
            assert json.loads(file.notes)["network"] == network.name


def test_pynapple_reads_them(exported):
    pynapple = pytest.importorskip("pynapple", reason="pynapple is not installed (a judge of tests only)")
    for network, path in exported:
        group = pynapple.load_file(str(path))["units"]
        for cell, times in enumerate(expected(network)):
            found = group[cell].index if cell in group.keys() else np.empty(0)  # noqa: SIM118  (not a dict)
            np.testing.assert_array_equal(found, times)


def test_neo_reads_them(exported):
    pytest.importorskip("pynwb", reason="pynwb is not installed (Neo reads NWB with it)")
    io = pytest.importorskip("neo.io", reason="Neo is not installed (a judge of tests only)")
    for network, path in exported:
        blocks = io.NWBIO(str(path), "r").read_all_blocks()
        trains = [train for block in blocks for segment in block.segments for train in segment.spiketrains]
        for found, times in zip(trains, expected(network), strict=True):
            np.testing.assert_array_equal(found.rescale("s").magnitude, times)
