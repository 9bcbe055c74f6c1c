"""Whisker sweeps: geometry, objects, files and encoding, and every refusal of what users bring."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from respike.__main__ import main
from respike.barrel import encoding, params, plan, recording
from respike.barrel.stages import data, gather, generate
from respike.barrel.sweeps import meshes, objects, shapes, simulation, whiskers
from respike.core import files
from respike.core.config import build


def test_geometry_of_the_published_array():
    centre = whiskers.array_centre()
    np.testing.assert_allclose(centre, (-10.1199, -13.1702, -18.9956), atol=0.01)
    assert sum(whisker.n_units for whisker in whiskers.whiskers()) == 441
    counts = {whisker.name: whisker.n_units for whisker in whiskers.whiskers()}
    assert (counts["A0"], counts["C6"], counts["D0"], counts["E1"]) == (23, 2, 26, 23)
    assert len(counts) == params.WHISKERS


def test_links_lie_on_the_parabola():
    whisker = whiskers.whiskers()[11]
    line = whiskers.centreline(whisker, 2.08, whisker.n_units)
    np.testing.assert_allclose(np.linalg.norm(np.diff(line, axis=0), axis=1), 2.08)
    x, y, z = whisker.rotation.inv().apply(line - whisker.base).T
    np.testing.assert_allclose(x, 0, atol=1e-9)
    np.testing.assert_allclose(y, -whisker.curvature * z**2, atol=1e-9)


@pytest.mark.parametrize("kind", range(3))
def test_objects_have_their_size_and_pass_below_the_bases(kind):
    for index in range(4):
        for sweep in (0, 5, 11):
            placed = objects.draw(kind, index, sweep, 0, params.Sweeps())
            points = shapes.corners(placed.shape)
            assert 50 <= np.linalg.norm(np.ptp(points, axis=0)) <= 135
            assert 7 <= np.linalg.norm(placed.velocity) <= 14
            corners = placed.position + placed.rotation.apply(points)
            low, high = corners.min(0), corners.max(0)
            for whisker in whiskers.whiskers():
                # every point of a fine grid on the lid, at the moment when it passes the base
                x, y = np.meshgrid(np.linspace(low[0], high[0], 9), np.linspace(low[1], high[1], 9))
                time = (whisker.base[1] - y) / placed.velocity[1]
                near = np.abs(x + time * placed.velocity[0] - whisker.base[0]) < 10
                assert ((high[2] + time * placed.velocity[2])[near] <= whisker.base[2] - 5 + 1e-9).all()


@pytest.mark.parametrize("seed", range(3))
def test_helmets_are_three_rings_of_tiles_on_an_ellipsoid(seed):
    tiles = shapes.FAMILIES[0](np.random.default_rng(seed))[:26]
    centres = np.array([tile.position for tile in tiles])
    inverse, residual, *_ = np.linalg.lstsq(centres[:, 1:] ** 2, 1 - centres[:, 0] ** 2)
    axes = np.array([1, *inverse**-0.5])
    assert residual == pytest.approx(0, abs=1e-20)
    np.testing.assert_allclose(np.degrees(np.arccos(centres[:, 2] / axes[2])), np.repeat([15, 45, 75], [5, 9, 12]))
    for tile in tiles:  # flat on it
        distance = np.linalg.norm(tile.corners() / axes, axis=1)
        assert 0.8 < distance.min() < distance.max() < 1.3
    angle = np.radians(30 * np.arange(13))
    rim = np.column_stack([np.cos(angle), axes[1] * np.sin(angle)])
    sizes = np.array([np.ptp(tile.vertices, axis=0) for tile in tiles[14:]])
    assert sizes[:, 1].sum() == pytest.approx(np.linalg.norm(np.diff(rim, axis=0), axis=1).sum())
    middle = angle[:-1] + np.radians(15)
    ends = [axes * np.column_stack([np.sin(t) * np.cos(middle), np.sin(t) * np.sin(middle), np.cos(t) + 0 * middle])
            for t in np.radians([60, 90])]  # fmt: skip
    np.testing.assert_allclose(sizes[:, 0], np.linalg.norm(ends[1] - ends[0], axis=1))


def test_twelve_sweeps_differ_in_offset_and_quarter_turns():
    placed = [objects.draw(1, 0, k, 0, params.Sweeps()) for k in range(12)]
    x, y, _ = np.eye(3)
    np.testing.assert_allclose(placed[1].rotation.apply(x), placed[0].rotation.apply(y), atol=1e-12)
    np.testing.assert_allclose(placed[0].velocity, placed[8].velocity)
    assert len({tuple(np.round(p.position, 6)) + tuple(np.round(p.rotation.as_quat(canonical=True), 6)) for p in placed}) == 12


def test_sweeps_are_the_same_twice_and_do_not_depend_on_shards(tmp_path):
    settings = params.Sweeps(objects_per_class=1)
    for shard in range(2):
        generate.run(meshes=[], out=tmp_path / f"half{shard}.npz", shard=shard, shards=2, settings=settings, seed=3)
    generate.run(meshes=[], out=tmp_path / "all.npz", shard=0, shards=1, settings=settings, seed=3)
    whole = files.read_arrays(tmp_path / "all.npz")
    for shard in range(2):
        part = files.read_arrays(tmp_path / f"half{shard}.npz")
        assert np.array_equal(part["force"], whole["force"][part["number"]])
        assert np.array_equal(part["torque"], whole["torque"][part["number"]])
    assert np.isfinite(whole["force"]).all()
    c6 = whiskers.NAMES.index("C6")
    assert not whole["force"][..., c6, 2, :].any(), "C6 has two links"


def test_more_shards_than_objects_change_nothing(tmp_path, rng):
    settings, shape = params.Sweeps(objects_per_class=2), (6, 1, params.FRAMES, params.WHISKERS, params.UNITS, 3)
    generate.run(meshes=[], out=tmp_path / "empty.npz", shard=6, shards=7, settings=settings, seed=3)
    files.write_arrays(tmp_path / "all.npz", number=np.arange(6), force=rng.random(shape), torque=rng.random(shape))
    for name, shards in (("with", ["empty", "all"]), ("without", ["all"])):
        to = {kind: tmp_path / f"{name}_{kind}.h5" for kind in ("train", "test")}
        gather.run(shards=[tmp_path / f"{shard}.npz" for shard in shards], settings=settings, seed=3, **to)
    for kind in ("train", "test"):
        assert (tmp_path / f"with_{kind}.h5").read_bytes() == (tmp_path / f"without_{kind}.h5").read_bytes()


def test_half_the_time_step_gives_the_same_sweep():
    logs = []
    for step in (1 / 60, 1 / 120):
        torque = [simulation.simulate(objects.draw(k, 0, 0, 0, params.Sweeps()), step)[1] for k in (1, 2)]
        logs.append(np.log(np.linalg.norm(np.stack(torque), axis=-1) + 10).ravel())
    assert np.corrcoef(logs)[0, 1] >= 0.99


def test_untouched_whiskers_rest_at_their_pre_stress():
    force, torque = simulation.simulate(objects.draw(0, 0, 0, 0, params.Sweeps()), 1 / 60)
    assert np.abs(force[0] - simulation._pre_stress("force")).max() < 1e-3
    assert np.abs(torque[0] - simulation._pre_stress("torque")).max() < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_step": 0.03}, "whole part of a frame"),
        ({"sweeps": 3}, "expected one of 1, 12"),
        ({"smallest_mm": 200.0}, "smallest_mm <= largest_mm"),
        ({"test_share": 0.95, "objects_per_class": 5}, "test_share is 0.95, expected less: no object is left to train on"),
    ],
)
def test_impossible_sweeps_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build(params.Sweeps, change)


# meshes of users

CUBE = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
CUBE_FACES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]


def obj(path: Path, vertices, faces, group="part") -> Path:
    lines = [f"g {group}"] + [f"v {x} {y} {z}" for x, y, z in vertices] + ["f " + " ".join(map(str, face)) for face in faces]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


def test_a_mesh_takes_the_place_of_the_built_in_shapes(tmp_path):
    for name in params.CLASSES:
        obj(tmp_path / name / "cube.obj", CUBE, CUBE_FACES)
    shape = meshes.read(tmp_path / "box" / "cube.obj")
    assert len(shape) == 1
    assert len(shapes.corners(shape)) == 8
    files_ = [Path(file) for file in plan.mesh_files(str(tmp_path))]
    thing = objects.draw(1, 0, 0, 0, params.Sweeps(meshes=str(tmp_path)), files_)
    as_mesh, _ = simulation.simulate(thing, 1 / 60)
    as_box, _ = simulation.simulate(thing._replace(shape=(thing.shape[0].box(),)), 1 / 60)
    touched = np.abs(as_box - as_box[0]).max((0, 2, 3)) > 50
    assert np.array_equal(np.abs(as_mesh - as_mesh[0]).max((0, 2, 3)) > 50, touched)
    assert touched.any()


def test_faces_may_write_out_their_vertices_each_for_itself(tmp_path):
    corners = [CUBE[i - 1] for face in CUBE_FACES for i in face]
    apart = meshes.read(obj(tmp_path / "apart.obj", corners, np.arange(1, 25).reshape(6, 4)))
    together = meshes.read(obj(tmp_path / "together.obj", CUBE, CUBE_FACES))
    for one, other in zip(apart[0].box()[1:3], together[0].box()[1:3], strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (CUBE, CUBE_FACES[:-1], "is not closed.*enclose 0.833"),
        ([*CUBE[:-1], (0.3, 0.3, 0.3)], CUBE_FACES, "is not closed and convex"),
        ([(x, y, 0) for x, y, _ in CUBE], CUBE_FACES, "is flat"),
        (CUBE, [(1, 2, 99)], "vertex that is not there"),
        (CUBE, [], "no face"),
        ([("a", 0, 0)], CUBE_FACES, "line 2.*expected numbers"),
        ([*CUBE[:-1], ("0", "1", "")], CUBE_FACES, r"line 9 is 'v 0 1', expected numbers after v \(2, not three\)"),
        (CUBE, [*CUBE_FACES, ()], r"line 16 is 'f', expected numbers after f \(0, not three\)"),
    ],
)
def test_bad_meshes_are_refused(tmp_path, vertices, faces, message):
    path = obj(tmp_path / "thing.obj", vertices, faces)
    with pytest.raises(ValueError, match=message) as found:
        meshes.read(path)
    assert "thing.obj" in str(found.value)


def test_a_class_without_meshes_is_named(tmp_path):
    obj(tmp_path / "helmet" / "a.obj", CUBE, CUBE_FACES)
    with pytest.raises(FileNotFoundError, match=r"box: 0 \.obj files.*barrel\.sweeps\.meshes"):
        meshes.choose([tmp_path / "helmet" / "a.obj"], 1, 0)


def test_no_mesh_is_two_objects(tmp_path):
    own = [obj(tmp_path / "box" / f"{name}.obj", CUBE, CUBE_FACES) for name in "abc"]
    assert meshes.choose(own, 1, 2) == own[2]
    with pytest.raises(FileNotFoundError, match=r"box: 3 \.obj files .*expected objects_per_class"):
        meshes.choose(own, 1, 3)


def test_meshes_are_inputs_of_the_simulation(tmp_path):
    path = obj(tmp_path / "box" / "cube.obj", CUBE, CUBE_FACES)
    assert plan.mesh_files(str(tmp_path)) == [str(path)]
    assert plan.mesh_files("") == []


# files of sweeps


@pytest.fixture
def h5(tmp_path):
    """Function that writes a good sweep file after `change` has spoilt it."""

    def write(change=None, n=3, n_sweeps=1, seed=0) -> Path:
        rng = np.random.default_rng(seed)
        shape = (n, n_sweeps, params.FRAMES, params.WHISKERS, params.UNITS, 3)
        fields = {name: rng.standard_normal(shape).astype(np.float32) for name in ("force", "torque")}
        fields["label"] = np.array(params.LABELS, dtype=np.float32)[np.arange(n) % 3]
        if change:
            change(fields)
        path = tmp_path / ("user.h5" if seed == 0 else f"user{seed}.h5")
        with h5py.File(path, "w") as file:
            for name, values in fields.items():
                file[name] = values
        return path

    return write


def test_a_published_file_is_read(h5):
    found = recording.read(h5(), "key")
    assert found.label.tolist() == [0, 1, 2]
    assert found.dataset == recording.RECORDED


def test_sweeps_of_two_kinds_have_the_names_of_both(h5, tmp_path):
    recorded, simulated = [h5(), h5(seed=1)], [tmp_path / "simulated.h5", tmp_path / "simulated1.h5"]
    for k, path in enumerate(simulated):
        force = np.random.default_rng(k).random((3, 1, params.FRAMES, 31, 3, 3), dtype=np.float32)
        recording.write(path, force, force, np.arange(3))
    for train, test, name in (
        (*recorded, "recorded sweeps"),
        (*simulated, "synthetic sweeps"),
        (recorded[0], simulated[0], "recorded sweeps and synthetic sweeps"),
        (simulated[0], recorded[0], "synthetic sweeps and recorded sweeps"),
    ):
        data.run(train=train, test=test, form="spiking", normalise=None, out=tmp_path / "inputs.npz")
        assert str(files.read_arrays(tmp_path / "inputs.npz")["dataset"]) == name


@pytest.mark.parametrize("added", [0, 2, 3])
def test_the_objects_of_the_training_are_no_test(h5, tmp_path, added):
    """Nor are they in another order, in double precision, or with a few new ones."""
    train, test = h5(), tmp_path / "copy.h5"
    with h5py.File(train) as old, h5py.File(h5(seed=1)) as new, h5py.File(test, "w") as file:
        for name in ("force", "torque", "label"):
            file[name] = np.concatenate([new[name][:added], old[name][:][::-1]]).astype(float)
        n = len(file["label"])
    if added == n - added:
        data.run(train=train, test=test, form="spiking", normalise=None, out=tmp_path / "inputs.npz")
        return
    with pytest.raises(ValueError, match=rf"copy.h5: {n - added} of {n} samples stand in .*user.h5 too, expected others"):
        data.run(train=train, test=test, form="spiking", normalise=None, out=tmp_path / "inputs.npz")
    assert not (tmp_path / "inputs.npz").exists()


def test_what_is_written_is_read(tmp_path):
    force = np.ones((3, 1, params.FRAMES, 31, 3, 3), dtype=np.float32)
    force[0] = 0.5
    recording.write(tmp_path / "a.h5", force, 2 * force, np.array([2, 0, 1]), seed=1)
    found = recording.read(tmp_path / "a.h5", "key")
    assert found.label.tolist() == [2, 0, 1]
    assert found.torque.max() == 2
    assert found.dataset == recording.STAND_IN
    with h5py.File(tmp_path / "a.h5") as file:
        assert "synthetic stand-in, not the published data" in file.attrs["content"]


BAD_FILES = {
    "missing": (lambda f: f.pop("torque"), "torque is not there"),
    "dead sensors": (lambda f: f.update(force=0 * f["force"]), "force is 0.0 everywhere, expected what whiskers feel"),
    "misshaped": (lambda f: f.update(force=f["force"][..., :30, :, :]), r"force has shape .*30.*expected"),
    "frames": (lambda f: f.update(torque=f["torque"][:, :, :50]), r"torque has shape .*50.*expected"),
    "length": (lambda f: f.update(torque=f["torque"][:2]), r"torque has shape \(2.*expected \(3"),
    "labels": (lambda f: f.update(label=f["label"][:2]), "label has shape"),
    "nan": (lambda f: f["force"].__setitem__((1, 0, 2, 3, 1, 0), np.nan), r"force holds 1 values.*\(1, 0, 2, 3, 1, 0\)"),
    "unknown": (lambda f: f["label"].__setitem__(0, 54), r"label holds '54', expected 53 \(helmet\)"),
    "absent": (lambda f: f["label"].__setitem__(slice(None), 53), "no box and no plane"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_sweep_files_are_refused(h5, tmp_path, capsys, name):
    change, message = BAD_FILES[name]
    path = h5(change)
    out = tmp_path / "out" / "inputs.npz"
    arguments = ["--train", str(path), "--test", str(path), "--form", "spiking", "--normalise", "zscore", "--out", str(out)]
    assert main(["barrel.data", *arguments]) == 2
    told = capsys.readouterr().err
    assert "user.h5" in told
    assert "barrel.recording.train" in told
    with pytest.raises(ValueError, match=message):
        recording.read(path, "barrel.recording.train")
    assert not out.exists()


def test_a_file_that_is_not_hdf5_is_refused(tmp_path):
    (tmp_path / "user.h5").write_text("force, torque")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        recording.read(tmp_path / "user.h5", "key")


def test_normalisation_over_sweeps_needs_sweeps(h5, tmp_path, capsys):
    path, other, out = h5(), h5(seed=1), tmp_path / "inputs.npz"
    assert main(["barrel.data", *f"--train {path} --test {other} --form real --normalise reference --out {out}".split()]) == 2
    assert "1 sweep per sample; set barrel.real.encoding.normalise to zscore" in capsys.readouterr().err
    path, other = h5(n_sweeps=12), h5(n_sweeps=12, seed=1)
    assert main(["barrel.data", *f"--train {path} --test {other} --form real --normalise reference --out {out}".split()]) == 0
    assert files.read_arrays(out)["values"].shape == (6, params.FRAMES, params.REAL_CHANNELS)


# encoding


def test_probability_is_one_half_at_the_half_point():
    values = np.zeros((1, 3), dtype=np.float64)
    assert encoding.probability(values, "force")[0] == pytest.approx(1e-5 / (1e-5 + np.exp(2)), rel=1e-6)
    for kind, exponent in (("force", 2), ("torque", 4)):
        values[0] = (0, np.exp(exponent), 0)
        assert encoding.probability(values, kind)[0] == pytest.approx(0.5)


def test_removing_whiskers_is_encoding_zeros(rng):
    force, torque = (np.exp(rng.standard_normal((2, 1, 4, 31, 3, 3))).astype(np.float32) for _ in range(2))
    removed = np.array([0, 7, 30])
    found = encoding.deprived(encoding.spiking(force, torque), removed)
    force[:, :, :, removed] = torque[:, :, :, removed] = 0
    np.testing.assert_allclose(found, encoding.spiking(force, torque), rtol=1e-6)


def test_zscore_is_that_of_the_training_samples(rng):
    force, torque = (3 + rng.standard_normal((6, 1, 5, 31, 3, 3)).astype(np.float32) for _ in range(2))
    train = np.arange(6) < 4
    found = encoding.real(force, torque, train, "zscore")
    np.testing.assert_allclose(found[train].mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(found[train].std((0, 1)), 1, atol=1e-4)
    np.testing.assert_allclose(
        encoding.by_sweeps(np.tile(force, (1, 12, 1, 1, 1, 1)))[..., 0],
        np.tile(np.sign(force)[..., 0], (1, 12, 1, 1, 1)) / 12**0.5,
        rtol=1e-5,
    )


def test_drawn_spikes_follow_the_probabilities_and_the_sample_number():
    p = np.tile(np.linspace(0, 1, 11, dtype=np.float32), (2, 4000, 1))
    spikes = encoding.draw(p, np.array([4, 9]), 0)
    assert np.abs(spikes.mean((0, 1)) - p[0, 0]).max() < 0.03
    assert np.array_equal(encoding.draw(p[1:], np.array([9]), 0), spikes[1:])
    assert not np.array_equal(encoding.draw(p[1:], np.array([9]), 0, 1), spikes[1:])


def test_removals_reach_every_whisker():
    sets = encoding.removals(50, np.random.default_rng(0))
    assert len(sets) == 1 + 31 + 7 * 50 + 1
    assert [len(part) for part in sets[:32]] == [0] + [1] * 31
    assert any(30 in part for part in sets[32:-1]), "the published draws leave out whisker 30"
    assert all(len(set(part)) == len(part) for part in sets)
