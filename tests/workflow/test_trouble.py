"""What a person or a machine can do wrong: a clear message, and nothing is lost."""

import os
import shutil
import subprocess
import time

import pytest

from tests.workflow import bed

pytestmark = pytest.mark.slow


def test_sbatch_that_is_missing_is_told(project):
    done = bed.respike(project, "run", "mini", "--profile", "slurm", PATH="/nowhere")
    assert done.returncode == 2
    assert "sbatch was not found; start this on a login node" in done.stderr


def test_an_unknown_profile_is_told(project):
    done = bed.respike(project, "run", "mini", "--profile", "slrum")
    assert done.returncode == 2
    assert "there is no profile 'slrum'; profiles holds default, slurm" in done.stderr


def test_results_that_cannot_be_written_are_told(project):
    shutil.rmtree(project / "results")
    (project / "results").write_text("in the way")
    done = bed.respike(project, "run", "mini")
    assert done.returncode == 2
    assert "results is not a folder that can be written" in done.stderr
    assert (project / "results").read_text() == "in the way"


def test_a_log_that_cannot_be_written_is_told(project):
    before = bed.hashes(project)
    log = project / "results/mini/log/figures.txt"
    log.unlink()
    log.mkdir()
    done = bed.respike(project, "run", "mini", "--cores", "2")
    assert done.returncode == 2
    assert "the log results/mini/log/figures.txt of rule mini_figures is not a file that can be written" in done.stderr
    assert bed.hashes(project) == before


def test_a_failed_job_is_told_with_its_reason_and_the_rest_is_kept(project):
    before = bed.hashes(project)
    bed.configure(project, troubles=1, trouble="fail")
    assert bed.respike(project, "run", "mini", "--cores", "2").returncode == 1
    told = bed.respike(project, "status", "mini").stdout
    assert "mini         10 of   11 done, 0 running, 1 failed, 0 to do" in told
    assert "failed   mini_trouble: respike mini.trouble: trouble was asked for" in told
    assert bed.hashes(project) == before


def test_a_clock_that_jumped_back_reruns_nothing_and_stops_nothing(project):
    before = bed.hashes(project)
    future = time.time() + 86400
    for path in project.rglob("*"):
        if path.is_file():
            os.utime(path, (future, future))
    (project / "results/mini/round0/kept.npz").unlink()
    done = bed.respike(project, "run", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bed.ran(done) == ["mini_filter"]
    assert bed.hashes(project) == before


def test_data_of_the_future_that_cannot_be_changed_are_read(disk):
    """Snakemake takes an output that is older than its input for a fault of the system."""
    project, mount = disk
    data = project / "results/data"  # on the disk that is mounted there; what is made goes elsewhere
    data.mkdir()
    source = data / "raw.txt"
    shutil.move(project / "raw.txt", source)
    future = time.time() + 86400
    os.utime(source, (future, future))
    outside = project.parent / "disk"
    outside.mkdir()
    subprocess.run(["mount", "--move", project / "results", outside], check=True)
    subprocess.run(["mount", "-o", "remount,ro", outside], check=True)
    try:
        bed.configure(project, source=str(outside / "data/raw.txt"), rounds=1)
        done = bed.respike(project, "run", "mini", "--cores", "2")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "What read files of the future is in order" in done.stdout
        assert bed.ran(done) == ["mini_figures", "mini_filter", "mini_fit", "mini_metrics", "mini_simulate", "mini_simulate"]
        assert bed.ran(bed.respike(project, "run", "mini", "--cores", "2")) == []
    finally:
        subprocess.run(["umount", outside], check=True)


@pytest.fixture
def disk(tmp_path):
    """A fresh project whose results lie on a disk of 1 MB, and a function that mounts that disk otherwise."""
    project = bed.miniature(tmp_path / "project")
    results = project / "results"
    results.mkdir()

    def mount(options):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", results], check=False, capture_output=True)

    if mount("size=1m").returncode:
        pytest.skip("no right to mount a small disk here")
    yield project, lambda options: mount(f"remount,{options}").check_returncode()
    subprocess.run(["umount", results], check=False)


def test_a_full_disk_is_told_and_what_is_there_is_whole(disk, finished):
    cramped, mount = disk
    ballast = cramped / "results/ballast"
    ballast.write_bytes(bytes(2**20 - 16 * 4096))
    done = bed.respike(cramped, "run", "mini", "--cores", "2")
    assert done.returncode == 1
    assert "no space is left on the disk of results/; the same command goes on" in done.stdout
    expected = bed.hashes(finished)
    left = bed.hashes(cramped)
    left.pop("ballast")
    assert left.items() < expected.items()
    mount("size=50m")
    ballast.unlink()
    again = bed.respike(cramped, "run", "mini", "--cores", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    assert bed.hashes(cramped) == expected


def test_a_read_only_disk_is_told(disk):
    project, mount = disk
    mount("ro")
    done = bed.respike(project, "run", "mini", "--cores", "2")
    assert done.returncode == 2
    assert "results is not a folder that can be written" in done.stderr
