"""What a job has cost stands in the records of its files: time and memory of its process and of the programs it ran."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from respike.core import files

SOURCE = Path(files.__file__).resolve().parents[2]
BUSY = "import time\nwhile time.process_time() < {seconds}: pass\n"
TAKE = "held = bytearray({megabytes} << 20)\nfor place in range(0, len(held), 4096): held[place] = 1\n"


def cost_of(program: str, before: str = "") -> dict[str, float]:
    """Cost in the record of a file that is written after `program`, run by bash, which a process starts after `before`."""
    facts = "files.maker.update(provenance.facts('modes.standin', [], {}))"  # as the command line does for a stage
    job = f"{program}\nfrom respike.__main__ import files, provenance\n{facts}\nfiles.write_text('out.txt', '')"
    command = ["bash", "-c", 'exec "$0" -c "$1"', sys.executable, job]
    starter = f"{before}\nimport subprocess\nsubprocess.run({command!r}, check=True)"
    subprocess.run([sys.executable, "-c", starter], env={**os.environ, "PYTHONPATH": str(SOURCE)}, check=True)
    return files.read_record(Path("out.txt"))["cost"]


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory):
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cost"))
    yield
    os.chdir(before)


def test_the_process_and_the_programs_it_ran_are_counted():
    """All but the start of the process before it and the end after the record: what the system counts of the whole."""
    child = f"{BUSY.format(seconds=1.5)}{TAKE.format(megabytes=400)}"
    before = used()
    cost = cost_of(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n{BUSY.format(seconds=0.5)}")
    assert 2 <= cost["cpu_s"] < used() - before < cost["cpu_s"] + 1
    assert cost["wall_s"] >= cost["cpu_s"] - 0.1
    assert 400 < cost["memory_mb"] < 480


def used() -> float:
    """CPU seconds of all programs that this one has run."""
    counted = resource.getrusage(resource.RUSAGE_CHILDREN)
    return counted.ru_utime + counted.ru_stime


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it in")
def test_the_memory_of_the_program_that_started_a_job_is_not_the_job_s():
    assert cost_of("", before=TAKE.format(megabytes=400))["memory_mb"] < 200
