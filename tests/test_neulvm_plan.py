"""neuLVM's settings: what the workflow rules ask for, what is refused with key, value and expectation, keys that exist."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from respike import fingerprint, schema, stage
from respike.neulvm import embedded, freerun, kernel, model, plan
from respike.neulvm.inference import box
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Cluster, Prior, Window, age_bins

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
TRUE = Circuit()


def settings(**blocks):
    """The study's part of a checked config, with other values in some blocks."""
    return schema.check(blocks, SCHEMA["properties"]["neulvm"])


class TestPlan:
    def test_embedded_recording(self):
        found = plan.recording(settings(), "results/neulvm")
        assert found == ("results/neulvm/recording.pickle", "embedded winner-take-all network", True)
        assert found.runs == ("network", "true", "best", "refined", "chosen", "posterior")
        assert found.known == ("exact", "compat")

    @pytest.mark.parametrize(
        ("blocks", "name"),
        [
            ({"circuit": {"sizes": [400, 400, 201]}}, "embedded network"),
            ({"circuit": {"sizes": [400, 100], "connectivity": [1, -1]}}, "embedded network"),
            ({"circuit": {"delay": 0.001}}, "embedded network"),
            ({"circuit": {"sizes": [400, 400, 200], "rest": [14.4]}}, "embedded winner-take-all network"),
            ({"data": {"drive": "pozzorini"}}, "embedded winner-take-all network, pozzorini drive"),
        ],
    )
    def test_another_circuit_has_another_name(self, blocks, name):
        assert plan.recording(settings(**blocks), "x").dataset == name

    def test_recording_of_a_user_has_no_truth(self, tmp_path):
        path = tmp_path / "spikes.pickle"
        path.write_text("1")
        found = plan.recording(settings(data={"recording": str(path)}), "results/neulvm")
        assert found == (str(path), "spikes.pickle", False)
        assert found.runs == ("best", "refined", "chosen", "posterior")
        assert found.known == ()

    def test_settings_of_a_stage(self):
        found = plan.settings({"fit": {"m_steps": 3}, "prior": {}, "run": {"seed": 7}}, "fit")
        assert found == {"fit": {"m_steps": 3}, "seed": 7}

    def test_default_and_published_settings_pass(self):
        plan.check(settings())
        plan.check(settings(window={"history": 1.0, "end": 11, "length": 10, "batch": 10}))

    @pytest.mark.parametrize(
        ("blocks", "says"),
        [
            (
                {"window": {"history": 0.004}, "circuit": {"refractory": 0.02}},
                r"neulvm.window.history = 0.004 s .bins of 0.004 s: 1.; expected at least 6, .* neulvm.circuit.refractory",
            ),
            ({"refine": {"history": 0.004}}, r"neulvm.refine.history = 0.004 s .bins of 0.004 s: 1.; expected at least 2"),
            ({"posterior": {"history": 0.004}}, r"neulvm.posterior.history = 0.004 s"),
            ({"binning": {"history": 0.004}}, r"neulvm.binning.history = 0.004 s"),
            (
                {"circuit": {"delay": 0.4}},
                r"neulvm.refine.history = 0.3 s .bins of 0.004 s: 75.; expected at least 101, .* neulvm.circuit.delay = 0.4 s",
            ),
            ({"window": {"batch": 3.0}}, r"neulvm.window.length = 10 s is not a multiple of neulvm.window.batch = 3 s"),
            ({"window": {"length": 10.5}}, r"neulvm.window.length"),
            ({"window": {"end": 10.5}}, r"neulvm.window.end = 10.5 s; expected at least history 1 s \+ length 10 s"),
            ({"window": {"fine": 0.0003}}, r"neulvm.window.dt = 0.004 s is not a multiple"),
            ({"prior": {"rest": [[20, 10]]}}, r"neulvm.prior.rest = \[\[20.0, 10.0\]\]; expected one pair"),
            ({"free": {"pulse_target": 3}}, r"neulvm.free.pulse_target = 3: expected a population, 0 to 2"),
            ({"free": {"pulse_first": 1}}, r"neulvm.free.pulse_target = 1: expected another than neulvm.free.pulse_first"),
            (
                {"free": {"pulse_start": 2.8}},
                r"neulvm.free: pulse_start = 2.8, pulse_length = 0.3, trial = 3 s; expected a pulse",
            ),
            ({"free": {"pulse_length": 0.003}}, r"expected a pulse of a bin .0.004 s. or more"),
            (
                {"window": {"dt": 0.0005, "fine": 0.0005}},
                r"neulvm.window.dt = 0.0005 s is not a multiple of the step of the network's free runs.* = 0.0002 s",
            ),
            (
                {"circuit": {"rest": [0, 14.4, 14.4]}},
                r"neulvm.circuit.rest = \[0.0, 14.4, 14.4\]; expected numbers above 0.*known",
            ),
            ({"data": {"sampled": 300}}, r"neulvm.data.sampled = 300 cells"),
            ({"data": {"seconds": 9}}, r"neulvm.data.seconds = 9 ends before neulvm.window.end = 11"),
            ({"clusters": {"a": {"seconds": 0.39}}}, r"neulvm.clusters: seconds = 0.39; expected 0.4, a window, or more"),
            ({"clusters": {"a": {"delay": 0.0004}}}, r"delay = 0.0004 s; expected at least the step dt = 0.0005 s"),
            (
                {"circuit": {"sizes": [100, 400], "connectivity": [-1, 1]}, "data": {"sampled": 3}},
                r"connectivity = \[\[-1.0, -1.0\], \[1.0, 1.0\]\]: a population that excites comes after .*excite first",
            ),
            (
                {"circuit": {"sizes": [4, 4]}},
                r"connectivity is left out; expected it for 2 populations, for instance \[1, -1\]",
            ),
        ],
    )
    def test_refuses(self, blocks, says):
        with pytest.raises(ValueError, match=says):
            plan.check(settings(**blocks))

    def test_pulses_that_just_fit_pass(self):
        plan.check(settings(free={"pulse_start": 2.696}))
        two = {"sizes": [400, 100], "connectivity": [1, -1]}
        plan.check(settings(circuit=two, prior={"coupling": [[3, 25]]}, free={"pulse_target": 0}))  # no winner, so no loser

    @pytest.mark.parametrize("change", [{"rest": (0.0,) * 3}, {"coupling": (9.984, 9.984, 0.0)}, {"threshold": (-1.0,) * 3}])
    def test_no_box_is_centred_on_what_is_not_positive(self, change):
        assert not Prior().is_centred(replace(TRUE, **change))

    def test_what_the_embedded_recording_cannot_hold_does_not_matter_for_another(self, tmp_path):
        path = tmp_path / "mine.pickle"
        path.write_text("1")
        plan.check(settings(data={"recording": str(path), "seconds": 1, "sampled": 3000}))


