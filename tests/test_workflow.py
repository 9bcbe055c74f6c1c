"""The workflow as users see it: dry runs, exact reruns, refusals before any job, and a training that survives kill -9.

Nothing is computed where a plan is all that is asked for: a finished run is pretended (tests/workflow/pretend.py).
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from respike.core import files
from respike.modes.stages import standin
from respike.workflow import plan
from tests.workflow import bed
from tests.workflow.pretend import told

ROOT = Path(__file__).resolve().parents[1]
STUDIES = sorted(
    path.stem for path in (ROOT / "workflow/rules").glob("*.smk") if re.search("^rule target:", path.read_text(), re.MULTILINE)
)
TINY = {
    "modes": {
        "networks": [
            {"task": "digits", "cell": "spike", "neurons": [10], "modes": [2], "replicas": 1},
            {"task": "contextual", "cell": "spike", "neurons": [10], "modes": [2], "replicas": 1},
        ],
        "digits": {"steps": 10, "batches": 3, "batch": 8},
        "contextual": {"steps": 20, "batches": 3, "batch": 8},
        "evaluation": {"images": 10, "repeats": 1, "trials": 10},
    }
}


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake in `folder` as a user would; its output and exit status."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500)


def planned(folder: Path, *arguments: str) -> dict[str, int]:
    """Jobs that plain Snakemake would do for study modes, by rule."""
    events = ["--logger", "respike", "--logger-respike-events", "-"]
    done = snakemake(folder, "-n", *events, "--configfile", "tiny.yaml", *arguments, "--", "modes")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(Counter(job["rule_name"] for job in jobs if job["event"] == "job_info" and job["shellcmd"]))


def overlay(folder: Path, change: dict) -> None:
    """Write tiny.yaml with `change` laid over it."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"modes": {**TINY["modes"], **change}}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which study modes seems to have run at a tiny size."""
    folder = bed.copy(tmp_path_factory.mktemp("project") / "copy")
    overlay(folder, {})
    pretend = [sys.executable, str(ROOT / "tests/workflow/pretend.py"), "modes", "--configfile", "tiny.yaml"]
    subprocess.run(pretend, cwd=folder, env=bed.environment(folder), check=True)
    return folder


