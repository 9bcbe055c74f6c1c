"""One run at a time in a folder, and a clean start after a killed one.

The head (the process that drives a run) holds a lock that the system takes back when the head dies, however it dies, and
notes beside it who it is. The next head thus knows that the last one was killed, ends what is left of it (Snakemake, its
jobs, its Slurm jobs), lifts Snakemake's lock and sweeps unfinished files.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import psutil

from respike.core import files
from respike.workflow.plan import SNAKEMAKE

PLACE = Path(".snakemake/respike-head.json")
LOCKS = Path(".snakemake/locks")
MARK = "RESPIKE_RUN"  # environment variable by which a run's processes are known; set for plain Snakemake in common.smk
LEFTOVER = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-[^-]*")
DAY = 86400.0
PATIENCE = 60.0  # s to wait for Slurm to end cancelled jobs

Say = Callable[[str], object]


class Busy(ValueError):
    """Another run is at work in this folder."""


@contextmanager
def only_one(say: Say) -> Iterator[str]:
    """Be the head of this folder and get the name of the run; Busy when another one lives."""
    PLACE.parent.mkdir(exist_ok=True)
    with PLACE.open("a+") as file:
        _take(file)
        file.seek(0)
        last = _known(file.read())
        clean_up(last, say)
        run = uuid.uuid4().hex[:12]
        _note(file, {"run": run, "pid": os.getpid(), "host": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M:%S")})
        yield run
        _note(file, None)


def _take(file) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise Busy(f"a run is at work in this folder: {who(_known(file.read()))}; wait for it or stop it") from None


def _known(text: str) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError:  # empty after a good end; half written when killed while noting
        return {}


def _note(file, facts: dict | None) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(facts) if facts else "")
    file.flush()


def who(head: dict) -> str:
    """A head in words."""
    return f"process {head.get('pid', '?')} on {head.get('host', '?')}, since {head.get('since', '?')}"


def current() -> dict | None:
    """The head that is at work in this folder, None when there is none."""
    if not PLACE.is_file():
        return None
    with PLACE.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _known(file.read())
    return None


def clean_up(last: dict, say: Say) -> None:
    """End what is left of a killed run, lift its lock and sweep its unfinished files. Busy when something still lives."""
    if last:
        if last["host"] != platform.node():
            raise Busy(
                f"the last run here ended without a word: {who(last)}; if it is dead there, delete {PLACE} and start again"
            )
        say(f"the last run was killed ({who(last)}); cleaning up")
        end_jobs(last["run"], say)
    lift_lock(last, say)
    swept = sweep(Path("results"))
    if swept:
        say(f"{len(swept)} unfinished files removed")


def end_jobs(run: str, say: Say) -> None:
    """End what a killed Snakemake left of a run: jobs in Slurm's queue and processes on this machine."""
    cancel(jobs_in_queue(), say)
    end(processes_of(run), say)


def processes_of(run: str) -> list[psutil.Process]:
    """Living processes of a run on this machine."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(processes: list[psutil.Process], say: Say) -> None:
    """Kill processes and wait until they are gone."""
    if processes:
        say(f"ending {len(processes)} processes that the killed run left")
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=PATIENCE)


def lift_lock(last: dict, say: Say) -> None:
    """Remove Snakemake's lock of this folder when the process that held it is dead; Busy when it lives.

    Jobs that outlived a plain Snakemake are ended: they would write their files between those of the next run.
    """
    if not LOCKS.is_dir() or not any(LOCKS.iterdir()):
        return
    holder = plain_snakemake()
    if holder:
        since = time.strftime("%H:%M:%S", time.localtime(holder.create_time()))
        raise Busy(f"snakemake is at work in this folder: process {holder.pid}, since {since}; wait for it or stop it")
    host = last.get("host") or _host_of_last_log()
    if host not in {None, platform.node()}:
        raise Busy(f"snakemake was started in this folder on {host}; if it is dead there, run `snakemake --unlock`")
    end(processes_of(f"snakemake in {Path.cwd()}"), say)
    say(f"lifting the lock of {who(last) if last else 'a snakemake'} that is dead")
    subprocess.run([*SNAKEMAKE, "--unlock"], check=False, capture_output=True)
    for lock in LOCKS.glob("*"):  # Snakemake does not get so far when the config cannot be used
        lock.unlink(missing_ok=True)


def plain_snakemake() -> psutil.Process | None:
    """A living Snakemake that works in this folder."""
    here = Path.cwd()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = " ".join(process.cmdline()[:4])
            if "snakemake" in words and Path(process.cwd()) == here and process.status() != psutil.STATUS_ZOMBIE:
                return process
    return None


def _host_of_last_log() -> str | None:
    logs = sorted(Path(".snakemake/log").glob("*.log"), key=lambda path: path.stat().st_mtime)
    found = re.search(r"^ *Host: (\S+)$", logs[-1].read_text(errors="replace"), re.MULTILINE) if logs else None
    return found[1] if found else None


def sweep(results: Path) -> list[Path]:
    """Remove unfinished files whose writer is dead (those of other machines and unknown writers: when a day old).

    And saved parts of jobs that were killed after their file was written.
    """
    swept = [path for path in results.rglob(".tmp-*") if _abandoned(path)]
    over = [path for path in results.rglob(".partial/*") if _is_over(path)]
    swept += over + [record for path in over if (record := files.record_path(path)).is_file()]
    for path in swept:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return swept


def _is_over(path: Path) -> bool:
    """Whether a saved part of a job is of no use any more: the job's file was written after it."""
    if path.parent.name != ".partial" or not path.is_file():
        return False
    homes = [path.parent.parent / name for name in (path.name, path.stem)]  # of a training, of a table made row by row
    return any(home.is_file() and home.stat().st_mtime >= path.stat().st_mtime for home in homes)


def _abandoned(path: Path) -> bool:
    named = LEFTOVER.search(path.name)
    try:
        written = path.stat().st_mtime
        if named and named["host"] == platform.node():
            # a process that is younger than the file has only inherited the number
            return psutil.Process(int(named["pid"])).create_time() > written + 1
    except FileNotFoundError:
        return False
    except psutil.NoSuchProcess:
        return True
    return time.time() - written > DAY


def job_prefix() -> str:
    """Beginning of the names of this folder's jobs in Slurm's queue."""
    return f"respike_{sha256(str(Path.cwd()).encode()).hexdigest()[:8]}"


def jobs_in_queue() -> list[str]:
    """Slurm's numbers of this folder's jobs that wait or run; none where there is no Slurm."""
    if not shutil.which("squeue"):
        return []
    states = "--states=PENDING,RUNNING,SUSPENDED,COMPLETING,CONFIGURING"
    said = subprocess.run(
        ["squeue", "--noheader", "--me", states, "--format=%A %j"], check=False, capture_output=True, text=True
    ).stdout
    pairs = [line.split(maxsplit=1) for line in said.splitlines() if line.strip()]
    return [number for number, name in pairs if name.startswith(job_prefix())]


def cancel(jobs: list[str], say: Say) -> None:
    """Cancel Slurm jobs and wait until they have left the queue."""
    if not jobs:
        return
    say(f"cancelling {len(jobs)} Slurm jobs that the killed run left")
    subprocess.run(["scancel", *jobs], check=False)
    patience = time.monotonic() + PATIENCE
    while jobs_in_queue() and time.monotonic() < patience:
        time.sleep(1)
    if jobs_in_queue():
        sys.stderr.write("some of them have not ended yet; their files are checked when they have\n")
