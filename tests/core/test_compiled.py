"""Compiled functions follow the code: edited constants and inlined functions are never answered by old machine code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from respike import compiled, fingerprint

MODULES = {
    "settings.py": "GAIN = 3.0  # without unit\n",
    "parts.py": """
from respike.compiled import njit

@njit(inline="always")
def shifted(x):
    return x + 10.0
""",
    "loop.py": """
from respike.compiled import njit
from respike.toy.parts import shifted
from respike.toy.settings import GAIN

@njit
def total(n):
    result = 0.0
    for i in range(n):
        result += GAIN * shifted(i)
    return result
""",
}
PROGRAM = """
import numba
from respike.compiled import FOLDER
from respike.toy.loop import total
print(total(3), sum(total.stats.cache_hits.values()), FOLDER, repr(numba.config.CACHE_DIR), sep=";")
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of what compiles, and a package whose compiled loop uses a constant and an inlined function of other modules."""
    folder = tmp_path_factory.mktemp("copy")
    source = folder / "src/respike"
    (source / "toy").mkdir(parents=True)
    for name in ("compiled.py", "fingerprint.py"):
        shutil.copy(fingerprint.SOURCE / "respike" / name, source / name)
    for path in (source / "__init__.py", source / "toy/__init__.py"):
        path.touch()
    for name, text in MODULES.items():
        (source / "toy" / name).write_text(text)
    return folder


def edit(copy: Path, name: str, old: str, new: str) -> None:
    path = copy / "src/respike/toy" / name
    path.write_text(path.read_text().replace(old, new))


def run(copy: Path, **environment: str) -> tuple[float, bool, Path, str]:
    """Result of the loop in a new process, whether its machine code was at hand, where that lies, and numba's own setting."""
    variables = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_CACHE")}
    temporary = copy / "temporary"
    temporary.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=copy,
        env={**variables, "PYTHONPATH": str(copy / "src"), "TMPDIR": str(temporary), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    result, hits, folder, setting = done.stdout.strip().split(";")
    return float(result), bool(int(hits)), Path(folder), setting


def test_machine_code_follows_edits_of_what_it_holds(copy):
    """Sum over i < 3 of GAIN (i + shift): the constant and the inlined function stand in other files than the loop."""
    first = run(copy)
    assert first[:2] == (3.0 * (3 + 3 * 10), False)
    assert first[2].parent == copy / "src/respike/__pycache__/compiled"
    assert first[3] == "''", "numba's setting is left alone"
    assert run(copy) == (first[0], True, *first[2:]), "the same code is not compiled again"
    edit(copy, "settings.py", "without unit", "of no unit")
    assert run(copy) == (first[0], True, *first[2:]), "a comment is not compiled"
    edit(copy, "settings.py", "3.0", "5.0")
    assert run(copy)[:2] == (5.0 * (3 + 3 * 10), False)
    edit(copy, "parts.py", "10.0", "20.0")
    assert run(copy)[:2] == (5.0 * (3 + 3 * 20), False)
    edit(copy, "settings.py", "5.0", "3.0")
    edit(copy, "parts.py", "20.0", "10.0")
    assert run(copy) == (first[0], True, *first[2:]), "what was undone is at hand"


def test_a_file_of_preferences_where_a_job_runs_is_not_heard(copy):
    file = copy / ".numba_config.yaml"
    file.write_text("disable_jit: 1\ncache_dir: elsewhere\n")
    try:
        result, _, _, setting = run(copy)  # without compilation the loop has no statistics to print
        assert (result, setting) == (3.0 * (3 + 3 * 10), "''")
    finally:
        file.unlink()


def test_where_a_folder_cannot_be_written_the_users_temporary_one_serves(copy):
    """A file stands where the folder should be: nobody can write there, not even root."""
    (copy / "file").touch()
    expected = copy / f"temporary/respike-{os.getuid()}/compiled"
    result, _, folder, _ = run(copy, NUMBA_CACHE_DIR=str(copy / "file"))
    assert result == 3.0 * (3 + 3 * 10)
    assert folder.parent == expected
    assert expected.parent.stat().st_mode & 0o777 == 0o700
    assert run(copy, NUMBA_CACHE_DIR=str(copy / "file"))[1], "and is found again there"


def test_a_folder_named_by_the_user_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    assert compiled.folder() == tmp_path / "mine/compiled" / fingerprint.compiled()


def test_a_temporary_folder_of_someone_else_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(compiled.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match=r"respike-12345 belongs to another user.*NUMBA_CACHE_DIR"):
        compiled.folder()


def test_code_that_nobody_used_for_long_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    present = compiled.folder()
    old, recent = present.with_name("old"), present.with_name("recent")
    for folder in (old, recent):
        folder.mkdir()
    for folder in (old, present):
        os.utime(folder, (0, 0))
    assert compiled.folder() == present
    assert sorted(path.name for path in tmp_path.joinpath("compiled").iterdir()) == sorted([present.name, "recent"])


def test_options_are_numbas(monkeypatch):
    """As a decorator with and without options; numba's own setting comes back also when it refuses a function."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "elsewhere")
    assert compiled.njit(lambda x: x + 1).targetoptions["nopython"]
    assert compiled.njit(fastmath=True)(lambda x: x + 1).targetoptions["fastmath"] is True
    with pytest.raises(TypeError):
        compiled.njit(len)
    assert numba.config.CACHE_DIR == "elsewhere"
