"""Against a real Slurm with a partition `main` that ends jobs which use more memory than they asked for.

Skipped where there is none. Few jobs: each costs Slurm and Snakemake many seconds.
"""

import re
import shutil
import subprocess
import time
from importlib.util import find_spec

import pytest

from tests import conftest
from tests.workflow import bed, torture

SLURM = ["--profile", "slurm", "--", *torture.IMPATIENT]


def reason():
    if not find_spec("snakemake_executor_plugin_slurm"):
        return "the Slurm plugin is not installed (make slurm)"
    if not shutil.which("sinfo"):
        return "no Slurm on this machine"
    known = subprocess.run(["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=False).stdout.split()
    return "" if "main" in known else f"Slurm has no partition main, it has {known}"


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _slurm():
    """The Slurm of this machine, which all other tests leave alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SLURM_CONF")
        if conftest.SLURM:
            patch.setenv("SLURM_CONF", conftest.SLURM)
        if why := reason():
            pytest.skip(why)
        yield


@pytest.fixture
def project(tmp_path):
    """A fresh project of one round."""
    folder = bed.miniature(tmp_path / "project")
    bed.configure(folder, rounds=1)
    return folder


def queue(project):
    """Names and states of the project's jobs, as Slurm remembers them."""
    command = ["squeue", "--noheader", "--me", "--states=all", "--format=%A %T", f"--name={','.join(names())}"]
    return dict(
        line.split() for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    )


def names():
    said = subprocess.run(
        ["squeue", "--noheader", "--me", "--states=all", "--format=%j"], capture_output=True, text=True, check=True
    )
    return sorted({name for name in said.stdout.split() if name.startswith("respike_")})


def submitted(said):
    """Slurm's numbers of the jobs that a run submitted."""
    return re.findall(r"submitted with SLURM jobid (\d+)", said)


def test_same_bytes_from_slurm_and_from_here_though_the_head_was_killed(project, finished_round):
    bed.configure(project, rounds=1, pause=1000.0)  # what is left in the queue lasts until the next run looks
    first = bed.started(project, "run", "mini", *SLURM)
    said = project / "said.txt"
    for _ in range(1200):
        if len(submitted(said.read_text())) >= 3:  # the training and two chunks
            break
        assert first.poll() is None, said.read_text()
        time.sleep(0.2)
    torture.kill(first, project, "own")  # the jobs live on: killed with the rest they might all be over before the next look
    first.wait()
    left = set(submitted(said.read_text()))
    bed.configure(project, rounds=1)
    again = bed.respike(project, "run", "mini", *SLURM)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Slurm jobs of the run" in again.stdout
    states = queue(project)
    assert {states[number] for number in left} <= {"CANCELLED", "COMPLETED"}
    assert bed.hashes(project) == finished_round
    assert not torture.left_over(project)


@pytest.fixture(scope="module")
def finished_round(tmp_path_factory):
    """Hashes of the results of one round, made on this machine without Slurm."""
    folder = bed.miniature(tmp_path_factory.mktemp("here") / "project")
    bed.configure(folder, rounds=1)
    done = bed.respike(folder, "run", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return bed.hashes(folder)


def test_a_job_out_of_memory_is_submitted_again_with_more(project):
    bed.configure(project, troubles=1, trouble="memory", ask_mb=400, take_mb=300)
    done = bed.respike(project, "run", "results/mini/trouble0.txt", *SLURM)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(submitted(done.stdout)) in {2, 3}  # Snakemake itself takes memory beside the job
    assert "mem_mb=800" in done.stdout


def test_a_failing_job_is_tried_again_and_told(project):
    bed.configure(project, troubles=1, trouble="fail")
    done = bed.respike(project, "run", "results/mini/trouble0.txt", *SLURM, "--retries", "1")
    assert done.returncode == 1
    assert len(submitted(done.stdout)) == 2
    assert "trouble was asked for" in done.stdout
    assert not (project / "results/mini/trouble0.txt").exists()


def test_an_unknown_partition_is_told_and_nothing_is_lost(project):
    done = bed.respike(project, "run", "results/mini/data.npz", *SLURM, "--default-resources", "slurm_partition=nowhere")
    assert done.returncode == 1
    assert "invalid partition" in done.stdout.lower()
    assert bed.respike(project, "run", "results/mini/data.npz", "--cores", "1").returncode == 0


@pytest.mark.parametrize("stopped", ["politely", "by the death of Snakemake"])
def test_a_stop_cancels_the_jobs_in_the_queue(project, stopped):
    bed.configure(project, rounds=1, pause=60.0)
    process = bed.started(project, "run", "results/mini/fit.pt", *SLURM)
    said = project / "said.txt"
    for _ in range(600):
        if submitted(said.read_text()):
            break
        time.sleep(0.2)
    if stopped == "politely":
        process.terminate()
    else:
        torture.kill(process, project, "snakemake")
    assert process.wait(timeout=120) == (130 if stopped == "politely" else 1)
    time.sleep(2)
    states = queue(project)
    assert {states[number] for number in submitted(said.read_text())} <= {"CANCELLED", "COMPLETING"}
