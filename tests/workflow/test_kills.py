"""Whatever is killed, starting again is all it takes."""

import json
import signal
import time

import pytest

from respike.workflow import head
from tests.workflow import bed, torture

ARGUMENTS = ["mini", "--cores", "2"]


@pytest.mark.slow
def test_five_kills(tmp_path, capsys):
    prepared = bed.miniature(tmp_path / "prepared")
    bed.configure(prepared, pause=0.1, rounds=1)
    bad = torture.torture(tmp_path, 5, 1, ARGUMENTS, prepared)
    assert bad == 0, capsys.readouterr().out


def wait_for(project, text, process):
    said = project / "said.txt"
    while not (said.exists() and text in said.read_text()):
        assert process.poll() is None, said.read_text()
        time.sleep(0.05)


@pytest.mark.slow
def test_a_live_run_is_not_disturbed_and_a_dead_one_is_named(tmp_path):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, pause=20.0)
    first = bed.started(project, "run", *ARGUMENTS)
    wait_for(project, "rule mini_simulate", first)
    second = bed.respike(project, "run", *ARGUMENTS)
    assert second.returncode == 2
    assert f"a run is at work in this folder: process {first.pid} on " in second.stderr
    assert first.poll() is None
    first.kill()
    first.wait()
    bed.configure(project, pause=0.0)
    third = bed.respike(project, "run", *ARGUMENTS)
    assert third.returncode == 0
    assert f"the last run was killed (process {first.pid} on " in third.stdout
    assert not torture.left_over(project)


@pytest.mark.slow
def test_the_lock_of_a_live_plain_snakemake_is_respected_and_of_a_dead_one_lifted(tmp_path):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, pause=20.0)
    plain = bed.started(project, "mini", "--cores", "2", module="snakemake")
    wait_for(project, "rule mini_simulate", plain)
    second = bed.respike(project, "run", *ARGUMENTS)
    assert second.returncode == 2
    assert f"a run is at work in this folder: process {plain.pid} on " in second.stderr
    plain.kill()
    plain.wait()
    bed.configure(project, pause=0.0)
    third = bed.respike(project, "run", *ARGUMENTS)
    assert third.returncode == 0, third.stdout + third.stderr
    assert "Slurm jobs of the run" in third.stdout  # its jobs, which outlived it
    assert f"the last run was killed (process {plain.pid} on " in third.stdout
    assert not torture.left_over(project)


@pytest.mark.slow
@pytest.mark.parametrize("logger", [[], ["--logger", "respike"]], ids=["silent", "heard"])
def test_jobs_of_a_dead_run_do_not_run_while_a_plain_snakemake_does(tmp_path, logger):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, pause=20.0)
    first = bed.started(project, "run", *ARGUMENTS)
    wait_for(project, "rule mini_simulate", first)
    assert "running  mini_simulate" in bed.respike(project, "status", "mini").stdout
    first.kill()
    first.wait()
    (project / "said.txt").unlink()
    plain = bed.started(project, "results/mini/fit.pt", "--cores", "1", "--nolock", *logger, module="snakemake")
    wait_for(project, "rule mini_fit", plain)
    told, run = bed.respike(project, "status", "mini").stdout, json.loads((project / head.NOTE).read_text())["run"]
    plain.kill()
    plain.wait()
    head.end_jobs(run)
    assert f"at work: process {plain.pid} on " in told
    assert "running  mini_simulate" not in told
    assert ("running  mini_fit" in told) is bool(logger)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_stop_leaves_no_process_and_no_lock(tmp_path, number):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, pause=1000.0)  # s that a job would take
    process = bed.started(project, "run", *ARGUMENTS)
    wait_for(project, "rule mini_simulate", process)
    process.send_signal(number)
    assert process.wait(timeout=500) != 0
    bed.configure(project, pause=0.0)
    again = bed.respike(project, "run", *ARGUMENTS)
    assert again.returncode == 0
    assert "lock" not in again.stdout


@pytest.mark.slow
def test_stops_without_patience_leave_no_process_either(tmp_path):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, pause=1000.0)
    process = bed.started(project, "run", *ARGUMENTS)
    wait_for(project, "rule mini_simulate", process)
    run = json.loads((project / head.NOTE).read_text())["run"]
    assert head.processes_of(run)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    left = head.processes_of(run)
    head.end_jobs(run)
    assert (process.returncode, left, (project / head.NOTE).read_text()) == (130, [], "")
