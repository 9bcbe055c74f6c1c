"""The workflow as users see it: dry runs, exact reruns, refusals before any job, and a training that survives kill -9.

Nothing is computed where a plan is all that is asked for: a finished run is pretended (tests/workflow/pretend.py).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from respike.core import files
from respike.modes.stages import standin
from respike.workflow import plan, run
from tests.workflow import bed

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


@pytest.fixture(scope="module")
def whole():
    """Every job of the workflow, asked for by the names of all targets."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return plan.graph(plan.parser("test", "").parse_args(["all", *STUDIES]))
    finally:
        os.chdir(before)


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


LATE_JOB = """
import signal, subprocess, sys
def stopped(*_):
    job = [sys.executable, "-c", "import time; time.sleep(1000)", "-m respike x"]
    sys.exit(1 if subprocess.Popen(job).wait() else 0)
signal.signal(signal.SIGINT, stopped)
print("ready", flush=True)
signal.pause()
"""


def test_a_stop_reaches_a_job_that_starts_in_that_moment(monkeypatch):
    """Snakemake's part is played by a program that starts a job when it is told to stop, and waits for it."""
    monkeypatch.setattr(run, "LATE", 0.2)
    process = subprocess.Popen([sys.executable, "-c", LATE_JOB], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "ready\n"
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    run.wait(process, lambda: None)
    assert process.returncode == 1


def test_the_cluster_profile_names_every_rule_that_can_use_a_gpu(whole):
    with_device = {job.rule for job in whole.jobs if "--device" in job.arguments}
    lines = re.findall(r"^#(   \w+: \{.*\}|  *set-resources:)$", (ROOT / "profiles/slurm/config.yaml").read_text(), re.M)
    wanted = yaml.safe_load("\n".join(lines).removeprefix(" "))["set-resources"]
    known = {rule: request for rule, request in wanted.items() if rule.split("_")[0] in STUDIES}
    assert known == {rule: {"slurm_partition": "gpu", "gpu": 1} for rule in with_device}


def test_environment_file_has_the_locked_versions():
    locked = [line.strip() for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][-1]["pip"] == locked
    assert "python=3.11" in environment["dependencies"]


def make(folder: Path, *arguments: str, path: str) -> subprocess.CompletedProcess:
    environment = {"PATH": path, "HOME": str(folder)}
    command = [shutil.which("make"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_missing_python_or_compiler_is_one_clear_line(tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "nproc", "touch", "rm", "bash"):
        (tools / name).symlink_to(shutil.which(name))
    done = make(tmp_path, "test", path=str(tools))
    assert done.returncode != 0
    assert "respike needs Python 3.11, found: none" in done.stderr
    (tools / "python3.11").symlink_to(sys.executable)
    done = make(tmp_path, "test", path=str(tools))
    assert "respike needs a C++ compiler (g++ not found)" in done.stderr
    assert not (tmp_path / ".venv").exists()
