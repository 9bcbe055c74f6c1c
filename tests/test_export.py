"""What leaves the project. A run of three jobs is pretended: files and records are there, nothing was computed."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
from datetime import datetime
from pathlib import Path

import pytest

from respike import export, provenance
from respike.core import files
from respike.export import bundle
from respike.export import crate as crate_module
from respike.workflow import plan
from respike.workflow.plan import Graph, Job

ROOT = Path(__file__).resolve().parents[1]
CHECKER = Path(__file__).with_name("crate_checker.py")
STANDIN, DATA, FIT = "results/modes/standin.npz", "results/modes/digits.npz", "results/modes/fits/a b.pt"
JOBS = [
    Job(
        "modes_fit",
        (DATA, "../mine/extra.txt", "../mine/same.txt"),
        (FIT, "results/modes/fits/log.csv"),
        "",
        "modes.fit",
        ("--out", FIT),
    ),
    Job("modes_standin", (), (STANDIN,), "", "modes.standin", ("--out", STANDIN, "--seed", "0")),
    Job("modes_data", (STANDIN,), (DATA,), "", "modes.data", ("--digits", STANDIN, "--out", DATA)),
]
BEGUN = {
    "modes.standin": "2026-03-01T10:00:00+0100",
    "modes.data": "2026-03-01T10:00:05+0100",
    "modes.fit": "2026-03-01T10:01:00+0100",
}
WALL = {"modes.standin": 4.5, "modes.data": 2.0, "modes.fit": 60.0}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A folder with the project and the finished run, and the plan that Snakemake would give."""
    here = tmp_path / "project"
    here.mkdir()
    for name in crate_module.SOURCES:
        (here / name).symlink_to(ROOT / name)
    (tmp_path / "mine").mkdir()
    for name in ("extra", "same"):
        (tmp_path / f"mine/{name}.txt").write_text("mine")
    (tmp_path / "mine/size.yaml").write_text("modes: {}\n")
    monkeypatch.chdir(here)
    monkeypatch.setattr(plan, "graph", lambda parsed: Graph(JOBS))
    monkeypatch.setattr(files, "maker", {})
    for job in sorted(JOBS, key=lambda job: BEGUN[job.stage]):
        facts = provenance.facts(job.stage, list(job.arguments), {"inputs": [Path(file) for file in job.inputs]})
        cost = {"wall_s": WALL[job.stage], "cpu_s": 1.25, "memory_mb": 100.0}
        files.maker.update({**facts, "time": BEGUN[job.stage], "cost": lambda cost=cost: cost})
        for output in job.outputs:
            files.write_text(output, f"{job.rule} {output}\n")
    return here


@pytest.fixture
def crate(run, tmp_path):
    """Folder of the crate of that run."""
    pytest.importorskip("rocrate", reason="rocrate is not installed: make test installs it")
    folder = tmp_path / "crate"
    assert export.main(["crate", str(folder), "--configfile", "../mine/size.yaml", "--author", "A. Researcher"]) == 0
    return folder


def entities(folder: Path) -> dict[str, dict]:
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    return {entity["@id"]: entity for entity in graph}


def ids(value) -> set[str]:
    """What a property points at."""
    return {one["@id"] for one in (value if isinstance(value, list) else [value] if value else [])}


def is_file(entity: dict) -> bool:
    return "File" in (entity["@type"] if isinstance(entity["@type"], list) else [entity["@type"]])


def test_every_file_of_the_crate_is_there_with_its_digest_size_and_format(crate):
    told = {name: entity for name, entity in entities(crate).items() if is_file(entity)}
    for name, entity in told.items():
        content = (crate / name.replace("%20", " ")).read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest(), name
        assert int(entity["contentSize"]) == len(content), name
        assert "/" in entity["encodingFormat"], name
    assert told["workflow/rules/modes.smk"]["encodingFormat"] == "text/plain"
    assert told["config.yaml"]["encodingFormat"] == "application/yaml"
    there = {str(path.relative_to(crate)) for path in crate.rglob("*") if path.is_file()} - {"ro-crate-metadata.json"}
    assert there == {name.replace("%20", " ") for name in told}
    assert {STANDIN, DATA, FIT, "config.yaml", "config/size.yaml", "workflow/rules/modes.smk", "requirements.lock"} <= there
    assert not [name for name in there if "__pycache__" in name]


def test_whatever_is_pointed_at_is_told(crate):
    told = entities(crate)
    for entity in told.values():
        for value in entity.values():
            if isinstance(value, dict | list) and "@id" in str(value):
                assert {name for name in ids(value) if not name.startswith("http")} <= set(told)


def test_jobs_are_told_with_program_command_inputs_outputs_and_times(crate):
    told = entities(crate)
    jobs = [told[f"#job-{n}"] for n in range(3)]  # in the order of their start
    assert [job["name"] for job in jobs] == ["modes.standin", "modes.data", "modes.fit"]
    assert [ids(job["instrument"]) for job in jobs] == [
        {f"src/respike/modes/stages/{n}.py"} for n in ("standin", "data", "fit")
    ]
    assert jobs[2]["description"] == f"python -m respike modes.fit --out '{FIT}'"
    assert ids(jobs[1]["object"]) == {STANDIN}
    assert ids(jobs[2]["result"]) == {FIT.replace(" ", "%20"), "results/modes/fits/log.csv"}
    assert datetime.fromisoformat(jobs[2]["startTime"]) == datetime.fromisoformat("2026-03-01T09:01:00+00:00")
    assert datetime.fromisoformat(jobs[2]["endTime"]) == datetime.fromisoformat("2026-03-01T09:02:00+00:00")
    brought = [told[name] for name in sorted(ids(jobs[2]["object"]) - {DATA})]
    assert [one["name"] for one in brought] == ["extra.txt", "same.txt"]
    assert {one["identifier"] for one in brought} == {f"sha256:{hashlib.sha256(b'mine').hexdigest()}"}
    assert not (crate / "extra.txt").exists()


