"""barrel: constants, geometry of whiskers and objects, networks and measures against values written down or computed here."""

import math
from dataclasses import replace
from itertools import product

import mujoco
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.spatial.transform import Rotation
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from respike.barrel import (
    analysis,
    anatomy,
    classifiers,
    encoding,
    kernel,
    learning,
    model,
    params,
    plan,
    recording,
    responses,
)
from respike.barrel.stages import metrics
from respike.barrel.sweeps import meshes, objects, shapes, simulation, whiskers
from respike.core import seeds, training
from tests.barrel_small import network, samples
from tests.constants import check


def test_constants_of_the_published_network():
    """Files, encoding, neuron, training and analysis as published."""
    check(
        params, CLASSES=("helmet", "box", "plane"), LABELS=(53, 55, 113), WHISKERS=31, UNITS=3, FRAMES=110, SWEEPS=12,
        FRAME_RATE=10, CHANNELS=93, REAL_CHANNELS=558, HALF_POINT={"force": 2, "torque": 4}, SMALLEST=1e-5, STEP=0.001,
        ADAPTATION=1.8, TAU_MEMBRANE=10, TAU_ADAPTATION=5, SURROGATE_WIDTH=0.5, SURROGATE_SCALE=0.5, HIDDEN=128,
        READ_OUT=("Pyr_SP", "Pyr_SS", "Pyr"), RATE_BIN=10, SELECTIVE_BELOW=0.001, PSEUDO_COUNT=182, DRIVE_STEPS=550,
        DRIVE_BASELINE=0.04, MOST_REMOVED=8, REFERENCE_RATES=(9, 9, 30, 12, 21, 117, 117, 30, 92, 30, 30, 26, 19),
    )  # fmt: skip
    check(params.Network(), divide_by=1, initial_weight=0.06, baseline=0.04, adaptation=1.8)
    check(
        params.Training(), epochs=100, batch=128, learning_rate=0.008, tau_adaptation_factor=5, tau_membrane_factor=2,
        decay_every=20, decay=0.8, loss="reference", smallest_tau=0.5, validation_share=0.2, redraw=False,
    )  # fmt: skip
    check(params.Encoding(), frame_stride=1, repeats=5)
    check(responses, KEPT=24, RASTER_SAMPLE=15)
    check(anatomy, SMALLEST_POPULATION=3)
    check(encoding, TINY=1e-12)
    check(classifiers, BINS=11, HIDDEN=64, EPOCHS=40, BATCH=32, LEARNING_RATE=0.002)
    check(recording, STAND_IN="synthetic sweeps", RECORDED="recorded sweeps")


def test_constants_of_the_simulated_sweeps():
    """Way of the object as published; springs, gains and pre-stress of the stand-in."""
    check(
        params.Sweeps(), objects_per_class=91, sweeps=1, time_step=1 / 60, max_tilt_deg=60, smallest_mm=50, largest_mm=135,
        test_share=0.2,
    )  # fmt: skip
    check(
        objects, START=(13, -8), START_SPREAD=(10, 4, 10), AIM=-4, SPEED=(7, 14), OFFSETS=(0, -20, 20), CLEARANCE=5,
        CLEARANCE_WIDTH=10, LID=9,
    )  # fmt: skip
    check(shapes, TILES=(5, 9, 12), THICKNESS=0.06)
    check(
        simulation, STIFFNESS=7000, DAMPING=0.02, LINK_RADIUS=0.3, FORCE_GAIN=3.3, PRE_STRESS_SEED=515, HALVINGS=3,
        PRE_STRESS={"force": (2.91, 1.48), "torque": (1.64, 1.11)}, LARGEST_ANGLE=math.pi,
    )  # fmt: skip
    check(
        whiskers, UNIT_LENGTH=2.08, RADII=(9.5304, 5.5393, 6.9745), TURN=(-19.5401, -2.5211, 106.51),
        CENTRE=(1.9128, -7.6549, -5.4439),
    )  # fmt: skip
    check(meshes, NOT_CONVEX=0.001)
    rows = ["A0 A1 A2 A3 A4", "B0 B1 B2 B3 B4 B5", "C0 C1 C2 C3 C4 C5 C6", "D0 D1 D2 D3 D4 D5 D6", "E1 E2 E3 E4 E5 E6"]
    assert list(whiskers.NAMES) == " ".join(rows).split()


@pytest.mark.parametrize(
    ("name", "base", "length", "links", "curvature", "angles"),
    [
        ("A0", (-0.461, -10.331, -5.359), 46.40, 23, 0.01175, (-0.4594, 1.5283, 3.8752)),
        ("B5", (-1.715, -3.154, -4.602), 8.97, 5, 0.04725, (-0.3623, 0.0883, 2.9461)),
        ("C2", (-3.583, -7.037, -7.135), 34.98, 17, 0.02332, (0.0033, 1.2692, 3.5036)),
        ("C6", (-3.652, -0.994, -4.233), 3.26, 2, 0.05656, (-0.0679, -0.0412, 2.7602)),
        ("D0", (-5.860, -9.891, -7.990), 53.07, 26, 0.01175, (0.2700, 2.1225, 3.8752)),
        ("E6", (-8.023, -1.764, -5.081), 7.70, 4, 0.05656, (0.5235, 0.3549, 2.7602)),
    ],
)
def test_a_whisker_is_that_of_the_published_generator(name, base, length, links, curvature, angles):
    """As its own program prints it: base (mm), length, links, curvature, and yaw, pitch and roll (rad)."""
    whisker = whiskers.whiskers()[whiskers.NAMES.index(name)]
    np.testing.assert_allclose(whisker.base, base, atol=6e-4)
    assert (whisker.length, whisker.n_units) == (pytest.approx(length, abs=6e-3), links)
    assert whisker.curvature == pytest.approx(curvature, abs=6e-6)
    yaw, pitch, roll = angles
    turned = Rotation.from_euler("xyz", [pitch, yaw, roll]).as_matrix()  # about fixed axes, x first
    np.testing.assert_allclose(whisker.rotation.as_matrix(), turned[::-1, ::-1], atol=2e-4)


