"""Limits of settings and of files of users: what lies just at one passes, what lies just beyond is refused."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from respike.barrel import params as barrel
from respike.barrel import samples
from respike.formats.session import Session
from respike.fsbi import plan as fsbi
from respike.modes import simulation as modes
from respike.neulvm import kernel as neulvm_kernel
from respike.neulvm import loader
from respike.neulvm import params as neulvm
from respike.neulvm import recording as neulvm_recording
from respike.neulvm.params import Circuit, Cluster, Data, Free, Prior, Window
from respike.rate2lif import lif
from respike.rate2lif import params as rate2lif
from respike.v1 import params as v1
from respike.v1 import recorded, recording, simulation
from tests.constants import check


@contextlib.contextmanager
def refused(says: str):
    with pytest.raises(ValueError, match=says):
        yield


def test_constants_of_files_and_of_computation():
    """Levels at which files are refused; block sizes and exponents, which bound memory and rounding."""
    check(recording, LATE_SECONDS=1, LATE_SHARE=0.02, EARLY_END=0.8)
    check(neulvm_recording, SLACK=5)
    check(simulation, CHUNK=40)
    check(modes, CHUNK=250)
    check(lif, BLOCK=500)
    check(neulvm_kernel, LARGEST=690, MAGIC=1.5 * 2.0**52)
    assert pytest.approx(1 / np.log(2), rel=1e-16) == neulvm_kernel.LOG2E
    assert pytest.approx(np.log(2), rel=1e-16) == neulvm_kernel.LN2_HIGH + neulvm_kernel.LN2_LOW
    assert 0 < neulvm_kernel.LN2_LOW < 2e-10


def test_exponentials_are_right_to_the_last_digits():
    """Against NumPy's, all over the range; beyond it they stay at its ends."""
    x = np.concatenate([np.linspace(-690, 690, 4001), np.linspace(-1, 1, 4001), [-1e9, 1e9, 0.0]])
    out, scratch = np.empty_like(x), np.empty_like(x)
    neulvm_kernel.vector_exp(x, out, scratch, len(x))
    np.testing.assert_allclose(out, np.exp(np.clip(x, -690, 690)), rtol=5e-16)
    assert out[-1] == 1