class TestShortHistory:
    """A history in which every neuron is refractory: refused, and harmless where nobody refused it."""

    SLOW = replace(TRUE, refractory=0.02)

    @pytest.mark.parametrize("history", [1, 3, 5])
    def test_refused_by_everything_that_follows_ages(self, rng, history):
        trial = Trial(0.004, history, np.ones((1, history + 9, 3), np.uint8), np.arange(3), np.zeros((1, 9, 3)))
        with pytest.raises(ValueError, match=r"history = .* expected at least 6,"):
            model.loss(self.SLOW, trial, np.full((1, history + 9, 3), 0.02), "exact")
        with pytest.raises(ValueError, match=r"history = .* expected at least 6,"):
            freerun.simulate(self.SLOW, np.zeros((9, 3)), rng, 0.004, history, "exact")

    def test_least_history(self):
        assert age_bins("key", 0.024, 0.004, self.SLOW) == 6
        with pytest.raises(ValueError, match="expected at least 6,"):
            age_bins("key", 0.02, 0.004, self.SLOW)

    def test_kernel_stays_in_its_arrays(self):
        """One cohort, refractory for five bins, among others that are none of its business."""
        k = kernel.cells(0, model.constants(self.SLOW, 0.004, "exact"))
        latent, v, s = np.full(9, 0.5), np.arange(9.0), np.full(9, 0.7)
        guard = np.full((2, 4, 1), 7.0)  # the second part lies behind the first in memory
        expected, _, _ = kernel.advance(latent, v, s, 4, 3.0, k, guard[0], np.empty((3, 1)))
        assert expected == pytest.approx(1e-8 * 0.004)  # all as unlikely to fire as a refractory neuron
        np.testing.assert_array_equal(guard[1], 7.0)
        np.testing.assert_array_equal(np.delete(v, 4), np.delete(np.arange(9.0), 4))
        np.testing.assert_array_equal(np.delete(s, 4), 0.7)
        assert v[4] == 0.0


