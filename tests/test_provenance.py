"""What a record says of the command that made a file: read from the record, against what the command was given."""

import hashlib
import platform
import time

import numpy as np
import pytest

from respike import fingerprint, provenance
from respike.__main__ import main
from respike.core import files, partial


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_record_of_a_file_names_command_code_inputs_and_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "maker", {})
    assert main(["modes.standin", "--folder", str(tmp_path / "digits")]) == 0
    arguments = ["--folder", str(tmp_path / "digits"), "--out", str(tmp_path / "digits.npz")]
    for _ in range(2):  # the second time the output is there, and is no input
        assert main(["modes.data", *arguments]) == 0
        record = files.read_record(tmp_path / "digits.npz")
        inputs = {str(path): sha256(path) for path in (tmp_path / "digits").glob("*ubyte")}
        assert len(inputs) == 4
        expected = {"stage": "modes.data", "arguments": arguments, "inputs": inputs, "seed": None}
        assert {key: record[key] for key in expected} == expected
        assert record["code"] == fingerprint.code("modes.data")
        assert record["sha256"] == sha256(tmp_path / "digits.npz")
        assert record["versions"]["python"] == platform.python_version()
        assert record["versions"]["numpy"] == np.__version__
        assert 0 < record["cost"]["cpu_s"] < 1e5
        assert 10 < record["cost"]["memory_mb"] < 1e5


def test_inputs_are_the_files_that_another_command_made_or_a_user_brought(tmp_path, monkeypatch):
    """Of a folder the files right in it and, deeper, those that the workflow made; no hidden ones or saved trainings."""
    monkeypatch.setattr(files, "maker", {"stage": "modes.fit", "arguments": ["--seed", "0"]})
    for name in ("folder/made.txt", "folder/deep/made.txt", "folder/deep/.partial/saved.txt", "own.txt"):
        files.write_text(tmp_path / name, name)
    for name in ("folder/brought.txt", "folder/.hidden", "folder/deep/brought.txt", ".named"):
        (tmp_path / name).write_text(name)
    values = [tmp_path / "folder", [tmp_path / "own.txt"], tmp_path / ".named", tmp_path / "none.txt", "own.txt", 3]

    def names(stage, arguments):
        return {path.removeprefix(f"{tmp_path}/") for path in provenance.inputs(stage, arguments, values)}

    brought, made = {"folder/brought.txt", ".named"}, {"folder/made.txt", "folder/deep/made.txt", "own.txt"}
    assert names("modes.fit", ["--seed", "1"]) == brought | made
    assert names("modes.fit", ["--seed", "0"]) == brought
    assert names("modes.simulate", ["--seed", "0"]) == brought | made


def test_the_cost_grows_with_the_work_and_the_time():
    before, total = provenance.cost(), 0
    while provenance.cost()["cpu_s"] < before["cpu_s"] + 0.05:
        total += sum(range(10000))
    busy = provenance.cost()
    time.sleep(0.1)
    after = provenance.cost()
    assert after["wall_s"] >= busy["wall_s"] + 0.08, "time passes without work too; each is rounded to 0.01 s"
    assert after["memory_mb"] >= before["memory_mb"]


def test_the_cost_of_a_job_that_was_cut_off_counts_what_it_goes_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "maker", {"cost": provenance.cost})
    out = tmp_path / "fit.pt"
    partial.save(out, {}, {"rows": [1]})
    cut_off = provenance.cost()  # as if this process ended here, and began anew
    partial.resume(out, {})
    files.write_text(out, "trained")
    record = files.read_record(out)
    for unit in ("cpu_s", "wall_s"):
        assert 0 < record["cost_before"][unit] <= cut_off[unit]
        assert record["cost"][unit] >= record["cost_before"][unit] + cut_off[unit], "this process goes on using more"
        assert record["cost"][unit] == pytest.approx(2 * cut_off[unit], rel=0.5)
    assert record["cost"]["memory_mb"] == pytest.approx(cut_off["memory_mb"], rel=0.1), "the largest, not the sum"


def test_large_inputs_are_known_by_size_and_time(tmp_path, monkeypatch):
    path = tmp_path / "large.h5"
    path.write_bytes(b"12345")
    assert provenance.content(path) == sha256(path)
    monkeypatch.setattr(provenance, "HASHED_BYTES", 4)
    assert provenance.content(path) == f"5 bytes of {path.stat().st_mtime_ns}"