def half_sizes(part):
    """Half the sides of a part whose vertices are the eight corners of a box about its origin."""
    half = part.vertices.max(0)
    assert sorted(part.vertices.tolist()) == sorted([list(corner) for corner in product(*zip(-half, half, strict=True))])
    return half


class TestModelOfASweep:
    """What MuJoCo says of the model that was built."""

    @pytest.fixture(scope="class")
    @staticmethod
    def placed():
        return objects.draw(0, 1, 5, 0, params.Sweeps())

    @pytest.fixture(scope="class")
    @staticmethod
    def built(placed):
        made = simulation.build(placed, 1 / 60)
        data = mujoco.MjData(made)
        mujoco.mj_forward(made, data)
        return made, data

    def test_springs_and_masses(self, built):
        made, _ = built
        links = [8, 7, 5, 4, 3, 8, 7, 6, 4, 3, 3, 9, 7, 6, 5, 4, 3, 2, 9, 8, 6, 5, 4, 3, 3, 8, 7, 6, 4, 3, 3]
        assert made.nv == 2 * sum(links) + 3
        units = [whisker.n_units for whisker in whiskers.whiskers()]
        stiffness = [
            7000 * (n - k) ** 2 / (2.08 * u / n) for n, u in zip(links, units, strict=True) for k in range(n) for _ in "xy"
        ]
        np.testing.assert_allclose(made.jnt_stiffness[:-3].ravel(), stiffness, rtol=1e-6)
        np.testing.assert_allclose(made.dof_damping[:-3].ravel(), 0.02 * np.array(stiffness), rtol=1e-6)
        np.testing.assert_array_equal(made.jnt_axis[:4], [[1, 0, 0], [0, 1, 0]] * 2)
        np.testing.assert_array_equal(made.jnt_axis[-3:], np.eye(3))
        own = made.body_mass[1 : sum(links) + 1]
        np.testing.assert_allclose(own, [u / n for n, u in zip(links, units, strict=True) for _ in range(n)], rtol=1e-6)
        np.testing.assert_allclose(made.geom_size[: sum(links), 0], 0.3)
        assert not made.opt.gravity.any()
        assert (made.geom_friction[:, 0] == 0.5).all()
        assert made.opt.timestep == 1 / 60
        of_whiskers, of_object = made.geom_contype[: sum(links)], made.geom_contype[sum(links) :]
        assert (of_whiskers.min(), made.geom_conaffinity[: sum(links)].max()) == (1, 0)
        assert (of_object.max(), made.geom_conaffinity[sum(links) :].min()) == (0, 1)

    def test_links_lie_along_their_whiskers(self, built):
        made, data = built
        k = 0
        for whisker in whiskers.whiskers():
            n = max(min(3, whisker.n_units), math.ceil(whisker.n_units / 3))
            nodes = whiskers.centreline(whisker, 2.08 * whisker.n_units / n, n)
            for number in range(min(3, n)):
                np.testing.assert_allclose(data.site_xpos[k], nodes[number], atol=1e-6)
                frame, along = data.site_xmat[k].reshape(3, 3), nodes[number + 1] - nodes[number]
                np.testing.assert_allclose(frame[:, 2], along / np.linalg.norm(along), atol=1e-6)
                np.testing.assert_allclose(frame[:, 0], whisker.rotation.as_matrix()[:, 0], atol=1e-6)
                k += 1
        assert k == made.nsite == 92

    def test_parts_lie_in_their_object(self, built, placed):
        made, data = built
        n = len(placed.shape)
        for k, part in enumerate(placed.shape, made.ngeom - n):
            turn, own = placed.rotation.as_matrix(), part.rotation.as_matrix()
            np.testing.assert_allclose(data.geom_xpos[k], placed.position + turn @ part.position, atol=1e-5)
            np.testing.assert_allclose(data.geom_xmat[k].reshape(3, 3), turn @ own, atol=1e-5)
            np.testing.assert_allclose(made.geom_size[k], half_sizes(part), rtol=1e-6)
        assert made.body_mass[made.geom_bodyid[-1] - 1] == 1e6

    def test_pre_stress(self):
        present = np.ones((31, 3), bool)
        present[17, 2] = False  # C6 has two links
        for kind, mean, deviation in (("force", 2.91, 1.48), ("torque", 1.64, 1.11)):
            found = simulation._pre_stress(kind)
            rng = seeds.generator(515, "barrel", "pre-stress", kind)
            direction, modulus = rng.standard_normal((31, 3, 3)), np.exp(rng.normal(mean, deviation, (31, 3)))
            np.testing.assert_allclose(np.linalg.norm(found, axis=2), modulus * present, rtol=1e-9)
            cosine = (found * direction).sum(2) / np.linalg.norm(direction, axis=2)
            np.testing.assert_allclose(cosine[present], modulus[present], rtol=1e-9)