class TestClusters:
    def test_spikes_take_a_step_to_arrive(self):
        with pytest.raises(ValueError, match="expected at least the step"):
            Cluster(delay=0.0002, dt=0.0005)


class TestKeys:
    """Advice names keys of the config that exist."""

    def test_every_key_that_the_study_names_exists(self):
        stages = {name for name, _ in stage.names()}
        for path in (fingerprint.SOURCE / "respike/neulvm").rglob("*.py"):
            text = re.sub(r"^(from|import) .*$", "", path.read_text(), flags=re.M)
            for name in re.findall(r"(?<!respike\.)\bneulvm\.[a-z_]+(?:\.[a-z_]+)*", text):
                block, *keys = name.split(".")
                part = SCHEMA["properties"][block]
                while keys and keys[0] in part.get("properties", {}):
                    part = part["properties"][keys.pop(0)]
                assert not keys or name in stages, f"{path.name} names {name}"

    def test_names_of_parameters(self):
        search = box.build(TRUE, Prior(weights="full"))
        for name, value in zip(search.names, search.vector(TRUE) * search.high, strict=True):
            assert box.value(TRUE, name) == pytest.approx(value), name


def test_network_that_never_switches_is_no_recording(rng):
    """Of the recordings on which the posterior is tried as of the embedded one."""
    quiet = replace(TRUE, sizes=(8, 8, 8), coupling=(0.0,) * 3, rest=(0.1,) * 3)
    with pytest.raises(ValueError, match="none of 50 recordings switches in the fitted window; make neulvm.window.length"):
        embedded.window_spikes(quiet, 2, Window(end=1.2, length=1.0), np.zeros((250, 3)), rng)
    driven = np.zeros((250, 3))
    driven[125:, 1] = 2000.0  # potential/s: population 1 fires in the second half of the window, and in no other time
    spikes = embedded.window_spikes(quiet, 2, Window(end=1.2, length=1.0), driven, rng)
    assert spikes[126:, 2:4].sum() > 20 > spikes[:125].sum() + spikes[:, [0, 1, 4, 5]].sum()
    one = Circuit((8,), ((1,),), (50.0,), (0.0,), (0.1,), (3.7,), (300.0,), typical_rates=(5.0,))  # nobody to switch with
    assert embedded.window_spikes(one, 2, Window(end=0.3, length=0.2), np.zeros((50, 1)), rng).shape == (50, 2)


@pytest.mark.slow
def test_an_edited_draw_is_compiled_anew(tmp_path):
    """The draw of spikes stands in another file than the loop that it is compiled into; twice as many spikes must come out."""
    package = tmp_path / "src/respike"
    shutil.copytree(fingerprint.SOURCE / "respike", package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import numpy as np; from respike.neulvm import freerun; from respike.neulvm.params import Circuit;"
        "one = Circuit((500,), ((1,),), (50.0,), (0.0,), (8.0,), (4.0,), (100.0,), typical_rates=(20.0,));"
        "print(freerun.simulate(one, np.zeros((20, 1)), np.random.default_rng(0), 0.004, 50, 'exact')[0, 0])"
    )
    surroundings = {**os.environ, "PYTHONPATH": str(package.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def first_bin() -> float:
        found = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True)
        return float(found.stdout)

    before = first_bin()
    assert first_bin() == before > 0
    kernel_file, drawn = package / "neulvm/kernel.py", "return rng.binomial(size, p) / size"
    kernel_file.write_text(kernel_file.read_text().replace(drawn, drawn.replace("return", "return 2 *")))
    assert first_bin() == 2 * before