@pytest.fixture
def project(finished):
    """The finished project; what the test changes in its sources and config is put back."""
    yield finished
    shutil.copytree(ROOT / "src", finished / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    overlay(finished, {})


def edit(project: Path, name: str, line: str) -> None:
    with (project / "src" / "respike" / name).open("a") as file:
        file.write(f"\n\n{line}\n")


def test_a_touched_file_and_an_edited_comment_run_nothing(project):
    (project / "results/modes/digits.npz").touch()
    edit(project, "modes/stages/fit.py", "# A comment.")
    assert planned(project) == {}


def test_an_edited_stage_runs_that_stage_and_what_follows(project):
    edit(project, "modes/stages/metrics.py", "EDITED = 1")
    assert planned(project) == {"modes_metrics": 1, "modes_figures": 1}


def test_an_edited_core_module_runs_the_stages_that_import_it(project):
    edit(project, "core/statistics.py", "EDITED = 1")
    assert planned(project) == {"modes_metrics": 1, "modes_figures": 1}


def test_a_changed_key_runs_what_reads_it(project):
    overlay(project, {"evaluation": {"images": 10, "repeats": 1, "trials": 11}})
    assert planned(project) == {"modes_simulate": 2, "modes_metrics": 1, "modes_spikes": 1, "modes_figures": 1}


def test_another_folder_of_digits_runs_no_contextual_job(project, tmp_path):
    for path in (project / "results/modes/standin").glob("*ubyte"):
        shutil.copy(path, tmp_path / path.name)
    overlay(project, {"digits_dir": str(tmp_path)})
    own = {"modes_data", "modes_fit", "modes_simulate", "modes_metrics", "modes_spikes", "modes_figures"}
    assert planned(project) == dict.fromkeys(own, 1)


def test_digits_of_your_own_are_read(tmp_path):
    folder = bed.copy(tmp_path / "copy")
    standin.run(folder=folder / "mine")
    overlay(folder, {"digits_dir": "mine"})
    done = snakemake(folder, "--configfile", "tiny.yaml", "--", "results/modes/digits.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert files.read_arrays(folder / "results/modes/digits.npz")["dataset"] == "digits in mine"


def test_another_replica_trains_only_itself(project):
    networks = [{**TINY["modes"]["networks"][0], "replicas": 2}, TINY["modes"]["networks"][1]]
    overlay(project, {"networks": networks})
    assert planned(project) == {"modes_fit": 1, "modes_simulate": 1, "modes_metrics": 1, "modes_figures": 1}


def test_every_target_has_a_plan_and_every_job_its_own_files(whole):
    assert {job.stage.split(".")[0] for job in whole.jobs} >= set(STUDIES)
    assert len({job.log for job in whole.jobs}) == len(whole.jobs)
    assert len(whole.maker) == sum(len(job.outputs) for job in whole.jobs)


def test_what_is_drawn_is_a_png_and_a_pdf(whole):
    drawn = {
        suffix: {file.removesuffix(suffix) for file in whole.maker if file.endswith(suffix)} for suffix in (".png", ".pdf")
    }
    assert drawn[".png"] == drawn[".pdf"]


def jobs(*arguments: str) -> plan.Graph:
    """The plan of this project."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return plan.graph(plan.parser("test", "").parse_args(arguments))
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def whole():
    """Every job of the workflow, asked for by the names of all targets."""
    return jobs("all", *STUDIES)


@pytest.fixture(scope="module", params=["quick", "tiny", "meshes"])
def planned_size(request, tmp_path_factory):
    """Every job of the quick and of the tiny workflow, and those of barrel with meshes of the user."""
    if request.param != "meshes":
        return request.getfixturevalue("whole") if request.param == "quick" else jobs("--configfile", "tests/tiny.yaml")
    folder = tmp_path_factory.mktemp("meshes")
    for name in ("helmet", "box", "plane"):
        (folder / name).mkdir()
        for number in range(50):
            (folder / name / f"{number}.obj").touch()
    (folder / "mine.yaml").write_text(f"barrel: {{sweeps: {{meshes: {folder}}}}}")
    graph = jobs("barrel", "--configfile", str(folder / "mine.yaml"))
    assert sum(str(folder / "box/0.obj") in job.inputs for job in graph.jobs if job.stage == "barrel.generate")
    return graph


def test_a_job_is_told_of_every_file_that_it_reads_and_writes(planned_size):
    """Only then can the record tell of it; of an input by its name, or nobody would miss one that the config leaves out."""
    untold = [(job.rule, file) for job in planned_size.jobs for file in job.outputs if not told(file, job)]
    for job in planned_size.jobs:
        words = {os.path.normpath(word) for word in job.arguments}
        untold += [(job.rule, file) for file in job.inputs if os.path.normpath(file) not in words]
    assert untold == []


def test_a_pretended_job_knows_of_no_file_that_it_was_not_told():
    job = plan.Job("a", ("x.txt", "in/y.txt", "z.txt"), (), "", "modes.fit", ("--x", "x.txt", "--folder", "in/"))
    assert [file for file in job.inputs if told(file, job)] == ["x.txt", "in/y.txt"]


REFUSALS = {
    "by the schema": (
        {"evaluatoin": {}, "evaluation": {"trials": 3}, "digits": {"batches": "many"}},
        [
            "unknown key 'modes.evaluatoin'; did you mean 'evaluation'?",
            "modes.evaluation.trials = 3: 3 is less than the minimum of 10",
            "modes.digits.batches = 'many': 'many' is not of type 'integer'",
        ],
    ),
    "by a study": (
        {"networks": [{**TINY["modes"]["networks"][0], "modes": [11]}]},
        ["11 modes for 10 neurons; expected at most 10"],
    ),
}


@pytest.mark.parametrize(("change", "messages"), REFUSALS.values(), ids=REFUSALS)
def test_bad_config_is_refused_before_any_job(project, change, messages):
    before = sorted((path, path.stat().st_mtime_ns) for path in (project / "results").rglob("*"))
    overlay(project, change)
    done = snakemake(project, "--configfile", "tiny.yaml", "--", "modes")
    assert done.returncode != 0
    assert all(message in done.stdout + done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in (project / "results").rglob("*")) == before


def test_a_path_that_leads_to_no_file_is_refused_with_its_key(project):
    wrong = "barrel={recording: {train: nowhere.h5}}"
    done = snakemake(project, "--dry-run", "--configfile", "tiny.yaml", "--config", wrong, "--", "modes")
    assert done.returncode != 0
    said = "config: barrel.recording.train = 'nowhere.h5': does not exist; expected a file; correct it in config.yaml"
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_training_survives_kill_9(tmp_path):
    settings = {"steps": 60, "batches": 600, "batch": 16, "learning_rate": 0.005, "clip": 20.0}
    kind = ["--task", "contextual", "--cell", "spike", "--neurons", "20", "--modes", "2", "--replica", "0"]
    options = [*kind, "--seed", "0", "--digits"]

    def start(folder):
        where = ["--out", str(folder / "n.pt"), "--settings", json.dumps(settings)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "RESPIKE_SAVE_SECONDS": "0.5"}
        command = [sys.executable, "-m", "respike", "modes.fit", *where, *options]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    straight = start(tmp_path / "a")
    assert straight.wait() == 0
    killed = start(tmp_path / "b")
    partial = tmp_path / "b" / ".partial" / "n.pt.0"
    while not partial.exists():
        assert killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "b" / "n.pt").exists()
    again = start(tmp_path / "b")
    assert "going on after step" in again.communicate()[0]
    assert (tmp_path / "a" / "n.pt").read_bytes() == (tmp_path / "b" / "n.pt").read_bytes()


def test_the_cluster_profile_names_every_rule_that_can_use_a_gpu(whole):
    lines = re.findall(r"^#(   \w+: \{.*\}|  *set-resources:)$", (ROOT / "profiles/slurm/config.yaml").read_text(), re.M)
    named = yaml.safe_load("\n".join(lines).removeprefix(" "))["set-resources"]
    presets = (jobs("--configfile", f"workflow/presets/{size}.yaml") for size in ("medium", "paper"))  # other rules for `v1`
    rules = {job.rule for graph in (whole, *presets) for job in graph.jobs if "--device" in job.arguments}
    assert rules == set(named)
    assert all(request == {"slurm_partition": "gpu", "gpu": 1} for request in named.values())


@pytest.mark.parametrize(("given", "beside"), [([], None), (["AS=modes_more"], "modes_more")])
def test_a_run_is_published_beside_another_only_when_that_is_asked_for(given, beside):
    """make itself has a variable AS, the assembler."""
    command = ["make", "-n", "publish", "ONLY=modes", "CONFIG=x.yaml", *given]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert dict(zip(told, told[1:], strict=False)).get("--beside") == beside


@pytest.fixture
def publish(tmp_path):
    """Function that runs `make publish` where nothing can be verified: exit status, and the programs that were called."""
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    (tmp_path / "workflow").mkdir()
    shutil.copy(ROOT / "workflow/Snakefile", tmp_path / "workflow/Snakefile")
    for name in ("requirements.lock", "pyproject.toml", ".venv/ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$*" >> called.txt\n[ "$3" != verify ]\n')
    python.chmod(0o755)

    def called(*given: str) -> tuple[int, list[str]]:
        (tmp_path / "called.txt").write_text("")
        done = subprocess.run(["make", "publish", *given], cwd=tmp_path, check=False, capture_output=True, text=True)
        assert ("published  docs" in done.stdout) == (done.returncode == 0)
        return done.returncode, [" ".join(line.split()[2:4]) for line in (tmp_path / "called.txt").read_text().splitlines()]

    return called


@pytest.mark.parametrize(
    ("given", "status", "programs"),
    [
        (["ONLY=modes"], 2, ["verify modes"]),
        ([], 2, ["verify"]),
        (["ONLY=modes", "RESULTS=../other/results"], 0, ["report.publish --results"]),  # its code is not here
        (["ONLY=bench"], 0, ["report.publish --results"]),
    ],
)
def test_a_run_is_published_when_it_is_what_its_config_says(publish, given, status, programs):
    assert publish(*given) == (status, programs)


def test_a_run_of_no_study_is_not_published(publish):
    assert publish("ONLY=typo") == (2, [])


def test_a_config_with_a_blank_in_its_name_reaches_the_run_as_one_word(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    for name in ("my config.yaml", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    said = subprocess.run(
        ["make", "-n", "reproduce", "CONFIG=my config.yaml"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    (command,) = [line for line in said.splitlines() if "-m respike run" in line]
    assert shlex.split(command)[-2:] == ["--configfile", "my config.yaml"]
    said = subprocess.run(
        ["make", "-n", "publish", "CONFIG=my config.yaml"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert said.count(' --config "my config.yaml"') == said.count(' --configfile "my config.yaml"') == 1


def test_make_clean_spares_the_page_that_says_what_a_run_leaves(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    for name in ("README.md", "metrics.parquet", ".made/metrics.parquet.json", "modes/fit.pt", "copy of src/a", "../src/b"):
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["README.md"]
    assert [path.name for path in (tmp_path / "src").iterdir()] == ["b"], "a name with a blank is one name"
    assert len((ROOT / "results/README.md").read_text().splitlines()) <= 10


def test_what_the_snakemake_catalogue_asks_for_is_there():
    settings = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert set(settings["usage"]) == {"mandatory-flags", "software-stack-deployment", "report"}
    readme = (ROOT / "README.md").read_text().lower()
    assert (ROOT / "workflow/Snakefile").is_file()
    assert (ROOT / "config/README.md").is_file()
    assert all(word in readme for word in ("snakemake", "workflow")), "the catalogue finds repositories by these words"
