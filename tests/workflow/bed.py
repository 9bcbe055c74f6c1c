"""Projects to try the workflow on: a copy of this one, or one that holds only the study in miniature."""

import os
import re
import shutil
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
MINI = {
    "source": "raw.txt",
    "rounds": 2,
    "chunks": 2,
    "rows": 2,
    "eps": 5.0,
    "steps": 40,
    "pause": 0.0,
    "trouble": "none",
    "troubles": 0,
    "ask_mb": 300,
    "take_mb": 0,
}


def copy(folder: Path) -> Path:
    """This project's code, rules and config in `folder`."""
    for name in ("src", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("Snakefile", "config.yaml", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def miniature(folder: Path) -> Path:
    """A project whose only study is the one in miniature."""
    copy(folder)
    here = Path(__file__).parent / "mini"
    shutil.copytree(here, folder / "src/respike/mini", ignore=shutil.ignore_patterns("*.smk", "__pycache__"))
    shutil.copy(here / "mini.smk", folder / "workflow/rules/mini.smk")
    snakefile = folder / "workflow/Snakefile"
    studies, n = re.subn(r"STUDIES = \[\"modes\".*?\]", 'STUDIES = ["mini"]', snakefile.read_text(), flags=re.DOTALL)
    assert n == 1, "the list of studies was not found"
    snakefile.write_text(studies)
    schema = folder / "workflow/schemas/config.schema.yaml"
    kinds = {str: "string", int: "integer", float: "number"}
    keys = {name: {"type": kinds[type(value)], "default": value} for name, value in MINI.items()}
    keys["source"]["format"] = "path"
    content = yaml.safe_load(schema.read_text())
    mini = {"type": "object", "additionalProperties": False, "properties": keys}
    content["properties"] = {"run": content["properties"]["run"], "mini": mini}
    schema.write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "raw.txt").write_text("1\n2\n3\n")
    configure(folder)
    return folder


def configure(folder: Path, **values) -> None:
    """Config of the study in miniature."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"run": {"seed": 0}, "mini": {**MINI, **values}}))


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Environment in which `python -m respike` is the one of the project in `folder`."""
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def respike(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    """`python -m respike ...` as a user of the project would type it."""
    command = [sys.executable, "-m", "respike", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder, **more), capture_output=True, text=True, check=False, timeout=900
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Plain Snakemake in the project."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=900
    )


def hearing() -> None:
    """A program started in a shell hears every signal; the shell of these tests may have been told to ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(folder: Path, *arguments: str, module: str = "respike", **more: str) -> subprocess.Popen:
    """`python -m respike ...` in the background; what it says goes to said.txt."""
    command = [sys.executable, "-m", module, *arguments]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder, **more),
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=hearing,  # noqa: PLW1509  (no threads here)
        )


def ran(done: subprocess.CompletedProcess) -> list[str]:
    """Rules of the jobs that a run finished, sorted."""
    return sorted(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", done.stdout, re.MULTILINE))


def hashes(folder: Path) -> dict[str, str]:
    """Content of every result, without logs, benchmarks and records."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        parts = path.relative_to(folder / "results").parts
        if path.is_file() and not {"log", "benchmark", ".made"} & set(parts):
            found["/".join(parts)] = sha256(path.read_bytes()).hexdigest()
    return found
