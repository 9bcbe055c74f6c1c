"""The barrel network: closed forms, brute force, other ways of computing the same, and every refusal."""

import pickle
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy import stats

from respike.__main__ import main
from respike.barrel import (
    analysis,
    anatomy,
    cells,
    classifiers,
    encoding,
    fitted,
    kernel,
    learning,
    model,
    params,
    plan,
    recording,
    responses,
)
from respike.barrel.samples import Samples, held_out, in_fold
from respike.barrel.stages import fit, generate, metrics, spikes
from respike.barrel.sweeps import meshes, objects, shapes, simulation, whiskers
from respike.core import files, training
from respike.core import spikes as core_spikes
from respike.core.cells import spike
from respike.core.config import build, check
from respike.stage import command_line

ROOT = Path(__file__).resolve().parents[1]
SMALL = params.Network(divide_by=60, initial_weight=0.8)
CODING = params.Encoding(frame_stride=22, repeats=3)


def network(form="spiking", seed=0, settings=SMALL):
    return learning.build(settings, form, "anatomical", seed, "cpu")


def samples(rng, n=9, form="spiking"):
    """Samples whose class can be read from which third of the channels is strong."""
    label = np.arange(n) % 3
    channels = 2 * params.CHANNELS if form == "spiking" else params.REAL_CHANNELS
    values = 0.2 * rng.random((n, params.FRAMES, channels)).astype(np.float32)
    for k in range(n):
        values[k, :, label[k] * channels // 3 : (label[k] + 1) * channels // 3] += 0.6
    return Samples(values, label, np.arange(n), form, CODING, "test")


# geometry and objects


def test_geometry_of_the_published_array():
    centre = whiskers.array_centre()
    np.testing.assert_allclose(centre, (-10.1199, -13.1702, -18.9956), atol=0.01)
    assert sum(whisker.n_units for whisker in whiskers.whiskers()) == 441
    counts = {whisker.name: whisker.n_units for whisker in whiskers.whiskers()}
    assert (counts["A0"], counts["C6"], counts["D0"], counts["E1"]) == (23, 2, 26, 23)
    assert len(counts) == params.WHISKERS
    for whisker in whiskers.whiskers():
        np.testing.assert_allclose(whisker.rotation @ whisker.rotation.T, np.eye(3), atol=1e-12)


def test_links_lie_on_the_parabola():
    whisker = whiskers.whiskers()[11]
    line = whiskers.centreline(whisker, 2.08, whisker.n_units)
    np.testing.assert_allclose(np.linalg.norm(np.diff(line, axis=0), axis=1), 2.08)
    x, y, z = ((line - whisker.base) @ whisker.rotation).T
    np.testing.assert_allclose(x, 0, atol=1e-9)
    np.testing.assert_allclose(y, -whisker.curvature * z**2, atol=1e-9)


@pytest.mark.parametrize("kind", range(3))
def test_objects_have_their_size_and_pass_below_the_bases(kind):
    for index in range(4):
        thing = objects.draw(kind, index, 0, params.Sweeps())
        points = shapes.corners(thing.shape)
        diagonal = np.linalg.norm(np.ptp(points, axis=0))
        assert 50 <= diagonal <= 135
        for sweep in (0, 5, 11):
            placed = objects.place(thing, sweep)
            assert 7 <= np.linalg.norm(placed.velocity) <= 14
            corners = placed.position + points @ placed.rotation.T
            low, high = corners.min(0), corners.max(0)
            for whisker in whiskers.whiskers():
                # every point of a fine grid on the lid, at the moment when it passes the base
                x, y = np.meshgrid(np.linspace(low[0], high[0], 9), np.linspace(low[1], high[1], 9))
                time = (whisker.base[1] - y) / placed.velocity[1]
                near = np.abs(x + time * placed.velocity[0] - whisker.base[0]) < 10
                assert ((high[2] + time * placed.velocity[2])[near] <= whisker.base[2] - 5 + 1e-9).all()


def test_twelve_sweeps_differ_in_offset_and_quarter_turns():
    thing = objects.draw(1, 0, 0, params.Sweeps())
    placed = [objects.place(thing, k) for k in range(12)]
    np.testing.assert_allclose(placed[0].rotation[:, 0], placed[1].rotation[:, 1] * -1, atol=1e-12)
    np.testing.assert_allclose(placed[0].velocity, placed[8].velocity)
    assert len({tuple(np.round(p.position, 6)) + tuple(np.round(p.rotation.ravel(), 6)) for p in placed}) == 12


def test_sweeps_are_the_same_twice_and_do_not_depend_on_shards(tmp_path):
    settings = params.Sweeps(objects_per_class=1)
    for shard in range(2):
        generate.run(out=tmp_path / f"half{shard}.npz", shard=shard, shards=2, settings=settings, seed=3)
    generate.run(out=tmp_path / "all.npz", shard=0, shards=1, settings=settings, seed=3)
    whole = files.read_arrays(tmp_path / "all.npz")
    for shard in range(2):
        part = files.read_arrays(tmp_path / f"half{shard}.npz")
        assert np.array_equal(part["force"], whole["force"][part["number"]])
        assert np.array_equal(part["torque"], whole["torque"][part["number"]])
    assert np.isfinite(whole["force"]).all()
    c6 = whiskers.NAMES.index("C6")
    assert not whole["force"][..., c6, 2, :].any(), "C6 has two links"


def test_half_the_time_step_gives_the_same_sweep():
    logs = []
    for step in (1 / 60, 1 / 120):
        torque = [simulation.simulate(objects.place(objects.draw(k, 0, 0, params.Sweeps()), 0), step)[1] for k in (1, 2)]
        logs.append(np.log(np.linalg.norm(np.stack(torque), axis=-1) + 10).ravel())
    assert np.corrcoef(logs)[0, 1] >= 0.99


def test_untouched_whiskers_rest_at_their_pre_stress():
    force, torque = simulation.simulate(objects.place(objects.draw(0, 0, 0, params.Sweeps()), 0), 1 / 60)
    assert np.abs(force[0] - simulation._pre_stress("force")).max() < 1e-3
    assert np.abs(torque[0] - simulation._pre_stress("torque")).max() < 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_step": 0.03}, "whole number of steps"),
        ({"sweeps": 3}, "expected 1 or 12"),
        ({"smallest_mm": 200.0}, "smallest_mm <= largest_mm"),
    ],
)
def test_impossible_sweeps_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        params.Sweeps(**change)


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
    thing = objects.draw(1, 0, 0, params.Sweeps(meshes=str(tmp_path)))
    as_mesh, _ = simulation.simulate(objects.place(thing, 0), 1 / 60)
    box = replace(thing.shape[0], kind="box", vertices=None)
    as_box, _ = simulation.simulate(objects.place(thing._replace(shape=(box,)), 0), 1 / 60)
    touched = np.abs(as_box - as_box[0]).max((0, 2, 3)) > 50
    assert np.array_equal(np.abs(as_mesh - as_mesh[0]).max((0, 2, 3)) > 50, touched)
    assert touched.any()


