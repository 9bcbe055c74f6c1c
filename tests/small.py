"""A copy of the project at the smallest size, in which the commands of the pages and the examples are run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "workflow", "profiles", "docs", "examples")
FILES = ("Snakefile", "environment.yml", "Makefile", "README.md", "pyproject.toml", "requirements.lock")
WHOLE = ("variants", "conditions", "pareto")  # blocks that are lists of names: replaced, not merged


def project(folder: Path) -> Path:
    """The project in `folder`, with config.yaml at the size of tiny.yaml and the packages of this Python as its .venv."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".made"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for block, keys in yaml.safe_load((Path(__file__).parent / "tiny.yaml").read_text()).items():
        for key, value in keys.items():
            merged = isinstance(value, dict) and key not in WHOLE
            config[block][key] = config[block][key] | value if merged else value
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    environment = folder / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != "ready":
            (environment / part.name).symlink_to(part)
    (environment / "ready").touch()  # newer than the copied lock file: nothing is installed
    return folder


def shell(folder: Path, command: str, seconds: int = 1800) -> subprocess.CompletedProcess:
    """`command` as typed in `folder`, with the code of that folder; stops at the first line that fails."""
    found = {**os.environ, "PYTHONPATH": str(folder / "src"), "CORES": "2", "MPLBACKEND": "agg"}
    line = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(line, cwd=folder, env=found, capture_output=True, text=True, check=False, timeout=seconds)
