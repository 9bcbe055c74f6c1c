"""Files that users bring to barrel, fsbi and modes, in the spellings that people have."""

import gzip
import importlib.util

import h5py
import numpy as np
import pytest

from respike.barrel import recording as sweeps
from respike.formats import hdf5, matlab, nwb, pickles, spike_times
from respike.formats.choice import Choice
from respike.fsbi import mlp, released
from respike.fsbi.params import Wiring
from respike.modes import digits

KEY = "barrel.recording.train"


def sweep_file(path, label, rng, **how):
    shape = (3, 1, 110, 31, 3, 3)
    with h5py.File(path, "w") as file:
        for name in ("force", "torque"):
            file.create_dataset(name, data=rng.normal(size=shape).astype("f4"), **how)
        file["label"] = label
    return path


@pytest.mark.parametrize(
    "label",
    [
        np.array([53, 55, 113]),
        np.array([53.0, 55.0, 113.0], dtype="f4"),
        np.array([b"helmet", b"box", b"plane"]),
        np.array([b"53", b"55", b"113"]),
        np.array(["Helmet", " box ", "plane"], dtype=h5py.string_dtype()),
    ],
    ids=lambda label: f"{label.dtype}",
)
def test_labels_are_numbers_or_texts(tmp_path, rng, label):
    assert sweeps.read(sweep_file(tmp_path / "a.h5", label, rng), KEY).label.tolist() == [0, 1, 2]


def refused(call, *words):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        call()
    for word in words:
        assert word in str(error.value), str(error.value)


def test_labels_of_other_classes_are_listed(tmp_path, rng):
    path = sweep_file(tmp_path / "a.h5", np.array([b"helmet", b"boat", b"plane"]), rng)
    refused(lambda: sweeps.read(path, KEY), str(path), "'boat'", "53 (helmet), 55 (box), 113 (plane)", KEY)


def test_sweep_files_that_are_not_whole(tmp_path, rng):
    path = sweep_file(tmp_path / "a.h5", np.array([53, 55, 113]), rng)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(lambda: sweeps.read(path, KEY), str(path), "cut off", f"{len(whole):,}", KEY)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["force"]
        file["force"] = h5py.Empty("f4")
    refused(lambda: sweeps.read(path, KEY), "force holds nothing", KEY)


def test_a_file_that_another_program_writes(tmp_path, rng):
    path = sweep_file(tmp_path / "a.h5", np.array([53, 55, 113]), rng)
    with h5py.File(path, "r+", locking=True):
        refused(lambda: sweeps.read(path, KEY), str(path), "another program", "copy", KEY)


def test_a_compression_that_is_not_installed_names_the_package(tmp_path):
    if importlib.util.find_spec("hdf5plugin"):
        pytest.skip("hdf5plugin is installed, so its compressions can be read")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        space, plan = h5py.h5s.create_simple((8,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((8,))
        plan.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 32))  # optional: written as it is, but said to be blosc
        h5py.h5d.create(file.id, b"force", h5py.h5t.NATIVE_FLOAT, space, plan)
    with hdf5.opened(path) as file:
        refused(lambda: hdf5.read(path, file, "force"), "force is compressed with blosc", "hdf5plugin", "gzip")


READERS = {
    "a.h5": lambda path: sweeps.read(path, KEY),
    "a.npy": lambda path: released.read(path, "poly"),
    "a.npz": lambda path: spike_times.read(path, Choice(), "key"),
    "a.nwb": lambda path: nwb.read(path, Choice(), "key"),
    "a.mat": lambda path: matlab.variable(path, "M"),
    "b.mat": lambda path: matlab.read_cells(path, "data", "EVENTS", ("unit", "trial"), "times"),
    "a.pickle": lambda path: pickles.read(path, KEY),
    "a.idx": lambda path: digits.read_idx(path, 3),
}


@pytest.mark.parametrize("name", READERS)
def test_empty_files_and_folders_in_place_of_files_are_called_that(tmp_path, name):
    (tmp_path / name).touch()
    refused(lambda: READERS[name](tmp_path / name), f"{name} is empty (0 bytes)", "config", *([KEY] * (name == "a.pickle")))
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    refused(lambda: READERS[name](tmp_path / name), f"{name} is a folder, expected a file", "config")