@pytest.mark.parametrize(
    ("vertices", "faces", "message"),
    [
        (CUBE, CUBE_FACES[:-1], "is not closed.*4 edges"),
        ([*CUBE[:-1], (0.3, 0.3, 0.3)], CUBE_FACES, "is not convex"),
        ([(x, y, 0) for x, y, _ in CUBE], CUBE_FACES, "is flat"),
        (CUBE, [(1, 2, 99)], "vertex that is not there"),
        (CUBE, [], "no face"),
        ([("a", 0, 0)], CUBE_FACES, "line 2.*expected numbers"),
    ],
)
def test_bad_meshes_are_refused(tmp_path, vertices, faces, message):
    path = obj(tmp_path / "thing.obj", vertices, faces)
    with pytest.raises(ValueError, match=message) as found:
        meshes.read(path)
    assert "thing.obj" in str(found.value)


def test_a_class_without_meshes_is_named(tmp_path):
    obj(tmp_path / "helmet" / "a.obj", CUBE, CUBE_FACES)
    with pytest.raises(FileNotFoundError, match=r"box: no \.obj file.*barrel\.sweeps\.meshes"):
        meshes.files(tmp_path)


# files of sweeps


@pytest.fixture
def h5(tmp_path):
    """Function that writes a good sweep file after `change` has spoilt it."""

    def write(change=None, n=3, n_sweeps=1) -> Path:
        rng = np.random.default_rng(0)
        shape = (n, n_sweeps, params.FRAMES, params.WHISKERS, params.UNITS, 3)
        fields = {name: rng.standard_normal(shape).astype(np.float32) for name in ("force", "torque")}
        fields["label"] = np.array(params.LABELS, dtype=np.float32)[np.arange(n) % 3]
        if change:
            change(fields)
        path = tmp_path / "user.h5"
        with h5py.File(path, "w") as file:
            for name, values in fields.items():
                file[name] = values
        return path

    return write


def test_a_published_file_is_read(h5):
    found = recording.read(h5(), "key")
    assert found.label.tolist() == [0, 1, 2]
    assert found.dataset == recording.RECORDED


def test_what_is_written_is_read(tmp_path):
    force = np.ones((3, 1, params.FRAMES, 31, 3, 3), dtype=np.float32)
    recording.write(tmp_path / "a.h5", force, 2 * force, np.array([2, 0, 1]), seed=1)
    found = recording.read(tmp_path / "a.h5", "key")
    assert found.label.tolist() == [2, 0, 1]
    assert found.torque.max() == 2
    assert found.dataset == recording.STAND_IN
    with h5py.File(tmp_path / "a.h5") as file:
        assert "synthetic stand-in, not the published data" in file.attrs["content"]