def test_the_run_as_a_whole_is_told(crate):
    told = entities(crate)
    run = told["#run"]
    assert ids(run["instrument"]) == {"workflow/Snakefile"} == ids(told["./"]["mainEntity"])
    assert {"config.yaml", "config/size.yaml"} < ids(run["object"])
    assert len(ids(run["result"])) == 4
    assert run["startTime"] == "2026-03-01T09:00:00+00:00"
    assert run["endTime"] == "2026-03-01T09:02:00+00:00"
    assert json.loads(run["disambiguatingDescription"]) == {"cpu_s": 3.75, "wall_s": 66.5}
    assert told["#author"]["name"] == "A. Researcher"
    assert "https://w3id.org/ro/wfrun/workflow/0.5" in ids(told["./"]["conformsTo"])
    versions = {one["name"]: one["softwareVersion"] for one in told.values() if one["@type"] == "SoftwareApplication"}
    assert versions["numpy"] == __import__("numpy").__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_checker_of_the_profile_accepts_it(crate):
    python = os.environ.get("RESPIKE_CRATE_CHECKER") or (
        sys.executable if importlib.util.find_spec("rocrate_validator") else ""
    )
    if not python:
        pytest.skip("roc-validator is not installed: name a Python that has it in RESPIKE_CRATE_CHECKER")
    done = subprocess.run([python, str(CHECKER), str(crate)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_not_a_finished_run_is_refused(run, tmp_path):
    Path(FIT).write_text("edited")
    with pytest.raises(ValueError, match=r"not finished \(1 files\): corrupt +results/modes/fits/a b.pt"):
        export.main(["crate", str(tmp_path / "crate")])
    Path(FIT).unlink()
    with pytest.raises(ValueError, match="missing"):
        export.main(["crate", str(tmp_path / "crate")])
    assert not (tmp_path / "crate").exists()


def test_a_folder_that_holds_something_is_left_alone(run, tmp_path):
    with pytest.raises(ValueError, match="is not empty; name a new folder"):
        export.main(["crate", str(tmp_path / "mine")])
    assert (tmp_path / "mine/extra.txt").read_text() == "mine"


def test_a_kind_is_a_function_and_its_parameters_are_the_command_line(monkeypatch, capsys):
    def write(study: str, file: Path, *, cells: tuple = (), note: str = "none") -> str:
        """Says what it was told."""
        return f"{study} {file!r} {cells} {note}"

    monkeypatch.setitem(export.KINDS, "told", write)
    assert export.main(["told", "modes", "a.nwb", "--cells", "E", "I"]) == 0
    assert capsys.readouterr().out == f"modes {Path('a.nwb')!r} ['E', 'I'] none\n"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone with three files, one of them not known to git, and a pip that has two wheels."""
    here = tmp_path / "clone"
    (here / "src").mkdir(parents=True)
    for name in ("requirements.lock", "src/a b.py", "notes.txt"):
        (here / name).write_text(name)
    git(here, "init", "--quiet")
    git(here, "add", "requirements.lock", "src")
    monkeypatch.chdir(here)

    def collect(wheels: Path) -> None:
        wheels.mkdir()
        for name in ("one", "two"):
            (wheels / f"{name}-1.0-py3-none-any.whl").write_text(name)

    monkeypatch.setattr(bundle, "collect", collect)
    return here


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_a_bundle_holds_what_git_knows_the_wheels_and_the_name_of_the_python(clone, tmp_path, name):
    (clone / "requirements.lock").write_text("edited since")
    assert export.main(["bundle", str(tmp_path / name)]) == 0
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path / "there", filter="data")
    there = tmp_path / "there/respike"
    names = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    wheels = {"wheels/one-1.0-py3-none-any.whl", "wheels/two-1.0-py3-none-any.whl", "wheels/python.txt"}
    assert names == {"requirements.lock", "src/a b.py", *wheels}
    assert (there / "requirements.lock").read_text() == "edited since"
    assert (there / "wheels/python.txt").read_text() == f"python3.{sys.version_info[1]}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"clone", "there", name}  # nothing unfinished is left


def test_a_bundle_that_cannot_be_made_is_refused(clone, tmp_path, monkeypatch):
    (tmp_path / "old.tar").write_text("old")
    with pytest.raises(ValueError, match="exists; name a new file"):
        export.main(["bundle", str(tmp_path / "old.tar")])
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="work in a clone"):
        export.main(["bundle", str(tmp_path / "new.tar")])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"has no requirements.lock"):
        export.main(["bundle", str(tmp_path / "new.tar")])
    assert not (tmp_path / "new.tar").exists()


def test_packages_of_a_bundle_are_those_of_the_lock_with_the_torch_that_is_installed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: asked.append(command))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"torch": "9.9.0+cpu"}[name])
    bundle.collect(tmp_path)
    assert asked[0][-3:] == ["--requirement", "requirements.lock", "torch==9.9.0+cpu"]
