"""One run at a time in a folder, and a clean start after a killed one.

The head (`respike run`, or a Snakemake that was started by hand) holds a lock that the system takes back however it dies, and
notes who it is. The next one thus knows that it was killed, ends what it left, lifts its lock and sweeps unfinished files.
"""

import fcntl
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import psutil

from respike.core import files

NOTE = Path(".snakemake/respike-head.json")
LOCKS = Path(".snakemake/locks")
MARK = "RESPIKE_RUN"  # environment variable by which a run's processes are known
LEFTOVER = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-[^-]*")
DAY = 86400.0
GLANCE = 1.0  # s, more than `current` holds the lock of a head that is not there
PATIENCE = 60.0  # s to wait for processes and Slurm jobs to end
FAILED, STOPPED = 1, 130  # exit status when a job failed, and after Ctrl-C
POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, and what stops a run as Ctrl-C does


def say(text: str) -> None:
    """Tell a person what happens."""
    print(text, flush=True)  # noqa: T201


def when_stopped(act: Callable[..., None] | signal.Handlers) -> None:
    """Have polite signals call `act`, but for those that are ignored, as under nohup."""
    for polite in POLITE:
        if signal.getsignal(polite) is not signal.SIG_IGN:
            signal.signal(polite, act)


@contextmanager
def only_one() -> Iterator[str]:
    """Be the head of this folder and get the name of the run; ValueError when another one lives."""
    NOTE.parent.mkdir(exist_ok=True)
    with NOTE.open("a") as file:
        patience = time.monotonic() + GLANCE
        while _is_taken(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > patience:
                raise ValueError(f"a run is at work in this folder: {who(_noted())}; wait for it or stop it")
            time.sleep(0.01)
        clean_up(_noted())
        run, since = uuid.uuid4().hex[:12], time.strftime("%Y-%m-%d %H:%M:%S")
        NOTE.write_text(json.dumps({"run": run, "pid": os.getpid(), "host": platform.node(), "since": since}))
        try:
            yield run
        finally:  # whatever went wrong, this head has lived to tell it
            if not processes_of(run):  # else the next one ends them
                NOTE.write_text("")


def current() -> dict[str, str]:
    """The head that is at work in this folder, empty when there is none. Nothing is written."""
    if not NOTE.is_file():
        return {}
    with NOTE.open() as file:
        return _noted() if _is_taken(file.fileno(), fcntl.LOCK_SH) else {}


def _is_taken(handle: int, kind: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
        return False
    return True


def _noted() -> dict[str, str]:
    with suppress(json.JSONDecodeError):  # empty after a good end; half written when killed while noting
        return json.loads(NOTE.read_text())
    return {}


def who(head: dict[str, str]) -> str:
    """A head in words."""
    return f"process {head.get('pid', '?')} on {head.get('host', '?')}, since {head.get('since', '?')}"


def clean_up(last: dict[str, str]) -> None:
    """End what is left of a killed run, lift Snakemake's lock, sweep unfinished files. ValueError when it was elsewhere."""
    if last:
        if last["host"] != platform.node():
            raise ValueError(f"the last run here ended without a word: {who(last)}; if it is dead there, delete {NOTE}")
        say(f"the last run was killed ({who(last)}); cleaning up")
        end_jobs(last["run"])
    for lock in LOCKS.glob("*"):  # its Snakemake is dead: a living one is the head or has one
        lock.unlink(missing_ok=True)
    if swept := sweep(Path("results")):
        say(f"{len(swept)} unfinished files removed")


def end_jobs(run: str) -> None:
    """End what is left of a run that was killed or stopped: jobs in Slurm's queue and processes on this machine."""
    time.sleep(0.2)  # the kernel shows the environment of a job that was started this very moment a little later
    patience, left, queued = time.monotonic() + PATIENCE, processes_of(run), jobs_in_queue()
    if left or queued:
        say(f"ending {len(left)} processes and {len(queued)} Slurm jobs of the run")
    while (left or queued) and time.monotonic() < patience:  # again: Snakemake may start a job while it is being killed
        if queued:
            subprocess.run(["scancel", *queued], check=False)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)
        time.sleep(bool(queued))
        left, queued = processes_of(run), jobs_in_queue()


def processes_of(run: str) -> list[psutil.Process]:
    """Living processes of a run on this machine, but for this one."""
    others = (one for one in psutil.process_iter(["environ"]) if one.pid != os.getpid())
    return [one for one in others if (one.info["environ"] or {}).get(MARK) == run]


def job_prefix() -> str:
    """Beginning of the names of this folder's jobs in Slurm's queue."""
    return f"respike_{sha256(str(Path.cwd()).encode()).hexdigest()[:8]}"


def jobs_in_queue() -> list[str]:
    """Slurm's numbers of this folder's jobs that wait or run; none where there is no Slurm."""
    if not shutil.which("squeue"):
        return []
    command = ["squeue", "--noheader", "--me", "--format=%A %j", "--states=PENDING,RUNNING,SUSPENDED,COMPLETING,CONFIGURING"]
    lines = subprocess.run(command, check=False, capture_output=True, text=True).stdout.splitlines()
    return [line.split()[0] for line in lines if f" {job_prefix()}" in line]


def sweep(results: Path) -> list[Path]:
    """Remove unfinished files whose writer is dead, and saved parts of jobs that were killed after their file was written."""
    swept = [path for path in files.below(results, ".tmp-*") if _abandoned(path)]
    over = [path for path in files.below(results, ".partial/*") if _is_over(path)]
    swept += over + [record for path in over if (record := files.record_path(path)).is_file()]
    for path in swept:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return swept


def _is_over(path: Path) -> bool:
    """Whether a saved part of a job is of no use any more: the job's file was written after it."""
    homes = [path.parent.parent / name for name in (path.name, path.stem)]  # parts in a folder; one file, numbered or not
    return any(home.is_file() and home.stat().st_mtime >= path.stat().st_mtime for home in homes)


def _abandoned(path: Path) -> bool:
    """Whether nobody writes the file: its process is gone, or, of another machine, has not touched it for a day."""
    if (named := LEFTOVER.search(path.name)) and named["host"] == platform.node():
        with suppress(psutil.NoSuchProcess):  # a process has a number until its parent has heard of its death, but no words
            return not psutil.Process(int(named["pid"])).cmdline()
        return True
    return path.exists() and path.stat().st_mtime < time.time() - DAY