BAD_FILES = {
    "missing": (lambda f: f.pop("torque"), "no dataset torque"),
    "misshaped": (lambda f: f.update(force=f["force"][..., :30, :, :]), r"force has shape .*30.*expected"),
    "frames": (lambda f: f.update(torque=f["torque"][:, :, :50]), r"torque has shape .*50.*expected"),
    "length": (lambda f: f.update(torque=f["torque"][:2]), "expected that of force"),
    "labels": (lambda f: f.update(label=f["label"][:2]), "label has shape"),
    "nan": (lambda f: f["force"].__setitem__((1, 0, 2, 3, 1, 0), np.nan), r"force holds 1 values.*\(1, 0, 2, 3, 1, 0\)"),
    "unknown": (lambda f: f["label"].__setitem__(0, 54), r"label holds 54, expected 53 \(helmet\)"),
    "absent": (lambda f: f["label"].__setitem__(slice(None), 53), r"no 55 box and no 113 plane"),
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


def test_half_a_recording_is_refused():
    assert plan.sweep_files({"train": None, "test": None}, "sweeps") == {"train": "sweeps/train.h5", "test": "sweeps/test.h5"}
    assert plan.sweep_files({"train": "a.h5", "test": "b.h5"}, "sweeps") == {"train": "a.h5", "test": "b.h5"}
    with pytest.raises(ValueError, match=r"recording\.train is a\.h5 but barrel\.recording\.test is empty"):
        plan.sweep_files({"train": "a.h5", "test": None}, "sweeps")


def test_a_file_that_is_not_hdf5_is_refused(tmp_path):
    (tmp_path / "user.h5").write_text("force, torque")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        recording.read(tmp_path / "user.h5", "key")


def test_normalisation_over_sweeps_needs_sweeps(h5, tmp_path, capsys):
    path, out = str(h5()), tmp_path / "inputs.npz"
    assert main(["barrel.data", *f"--train {path} --test {path} --form real --normalise reference --out {out}".split()]) == 2
    assert "1 sweep per sample; set barrel.real.encoding.normalise to zscore" in capsys.readouterr().err
    path = str(h5(n_sweeps=12))
    assert main(["barrel.data", *f"--train {path} --test {path} --form real --normalise reference --out {out}".split()]) == 0
    assert files.read_arrays(out)["values"].shape == (6, params.FRAMES, params.REAL_CHANNELS)


def test_an_old_pickled_network_is_refused(tmp_path, capsys):
    class Old:
        pass

    globals()["Old"] = Old
    Old.__qualname__ = "Old"
    path = tmp_path / "old.pth"
    torch.save(Old(), path)
    arguments = f"--fit {path} --inputs {path} --out {tmp_path}/o.npz --coding {{}}".split()
    assert main(["barrel.simulate", *arguments]) == 2
    assert "not a checkpoint of respike" in capsys.readouterr().err
    path.write_bytes(pickle.dumps([1]))
    assert main(["barrel.simulate", *arguments]) == 2
    capsys.readouterr()
    files.write_checkpoint(path, {"weights": 1})
    assert main(["barrel.simulate", *arguments]) == 2
    assert (
        "old.pth is not a network of barrel.fit: it lacks initial, trained, form, seed, replicate, dataset"
        in capsys.readouterr().err
    )


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


# anatomy


def test_expected_synapses_of_the_column():
    column = anatomy.load()
    expected = column.probability * np.outer(column.sizes, column.sizes)
    assert column.sizes[1:].sum() == 4218
    excitatory = np.where(column.excitatory)[0]
    assert expected[:, 0].sum() == pytest.approx(26610, abs=1)
    assert expected[:, excitatory[1:]].sum() == pytest.approx(1024322, abs=3)
    assert expected[:, ~column.excitatory].sum() == pytest.approx(219146, abs=3)
    assert (column.probability > 0).sum() == 33 + 80 + 11


def test_sampled_synapses_at_full_size():
    column, synapses = anatomy.column(1, "anatomical", 0)
    assert len(synapses.sender) == pytest.approx(1.27e6, rel=3e-3)
    n, population = len(column.sizes), column.population
    counts = np.bincount(population[synapses.receiver] * n + population[synapses.sender], minlength=n * n).reshape(n, n)
    pairs, p = np.outer(column.sizes, column.sizes), column.probability
    assert (np.abs(counts - pairs * p) <= 5 * np.sqrt(pairs * p * (1 - p))).all()
    assert len(np.unique(synapses.receiver * column.n_cells + synapses.sender)) == len(synapses.sender)


def test_other_wirings():
    column = anatomy.load()
    rng = np.random.default_rng(0)
    pairs = np.outer(column.sizes, column.sizes)[1:]
    fixed = anatomy.rewired(column, "fixed", rng).probability[1:]
    assert (fixed * pairs).sum() == pytest.approx((column.probability[1:] * pairs).sum())
    assert np.unique(fixed).size == 1
    mixed = anatomy.rewired(column, "random", rng).probability[1:]
    assert sorted(mixed[:, 1:].ravel()) == sorted(column.probability[1:, 1:].ravel())
    assert (anatomy.rewired(column, "full", rng).probability[1:] == 1).all()
    with pytest.raises(ValueError, match="expected one of anatomical, random, full, fixed"):
        anatomy.rewired(column, "dense", rng)


@pytest.mark.parametrize(("value", "shown"), [("1.5", "1.5"), ("-0.1", "-0.1"), ("nan", "nan")])
def test_an_impossible_probability_is_refused(tmp_path, value, shown):
    path = tmp_path / "anatomy.csv"
    path.write_text(anatomy.TABLE.read_text().replace("0.079437", value))
    with pytest.raises(ValueError, match=f"Thalamus -> Pyr_SP is {shown}, expected a number from 0 to 1"):
        anatomy.load(path)


# the network


def loss_and_gradients(built, x, state, how, monkeypatch):
    built.zero_grad()
    with monkeypatch.context() as patch:
        if how.startswith("plain"):
            patch.setattr(kernel, "advance", model.advance_plain)
        output = built(x, state, 5 if how.endswith("checkpointed") else 0)
    value = (output.votes * torch.arange(3)).sum()
    value.backward()
    return output, {name: parameter.grad.clone() for name, parameter in built.named_parameters()}


@pytest.mark.parametrize("form", model.FORMS)
@pytest.mark.parametrize("how", ["compiled", "compiled, checkpointed", "plain, checkpointed"])
def test_compiled_and_plain_steps_agree(rng, monkeypatch, form, how):
    built = network(form)
    with torch.no_grad():
        built.tau_membrane.uniform_(3, 20, generator=torch.Generator().manual_seed(0))
        built.tau_adaptation.uniform_(2, 9, generator=torch.Generator().manual_seed(1))
    some = samples(rng, 5, form)
    x, state = torch.from_numpy(some.inputs(0))[:, :18], model.initial_state(0, [3, 1, 4, 15, 9], built.n_cells, 0.04)
    output, gradients = loss_and_gradients(built, x, state, how, monkeypatch)
    wanted, by_autograd = loss_and_gradients(built, x, state, "plain", monkeypatch)
    assert torch.equal(output.spikes, wanted.spikes)
    assert 0.01 < output.spikes.float().mean() < 0.9
    torch.testing.assert_close(output.votes, wanted.votes, atol=1e-5, rtol=1e-5)
    for name, gradient in gradients.items():
        assert (gradient - by_autograd[name]).abs().max() <= 1e-4 * by_autograd[name].abs().max(), name


@pytest.mark.parametrize("form", model.FORMS)
def test_adam_magnifies_the_rounding_of_gradients_near_zero_and_nothing_else(rng, monkeypatch, form):
    """Two ways to the same gradients, one first update by each: the weights differ by what Adam makes of the rounding."""
    built, some = network(form), samples(rng, 4, form)
    x, state = torch.from_numpy(some.inputs(0)), model.initial_state(0, [0, 1, 2, 3], built.n_cells, 0.04)
    before, rate = built.weight.detach().clone(), 0.008
    gradients, updates = [], []
    for how in ("compiled", "plain"):
        _, found = loss_and_gradients(built, x, state, how, monkeypatch)
        training.Adam([built.weight], rate).step()
        gradients.append(found["weight"].double())
        updates.append((built.weight.detach() - before).double())
        with torch.no_grad():
            built.weight.copy_(before)
    for gradient, update in zip(gradients, updates, strict=True):
        torch.testing.assert_close(update, -rate * gradient / (gradient.abs() + 1e-8), atol=2e-7, rtol=0)
    rounding, difference = (gradients[0] - gradients[1]).abs(), (updates[0] - updates[1]).abs()
    assert rounding.max() <= 1e-6 * gradients[0].abs().max()
    assert difference[gradients[0].abs() > 1e4 * rounding.max()].max() < 1e-6
    assert difference.max() <= 2e-7 + rate / 1e-8 * rounding.max()


def test_update_order_of_the_populations():
    """A cell sees the new spikes of earlier populations and the old ones of its own and later populations."""
    column = anatomy.load()
    column = replace(column, sizes=np.concatenate([[200], np.ones(13, dtype=int)]))
    first, second, later = 200, 201, 204  # Pyr_SP, Pyr_SS, Pyr: all excitatory
    synapses = anatomy.ordered(np.array([second, first]), np.array([first, later]))
    built = model.BarrelNetwork(column, synapses, "spiking", params.Network(baseline=0.0), 0)
    with torch.no_grad():
        built.weight.fill_(1)
        built.tau_membrane.fill_(1e-3)  # alpha 0: v is the current
        built.tau_adaptation.fill_(1e6)  # no adaptation
    state = model.State(*(torch.zeros(213, 1) for _ in range(3)))
    state.s[later] = 1
    with torch.no_grad():
        fired = built(torch.zeros(1, 2, 186), state).spikes[:, :, 0]
    assert fired[0, first] == 1, "sees the old spike of a later population"
    assert fired[0, second] == 1, "sees the new spike of an earlier population"
    assert fired[0, later] == 0, "gets no input"
    assert fired[1, first] == 0, "the later population was silent in the step before"


@pytest.mark.parametrize("how", ["compiled", "compiled, checkpointed", "plain"])
def test_the_first_step_has_no_vote(rng, monkeypatch, how):
    """Votes are the probabilities of steps 1 to the last, by hand from the logits of all steps."""
    some, built = samples(rng, 2), network()
    x = torch.from_numpy(some.inputs(0))[:, :12]
    output, _ = loss_and_gradients(built, x, model.initial_state(0, [0, 1], built.n_cells, 0.04), how, monkeypatch)
    logits = output.logits.detach().double().numpy()
    share = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    assert logits.shape == (2, 12, 3)
    assert np.abs(share[:, 0] - 1 / 3).max() > 0.01, "a vote of the first step would be seen"
    np.testing.assert_allclose(output.votes.detach(), share[:, 1:].sum(1), rtol=1e-5)
    np.testing.assert_allclose(output.votes.detach().sum(1), 11, rtol=1e-5)


def test_the_state_of_a_trial_does_not_depend_on_its_batch():
    together = model.initial_state(0, [5, 8, 2], 7, 0.1)
    alone = model.initial_state(0, [8], 7, 0.1)
    assert torch.equal(together.v[:, 1], alone.v[:, 0])
    assert torch.equal(together.s[:, 1], alone.s[:, 0])
    assert (together.b == 0.1).all()


def test_accuracy_does_not_depend_on_the_batch(rng):
    built, some = network(), samples(rng)
    votes = [torch.cat([out.votes for out in learning.play(built, some, 0, batch)]) for batch in (9, 4, 1)]
    torch.testing.assert_close(votes[0], votes[1])
    torch.testing.assert_close(votes[0], votes[2])


def test_untrained_cells_fire_92_spikes_under_constant_current():
    taus = torch.full((4,), params.TAU_MEMBRANE), torch.full((4,), params.TAU_ADAPTATION)
    assert responses.driven_rate(*taus) == pytest.approx(92 / 550)


def test_spike_is_strict_and_its_derivative_half_a_gaussian():
    x = torch.tensor([-1.0, 0.0, 0.5], requires_grad=True)
    spikes = spike(x, cells.surrogate)
    assert spikes.tolist() == [0, 0, 1]
    spikes.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 0.5 * stats.norm.pdf([-1, 0, 0.5], scale=0.5), rtol=1e-6)


