"""Imports point down: figures, metrics, simulate, fit, data -> model -> params -> core. Studies never import each other."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "respike"
STAGES = {"data", "fit", "simulate", "metrics", "figures"}
FORBIDDEN = {"core": {"brian2", "sbi", "snakemake", "mujoco"}}
WITHOUT_TORCH = {
    "core/spikes.py",
    "core/statistics.py",
    "core/measures.py",
    "core/seeds.py",
    "core/config.py",
    "core/style.py",
}


def imported_names(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path):
    here, *_ = path.relative_to(SOURCE).parts
    for name in imported_names(path):
        assert name.split(".")[0] != "snakemake", f"{path}: the package knows nothing of the workflow engine"
        assert name.split(".")[0] not in FORBIDDEN.get(here, set()), f"{path}: {here} may not import {name}"
        if name.startswith("respike.") and here.endswith(".py") is False:
            there, what = (name.split(".") + [""])[1:3]
            assert there in {"core", here}, f"{path}: {here} may not import {there}"
            assert there == "core" or what not in STAGES, f"{path}: stages meet through files, not '{what}'"


@pytest.mark.parametrize("name", sorted(WITHOUT_TORCH))
def test_light_modules_do_not_import_torch(name):
    assert not any(found.split(".")[0] == "torch" for found in imported_names(SOURCE / name))


def test_no_file_is_called_utils():
    assert not [p for p in SOURCE.rglob("*.py") if p.stem in {"utils", "util", "helpers", "misc", "base", "manager"}]
