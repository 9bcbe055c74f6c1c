"""Make every file of the workflow that is not what it should be, and no other. Start it again after whatever happened.

A job whose result turns out as before reruns nothing that only read that result: jobs that stand below a job to be rerun
and are themselves in order are judged again when that job is done.
Options for Snakemake follow after --, as in `python -m respike run v1 --cores 4 -- --verbose`.
"""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil

from respike.workflow import head, plan, scenarios, verify
from respike.workflow.plan import SNAKEMAKE, Graph, Job
from respike.workflow.verify import Fault
from snakemake_logger_plugin_respike import EVENTS, progress

FAILED = 1  # exit status when a job failed
PR_SET_PDEATHSIG = 1
TICK = 0.5  # s between two looks at what Snakemake has done
LATE = 2.0  # s between a stop and the next look for jobs that have not heard it


def main(arguments: list[str]) -> int:
    """`python -m respike run`: 0 when every file is what it should be, 1 when a job failed."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = plan.parser("run", __doc__)
    plan.how_to_run(parser)
    others = "copy what the same jobs made in other copies of the project"
    parser.add_argument("--take-from", nargs="+", default=[], type=Path, metavar="FOLDER", help=others)
    options = parser.parse_args(arguments[:cut])
    graph = plan.graph(options)
    check(options.profile, graph)
    if options.dry_run:
        faulty = verify.faults(graph)
        lines = [str(fault) for fault in faulty.values() if fault.kind != "missing"]
        _say("\n".join([*lines, announcement(graph, faulty) if faulty else verify.summary(graph, ())]))
        return 0
    with head.only_one(_say) as run:
        return make(graph, Snakemake(options, arguments[cut + 1 :], run), options.take_from)


def check(profile: str | None, graph: Graph) -> None:
    """ValueError when files cannot be written here or the profile cannot be used."""
    results = Path("results")
    if results.exists() and not (results.is_dir() and os.access(results, os.W_OK)):
        raise ValueError(f"{results.absolute()} is not a folder that can be written; free it or work in another copy")
    known = sorted(path.parent.name for path in Path("profiles").glob("*/config*.yaml"))
    if profile and profile not in known and not Path(profile).is_dir():
        raise ValueError(f"there is no profile {profile!r}; profiles holds {', '.join(known)}; or name a folder")
    if profile == "slurm" and not shutil.which("sbatch"):
        raise ValueError("sbatch was not found; start this on a login node of the cluster, or leave out --profile slurm")
    for job in graph.jobs:  # Snakemake would start the job nevertheless and lose its message
        log = Path(job.log)
        if log.exists() and not (log.is_file() and os.access(log, os.W_OK)):
            raise ValueError(f"the log {log} of rule {job.rule} is not a file that can be written; remove it")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def make(graph: Graph, snakemake: "Snakemake", take_from: Sequence[Path] = ()) -> int:
    """Have Snakemake make the jobs at fault until none is; its exit status when it fails.

    What the same jobs have made in the folders `take_from` is copied instead.
    ValueError when a job has to be made twice: then the code or an input changed while the workflow ran.
    """
    made: set[Job] = set()
    while faulty := verify.faults(graph):
        todo = {graph.maker[file] for file in faulty}
        if again := [fault for fault in faulty.values() if graph.maker[fault.file] in made]:
            raise ValueError(f"{again[0]} right after it was made; was code or data edited during the run? Start it again")
        if taken := scenarios.take(graph, todo, take_from):
            _say(f"{len(taken)} jobs were done elsewhere with the same inputs: copied")
            continue
        _say(announcement(graph, faulty))
        now = certain(graph, todo)
        if failed := snakemake.make(now, len(todo), correct_times(graph)):
            _say("Not every job ended well, see above; the same command goes on from here")
            return failed
        made |= now
    _say(f"{verify.summary(graph, ())}; results in results/")
    return 0


def certain(graph: Graph, todo: set[Job]) -> set[Job]:
    """Those of the jobs to do that do not hang on a job in order that may or may not have to be made again."""
    doubtful = {job for job in graph.jobs if job not in todo and graph.ancestors(job) & todo}
    return {job for job in todo if not graph.ancestors(job) & doubtful}


def correct_times(graph: Graph) -> list[str]:
    """Give files of the future, left by a clock that has jumped back since, the present time; rules that read others of them.

    Snakemake takes it for a fault of the system when a job's output is older than its input.
    """
    present, others = time.time(), set()
    for file in {*graph.maker, *(file for job in graph.jobs for file in job.inputs)}:
        with suppress(FileNotFoundError):
            if Path(file).stat().st_mtime > present:
                try:
                    os.utime(file)
                except OSError:  # not ours
                    others.add(file)
    return sorted({job.rule for job in graph.jobs if others.intersection(job.inputs)})


def announcement(graph: Graph, faulty: Mapping[str, Fault]) -> str:
    """What will be made and why, and what will be judged again when that is made."""
    todo = {graph.maker[file] for file in faulty}
    kinds = Counter(fault.kind for fault in faulty.values())
    why = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    below = _by_rule(job for job in graph.jobs if job not in todo and graph.ancestors(job) & todo)
    after = f"; and, where these come out otherwise than before: {below}" if below else ""
    return f"{len(todo)} jobs to do ({why} files): {_by_rule(todo)}{after}"


def _by_rule(jobs: Iterable[Job]) -> str:
    return ", ".join(f"{rule} x{n}" for rule, n in sorted(Counter(job.rule for job in jobs).items()))


class Snakemake:
    """Snakemake as the engine of one run. On a terminal one line shows how far it is, elsewhere it speaks itself."""

    def __init__(self, options: argparse.Namespace, more: list[str], run: str) -> None:
        self.options = ["--cores", str(options.cores), *plan.config_options(options), *_profile(options.profile), *more]
        self.run = run
        EVENTS.write_text("")
        self.display = progress.Display(sys.stdout) if sys.stdout.isatty() else None

    def make(self, jobs: Iterable[Job], left: int, untimely: Sequence[str]) -> int:
        """Run these jobs, of the `left` that are to do, whether or not Snakemake thinks it necessary; its exit status.

        A job of a rule among the `untimely` is a group by itself: of groups Snakemake compares no times (see correct_times).
        """
        # `verify` has judged every other job: Snakemake need not
        command = [*SNAKEMAKE, *sorted(job.outputs[0] for job in jobs), "--force", "--rerun-triggers", "input"]
        command += ["--rerun-incomplete", *(["--groups", *(f"{rule}={rule}" for rule in untimely)] if untimely else [])]
        with tempfile.TemporaryFile("w+") if self.display else nullcontext() as said:
            process = subprocess.Popen(
                [*command, *self.options],
                env={**plan.environment(), head.MARK: self.run},
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches it once, through us
                preexec_fn=_can_be_stopped,  # noqa: PLW1509  (no threads here)
            )
            try:
                wait(process, self.display.expecting(left) if self.display else lambda: None)
            finally:
                if process.poll() is None or process.returncode < 0:  # left alone, or killed: it has not ended its jobs itself
                    _say("snakemake was killed; cleaning up")
                    head.end_jobs(self.run, _say)
            if self.display:
                said.seek(0)
                self.display.end("" if self.display.state.failed or not process.returncode else said.read())
        return FAILED if process.returncode else 0


def _profile(name: str | None) -> list[str]:
    """Snakemake's options for a profile; with Slurm, jobs get names by which a later run finds them."""
    folder = Path(name) if name and Path(name).is_dir() else Path("profiles") / (name or "default")
    text = "".join(path.read_text() for path in folder.glob("config*.yaml"))
    named = ["--slurm-jobname-prefix", head.job_prefix()] if "executor: slurm" in text else []
    return ["--workflow-profile", str(folder), *named]


def _can_be_stopped() -> None:
    """Snakemake hears an interrupt, though started in the background, and gets one from Linux when its head is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def wait(process: subprocess.Popen, meanwhile: Callable[[], object]) -> None:
    """Wait for the end of Snakemake, calling `meanwhile` now and then.

    Ctrl-C and a polite kill go on to Snakemake (on Slurm it cancels its jobs) and to the jobs: again and again, since one that
    starts in the moment of the stop does not hear it.
    """
    stopped = False
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    while process.poll() is None:
        try:
            process.wait(LATE if stopped else TICK)
        except KeyboardInterrupt:
            stopped = True
            process.send_signal(signal.SIGINT)
            _stop_jobs(process)
        except subprocess.TimeoutExpired:
            if stopped:
                _stop_jobs(process)
        meanwhile()
    signal.signal(signal.SIGTERM, before)


def _stop_jobs(process: subprocess.Popen) -> None:
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "-m respike " in " ".join(child.cmdline()):  # not Slurm's commands, which cancel jobs
                    child.send_signal(signal.SIGINT)
