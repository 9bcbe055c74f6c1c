"""Make every file of the workflow that is not what it should be, and no other. Start it again after whatever happened.

A job whose result turns out as before reruns nothing that only read that result: jobs that stand below a job to be rerun
and are themselves in order are judged again when that job is done.
Options for Snakemake follow after --, as in `python -m respike run v1 --cores 4 -- --verbose`.
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psutil

from respike.workflow import head, plan, progress, scenarios, verify
from respike.workflow.plan import SNAKEMAKE, Graph, Job
from respike.workflow.verify import Fault

FAILED, REFUSED = 1, 2  # exit status: a job failed; nothing was started
PR_SET_PDEATHSIG = 1
LATE = 2.0  # s between a stop and the next look for jobs that have not heard it


class Unstable(ValueError):
    """A job's files are at fault right after it made them."""


def main(arguments: list[str]) -> int:
    """`python -m respike run`: 0 when every file is what it should be, 1 when a job failed, 2 when nothing was started."""
    ours, theirs = _split(arguments)
    parser = plan.parser("run", __doc__)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="jobs at a time on this machine")
    parser.add_argument("--profile", help="folder below profiles, for instance slurm")
    parser.add_argument(
        "--take-from",
        nargs="+",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="copy what the same jobs made in other copies of the project",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be made")
    options = parser.parse_args(ours)
    try:
        _check_place(options.profile)
        graph = Graph(plan.jobs(options.targets, plan.config_options(options)))
        _check_logs(graph)
        if options.dry_run:
            _say(forecast(graph))
            return 0
        with head.only_one(_say) as run:
            return make(graph, Snakemake(options, theirs, run), options.take_from)
    except (plan.PlanError, head.Busy, Unstable, OSError) as error:
        sys.stderr.write(f"respike run: {error}\n")
        return REFUSED


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:cut], arguments[cut + 1 :]


def _check_place(profile: str | None) -> None:
    """PlanError when results cannot be written here or the profile cannot be used."""
    results = Path("results")
    if results.exists() and not (results.is_dir() and os.access(results, os.W_OK)):
        raise plan.PlanError(f"{results.absolute()} is not a folder that can be written; free it or work in another copy")
    known = sorted(path.parent.name for path in Path("profiles").glob("*/config*.yaml"))
    if profile and profile not in known and not Path(profile).is_dir():
        raise plan.PlanError(f"there is no profile {profile!r}; profiles holds {', '.join(known)}; or name a folder")
    if profile == "slurm" and not shutil.which("sbatch"):
        raise plan.PlanError("sbatch was not found; start this on a login node of the cluster, or leave out --profile slurm")


def _check_logs(graph: Graph) -> None:
    """PlanError when a job could not write its log: Snakemake would start it nevertheless and lose its message."""
    for job in graph.jobs:
        log = Path(job.log)
        if job.log and log.exists() and not (log.is_file() and os.access(log, os.W_OK)):
            raise plan.PlanError(f"the log {log} of rule {job.rule} is not a file that can be written; remove it")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make(graph: Graph, snakemake: "Snakemake", take_from: Sequence[Path] = ()) -> int:
    """Have Snakemake make the jobs at fault until none is; its exit status when it fails.

    What the same jobs have made in the folders `take_from` is copied instead.
    Raises Unstable when a job has to be made twice: then the code or an input changed while the workflow ran.
    """
    made: set[Job] = set()
    while True:
        faulty = verify.faults(graph)
        todo = jobs_of(graph, faulty)
        if not todo:
            _say(verify.summary(graph, ()))
            return 0
        if twice := todo & made:
            fault = next(fault for fault in faulty.values() if graph.maker[fault.file] in twice)
            raise Unstable(f"{fault} right after it was made; was code or data edited during the run? Start it again")
        if taken := scenarios.take(graph, todo, take_from):
            _say(f"{len(taken)} jobs were done elsewhere with the same inputs: copied")
            continue
        now = certain(graph, todo)
        _say(announcement(todo, faulty.values()))
        correct_times(graph)
        if status := snakemake.make(now, len(todo)):
            return status
        made |= now


def correct_times(graph: Graph) -> None:
    """Files of the future, left by a clock that has jumped back since, become files of now: Snakemake refuses them."""
    now = time.time()
    for name in {*graph.maker, *(file for job in graph.jobs for file in job.inputs)}:
        with contextlib.suppress(OSError):  # not there, or not ours
            if Path(name).stat().st_mtime > now:
                os.utime(name)