def test_no_adaptation_when_switched_off(rng):
    some = samples(rng, 3)
    x = torch.from_numpy(some.inputs(0))
    rates = []
    for adaptation in (0.0, 1.8):
        built = network(settings=replace(SMALL, adaptation=adaptation))
        with torch.no_grad():
            rates.append(built(x, model.initial_state(0, [0, 1, 2], built.n_cells, 0.04)).spikes.float().mean())
    assert rates[0] > rates[1]


# training

QUICK = params.Fit(CODING, SMALL, params.Training(epochs=10, batch=5, validation_share=0.34, learning_rate=0.02))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short training on 12 samples: trainer, course, samples."""
    some = samples(np.random.default_rng(1), 12)
    is_test = np.arange(12) >= 9
    out = tmp_path_factory.mktemp("fit") / "net.pt"
    trainer, course = learning.fit(out, some, is_test, QUICK, 0, "cpu")
    training.forget(out)
    return trainer, course, some


def test_dale_and_time_constants_after_training(trained):
    trainer, course, _ = trained
    built = trainer.network
    assert len(course) * 2 == 20  # updates
    assert ((built.weight >= 0) & (built.weight <= 1)).all()
    assert (built.tau_membrane >= 0.5).all()
    assert (built.tau_adaptation >= 0.5).all()
    matrix = built.dense_weights(built.weight * built.sign).detach().numpy()
    column = replace(anatomy.load(), sizes=np.diff(built.bounds.numpy()))
    assert (matrix[:, ~column.excitatory[column.population]] <= 0).all()
    assert (matrix[:, column.excitatory[column.population]] >= 0).all()
    assert np.count_nonzero(matrix) <= len(built.weight), "masked-out entries stay exactly 0"


def test_training_learns_and_picks_its_epoch_by_validation(trained):
    """Classes that differ in their channels are told apart, also in samples that the training has not seen."""
    trainer, course, some = trained
    assert course["train"].iloc[0] < 0.7
    assert course["train"].iloc[-1] == 1
    assert course["test"].iloc[-1] == 1
    assert (course["loss"] > np.log(np.e + 2) - 1).all()
    assert trainer.best.score == course["validation"].max()
    assert trainer.best.step == course["validation"].idxmax()
    at_best = course.iloc[trainer.best.step]
    best = kept(trainer)._replace(trained=trainer.best.weights).network("trained")
    assert learning.accuracy(best, some.part(np.arange(12) >= 9), 0) == at_best["test"]


def test_training_validation_and_test_share_no_sample(trained):
    trainer, course, some = trained
    parts = [set(part.number.tolist()) for part in (trainer.train, trainer.validation, trainer.test)]
    assert sum(map(len, parts)) == len(some)
    assert set.union(*parts) == set(some.number.tolist())
    assert parts[2] == {9, 10, 11}
    assert (course["n_train"] == len(parts[0])).all()
    assert (course["n_test"] == 3).all()


def test_weights_do_not_depend_on_the_test_samples(tmp_path, trained):
    """Other values and labels of the test samples change no weight: nothing is learnt or chosen from them."""
    trainer, course, some = trained
    is_test = np.arange(12) >= 9
    values, label = some.values.copy(), some.label.copy()
    values[is_test], label[is_test] = values[is_test][:, ::-1, ::-1] ** 3, (label[is_test] + 1) % 3
    other, of_other = learning.fit(tmp_path / "net.pt", replace(some, values=values, label=label), is_test, QUICK, 0, "cpu")
    assert not of_other["test"].equals(course["test"])
    for name, value in trainer.best.weights.items():
        assert torch.equal(other.best.weights[name], value), name


def test_every_epoch_has_each_training_sample_once_in_an_order_of_its_own(monkeypatch, trained):
    trainer, _, some = trained
    again = learning.Trainer(network(), QUICK.training, 0, some, some.part([]), some)
    seen = []
    monkeypatch.setattr(again.schedule, "step", lambda: None)
    monkeypatch.setattr(again, "_update", lambda x, part: (seen.append((x, part)), (1.0, 0))[1])
    for number in range(3):
        again.epoch(number)
    orders = [np.concatenate([part.number for _, part in seen[k : k + 3]]).tolist() for k in (0, 3, 6)]
    assert [len(part) for _, part in seen[:3]] == [4, 4, 4]
    for order in orders:
        assert sorted(order) == list(range(12))
    assert orders[0] != orders[1] != orders[2] != orders[0]
    for x, part in seen:
        assert np.array_equal(x, part.inputs(0)), "the input of a sample goes with its label"


@pytest.mark.parametrize("redraw", [False, True])
def test_input_spikes_are_drawn_anew_in_each_epoch_only_if_asked_for(monkeypatch, rng, redraw):
    some = samples(rng, 3)
    trainer = learning.Trainer(network(), params.Training(redraw=redraw), 0, some, some.part([]), some)
    drawn = []
    monkeypatch.setattr(trainer.schedule, "step", lambda: None)
    monkeypatch.setattr(trainer, "_update", lambda x, part: (drawn.append(x[np.argsort(part.number)]), (1.0, 0))[1])
    for number in range(2):
        trainer.epoch(number)
    assert torch.equal(*drawn) is not redraw


def test_weights_and_time_constants_are_brought_back_into_their_range_after_each_update(rng):
    some = samples(rng, 6)
    trainer = learning.Trainer(network(), params.Training(learning_rate=0.3), 0, some, some.part([]), some)
    built = trainer.network
    with torch.no_grad():
        built.tau_membrane.fill_(0.6)
        built.tau_adaptation.fill_(0.6)
    trainer.epoch(0)
    for values, low in ((built.weight, 0), (built.tau_membrane, 0.5), (built.tau_adaptation, 0.5)):
        assert values.min() == low, "the update went below"
    assert built.weight.max() == 1


def test_time_constants_learn_faster_and_all_rates_fall_together(trained):
    trainer, _, some = trained
    settings = params.Training(learning_rate=0.01, decay_every=2, decay=0.5)
    again = learning.Trainer(network(), settings, 0, some, some.part([]), some)
    groups = again.optimiser.param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.01, 0.05, 0.02])
    assert groups[1]["params"] == [again.network.tau_adaptation]
    assert groups[2]["params"] == [again.network.tau_membrane]
    assert sum(len(group["params"]) for group in groups) == len(list(again.network.parameters()))
    again.optimiser.step()
    for _ in range(2):
        again.schedule.step()
    assert [group["lr"] for group in groups] == pytest.approx([0.005, 0.025, 0.01])


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, monkeypatch, trained):
    trainer, course, some = trained
    is_test, out = np.arange(12) >= 9, tmp_path / "net.pt"
    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learning.fit(out, some, is_test, QUICK, 0, "cpu")
    monkeypatch.undo()
    again, resumed = learning.fit(out, some, is_test, QUICK, 0, "cpu")
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value), name
    assert resumed.equals(course)
    for name, found in (("one", trainer), ("other", again)):
        fitted.write(tmp_path / name, kept(found)._replace(trained=found.best.weights))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def cut_off(monkeypatch, at=4):
    """Make every training stop before epoch `at` with its state saved; ends with `monkeypatch.undo()`."""
    epoch = learning.Trainer.epoch

    def stop(self, number):
        if number == at:
            raise KeyboardInterrupt
        return epoch(self, number)

    monkeypatch.setattr(training, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(learning.Trainer, "epoch", stop)


def test_replicates_of_two_runs_share_no_random_number(tmp_path):
    """Replicate 1 of the run with seed 0 and replicate 0 of that with seed 1, which once were the same network."""
    some, networks = samples(np.random.default_rng(1), 12), {}
    is_test = np.arange(12) >= 9
    files.write_arrays(tmp_path / "i.npz", values=some.values, label=some.label, is_test=is_test, dataset=np.array("test"))
    for root, replicate in ((0, 0), (0, 1), (1, 0), (1, 1)):
        settings = params.Fit(CODING, SMALL, params.Training(epochs=1))
        history, out = tmp_path / f"{root}_{replicate}.parquet", tmp_path / f"{root}_{replicate}.pt"
        variant = params.Variant("spiking", replicate=replicate)
        fit.run(
            inputs=tmp_path / "i.npz", variant=variant, settings=settings, seed=root, device="cpu", history=history, fit=out
        )
        networks[root, replicate] = fitted.read(out)
        assert networks[root, replicate].replicate == replicate
        assert (files.read_table(history)["replicate"] == replicate).all()
    assert len({one.seed for one in networks.values()}) == 4
    weights = [one.initial["hidden.weight"] for one in networks.values()]
    assert not any(torch.equal(weights[a], weights[b]) for a in range(4) for b in range(a))


def test_a_saved_training_is_not_continued_on_other_sweeps(tmp_path, monkeypatch, capsys):
    """A kill, then other sweeps (barrel.sweeps.* or a file of the user): the training must start anew."""
    coding = {"encoding": {"frame_stride": 22, "repeats": 1}, "network": {"divide_by": 60}, "training": {"epochs": 5}}
    options = {"variant": {"form": "spiking"}, "settings": coding, "seed": 0, "device": "cpu"}

    def train(scale, name):
        some, is_test = samples(np.random.default_rng(1), 12), np.arange(12) >= 9
        inputs, history = tmp_path / "inputs.npz", tmp_path / name / "course.parquet"
        files.write_arrays(inputs, values=scale * some.values, label=some.label, is_test=is_test, dataset=np.array("test"))
        words = shlex.split(command_line({"inputs": inputs, "history": history, **options}))
        assert main(["barrel.fit", *words]) == 0
        return files.read_table(history)

    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(1.0, "killed")
    monkeypatch.undo()
    wanted = train(0.5, "undisturbed")
    assert train(0.5, "killed").equals(wanted)
    assert "unfinished training discarded" in capsys.readouterr().out


def test_a_saved_training_is_not_continued_with_other_test_samples(tmp_path, monkeypatch, capsys):
    """As when barrel.crossval.folds changes: fold 0 keeps its name, but not its samples."""
    some = samples(np.random.default_rng(1), 12)
    cut_off(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learning.fit(tmp_path / "net.pt", some, np.arange(12) >= 9, QUICK, 0, "cpu")
    monkeypatch.undo()
    _, wanted = learning.fit(tmp_path / "undisturbed.pt", some, np.arange(12) < 3, QUICK, 0, "cpu")
    _, course = learning.fit(tmp_path / "net.pt", some, np.arange(12) < 3, QUICK, 0, "cpu")
    assert course.equals(wanted)
    assert "unfinished training discarded" in capsys.readouterr().out


def kept(trainer) -> fitted.Fitted:
    weights = training.weights_of(trainer.network)
    return fitted.Fitted(weights, weights, "spiking", 0, 0, "test")


def test_a_checkpoint_gives_the_same_network(tmp_path, trained):
    trainer, _, some = trained
    fitted.write(tmp_path / "net.pt", kept(trainer))
    again = fitted.read(tmp_path / "net.pt").network("trained")
    before, after = (learning.play(built, some, 0)[0] for built in (trainer.network, again))
    assert torch.equal(before.votes, after.votes)
    for name in ("tau_membrane", "baseline", "sender", "start"):
        assert torch.equal(getattr(again, name), getattr(trainer.network, name))


def test_shuffled_senders_keep_projections(trained):
    trainer, _, _ = trained
    built = kept(trainer).network("trained")
    responses.shuffle(built, np.random.default_rng(0))
    assert not torch.equal(built.sender, trainer.network.sender)
    bounds = built.bounds.numpy()

    def by_projection(net):
        to, origin = (np.searchsorted(bounds, part.numpy(), side="right") for part in (net.receiver, net.sender))
        return {
            (a, b): sorted(net.weight.detach().numpy()[(to == a) & (origin == b)])
            for a, b in set(zip(to, origin, strict=True))
        }

    assert by_projection(built) == by_projection(trainer.network)


def test_losses():
    votes = torch.tensor([[9.0, 0, 0], [0, 9.0, 0]])
    output = model.Output(votes, torch.zeros(2, 10, 3), torch.zeros(0))
    label = torch.tensor([0, 1])
    perfect = learning.loss(model.Output(votes * 10 / 9, output.logits, output.spikes), label, "reference")
    assert perfect.item() == pytest.approx(np.log(np.e + 2) - 1)
    assert learning.loss(output, label, "logits").item() == pytest.approx(np.log(3))
    output.logits[:, 0] = torch.tensor([50.0, -50.0, 0.0])  # the first step has no vote here, either
    output.logits[:, 1:, 0] = float(np.log(2))
    wanted = -np.log([2 / 4, 1 / 4]).mean()
    assert learning.loss(output, label, "logits").item() == pytest.approx(wanted)
    with pytest.raises(ValueError, match=r"barrel\.training\.loss is 'mse', expected one of reference, logits"):
        learning.loss(output, label, "mse")


def test_folds_are_stratified_and_cover_everything_once():
    label = np.arange(30) % 3
    repeats = []
    for repeat in range(2):
        tests = np.stack([in_fold(label, params.Fold(repeat, number, 5), 0) for number in range(5)])
        assert (tests.sum(0) == 1).all()
        assert (np.stack([np.bincount(label[test]) for test in tests]) == 2).all()
        repeats.append(tests)
    assert not np.array_equal(*repeats)
    with pytest.raises(ValueError, match=r"barrel\.crossval\.folds is 20, expected 2 to 10"):
        in_fold(label, params.Fold(0, 0, 20), 0)


def test_held_out_samples_keep_the_share_of_each_class():
    label = np.arange(60) % 3
    chosen = held_out(label, 0.2, np.random.default_rng(0))
    assert np.bincount(label[chosen]).tolist() == [4, 4, 4]
    assert held_out(label, 0.001, np.random.default_rng(0)).sum() == 3, "at least one of each"
    assert not held_out(label, 0.0, np.random.default_rng(0)).any()


def test_irregularity_is_the_closed_form_of_the_mean_rate_of_each_train(rng):
    some, built = samples(rng, 3), network()
    cv, rate = responses.irregularity(built, some, 0)
    trains = learning.play(built, some, 0)[0].spikes[:, built.n_thalamic :].numpy()
    r = trains.mean(0)  # cell, trial
    assert rate == pytest.approx(trains.mean())
    assert cv == pytest.approx(np.where(r > 0, np.sqrt((1 - r) / np.where(r > 0, r, 1)), 0).mean())


def test_points_of_the_scan_are_evenly_spaced_in_rank():
    table = pd.DataFrame({"cv": [3.0, 1.0, 2.0, 5.0, 4.0]})
    assert analysis.spread(table, 3)["cv"].tolist() == [1, 3, 5]
    assert analysis.spread(table, 9)["cv"].tolist() == [1, 2, 3, 4, 5]


# what a network does


def test_description_of_a_network_by_counting(rng):
    some = samples(rng, 40)
    built = network()
    found = responses.describe(built, some, 0)
    trains = np.concatenate(
        [learning.play(built, some.part([k]), 0)[0].spikes[:, built.n_thalamic :, 0].numpy()[None] for k in range(40)]
    )  # sample, step, cell: one at a time
    assert np.array_equal(found["counts"], trains.sum(1))
    for kind in range(3):
        assert np.array_equal(found["sums"][kind], trains[some.label == kind].sum(0))
    assert np.array_equal(found["raster"], trains[39].T), "of 14 helmets the last, number 39"
    assert np.array_equal(found["spikes"], trains[np.linspace(0, 39, 24).astype(int)] > 0)
    np.testing.assert_allclose(found["cv"], [analysis.cv(train.T).mean() for train in trains])
    votes = torch.cat([learning.play(built, some.part([k]), 0)[0].votes for k in range(40)])
    assert np.array_equal(found["correct"], votes.argmax(1).numpy() == some.label)


def test_parts_of_a_network():
    built = network()
    with torch.no_grad():
        built.tau_membrane += torch.arange(built.n_cells) / 100
    found = responses.parts(built)
    cortical = (built.sender >= built.n_thalamic).numpy()
    weight = built.weight.detach().double().numpy() * cortical
    for name, end in (("in_degree", built.receiver), ("out_degree", built.sender)):
        degree = np.bincount(end.numpy(), weight, built.n_cells)[built.n_thalamic :]
        np.testing.assert_allclose(found[name], degree, rtol=1e-5)
    assert np.array_equal(found["tau_membrane"], built.tau_membrane.detach().numpy()[built.n_thalamic :])
    low, high = built.bounds[4:6].tolist()  # the fourth cortical population
    mean = np.mean(
        [responses.driven_rate(built.tau_membrane[k : k + 1], built.tau_adaptation[k : k + 1]) for k in range(low, high)]
    )
    assert found["driven_rate"][3] == pytest.approx(mean)


def test_the_published_count_of_a_driven_neuron_is_one_step_short():
    """Spikes in 549 steps over 550: the last step's spike is missing for a cell that fires in it."""
    fast = torch.tensor([0.01]), torch.tensor([0.01])  # without memory: a spike in each step that follows none
    v, b, s, count = 0.0, 0.04, 0.0, []
    alpha = rho = np.exp(-1 / 0.01)
    for _ in range(550):
        b = rho * b + (1 - rho) * s
        threshold = 0.04 + 1.8 * b
        v = alpha * v + (1 - alpha) * 1 - threshold * s
        s = float(v > threshold)
        count.append(s)
    assert responses.driven_rate(*fast) == pytest.approx(sum(count) / 550)
    assert responses.driven_rate(*fast, steps=549) == pytest.approx(sum(count[:549]) / 550)
    assert responses.driven_rate(*fast, steps=1) == pytest.approx(1 / 550)