def released_records(n=6):
    rules = np.zeros(n, released.dtype("poly"))
    rules["theta"] = np.arange(n)[:, None] / 10
    rules["seed"] = [f"{k:032x}" for k in range(n)]
    return rules


def test_released_rules_in_a_column_and_with_short_names(tmp_path):
    rules = released_records()
    np.save(tmp_path / "a.npy", rules[:, None])
    assert len(released.read(tmp_path / "a.npy", "poly")) == 6
    short = [(name, "<U32" if name == "seed" else rules.dtype[name]) for name in reversed(rules.dtype.names)]
    other = np.zeros(6, short)
    for name in rules.dtype.names:
        other[name] = rules[name]
    np.save(tmp_path / "b.npy", other)
    assert released.read(tmp_path / "b.npy", "poly").equals(released.read(tmp_path / "a.npy", "poly"))
    np.save(tmp_path / "c.npy", np.tile(rules, (2, 1)))
    refused(lambda: released.read(tmp_path / "c.npy", "poly"), "c.npy", "(2, 6)", "(n,)")


@pytest.mark.parametrize("places", [[], [0, 1, 2, 1]], ids=["none", "one twice"])
def test_released_rules_must_be_some_and_each_once(tmp_path, places):
    np.save(tmp_path / "a.npy", released_records()[places])
    refused(lambda: released.read(tmp_path / "a.npy", "poly"), "a.npy", f"{len(places)} rules of {len(set(places))} names")


def test_a_released_rule_that_is_no_number_is_named_by_row_and_field(tmp_path):
    rules = released_records()
    rules["theta"][4, 2] = np.nan
    np.save(tmp_path / "a.npy", rules)
    refused(lambda: released.read(tmp_path / "a.npy", "poly"), "a.npy", "row 4, theta[2]", "nan")


@pytest.mark.parametrize("form", ["{}", "[{}]", "# layers\n{}", "\ufeff{}", "({})"])
def test_hidden_layers_in_the_spellings_of_numpy_and_people(tmp_path, form, rng):
    numbers = rng.normal(size=500)
    path = tmp_path / "hidden.txt"
    path.write_text(form.format(", ".join(map(repr, numbers.tolist()))), encoding="utf-8")
    np.testing.assert_array_equal(mlp.fixed_layers(Wiring(), path), numbers)


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("folder", [".", "raw", "MNIST/raw"])
def test_digits_under_the_names_that_people_have(tmp_path, rng, dotted, end, folder):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    images, others = rng.integers(0, 256, (2, 4, 28, 28), dtype=np.uint8)
    for name in digits.FILES:
        path = tmp_path / folder / (name.replace("-idx", ".idx") if dotted else name)
        digits.write_idx(path, (images if "train" in name else others) if "images" in name else np.arange(4))
        if end:
            path.with_name(path.name + end).write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    np.testing.assert_array_equal(digits.read(tmp_path).train_images, images.reshape(4, -1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"train-images": lambda images: images // 255}, ("train-images", "pixels from 0 to 1,", "bytes from 0 to 255")),
        ({"t10k-images": lambda images: 0 * images}, ("t10k-images", "pixels from 0 to 0,")),
        ({"train-images": lambda images: 255 - images // 8}, ("train-images", "pixels from 224", "background of 0")),
        ({"train-labels": lambda labels: 0 * labels + 7}, ("train-labels", "all 6 labels are 7")),
        ({}, ("t10k-images", "4 of 4 images stand in train-images", "modes.digits_dir")),
    ],
    ids=["zeros and ones", "black", "inverted", "one digit", "tested on what it learned"],
)
def test_digits_that_cannot_be_learned_from_are_refused(tmp_path, rng, change, told):
    images = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for name in digits.FILES:
        part = images if "images" in name else np.arange(6)
        part = part if "train" in name else part[:4]
        for start, done in change.items():
            part = done(part) if name.startswith(start) else part
        digits.write_idx(tmp_path / name, part)
    refused(lambda: digits.read(tmp_path), *told)


def test_digits_with_the_numbers_of_labels_of_mnist_are_not_called_mnist(tmp_path, rng):
    images = rng.integers(0, 256, (60000, 1), dtype=np.uint8)
    counts = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    mine = digits.Digits(images, np.repeat(np.arange(10), counts), images[:5], np.arange(5))
    assert mine.name(tmp_path) == f"digits in {tmp_path.name}"
