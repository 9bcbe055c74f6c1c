"""The fingerprint follows imports and ignores comments, docstrings and blank lines."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
STAGE = "modes.metrics"


def fingerprint(folder: Path, stage: str = STAGE) -> str:
    """The fingerprint as a new process in `folder` finds it."""
    program = f"from respike.fingerprint import code; print(code({stage!r}))"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "src"


def edit(copy: Path, name: str, old: str, new: str) -> None:
    path = copy / "respike" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_changes_the_fingerprint_and_what_does_not(copy):
    before = fingerprint(copy)
    edit(copy, "core/statistics.py", '"""Firing rate of each cell', '"""Rate of each cell')
    edit(copy, "modes/measurement.py", "LEARNED = 1.7", "LEARNED = 1.7  # another comment\n")
    edit(copy, "modes/learning.py", "settings.clip", "settings.clip * 2")
    assert fingerprint(copy) == before, "comments, docstrings and modules that are not imported must not matter"
    edit(copy, "core/statistics.py", "axis: int = 0", "axis: int = 1")
    assert fingerprint(copy) != before, "an imported module counts"


def test_what_is_remembered_of_the_sources_changes_nothing(copy):
    without = fingerprint(copy)
    (copy / ".snakemake").mkdir()
    assert fingerprint(copy) == without
    (memory,) = (copy / ".snakemake").iterdir()
    assert fingerprint(copy) == without, "read from memory"
    edit(copy, "core/statistics.py", "axis: int = 0", "axis: int = 1")
    assert fingerprint(copy) != without, "an edited file is parsed again, whatever its time"
    edit(copy, "core/statistics.py", "axis: int = 1", "axis: int = 0")
    memory.write_text(memory.read_text()[:1000])
    assert fingerprint(copy) == without, "a torn memory is forgotten"


def test_what_another_parser_made_of_the_sources_is_forgotten(copy):
    (copy / ".snakemake").mkdir()
    before = fingerprint(copy)
    edit(copy, "fingerprint.py", "hashlib.sha256(ast.dump(tree)", 'hashlib.sha256(("another" + ast.dump(tree))')
    assert fingerprint(copy) != before


def test_an_unknown_stage_is_told():
    from respike.fingerprint import code  # noqa: PLC0415

    with pytest.raises(FileNotFoundError, match=r"no stage 'modes\.nonsense'"):
        code("modes.nonsense")


def test_a_package_that_is_not_installed_has_a_version_too():
    """Snakemake alone is enough to plan and to lint, as in the Snakemake catalogue."""
    from respike.fingerprint import exact_version  # noqa: PLC0415

    assert exact_version("no such package") == "none"