class TestNeulvm:
    def test_circuits(self):
        for name in ("mem_rate", "coupling", "rest", "threshold", "syn_rate", "typical_rates", "connectivity"):
            with refused(f"{name} has 2 entries, expected 3"):
                replace(Circuit(), **{name: getattr(Circuit(), name)[:2]})
        with refused("connectivity must be 3 x 3"):
            replace(Circuit(), connectivity=((1, 0, 1), (0, 1), (-1, -1, -1)))
        with refused("has no connection"):
            replace(Circuit(), connectivity=((0,) * 3,) * 3)
        replace(Circuit(), connectivity=((0,) * 3, (0,) * 3, (0, 0, -1)))
        assert Circuit().has_rivals
        assert not replace(Circuit(), connectivity=((1, 0, -1), (0, 1, 1), (-1, -1, -1))).has_rivals
        assert not Circuit((9,), ((1,),), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,), typical_rates=(1.0,)).has_rivals
        np.testing.assert_allclose(
            Circuit().asymptote(np.array([5.0, 20, 25])), 14.4 + np.array([5 - 50, 20 - 50, 25 - 50]) * 9.984 / 50
        )

    def test_bounds_of_priors(self):
        assert Prior(rest=((1.0, 2.0),)).pairs("rest", 3) == [(1.0, 2.0)] * 3
        for pair in ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (1.0, 2.0, 3.0), (-1.0, 1.0)):
            with refused("with 0 < low < high"):
                Prior(rest=(pair,)).pairs("rest", 3)
        with refused("or 3 pairs"):
            Prior(rest=((1.0, 2.0),) * 2).pairs("rest", 3)
        around = Prior.around(Circuit(), 0.4, 2.0)
        assert around.is_centred(Circuit())
        assert replace(around, rest=((0.4 * 14.4 * 1.0005, 28.8),)).is_centred(Circuit())
        assert not replace(around, rest=((0.4 * 14.4 * 1.002, 28.8),)).is_centred(Circuit())
        assert not replace(around, weights="full").is_centred(Circuit())

    def test_recordings_that_hold_what_is_asked(self):
        Data(sampled=200, seconds=11.0).check(Circuit(), Window())
        with refused("neulvm.data.sampled = 201 cells"):
            Data(sampled=201).check(Circuit(), Window())
        with refused("ends before neulvm.window.end"):
            Data(seconds=10.9).check(Circuit(), Window())

    def test_pulses_and_clusters(self):
        Free(pulse_first=0, pulse_target=2).check(Circuit(), 0.004)
        for name, value in (("pulse_first", -1), ("pulse_target", 3)):
            with refused(f"neulvm.free.{name} = {value}: expected a population, 0 to 2"):
                replace(Free(), **{name: value}).check(Circuit(), 0.004)
        Cluster(delay=0.0005)
        with refused("expected at least the step"):
            Cluster(delay=0.0004)

    def test_windows(self):
        assert neulvm.window_bins(Window(), Circuit()) == (20, 250, 2750, 2500, 2500, 2500)
        with refused("expected at least history 1 s"):
            neulvm.window_bins(Window(end=10.9), Circuit())
        with refused("neulvm.window.length = 10 s is not a multiple of neulvm.window.batch = 4 s"):
            neulvm.window_bins(Window(batch=4.0), Circuit())
        with refused("is not a multiple of neulvm.window.fine"):
            neulvm.window_bins(Window(dt=0.0001), Circuit())
        with refused("is not a multiple of neulvm.window.dt"):
            neulvm.window_bins(Window(held_out=0.001), Circuit())
        assert neulvm.age_bins("key", 0.008, 0.004, Circuit()) == 2
        for circuit, least in ((Circuit(), 2), (replace(Circuit(), delay=0.008), 3)):
            with refused(f"expected at least {least}"):
                neulvm.age_bins("key", 0.004 * (least - 1), 0.004, circuit)
        assert [neulvm.bins(seconds, 0.1) for seconds in (0.3, 0.29, 0.1 * 3, 0.0)] == [3, 2, 3, 0]

    def test_sessions_that_end_too_early(self):
        """The window and what is held out take 21 s; a spike every half second: up to five intervals may be missing."""
        window, one = Window(), replace(Data(), groups=((0,),))

        def session(last):
            times = np.arange(1.0, last + 0.1, 0.5)
            return Session(Path("f"), [times, np.zeros(0)], np.arange(2), {}, np.zeros(1), np.full(1, 21.0))

        made = neulvm_recording._of_session(session(19.0), 1, one, window)
        assert made.spikes[0].shape == (105000, 1)
        assert np.flatnonzero(made.spikes[0][:, 0]).tolist() == list(range(5000, 95001, 2500))
        with refused("make the window shorter"):
            neulvm_recording._of_session(session(18.5), 1, one, window)

    def test_files_whose_steps_fill_no_bin(self):
        made = neulvm_recording.Recording(None, [np.zeros((45, 2), bool)], np.zeros((45, 1)))
        with refused("45 time steps do not fill whole bins of 20"):
            loader.rebin(made, 20, Path("f"))
        rates, spikes, drive = loader.rebin(
            made._replace(spikes=[np.eye(40, 2, dtype=bool)], drive=np.arange(40.0)[:, None]), 20, Path("f")
        )
        assert np.isnan(rates).all()
        assert (spikes.tolist(), drive[:, 0].tolist()) == ([[1, 1], [0, 0]], [9.5, 29.5])
        parts = loader.batches(np.arange(12), np.arange(12), np.arange(12), 2, 12, 8, 4)
        assert parts[0].tolist() == [[2, 3, 4, 5, 6, 7], [6, 7, 8, 9, 10, 11]]
        assert parts[2].tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


