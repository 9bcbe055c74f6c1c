"""Files appear whole or not at all, and a changed byte is found when they are read."""

import errno
import hashlib
import os

import numpy as np
import pandas as pd
import pytest
import torch

from respike.core import files
from respike.core.spikes import Spikes, read, write


def test_table_round_trip(tmp_path):
    table = pd.DataFrame({"name": ["a", "b"], "value": [0.5, np.nan]})
    files.write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(files.read_table(tmp_path / "t.parquet"), table)


def test_arrays_and_spikes_round_trip(tmp_path):
    spikes = Spikes(np.array([0.2, 0.1]), np.array([1, 0]), 3, 1.0, np.array([0, 1]), 2)
    write(tmp_path / "s.npz", spikes)
    again = read(tmp_path / "s.npz")
    np.testing.assert_array_equal(again.times, spikes.times)
    assert (again.n_cells, again.n_trials, again.duration) == (3, 2, 1.0)


def test_a_failed_writer_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def fail():
        with files.whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        fail()
    assert files.checked(path).read_text() == "old"
    assert sorted(item.name for item in tmp_path.iterdir()) == [".made", "a.txt"]


def test_a_full_disk_is_told_and_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    files.write_arrays(path, x=np.arange(3))
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"a\.npz was not written.*No space left.*free space"):
        files.write_arrays(path, x=np.arange(4))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("error", [OSError("Can't write data (file write failed)"), PermissionError(13, "Permission denied")])
def test_the_cause_of_a_failure_is_told_with_or_without_a_number(tmp_path, error):
    with pytest.raises(OSError, match="not written") as told, files.whole(tmp_path / "a.h5"):
        raise error
    cause = error.strerror or error
    assert str(told.value) == f"{tmp_path / 'a.h5'} was not written ({cause}); free space or choose another folder"


def test_another_file_that_is_missing_is_told_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.txt does not exist"), files.whole(tmp_path / "a.txt"):
        files.checked(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError) as told, files.whole(tmp_path / "a.txt"):
        (tmp_path / "none.txt").read_text()
    assert told.value.filename == str(tmp_path / "none.txt")
    with pytest.raises(OSError, match=r"a\.txt was not written \(No such file"), files.whole(tmp_path / "a.txt") as temporary:
        temporary.unlink()


def test_one_flipped_bit_is_found(tmp_path):
    path = tmp_path / "a.npz"
    files.write_arrays(path, x=np.arange(100))
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)
    with pytest.raises(files.CorruptFile, match="changed after it was written"):
        files.read_arrays(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.parquet does not exist; run the rule"):
        files.read_table(tmp_path / "none.parquet")
    with pytest.raises(
        FileNotFoundError, match=f"{tmp_path.name} is a folder, expected a file; .* correct the path in config"
    ):
        files.checked(tmp_path)


def test_an_empty_file_of_the_user_is_told_and_one_of_the_workflow_is_what_was_written(tmp_path):
    files.write_text(tmp_path / "ours.txt", "")
    assert files.checked(tmp_path / "ours.txt")
    (tmp_path / "a.npz").touch()
    with pytest.raises(
        files.CorruptFile, match=r"a.npz is empty \(0 bytes\); copy it again, or correct the path in config.yaml"
    ):
        files.read_arrays(tmp_path / "a.npz")


def test_missing_columns_and_arrays_are_named(tmp_path):
    files.write_table(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}))
    files.write_arrays(tmp_path / "a.npz", a=np.zeros(1))
    with pytest.raises(ValueError, match=r"no column \['b'\]"):
        files.read_table(tmp_path / "t.parquet", ["a", "b"])
    with pytest.raises(ValueError, match=r"no array \['b'\]"):
        files.read_arrays(tmp_path / "a.npz", "b")


def test_arrays_of_objects_are_refused(tmp_path):
    with pytest.raises(ValueError, match="arrays of objects"):
        files.write_arrays(tmp_path / "a.npz", x=np.array([{}, []], dtype=object))
    assert not (tmp_path / "a.npz").exists()


def test_equal_checkpoints_are_the_same_bytes(tmp_path):
    """Also when texts, tuples and tensors are one object in one of them and several in the other, as after reading it back."""
    name, pair, weights = "we" + "ight", (0.9, 0.5), torch.arange(6.0)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    one = {name: weights, "betas": [pair, pair], "again": {name: weights[:3]}, "layers": layers.state_dict(), "key": name}
    files.write_checkpoint(tmp_path / "a.pt", one)
    two = files.read_checkpoint(tmp_path / "a.pt")
    two = {"".join(list(key)): value for key, value in two.items()} | {"betas": [(0.9, 0.5), (0.9, 0.5)]}
    layers.load_state_dict(two["layers"])
    files.write_checkpoint(tmp_path / "b.pt", two | {"layers": layers.state_dict()})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_checkpoints_hold_plain_data_only(tmp_path):
    files.write_checkpoint(tmp_path / "c.pt", {"weights": {"w": torch.arange(3)}, "n": 3})
    assert files.read_checkpoint(tmp_path / "c.pt")["n"] == 3
    torch.save({"function": os.getcwd}, tmp_path / "evil.pt")
    with pytest.raises(files.CorruptFile, match="is not a checkpoint of respike"):
        files.read_checkpoint(tmp_path / "evil.pt")


def test_the_record_says_what_is_running_and_what_is_known_only_when_it_is_written(tmp_path, monkeypatch):
    clock = iter([1.5, 2.5])
    monkeypatch.setattr(files, "maker", {"stage": "modes.fit", "cost": lambda: next(clock)})
    for name, cost in (("a.txt", 1.5), ("b.txt", 2.5)):
        files.write_text(tmp_path / name, name)
        digest = hashlib.sha256(name.encode()).hexdigest()
        expected = {"sha256": digest, "bytes": 5, "stage": "modes.fit", "cost": cost}
        assert files.read_record(tmp_path / name) == expected


def test_recorded_files_are_found_behind_links_too(tmp_path):
    for name in ("results/a.txt", "results/x/.hidden/b.txt", "elsewhere/c.txt", "elsewhere/.partial/d.txt"):
        files.write_text(tmp_path / name, name)
    (tmp_path / "results/e.txt").touch()
    (tmp_path / "results/.made/gone.txt.json").touch()
    (tmp_path / "results/linked").symlink_to(tmp_path / "elsewhere")
    results = tmp_path / "results"
    assert files.recorded(results) == [results / name for name in ("a.txt", "linked/c.txt", "x/.hidden/b.txt")]
    assert files.below(results, ".partial/*.txt") == [results / "linked/.partial/d.txt"]
    assert files.recorded(tmp_path / "nowhere") == []


def test_links_that_lead_back_are_not_followed(tmp_path):
    results, apart = tmp_path / "results", tmp_path / "apart"
    for name in ("results/a.txt", "results/x/b.txt", "apart/c.txt"):
        files.write_text(tmp_path / name, name)
    (results / "x/round").symlink_to(results)
    (results / "apart").symlink_to(apart)
    (apart / "back").symlink_to(tmp_path)
    assert files.recorded(results) == [results / name for name in ("a.txt", "apart/c.txt", "x/b.txt")]


def test_results_are_readable_by_colleagues(tmp_path):
    mask = os.umask(0o022)
    try:
        files.write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("content", [b"some text", np.ones(3).tobytes()])
def test_a_file_that_holds_no_arrays_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is not a whole \.npz file; expected the arrays x, y"):
        files.read_arrays(tmp_path / "a.npz", "x", "y")