def jobs_of(graph: Graph, faulty: Iterable[str]) -> set[Job]:
    """Jobs that write at least one of the faulty files."""
    return {graph.maker[file] for file in faulty}


def certain(graph: Graph, todo: set[Job]) -> set[Job]:
    """Those of the jobs to do that do not hang on a job in order that may or may not have to be made again."""
    doubtful = {job for job in graph.jobs if job not in todo and graph.ancestors(job) & todo}
    return {job for job in todo if not graph.ancestors(job) & doubtful}


def announcement(todo: set[Job], faulty: Iterable[Fault]) -> str:
    """What will be made and why, in one line per reason."""
    kinds = Counter(fault.kind for fault in faulty)
    rules = Counter(job.rule for job in todo)
    why = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    return f"{len(todo)} jobs to do ({why} files): " + ", ".join(f"{rule} x{n}" for rule, n in sorted(rules.items()))


def forecast(graph: Graph) -> str:
    """What a run would make, and what it would judge again when that is made."""
    faulty = verify.faults(graph)
    todo = jobs_of(graph, faulty)
    if not todo:
        return verify.summary(graph, ())
    below = Counter(job.rule for job in graph.jobs if job not in todo and graph.ancestors(job) & todo)
    lines = [str(fault) for fault in faulty.values() if fault.kind != "missing"]
    lines.append(announcement(todo, faulty.values()))
    if below:
        lines.append(
            "and, where these come out otherwise than before: " + ", ".join(f"{r} x{n}" for r, n in sorted(below.items()))
        )
    return "\n".join(lines)


class Snakemake:
    """Snakemake as the engine of one run."""

    def __init__(self, options: argparse.Namespace, more: list[str], run: str) -> None:
        self.options = ["--cores", str(options.cores), *plan.config_options(options), *profile(options.profile), *more]
        self.environment = {**os.environ, head.MARK: run, "PYTHONUNBUFFERED": "1"}
        self.display: progress.Display | None = None

    def make(self, jobs: set[Job], jobs_left: int) -> int:
        """Run these jobs whether or not Snakemake thinks it necessary; its exit status."""
        targets = sorted(job.outputs[0] for job in jobs)
        # `verify` has judged every other job: Snakemake need not
        command = [*SNAKEMAKE, *targets, "--force", "--rerun-triggers", "input", "--rerun-incomplete", *self.options]
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches it once, through us
            preexec_fn=_can_be_stopped,  # noqa: PLW1509  (no threads here)
        )
        with _stops_reach(process):
            self._follow(process, jobs_left)
            status = process.wait()
        if status < 0:  # killed, and could not end its jobs itself
            _say(f"snakemake was killed ({signal.Signals(-status).name}); cleaning up")
            head.end_jobs(self.environment[head.MARK], _say)
        return FAILED if status else 0

    def _follow(self, process: subprocess.Popen, jobs_left: int) -> None:
        """Show what Snakemake says: as it is, or on a terminal as one line with the failures above it."""
        if not sys.stdout.isatty():
            for line in process.stdout:
                sys.stdout.write(line)
            return
        self.display = self.display or progress.Display(sys.stdout, jobs_left)
        self.display.follow(process.stdout)


def profile(name: str | None) -> list[str]:
    """Snakemake's options for a profile; with Slurm, jobs get names by which a later run finds them."""
    if not name:
        return []
    folder = Path(name) if Path(name).is_dir() else Path("profiles") / name
    text = "".join(path.read_text() for path in folder.glob("config*.yaml"))
    named = ["--slurm-jobname-prefix", head.job_prefix()] if "executor: slurm" in text else []
    return ["--workflow-profile", str(folder), *named]


def _can_be_stopped() -> None:
    """Snakemake hears an interrupt, though started in the background, and gets one from Linux when its head is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _stop_late_jobs(process: subprocess.Popen) -> None:
    """Interrupt jobs that started in the very moment of the stop: they did not hear it, and Snakemake waits for their end."""
    while process.poll() is None:
        time.sleep(LATE)
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "-m respike " in " ".join(child.cmdline()):  # not Slurm's commands, which cancel jobs
                        child.send_signal(signal.SIGINT)


@contextlib.contextmanager
def _stops_reach(process: subprocess.Popen) -> Iterator[None]:
    """Ctrl-C and a polite kill go on to Snakemake and its jobs (on Slurm it cancels them); the head waits for it."""

    def stop(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        threading.Thread(target=_stop_late_jobs, args=(process,), daemon=True).start()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
