"""A saved state comes back bit for bit, and only to the job that it belongs to."""

import math

import pytest

from respike.core import files, partial

FORMS = {"json": partial.JSON, "checkpoint": partial.CHECKPOINT}
SETTINGS = {"rate": 0.1, "names": ["a", "b"]}
MAKER = {"code": "abc", "arguments": ["--device", "cpu"], "inputs": {"in.csv": "1"}}


@pytest.fixture(params=FORMS, autouse=True)
def form(request, monkeypatch):
    """Either form, in a job that has code and inputs."""
    monkeypatch.setattr(files, "maker", {**MAKER, "inputs": dict(MAKER["inputs"])})
    return FORMS[request.param]


def test_a_state_comes_back_bit_for_bit(tmp_path, form):
    rows = [{"x": 0.1 + 0.2, "n": 2**62, "name": "ä"}, {"x": math.nan, "n": -1, "name": ""}]
    partial.save(tmp_path / "out.csv", SETTINGS, {"rows": rows}, form)
    first, second = partial.resume(tmp_path / "out.csv", SETTINGS, form)["rows"]
    assert first == rows[0]
    assert math.isnan(second["x"])


def test_the_longer_of_two_states_is_taken_and_forgotten_at_the_end(tmp_path, form):
    out = tmp_path / "out.csv"
    for n in (1, 2, 3):
        partial.save(out, SETTINGS, {"rows": [{"n": n}] * n}, form)
    assert sum(path.exists() for path in partial.paths(out)) == 2
    assert len(partial.resume(out, SETTINGS, form)["rows"]) == 3
    partial.forget(out)
    assert partial.resume(out, SETTINGS, form) is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


CHANGED = [
    ({**SETTINGS, "rate": 0.2}, {}),
    (SETTINGS, {"code": "abd"}),
    (SETTINGS, {"arguments": ["--device", "cuda"]}),
    (SETTINGS, {"device": "cuda"}),
    (SETTINGS, {"inputs": {"in.csv": "2"}}),
    (SETTINGS, {"inputs": {"in.csv": "1", "more.csv": "1"}}),
]


@pytest.mark.parametrize(
    ("settings", "maker"), CHANGED, ids=["settings", "code", "arguments", "device", "input", "one more input"]
)
def test_a_state_of_another_job_is_discarded_aloud(tmp_path, form, capsys, settings, maker):
    out = tmp_path / "out.csv"
    partial.save(out, SETTINGS, {"rows": [1]}, form)
    files.maker.update(maker)
    assert partial.resume(out, settings, form) is None
    assert "made with other settings, code or inputs" in capsys.readouterr().out
    assert not any(path.exists() for path in partial.paths(out))


def test_a_path_may_be_written_in_another_way(tmp_path, form):
    files.maker["arguments"] = ["--out", "fits/out.csv"]
    partial.save(tmp_path / "out.csv", SETTINGS, {"rows": [1]}, form)
    files.maker["arguments"] = ["--out", "./fits//out.csv"]
    assert partial.resume(tmp_path / "out.csv", SETTINGS, form)["rows"] == [1]


def test_what_stands_in_the_output_does_not_matter(tmp_path, form):
    out = tmp_path / "out.csv"
    files.maker["inputs"] = {"in.csv": "1", str(out): "what an earlier run left"}
    partial.save(out, SETTINGS, {"rows": [1]}, form)
    files.maker["inputs"] = {"in.csv": "1"}
    assert partial.resume(out, SETTINGS, form)["rows"] == [1]


@pytest.mark.parametrize("content", [b'{"rows": [1]}', b"[1]", b"", b"\xff"])
def test_a_state_without_a_record_is_discarded_aloud(tmp_path, form, capsys, content):
    out = tmp_path / "out.csv"
    path = partial.paths(out)[0]
    path.parent.mkdir()
    path.write_bytes(content)
    assert partial.resume(out, SETTINGS, form) is None
    assert capsys.readouterr().out == f"unfinished work discarded: {path} has no record\n"
    assert not path.exists()


def test_a_spoilt_state_costs_one_state(tmp_path, form, capsys):
    out = tmp_path / "out.csv"
    for n in (1, 2):
        partial.save(out, SETTINGS, {"rows": [0] * n}, form)
    latest = max(partial.paths(out), key=lambda path: path.stat().st_mtime_ns)
    latest.write_bytes(latest.read_bytes()[:-3])
    assert partial.resume(out, SETTINGS, form)["rows"] == [0]
    assert "unfinished work discarded" in capsys.readouterr().out