class TestBarrel:
    def test_sweeps(self):
        for step in (1 / 10, 1 / 20, 1 / 240):
            barrel.Sweeps(time_step=step)
        for step in (1 / 15, 1 / 5):
            with refused("expected a whole part of a frame, 0.1 s"):
                barrel.Sweeps(time_step=step)
        barrel.Sweeps(smallest_mm=50.0, largest_mm=50.0)
        for sizes in ((0.0, 50.0), (60.0, 50.0)):
            with refused("expected 0 < smallest_mm <= largest_mm"):
                barrel.Sweeps(smallest_mm=sizes[0], largest_mm=sizes[1])

    def test_folds(self):
        label = np.repeat(np.arange(3), [4, 5, 6])
        for of in (2, 4):
            parts = [samples.in_fold(label, barrel.Fold(0, number, of), 0) for number in range(of)]
            assert (np.sum(parts, axis=0) == 1).all()
            assert all(np.bincount(label[part]).min() >= 4 // of for part in parts)
        for of in (1, 5):
            with refused(f"folds is {of}, expected 2 to 4"):
                samples.in_fold(label, barrel.Fold(0, 0, of), 0)
        rng = np.random.default_rng(0)
        assert samples.held_out(label, 0.0, rng).sum() == 0
        assert np.bincount(label[samples.held_out(label, 0.01, rng)]).tolist() == [1, 1, 1]
        assert np.bincount(label[samples.held_out(label, 0.5, rng)]).tolist() == [2, 2, 3]


class TestV1:
    def test_networks_and_objectives(self):
        v1.Network(movie_frames=10, history=9)
        with refused("fewer than v1.network.history = 10"):
            v1.Network(movie_frames=10, history=10)
        for name in ("filters", "kernels", "pools", "strides"):
            with refused("expected as many of each"):
                v1.Network(**{name: (3,)})
        v1.Objective(likelihood=0, psth=0.1)
        with refused("all terms of an objective have the weight 0"):
            v1.Objective(likelihood=0)
        v1.Objective(noise_correlation=1, simulated_trials=2)
        v1.Objective(psth=1, simulated_trials=1)
        with refused("simulated_trials = 1"):
            v1.Objective(noise_correlation=1, simulated_trials=1)
        assert not v1.Objective().runs_free
        for name in ("psth", "psth_mse", "noise_correlation", "single_trial"):
            assert v1.Objective(**{name: 0.1}).runs_free

    def test_spikes_past_the_end_of_the_movie(self):
        """A movie of 10 s: up to one second late, and up to one in fifty; the last not before 8 s."""

        def checked(times):
            spikes = recording.SpikeTimes(np.array(times), np.zeros(len(times), int), np.zeros(len(times), int), 1, 1)
            recording.check_duration(Path("e"), spikes, Path("m"), 250, 0.04)

        checked([*np.linspace(0, 9, 49), 11.0])
        for late, hint in ((11.01, "have all its frames"), (200.0, "have all its frames"), (201.0, "in milliseconds")):
            with refused(hint):
                checked([*np.linspace(0, 9, 49), late])
        checked([*np.linspace(0, 9, 99), 10.0, 10.0][1:])
        with refused("2 of 99 spikes after the end"):
            checked([*np.linspace(0, 9, 97), 10.0, 10.0])
        checked([0.0, 8.0])
        with refused("ends with a spike at 7.99"):
            checked([0.0, 7.99])

    def test_splits_and_units(self):
        settings = v1.Preprocessing(train=3, test=2, validation=1)
        assert recorded.split_trials(6, settings, Path("f")).tolist() == ["train"] * 3 + ["test"] * 2 + ["validation"]
        assert len(recorded.split_trials(9, settings, Path("f"))) == 6
        with refused("5 trials, fewer than the split asks for"):
            recorded.split_trials(5, settings, Path("f"))
        spikes = np.zeros((1, 9, 4), bool)
        spikes[0, :3, 2] = spikes[0, 0, 1] = spikes[0, 0, 3] = True
        assert recorded.chosen_units(spikes, np.arange(4), replace(settings, most_active=2), Path()).tolist() == [1, 2]
        assert recorded.chosen_units(spikes, np.arange(4), replace(settings, most_active=4), Path()).tolist() == [0, 1, 2, 3]
        assert recorded.chosen_units(spikes, np.arange(4), settings, Path()).tolist() == [0, 1, 2, 3]
        assert recorded.chosen_units(spikes, np.arange(4), replace(settings, units=(3, 0)), Path()).tolist() == [3, 0]
        for change, says in (({"most_active": 5}, "asks for 5"), ({"units": (4,)}, r"\[4\]"), ({"units": (-1,)}, r"\[-1\]")):
            with refused(says):
                recorded.chosen_units(spikes, np.arange(4), replace(settings, **change), Path())

    def test_bins(self):
        times = np.array([0.0, 0.039, 0.04, 0.041, 0.119, 0.12])
        found = recorded.bin_spikes(recording.SpikeTimes(times, np.zeros(6, int), np.zeros(6, int), 1, 1), 3, 0.04)
        assert found[0, :, 0].tolist() == [2, 2, 1, 1]  # in the last, what is late


def test_rate2lif_trainings():
    rate2lif.Training("xor", taus=(1.0,))
    rate2lif.Training("xor", taus=(4.0, 4.0))
    for taus in ((), (0.5,), (4.0, 3.0), (1.0, 2.0, 3.0)):
        with refused("expected \\[smallest, largest\\]"):
            rate2lif.Training("xor", taus=taus)
    rate2lif.Training("xor", trials=4)
    rate2lif.Training("xor", trials=3, trainer="reference")
    with refused("trials = 3: expected at least batch = 4"):
        rate2lif.Training("xor", trials=3)


def test_fsbi_time_limits_and_parts():
    """Twice 3 CPU s for each of 70 simulated seconds of a full mlp network, ten minutes on top, a day at most."""
    simulated = {"protocol": {"settle": 60.0, "record": 10.0}}
    config = {
        "mlp": {"simulation": simulated, "network": {"n_e": 4096}},
        "poly": {"simulation": simulated, "network": {"n_e": 512}},
    }
    assert fsbi.minutes(config, "mlp", "round0", 0, 9) == 10 + 2 * 3 * 70 * 10 // 60
    assert fsbi.minutes(config, "poly", "round0", 5, 5) == 10 + int(2 * 0.4 / 8 * 70 / 60)
    assert fsbi.minutes(config, "mlp", "round0", 0, 10**6) == 1440
    assert [fsbi.number(part) for part in ("round0", "round12", "longevity", "whole")] == [0, 12, -1, -2]