def test_no_classifier_sees_the_labels_of_the_test_samples(rng):
    """A prediction that knows nothing of the test labels is right under exactly one of the three rotations of them."""
    features, label, test = rng.standard_normal((48, 11, 20)), np.arange(48) % 3, np.arange(48) >= 30
    rotated = [dict(classifiers.accuracies(features, np.where(test, (label + k) % 3, label), test, 0)) for k in range(3)]
    assert list(rotated[0]) == ["logistic regression", "random forest", "GRU", "LSTM", "conv net"]
    for name in rotated[0]:
        assert sum(found[name] for found in rotated) == pytest.approx(1), name


def test_classifiers_learn(rng):
    some, test = samples(rng, 24), np.arange(24) >= 15
    assert min(dict(classifiers.accuracies(classifiers.binned(some.values), some.label, test, 0)).values()) == 1


def test_bins_of_the_classifiers_hold_the_mean_of_ten_frames(rng):
    values = rng.random((2, params.FRAMES, 5)).astype(np.float32)
    found = classifiers.binned(values)
    np.testing.assert_allclose(found[1, 3], values[1, 30:40].mean(0), rtol=1e-6)
    assert found.shape == (2, 11, 5)


def test_spikes_for_the_reports_are_those_of_both_conditions(tmp_path, rng):
    rasters = {f"{name}_spikes": rng.random((2, 30, 4)) < 0.2 for name in ("initial", "trained")}
    files.write_arrays(tmp_path / "responses.npz", dataset=np.array("sweeps"), **rasters)
    spikes.run(responses=tmp_path / "responses.npz", out=tmp_path / "spikes.npz")
    found = core_spikes.read_networks(tmp_path / "spikes.npz")
    assert [(one.study, one.name, one.dataset, one.recorded, one.step) for one in found] == [
        ("barrel", "initial", "sweeps", False, 0.001),
        ("barrel", "trained", "sweeps", False, 0.001),
    ]
    for one, raster in zip(found, rasters.values(), strict=True):
        assert np.array_equal(core_spikes.bin_counts(one.spikes, 0.001), raster)


