"""What a job has cost stands in the records of its files: time and memory of its process and of the programs it ran."""

import os
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
    job = f"{program}\nfrom respike.core import files\nfiles.write_text('out.txt', '')"
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
    idle = cost_of("")
    child = f"{BUSY.format(seconds=0.5)}{TAKE.format(megabytes=400)}"
    busy = cost_of(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n{BUSY.format(seconds=0.5)}")
    assert busy["cpu_s"] - idle["cpu_s"] == pytest.approx(1.0, abs=0.6)
    assert busy["wall_s"] >= busy["cpu_s"] - 0.1
    assert 400 < busy["memory_mb"] < 480


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it in")
def test_the_memory_of_the_program_that_started_a_job_is_not_the_job_s():
    assert cost_of("", before=TAKE.format(megabytes=400))["memory_mb"] < 200
