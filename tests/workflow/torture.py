"""Kill a run with kill -9 at random moments and start it again: `make torture KILLS=50`, on Slurm `make torture SLURM=1`.

Each time one of these dies: the head, Snakemake, a job, or all of them. Then the run is just started again, and must end
with the bytes of an undisturbed run and nothing left lying about.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.workflow import bed

VICTIMS = ("head", "snakemake", "job", "all")
IMPATIENT = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2", "--latency-wait", "5"]
SAVED_OFTEN = {"RESPIKE_SAVE_SECONDS": "0.05"}


def kill(process: subprocess.Popen, project: Path, victim: str) -> int:
    """Kill -9 the victims of a run, on Slurm its jobs on this node too; how many there were."""
    with suppress(psutil.NoSuchProcess):
        head = psutil.Process(process.pid)
        others = {one: words for one, words in at_work(project).items() if one != head}
        chosen = {
            "head": [head],
            "snakemake": [one for one in head.children() if others.get(one, [])[1:3] == ["-m", "snakemake"]],
            "job": [one for one, words in others.items() if words[1:3] == ["-m", "respike"]],
            "all": [head, *others],
            "own": [head, *head.children(recursive=True)],  # of jobs on Slurm none
        }[victim]
        for one in chosen:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        return len(chosen)
    return 0


def at_work(project: Path) -> dict[psutil.Process, list[str]]:
    """Processes that work in the project's folder, and their command lines."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()) == project:
                found[process] = process.cmdline()
    return found


def disturb(project: Path, victim: str, moment: float, arguments: Sequence[str]) -> int:
    """Start a run, kill `victim` after `moment` seconds and wait for the head to end; how many processes were killed."""
    process = bed.started(project, "run", *arguments, **SAVED_OFTEN)
    with suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    killed = kill(process, project, victim)
    process.wait()
    return killed


def left_over(project: Path) -> list[str]:
    """Unfinished files."""
    found = [path for pattern in (".tmp-*", ".partial/*") for path in (project / "results").rglob(pattern)]
    return [str(path) for path in found if path.is_file()]


def problems(project: Path, arguments: Sequence[str], expected: dict[str, str]) -> list[str]:
    """Start the run again; what is not as after an undisturbed run."""
    again = bed.respike(project, "run", *arguments)
    if again.returncode:
        return [f"ended with {again.returncode}: {again.stdout[-1500:]}{again.stderr[-1500:]}"]
    found = bed.hashes(project)
    return [name for name in expected if found.get(name) != expected[name]] + left_over(project)


def torture(folder: Path, kills: int, seed: int, arguments: Sequence[str], prepared: Path) -> int:
    """Kill runs of the fresh project `prepared`; the number of those that did not end well."""
    undisturbed = shutil.copytree(prepared, folder / "undisturbed")
    begun = time.monotonic()
    done = bed.respike(undisturbed, "run", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    duration, expected = time.monotonic() - begun, bed.hashes(undisturbed)
    rng, bad = random.Random(seed), 0
    for number in range(kills):
        project = shutil.copytree(prepared, folder / f"kill{number}")
        victim, moment = VICTIMS[number % len(VICTIMS)], rng.uniform(0.3, duration)
        killed = disturb(project, victim, moment, arguments)
        wrong = problems(project, arguments, expected)
        bad += bool(wrong)
        print(f"kill {number}: {victim} ({killed} processes) after {moment:.1f} s: {wrong or 'well'}", flush=True)
        if not wrong:
            shutil.rmtree(project)
    print(f"{kills - bad} of {kills} ended with the bytes of an undisturbed run ({duration:.0f} s each, seed {seed})")
    return bad


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--study", default="mini", help="mini, or a study with a block in tests/workflow/tiny.yaml")
    parser.add_argument("--slurm", action="store_true", help="jobs go to the Slurm of this machine")
    options = parser.parse_args()
    how = ["--profile", "slurm", "--", *IMPATIENT] if options.slurm else ["--cores", "2"]
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        if options.study == "mini":
            prepared, arguments = bed.miniature(folder / "prepared"), ["mini", *how]
            bed.configure(prepared, pause=0.1, rounds=1)
        else:
            prepared = bed.copy(folder / "prepared")
            shutil.copy(Path(__file__).with_name("tiny.yaml"), prepared / "tiny.yaml")
            arguments = [f"results/{options.study}/metrics.parquet", "--configfile", "tiny.yaml", *how]
        return min(1, torture(folder, options.kills, options.seed, arguments, prepared))


if __name__ == "__main__":
    sys.exit(main())