# analysis


def test_cv_is_that_of_the_zero_one_series(rng):
    spikes = rng.random((6, 200)) < np.array([0, 0.1, 0.3, 0.5, 0.9, 1])[:, None]
    found = analysis.cv(spikes)
    for k in range(1, 6):
        assert found[k] == pytest.approx(spikes[k].std() / spikes[k].mean())
    assert found[0] == 0


def test_anova_finds_what_differs_and_nothing_else(rng):
    counts = rng.poisson(20, (60, 40))
    label = np.arange(60) % 3
    counts[label == 2, :10] += 15
    found = analysis.selectivity_by_trials(counts, label)
    assert found.selective[:10].all()
    assert found.selective[10:].mean() < 0.15
    assert (found.place[:10, 0] > 0).all(), "plane pulls to the right"
    groups = [counts[label == k, 0].astype(float) for k in range(3)]
    mean = np.mean([g.mean() for g in groups])
    f = sum(20 * (g.mean() - mean) ** 2 for g in groups) / 2 / (sum(((g - g.mean()) ** 2).sum() for g in groups) / 57)
    assert found.p[0] == pytest.approx(stats.f.sf(f, 2, 57))
    assert analysis.anova([np.ones((5, 1))] * 3)[0] == 1


def test_triangle_has_the_classes_at_its_corners():
    heavy = 1e12 * np.eye(3)
    np.testing.assert_allclose(analysis.triangle(heavy), [[-(3**0.5) / 2, -0.5], [0, 1], [3**0.5 / 2, -0.5]], atol=1e-6)
    np.testing.assert_allclose(analysis.triangle(np.zeros((3, 1))), 0, atol=1e-12)