class TestObjects:
    @staticmethod
    def drawn(kind, index):
        rng = np.random.default_rng(index)
        return shapes.FAMILIES[kind](rng), np.random.default_rng(index)

    def test_boxes(self):
        handles = 0
        for index in range(60):
            parts, rng = self.drawn(1, index)
            half = [1, rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.9)]
            assert [part.kind for part in parts] == ["box"] * len(parts)
            np.testing.assert_array_equal(half_sizes(parts[0]), half)
            assert not parts[0].position.any()
            assert len(parts) == (2 if rng.random() < 0.6 else 1)
            if len(parts) == 2:
                handles += 1
                np.testing.assert_allclose(half_sizes(parts[1]), [0.05, 0.06, 0.7 * half[2]])
                np.testing.assert_allclose(parts[1].position, [0.7, half[1] + 0.12, 0])
        assert 25 < handles < 47

    def test_planes(self):
        engines = 0
        for index in range(40):
            parts, rng = self.drawn(2, index)
            radius, span, sweep, chord = (rng.uniform(*ends) for ends in ((0.09, 0.14), (0.7, 1.1), (0, 0.5), (0.12, 0.2)))
            expected = [("ellipsoid", (1, radius, radius), (0, 0, 0), 0)]
            for side in (-1, 1):
                angle = side * sweep
                middle = (-np.sin(angle) * side * span / 2, np.cos(angle) * side * span / 2, 0)
                expected.append(("box", (chord, span / 2, 0.03), middle, angle))
                expected.append(("box", (chord / 2, 0.16, 0.025), (-0.85, 0.18 * side, 0.02), 0))
            expected.append(("box", (chord / 2, 0.025, 0.15), (-0.85, 0, 0.17), 0))
            if rng.random() < 0.7:
                engines += 1
                for side in (-1, 1):
                    turned = Rotation.from_euler("z", side * sweep).apply((0.1, side * 0.4 * span, -0.08))
                    expected.append(("ellipsoid", (0.16, 0.06, 0.06), turned, 0))
            assert len(parts) == len(expected)
            for part, (kind, half, position, angle) in zip(parts, expected, strict=True):
                assert part.kind == kind
                np.testing.assert_allclose(half_sizes(part), half)
                np.testing.assert_allclose(part.position, position, atol=1e-12)
                np.testing.assert_allclose(part.rotation.as_matrix(), Rotation.from_euler("z", angle).as_matrix(), atol=1e-12)
        assert 20 < engines < 36

    def test_visors_of_helmets(self):
        visors = 0
        for index in range(40):
            parts, rng = self.drawn(0, index)
            wide = rng.uniform(0.75, 1.1)
            rng.uniform(0.6, 1.0)
            assert len(parts) == (27 if rng.random() < 0.7 else 26)
            if len(parts) == 27:
                visors += 1
                np.testing.assert_allclose(half_sizes(parts[26]), [0.35, 0.5 * wide, 0.05])
                np.testing.assert_allclose(parts[26].position, [1.2, 0, 0.05])
        assert 20 < visors < 36

    def test_orientation_is_upright_and_tilted_about_a_random_axis_or_any(self):
        for index in range(20):
            found, rng = objects.orientation(np.random.default_rng(index), 60.0), np.random.default_rng(index)
            axis = rng.standard_normal(3)
            turn = axis / np.linalg.norm(axis) * rng.uniform(0, np.pi / 3)
            upright = Rotation.from_euler("x", 90, degrees=True)
            tilt = (found * upright.inv()).as_rotvec()
            np.testing.assert_allclose(np.outer(tilt, tilt), np.outer(turn, turn), atol=1e-9)  # in either sense
            angles = np.random.default_rng(index).uniform(0, 2 * np.pi, 3)
            for most in (180.0, 360.0):
                found = objects.orientation(np.random.default_rng(index), most)
                np.testing.assert_allclose(found.as_matrix(), Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12)

    def test_where_an_object_starts_and_goes(self):
        """Start, pose and speed are drawn once for all sweeps; the start is also found from the way that was taken."""
        centre = np.array([-10.1199, -13.1702, -18.9956])
        starts = []
        for index in range(40):
            rng = seeds.generator(0, "barrel", "object", index % 3, index)
            shapes.FAMILIES[index % 3](rng)
            diagonal, pose = rng.uniform(50, 135), objects.orientation(rng, 60.0).as_matrix()
            start = [centre[0], 13, centre[2] - 8] + rng.uniform(-1, 1, 3) * [10, 4, 10]
            speed = rng.uniform(7, 14)
            for sweep in (0, 6, 11):
                placed = objects.draw(index % 3, index, sweep, 0, params.Sweeps())
                shift = np.array([(0, -20, 20)[sweep // 4], 0, 0])
                way = centre + [0, 0, -4] - start
                way /= np.linalg.norm(way)
                np.testing.assert_allclose(placed.velocity, speed * way, rtol=1e-3, atol=1e-3)
                quarter = Rotation.from_euler("z", 90 * (sweep % 4), degrees=True).as_matrix()
                rotation = placed.rotation.as_matrix()
                np.testing.assert_allclose(rotation, pose @ quarter, atol=1e-9)
                assert np.linalg.norm(np.ptp(shapes.corners(placed.shape), axis=0)) == pytest.approx(diagonal)
                ahead = (shapes.corners(placed.shape) @ rotation.T @ way).max()
                np.testing.assert_allclose(placed.position[:2], (start + shift - ahead * way)[:2], atol=0.05)
                along = placed.velocity / np.linalg.norm(placed.velocity)
                x, y = (placed.position - shift + (shapes.corners(placed.shape) @ rotation.T @ along).max() * along)[:2]
                z = centre[2] - 4 - along[2] / along[1] * (centre[1] - y)
                starts.append([x, y, z, np.linalg.norm(placed.velocity)])
        low, high = np.min(starts, axis=0), np.max(starts, axis=0)
        widest = [[-20.12, 9, -36.9956, 7], [-0.12, 17, -16.9956, 14]]
        assert (low >= widest[0]).all()
        assert (high <= widest[1]).all()
        assert (high - low > 0.8 * np.subtract(widest[1], widest[0])).all()


class TestNetwork:
    def test_first_values(self):
        """Synapses uniform from 0 to the setting, time constants 10 and 5; Xavier's range but for thalamus and biases."""
        column = anatomy.column(20, "anatomical", 3)
        built = model.BarrelNetwork(*column, "spiking", params.Network(divide_by=20, initial_weight=0.3, baseline=0.07), 3)
        weight = built.weight.detach().numpy()
        assert 0 <= weight.min() < 0.001
        assert 0.299 < weight.max() <= 0.3
        assert weight.mean() == pytest.approx(0.15, rel=0.02)
        assert (built.tau_membrane == 10).all()
        assert (built.tau_adaptation == 5).all()
        assert (built.baseline.item(), built.adaptation.item()) == (pytest.approx(0.07), pytest.approx(1.8))
        read = len(built.rows)
        layers = [
            (built.inputs[0], 93, 100, True), (built.inputs[1], 93, 100, True), (built.thalamus, 200, 200, False),
            (built.hidden, read, 128, True), (built.classes, 128, 3, True),
        ]  # fmt: skip
        for layer, n_in, n_out, xavier in layers:
            assert tuple(layer.weight.shape) == (n_out, n_in)
            widest = math.sqrt(6 / (n_in + n_out)) if xavier else 1 / math.sqrt(n_in)
            assert 0.95 * widest < layer.weight.max() <= widest
            assert -widest <= layer.weight.min() < -0.95 * widest
            assert layer.bias.abs().max() <= 1 / math.sqrt(n_in)
            assert n_out < 100 or layer.bias.abs().max() > 0.9 / math.sqrt(n_in)
        real = model.BarrelNetwork(*column, "real", params.Network(divide_by=20), 3)
        assert [tuple(layer.weight.shape) for layer in real.inputs] == [(200, 558)]

    def test_first_state(self):
        """Potentials and graded spikes uniform in [0, 1), adaptation at the baseline."""
        built = network(settings=params.Network(divide_by=2, baseline=0.03))
        v, b, s = built.initial_state(0, [5, 8])
        sizes = [200, 220, 467, 47, 46, 1116, 53, 3, 28, 32, 32, 17, 30, 19]
        draws = seeds.generator(0, "barrel", "state", 8).random((2, sum(sizes)))
        np.testing.assert_allclose(v[:, 1], draws[0], rtol=1e-6)
        np.testing.assert_allclose(s[:, 1], draws[1], rtol=1e-6)
        assert (b == 0.03).all()
        assert b.shape == v.shape
        assert v.max() - v.min() > 0.99

    def test_steps_by_a_loop_over_cells_and_senders(self, rng):
        """Every cell of a small network by the published equations, in double precision."""
        built, some = network(settings=replace(params.Network(), divide_by=150, initial_weight=0.9)), samples(rng, 1)
        with torch.no_grad():
            built.tau_membrane.uniform_(3, 20, generator=torch.Generator().manual_seed(0))
            built.tau_adaptation.uniform_(2, 9, generator=torch.Generator().manual_seed(1))
        x, state = torch.from_numpy(some.inputs(0))[:, :4], built.initial_state(0, [7])
        with torch.no_grad():
            found = built(x, state)
        weights = {name: value.double().numpy() for name, value in built.state_dict().items()}
        v, b, s = (part[:, 0].double().numpy().copy() for part in state)
        table, signs = anatomy.load(), []
        sizes = [200, *(max(round(n / 150), min(3, n)) for n in table.sizes[1:])]
        assert sizes == np.diff(built.bounds).tolist()
        edges = np.cumsum([0, *sizes])
        signs = np.repeat(np.where(table.excitatory, 1, -1), sizes)
        alpha, rho = np.exp(-1 / weights["tau_membrane"]), np.exp(-1 / weights["tau_adaptation"])
        incoming = [[] for _ in range(edges[-1])]
        for to, origin, weight in zip(built.receiver.tolist(), built.sender.tolist(), weights["weight"], strict=True):
            incoming[to].append((origin, weight * signs[origin]))
        logits = []
        for t in range(4):
            given = x[0, t].double().numpy()
            joined = np.concatenate(
                [weights[f"inputs.{k}.weight"] @ given[93 * k : 93 * k + 93] + weights[f"inputs.{k}.bias"] for k in (0, 1)]
            )
            thalamic = weights["thalamus.weight"] @ joined + weights["thalamus.bias"]
            for low, high in zip(edges, edges[1:], strict=False):
                new = {}
                for n in range(low, high):
                    current = thalamic[n] if low == 0 else sum(weight * s[origin] for origin, weight in incoming[n])
                    adapted = rho[n] * b[n] + (1 - rho[n]) * s[n]
                    threshold = 0.04 + 1.8 * adapted
                    potential = alpha[n] * v[n] + (1 - alpha[n]) * current - threshold * s[n]
                    new[n] = potential, adapted, float(potential > threshold)
                for n, values in new.items():
                    v[n], b[n], s[n] = values
            np.testing.assert_array_equal(found.spikes[t, :, 0], s)
            read = np.concatenate([s[edges[p] : edges[p + 1]] for p in (1, 2, 5)])  # Pyr_SP, Pyr_SS and Pyr
            hidden = weights["hidden.weight"] @ read + weights["hidden.bias"]
            logits.append(weights["classes.weight"] @ hidden + weights["classes.bias"])
        np.testing.assert_allclose(found.logits[0], logits, atol=1e-5)
        shares = np.exp(logits[1:]) / np.exp(logits[1:]).sum(1, keepdims=True)
        np.testing.assert_allclose(found.votes[0], shares.sum(0), atol=1e-5)

    def test_the_compiled_steps_run_on_the_cpu(self, rng, monkeypatch):
        monkeypatch.setattr(model, "advance_plain", None)
        some, built = samples(rng, 1), network()
        learning.play(built, some, 0)
        monkeypatch.setattr(kernel, "advance", None)
        with pytest.raises(TypeError):
            learning.play(built, some, 0)

    def test_the_thalamus_receives_nothing_whatever_the_wiring(self):
        column, _ = anatomy.column(40, "anatomical", 0)
        for wiring in ("anatomical", "random", "full", "fixed"):
            rewired, synapses = anatomy.column(40, wiring, 0)
            assert not rewired.probability[0].any()
            assert np.nonzero(synapses)[0].min() == 200
            assert sorted(rewired.probability[1:, 0])[-1] == pytest.approx(
                {"full": 1, "fixed": rewired.probability[1, 1]}.get(wiring, column.probability[1:, 0].max())
            )
            assert (rewired.probability[1:, 0] == column.probability[1:, 0]).all() == (wiring == "anatomical")

    def test_sizes_of_a_small_column(self):
        whole = [200, 440, 934, 94, 93, 2232, 106, 4, 55, 64, 64, 34, 60, 38]
        assert anatomy.load().sizes.tolist() == whole
        assert anatomy.column(20, "anatomical", 0)[0].sizes.tolist() == [200, 22, 47, 5, 5, 112, 5, 3, 3, 3, 3, 3, 3, 3]


class TestClassifiers:
    @pytest.mark.parametrize("kind", ["GRU", "LSTM"])
    def test_a_sample_is_read_over_its_time_and_not_over_its_batch(self, kind, rng):
        network = classifiers._network(kind, 4)
        cells, read = network[0], network[-1]
        assert type(cells) is getattr(nn, kind)
        x = torch.from_numpy(rng.standard_normal((6, 9, 4)).astype(np.float32))
        with torch.no_grad():
            one, turned = network(x[2:3]), network(x[2:3].flip(1))
            torch.testing.assert_close(network(x)[2:3], one)
            torch.testing.assert_close(one, read(cells(x[2])[0].mean(0))[None])
        assert not torch.allclose(one, turned)

    def test_the_convolutions_see_three_bins_and_the_mean_of_all(self, rng):
        network = classifiers._network("conv net", 4)
        x = torch.from_numpy(rng.standard_normal((2, 4, 9)).astype(np.float32))
        padded = nn.functional.pad
        with torch.no_grad():
            hidden = x
            for layer in (network[0], network[2]):
                windows = padded(hidden, (1, 1)).unfold(2, 3, 1)  # sample, channel, bin, 3
                hidden = (torch.einsum("sctk,ock->sot", windows, layer.weight) + layer.bias[:, None]).clamp(min=0)
            torch.testing.assert_close(network(x), network[-1](hidden.mean(2)), atol=1e-5, rtol=1e-5)

    def test_accuracies_of_other_programs_on_noise(self, rng, monkeypatch):
        """Logistic regression and a GRU written anew: noise is classified as badly, sample by sample."""
        monkeypatch.setattr(classifiers, "EPOCHS", 6)
        features, label, test = rng.standard_normal((150, 11, 6)).astype(np.float32), np.arange(150) % 3, np.arange(150) >= 70
        features[..., 0] += 0.3 * label[:, None]
        found = dict(classifiers.accuracies(features, label, test, 4))
        scaler = StandardScaler().fit(features[~test].reshape(70, -1))
        by_logistic = LogisticRegression(C=0.01, max_iter=500).fit(
            scaler.transform(features[~test].reshape(70, -1)), label[~test]
        )
        assert found["logistic regression"] == by_logistic.score(scaler.transform(features[test].reshape(80, -1)), label[test])
        x = torch.from_numpy(((features - features[~test].mean((0, 1))) / features[~test].std((0, 1))).astype(np.float32))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            cells, read = nn.GRU(6, 64, batch_first=True), nn.Linear(64, 3)
        optimiser = training.Adam([*cells.parameters(), *read.parameters()], lr=2e-3, weight_decay=1e-3)
        for epoch in range(6):
            order = seeds.generator(4, "epoch", epoch).permutation(70)
            for batch in (order[:24], order[24:47], order[47:]):  # three of at most 32
                optimiser.zero_grad()
                nn.functional.cross_entropy(read(cells(x[batch])[0].mean(1)), torch.from_numpy(label[batch])).backward()
                optimiser.step()
        with torch.no_grad():
            guess = read(cells(x[test])[0].mean(1)).argmax(1).numpy()
        assert found["GRU"] == pytest.approx((guess == label[test]).mean())


class TestMeasures:
    def found(self, rows):
        return {(row.variant, row.metric): (row.value, row.n) for row in rows}

    def test_deprived(self):
        rows = [(0, 0.9), (1, 0.8), (1, 0.6), (2, 0.5), (2, 0.7), (8, 0.3), (8, 0.5), (31, 0.3), (31, 0.35)]
        table = pd.DataFrame(rows, columns=["k", "accuracy"]).assign(replicate=0, dataset="d")
        found = self.found(metrics.deprived(table))
        value = {metric: value for (_, metric), (value, _) in found.items()}
        assert value["accuracy without 1 whiskers"] == pytest.approx(0.7)
        assert value["accuracy without 2 whiskers, sd"] == pytest.approx(math.sqrt(0.02))
        assert value["accuracy without 8 whiskers, sd"] == pytest.approx(math.sqrt(0.02))
        assert value["lowest accuracy without 1 whisker"] == 0.6
        assert {metric for metric in value if metric.endswith("sd")} == {f"accuracy without {k} whiskers, sd" for k in (2, 8)}
        assert found["spiking deprived", "lowest accuracy without 1 whisker"] == (0.6, 2)

    def test_wired_and_folded(self):
        about = {"n_test": 30, "n_train": 96, "train": 0.5, "loss": 1.0, "form": "spiking", "dataset": "d", "wiring": "full"}
        parts = [
            pd.DataFrame({"test": [0.2, best, last], "validation": [0.1, 0.3, 0.2]}).assign(
                replicate=k, repeat=0, fold=k, **about
            )
            for k, (best, last) in enumerate([(0.8, 0.6), (0.7, 0.5), (0.9, 0.1)])
        ]
        found = self.found(metrics.wired(pd.concat(parts)))
        best = "test accuracy, best epoch"
        assert found["wiring full", f"{best}, mean"] == (pytest.approx(0.8), 3)
        assert found["wiring full", f"{best}, sd"] == (pytest.approx(0.1), 3)
        assert found["wiring full", f"{best}, lowest"] == (pytest.approx(0.7), 3)
        assert found["wiring full", "test accuracy, last epoch, lowest"] == (pytest.approx(0.1), 3)
        assert found["wiring full", f"{best}, each network"] == (pytest.approx(0.9), 30)
        found = self.found(metrics.cross_validated(pd.concat(parts)))
        assert found["spiking", "cross-validated test accuracy, epoch by validation, mean"] == (pytest.approx(0.8), 3)
        half = 4.302652729749464 * 0.1 / math.sqrt(3)  # Student's t of 2 degrees of freedom at 0.975
        assert found["spiking", f"cross-validated {best}, low 95 %"] == (pytest.approx(0.8 - half), 3)
        two = dict(zip("ab", metrics.interval(np.array([0.1, 0.3])), strict=True))
        assert np.isnan(list(two.values())).all()
        found = self.found(metrics.summary("v", 0, "d", "m", np.array([0.4, 0.8])))
        assert found["v", "m, sd"][0] == pytest.approx(0.4 / math.sqrt(2))
        assert np.isnan(self.found(metrics.summary("v", 0, "d", "m", np.array([0.4])))["v", "m, sd"][0])

    def test_other_classifiers(self):
        rows = [("GRU", -1, 0.5), ("GRU", 0, 0.6), ("GRU", 0, 0.7), ("GRU", 1, 0.2)]
        table = pd.DataFrame(rows, columns=["classifier", "repeat", "accuracy"])
        found = self.found(metrics.others(table.assign(form="real", seed=0, dataset="d", n_test=30)))
        assert found["real GRU", "test accuracy"] == (0.5, 30)
        assert found["real GRU", "cross-validated test accuracy, mean"] == (pytest.approx(0.5), 3)

    def test_described(self):
        values = {
            "tau_membrane": [9.0, 11.0],
            "tau_adaptation": [5.0, 5.0],
            "in_degree": [0.0, 0.0, 3.0],
            "out_degree": [1.0, 2.0],
        }
        response = {f"trained_{name}": np.array(each) for name, each in values.items()}
        response["trained_driven_rate"] = np.array(params.REFERENCE_RATES) / 550 * 2 + 0.01
        row = metrics.Measure("spiking trained", 0, "d", "", 0.0, "", 9)
        found = {each.metric: each.value for each in metrics.described(response, "trained", row)}
        assert (found["tau_membrane, mean"], found["tau_membrane, sd"]) == (10, 1)
        assert found["in_degree, skewness"] == pytest.approx(math.sqrt(0.5))
        assert "tau_membrane, skewness" not in found
        assert found["driven rate against reference, r"] == pytest.approx(1)
        assert found["driven rate, largest distance from 92/550"] == pytest.approx(234 / 550 + 0.01 - 92 / 550)


def test_evenly_held_out_and_named_files():
    """Both files or neither, and the first of a scan has the lowest irregularity."""
    assert plan.sweep_files({"train": "", "test": ""}, "f") == {"train": "f/train.h5", "test": "f/test.h5"}
    config = {
        "scan": {"trained": 3, "networks": 1, "weights": [1, 2], "baselines": [1]}, "seeds": {"spiking": 1, "real": 0},
        "crossval": {"repeats": 1, "folds": 2, "forms": []}, "ablation": {"wirings": [], "networks": 0},
    }  # fmt: skip
    assert plan.purposes(config)["starts"] == {
        f"start_{k}_0": {"form": "spiking", "replicate": 0, "start": {"rank": k, "of": 2}} for k in (0, 1)
    }
    assert encoding.removals(1, np.random.default_rng(0))[32].size == 2
    assert [len(each) for each in encoding.removals(2, np.random.default_rng(0))[32:]] == [
        2,
        2,
        3,
        3,
        4,
        4,
        5,
        5,
        6,
        6,
        7,
        7,
        8,
        8,
        31,
    ]


def test_real_input_has_three_forces_and_then_three_torques_of_each_link(rng):
    force, torque = (rng.standard_normal((2, 12, 3, 31, 3, 3)).astype(np.float32) for _ in range(2))
    found = encoding.real(force, torque, np.ones(2, bool), "reference")
    for whisker, unit in ((0, 0), (4, 2), (30, 1)):
        place = 18 * whisker + 6 * unit
        for part, first in ((force, place), (torque, place + 3)):
            each = part[1, :, 2, whisker, unit]
            np.testing.assert_allclose(found[1, 2, first : first + 3], each[0] / np.linalg.norm(each, axis=0), rtol=1e-5)
    zeros = np.zeros_like(force)
    assert not encoding.by_sweeps(zeros).any()


def test_a_sweep_is_tried_again_with_half_the_step_until_it_is_stable(monkeypatch):
    """A sixtieth of a second, then half, a quarter and an eighth of it; forces are multiplied, the pre-stress is added."""
    asked, n_sites = [], 92

    def frames(stable_at):
        def found(placed, step):
            asked.append(step)
            return np.ones((2, 110, n_sites, 3)) if len(asked) == stable_at else None

        return found

    monkeypatch.setattr(simulation, "_frames", frames(3))
    force, torque = simulation.simulate(None, 1 / 60)
    assert asked == pytest.approx([1 / 60, 1 / 120, 1 / 240])
    there = np.ones((31, 3, 1))
    there[17, 2] = 0
    np.testing.assert_allclose(force[5], 3.3 * there + simulation._pre_stress("force"), rtol=1e-5)
    np.testing.assert_allclose(torque[5], there + simulation._pre_stress("torque"), rtol=1e-5)
    asked.clear()
    monkeypatch.setattr(simulation, "_frames", frames(9))
    with pytest.raises(ValueError, match=r"unstable even with steps of 0.00208 s; .* \(now 0.01667\)"):
        simulation.simulate(None, 1 / 60)
    assert len(asked) == 4


def test_readings_are_turned_into_the_axes_of_the_world():
    """By the frames of the sites: what the sensors say along the links of a sweep that has hardly begun."""
    placed = objects.draw(1, 0, 0, 0, params.Sweeps())
    made = simulation.build(placed, 1 / 60)
    data = mujoco.MjData(made)
    for _ in range(6):
        data.qvel[-3:] = placed.velocity
        mujoco.mj_step(made, data)
    found = simulation._frames(placed, 1 / 60)
    for kind, site in ((0, 3), (1, 50)):
        local = data.sensordata[3 * (92 * kind + site) : 3 * (92 * kind + site) + 3]
        np.testing.assert_allclose(found[kind, 0, site], data.site_xmat[site].reshape(3, 3) @ local, atol=1e-9)
    assert found.shape == (2, 110, 92, 3)


def test_surrogate_of_another_width(monkeypatch):
    monkeypatch.setattr(params, "SURROGATE_WIDTH", 0.3)
    monkeypatch.setattr(params, "SURROGATE_SCALE", 0.7)
    x = np.array([-0.4, 0.0, 0.2])
    expected = 0.7 * np.exp(-(x**2) / (2 * 0.3**2)) / (0.3 * math.sqrt(2 * math.pi))
    np.testing.assert_allclose(kernel.surrogate(torch.from_numpy(x)), expected)


class TestSelectivity:
    def test_published_test_and_that_by_trials(self):
        rng = np.random.default_rng(0)
        sums = rng.poisson(5, (3, 40, 4))
        sums[1, :, 0] += 2
        sums[:, :, 3] = 7
        found = analysis.selectivity_by_steps(sums, np.arange(30) % 3)
        p = [stats.f_oneway(*sums[:, :, cell].astype(np.float32)).pvalue for cell in range(3)]
        np.testing.assert_allclose(found.p, [*p, 1.0], rtol=1e-4)
        assert found.selective.tolist() == [each < 0.001 for each in found.p]
        totals = sums.sum(1)
        share = (totals + 182) / (totals + 182).sum(0)
        np.testing.assert_allclose(found.position[:, 0], math.sqrt(3) / 2 * (share[2] - share[0]))
        np.testing.assert_allclose(found.position[:, 1], share[1] - (share[0] + share[2]) / 2)
        counts, label = rng.poisson(5, (30, 9)), np.arange(30) % 3
        counts[label == 2, :2] += 6
        by_trials = analysis.selectivity_by_trials(counts, label)
        order = np.argsort(by_trials.p)
        limits = by_trials.p[order] <= 0.05 * np.arange(1, 10) / 9
        last = np.flatnonzero(limits)[-1]  # Benjamini, Hochberg: all up to the last below its limit
        assert sorted(np.flatnonzero(by_trials.selective)) == sorted(order[: last + 1])

    def test_rows_of_a_network(self, rng):
        def of(condition):
            counts = rng.poisson(3, (6, 5))
            return {
                f"{condition}_sums": rng.poisson(3, (3, 8, 5)), f"{condition}_counts": counts,
                f"{condition}_cv": rng.random(6),
                f"{condition}_raster": rng.random((5, 8)) < 0.3,
            }  # fmt: skip

        response = {"replicate": 3, "dataset": "d", "sizes": np.array([2, 3]), "label": np.arange(6) % 3}
        for condition in ("initial", "trained", "shuffled"):
            response |= of(condition)
        for condition in ("initial", "trained"):
            for name in ("tau_membrane", "tau_adaptation", "in_degree", "out_degree", "driven_rate"):
                response[f"{condition}_{name}"] = rng.random(13)
        rows = {(row.variant, row.metric): (row.value, row.n, row.seed) for row in metrics.network(response)}
        expected = analysis.selectivity_by_steps(response["shuffled_sums"], response["label"]).selective.mean()
        assert rows["spiking shuffled", "selective cells, published test"] == (expected, 5, 3)
        expected = analysis.selectivity_by_trials(response["trained_counts"], response["label"]).selective.mean()
        assert rows["spiking trained", "selective cells, trials with FDR"] == (expected, 5, 3)
        assert rows["spiking trained", "cv"] == (response["trained_cv"].mean(), 6, 3)
        assert rows["spiking trained", "spikes per step and cell, one trial"][0] == response["trained_raster"].mean()
        assert ("spiking shuffled", "tau_membrane, mean") not in rows
        assert rows["spiking initial", "tau_membrane, mean"][0] == response["initial_tau_membrane"].mean()

    def test_rows_of_the_grid(self):
        table = pd.DataFrame({"initial_weight": [0.1], "baseline": [0.04], "cv": [2.0], "rate": [0.3], "n": [7], "seed": [5]})
        found = [
            (row.variant, row.seed, row.metric, row.value, row.unit, row.n)
            for row in metrics.irregularity(table.assign(dataset="d"))
        ]
        name = "init_w 0.1 init_b 0.04"
        assert found == [(name, 5, "cv before training", 2.0, "1", 7), (name, 5, "rate before training", 0.3, "1/step", 7)]


def test_a_mesh_is_scaled_with_its_corners_and_has_a_box():
    """A tetrahedron: its box is that of its corners, in place, and its diagonal becomes what is asked for."""
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [0, 4, 0], [0, 0, 4]])
    centre = corners.mean(0)
    part = shapes.Part("mesh", corners - centre, centre)
    np.testing.assert_allclose(part.corners(), corners)
    assert part.box().kind == "box"
    box = part.box().corners()
    np.testing.assert_allclose([box.min(0), box.max(0)], [[0, 0, 0], [2, 4, 4]])
    (scaled,) = shapes.scaled((part,), 12.0)
    np.testing.assert_allclose([scaled.corners().min(0), scaled.corners().max(0)], [[-2, -4, -4], [2, 4, 4]])
    np.testing.assert_allclose(np.ptp(scaled.vertices, axis=0) / 2, [2, 4, 4])


def test_a_small_column_at_rest_and_its_degrees():
    matrix = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [0.5, 0.0, 0.0]])  # sender, receiver
    into, out = analysis.degrees(matrix)
    assert (into.tolist(), out.tolist()) == ([3.5, 1, 2], [3, 3, 0.5])
    np.testing.assert_allclose(analysis.scaled(np.array([2.0, 4.0, 3.0])), [0.1, 1, 0.55])
    assert analysis.scaled(np.ones(3)).tolist() == [0.1] * 3
    raster = np.zeros((4, 25), bool)
    raster[0, [0, 9, 10, 24]] = True
    assert analysis.binned_rate(raster).tolist() == [50, 25]
    table = pd.DataFrame({"cv": [3.0, 1.0, 2.0, 5.0]})
    assert analysis.spread(table, 2)["cv"].tolist() == [1, 5]