def test_degrees_and_scaling():
    into, out = analysis.degrees(np.array([[0.0, 1.0], [2.0, 4.0]]))
    assert into.tolist() == [2, 5]
    assert out.tolist() == [1, 6]
    np.testing.assert_allclose(analysis.scaled(np.array([2.0, 4.0, 3.0])), [0.1, 1, 0.55])


def test_population_rate_counts_spikes_per_bin_and_hundred_cells():
    spikes = np.zeros((4, 25), dtype=np.uint8)
    spikes[1, 3] = spikes[2, 12] = spikes[3, 12] = spikes[0, 24] = 1
    assert analysis.binned_rate(spikes).tolist() == [25, 50]


def test_interval_of_the_mean():
    low, high = metrics.interval(np.array([0.6, 0.7, 0.8]))
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, 0.7, 0.1 / np.sqrt(3)))


def course(**columns) -> pd.DataFrame:
    """Course of a training of four epochs, as barrel.fit writes it."""
    values = {
        "test": [0.5, 0.7, 0.6, 0.4],
        "validation": [0.2, 0.3, 0.9, 0.9],
        "train": [0.1, 0.2, 0.3, 0.4],
        "loss": [4.0, 3, 2, 1],
    }
    about = {"n_train": 96, "n_test": 30, "replicate": 0, "form": "spiking", "dataset": "test"}
    return pd.DataFrame({"step": range(4), **values}).assign(**{**about, **columns})


def test_measures_of_a_training_by_hand_rest_on_its_samples_not_on_its_epochs():
    found = {row.metric: (row.value, row.n) for row in metrics.training(course())}
    assert found == {
        "test accuracy, best epoch": (0.7, 30),
        "test accuracy, epoch by validation": (0.6, 30),
        "test accuracy, last epoch": (0.4, 30),
        "training accuracy, last epochs": (pytest.approx(0.25), 96),
        "loss, last epoch": (1.0, 96),
    }


def test_measures_of_the_scan_rest_on_the_test_samples():
    points = [{"cv": 1.0, "initial_weight": 0.3, "baseline": 0.1}, {"cv": 3.0, "initial_weight": 0.6, "baseline": 0.1}]
    courses = [course(**point) for point in points]
    courses[1]["test"] += 0.1
    found = {(row.variant, row.metric): (row.value, row.n) for row in metrics.started(pd.concat(courses))}
    assert found == {
        ("init_w 0.3 init_b 0.1", "test accuracy, best epoch"): (0.7, 30),
        ("init_w 0.6 init_b 0.1", "test accuracy, best epoch"): (pytest.approx(0.8), 30),
        ("cv scan", "test accuracy from the start with lowest cv"): (0.7, 30),
        ("cv scan", "test accuracy from the start with highest cv"): (pytest.approx(0.8), 30),
    }


def test_gain_is_over_the_mean_of_the_conventional_networks():
    row = metrics.Measure("", 0, "test", "test accuracy", 0.0, "1", 30)
    others = {"spiking GRU": 0.5, "spiking LSTM": 0.6, "spiking conv net": 0.7, "spiking random forest": 0.1, "real GRU": 0.2}
    rows = [row._replace(variant=name, value=value) for name, value in others.items()]
    rows.append(row._replace(variant="spiking", metric="test accuracy, best epoch", value=0.9))
    (gain,) = metrics.gains(rows)
    assert gain.value == pytest.approx(0.3)


# plan and workflow rules


@pytest.fixture
def config():
    """The config of the quick run, checked and complete, as the workflow rules see it."""
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    return check(yaml.safe_load((ROOT / "config.yaml").read_text()), schema)["barrel"]


def test_trainings_of_the_quick_run(config):
    assert list(plan.fits(config)) == ["spiking_0", "spiking_1", "spiking_2", "real_0"]
    assert list(plan.folds(config)) == [f"fold_spiking_0_{number}" for number in range(3)]
    others = [f"wiring_{wiring}_{number}" for wiring in ("random", "full", "fixed") for number in range(2)]
    assert list(plan.wirings(config)) == ["spiking_0", "spiking_1", *others], "the anatomy as it is is not trained twice"
    assert plan.histories(config, "r")["wirings"][1:3] == ["r/fits/spiking_1.parquet", "r/courses/wiring_random_0.parquet"]
    assert list(plan.starts(config)) == ["start_0", "start_1", "start_2"]
    config["scan"] |= {"weights": [0.1, 0.2], "baselines": [0.1], "trained": 3}
    assert list(plan.starts(config)) == ["start_0", "start_1"], "no more than there are points"
    variants = [build(params.Variant, values) for values in plan.trainings(config).values()]
    assert len(set(variants)) == len(variants)
    config["ablation"]["networks"] = 4
    assert plan.trainings(config)["wiring_anatomical_3"] == {"form": "spiking", "wiring": "anatomical", "replicate": 3}


def test_settings_are_only_those_that_a_stage_reads(config):
    assert set(plan.training(config, "spiking")["encoding"]) == {"frame_stride", "repeats"}
    assert set(plan.training(config, "real")["encoding"]) == {"frame_stride"}
    assert "test_share" not in plan.simulation(config["sweeps"])
    assert not {"initial_weight", "baseline"} & set(plan.scan(config)["network"])
    assert set(plan.scan(config)) == {"coding", "network", "weights", "baselines", "samples"}
    for form in model.FORMS:
        build(params.Fit, plan.training(config, form))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sweeps": {"time_step": 0.03}}, r"barrel\.sweeps\.time_step is 0\.03"),
        ({"real": {"encoding": {"normalise": "reference"}}}, r"barrel\.sweeps\.sweeps is 1, expected 12"),
        ({"crossval": {"folds": 51}}, r"barrel\.crossval\.folds is 51, expected at most .* 50"),
    ],
)
def test_configs_without_a_result_are_refused_before_any_job(config, change, message):
    plan.check(config)
    for key, part in change.items():
        config[key] = {**config[key], **part}
    with pytest.raises(ValueError, match=message):
        plan.check(config)
    if "sweeps" not in change:
        plan.check({**config, "recording": {"train": "a.h5", "test": "b.h5"}})  # what files hold is seen when they are read


def test_meshes_are_inputs_of_the_simulation(tmp_path):
    path = obj(tmp_path / "box" / "cube.obj", CUBE, CUBE_FACES)
    assert plan.mesh_files(str(tmp_path)) == [str(path)]
    assert plan.mesh_files("") == []


def test_an_edit_changes_the_commands_that_read_it_and_no_others(tmp_path):
    """Commands of all jobs of a dry run, before and after edits of settings that used to reach too many of them."""

    def commands(text):
        (tmp_path / "edit.yaml").write_text(text)
        line = f"-n -p --forceall --cores 1 -s {ROOT}/Snakefile --directory {tmp_path}".split()
        files_ = ["--configfile", str(ROOT / "config.yaml"), str(tmp_path / "edit.yaml"), "--", "barrel"]
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *line, *files_], capture_output=True, text=True, check=True, cwd=ROOT
        )
        return set(re.findall(r"python -m respike (barrel\.\w+ .*) >", done.stdout + done.stderr))

    shutil.copy(ROOT / "config.yaml", tmp_path)
    before = commands("barrel: {sweeps: {sweeps: 12}}")
    after = commands(
        "barrel: {real: {encoding: {normalise: reference, repeats: 4}}, spiking: {encoding: {normalise: reference},"
        " training: {decay: 0.7}}, sweeps: {sweeps: 12, test_share: 0.3}}"
    )
    changed = {re.search(r"^barrel\.(\w+)", line)[1] for line in after - before}
    assert changed == {"data", "gather", "fit"}
    assert sum("barrel.data" in line for line in after - before) == 1, "only that of the real-valued form"
    assert not any('"form": "real"' in line for line in after - before if "barrel.fit" in line)


@pytest.mark.slow
def test_the_whole_column_trains(rng):
    """One update at full size, batch 8 and 110 steps: finite, and synapses and time constants move."""
    some = replace(samples(rng, 8), encoding=params.Encoding(frame_stride=5, repeats=5))
    built = network(settings=params.Network())
    before = training.weights_of(built)
    trainer = learning.Trainer(built, params.Training(batch=8, checkpoint_steps=55), 0, some, some.part([]), some)
    row = trainer.epoch(0)
    assert np.isfinite(row["loss"])
    after = built.state_dict()
    assert (after["weight"] != before["weight"]).float().mean() > 0.5
    assert (after["tau_membrane"] != before["tau_membrane"]).float().mean() > 0.5
