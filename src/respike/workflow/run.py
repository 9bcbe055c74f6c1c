"""Make every file of the workflow that is not what it should be, and no other. Start it again after whatever happened.

A job whose result turns out as before reruns nothing that only read that result: jobs that stand below a job to be rerun
and are themselves in order are judged again when that job is done.
Options for Snakemake follow after --, as in `python -m respike run v1 --cores 4 -- --verbose`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from respike import overlay
from respike.workflow import head, plan, scenarios, verify
from respike.workflow.plan import SNAKEMAKE, Graph, Job
from respike.workflow.verify import Fault
from snakemake_logger_plugin_respike import progress


def main(arguments: list[str]) -> int:
    """`python -m respike run`: 0 when every file is what it should be, 1 when a job failed."""
    parser = plan.parser("run", __doc__)
    others = "copy what the same jobs made in other copies of the project"
    parser.add_argument("--take-from", nargs="+", default=[], type=Path, metavar="FOLDER", help=others)
    options, rest = plan.how_to_run(parser, arguments)
    results, profile = Path("results"), _profile(options.profile)
    if results.exists() and not (results.is_dir() and os.access(results, os.W_OK)):
        raise ValueError(f"{results.absolute()} is not a folder that can be written; free it or work in another copy")
    if lost := [str(folder) for folder in options.take_from if not folder.is_dir()]:
        raise ValueError(f"--take-from: there is no folder {', '.join(lost)}; name other copies of the project")
    graph = plan.graph(options)
    check_logs(graph)
    if options.dry_run:
        faulty = verify.faults(graph)
        lines = [str(fault) for fault in faulty.values() if fault.kind != "missing"]
        head.say("\n".join([*lines, announcement(graph, faulty) if faulty else verify.summary(graph, ())]))
        return 0
    results.mkdir(exist_ok=True)
    how = ["--cores", str(options.cores), *plan.config_options(options), *profile]
    head.when_stopped(stop)
    try:
        with head.only_one() as run:
            return make(graph, Snakemake(run, [*how, *rest]), options.take_from)
    except KeyboardInterrupt:
        head.say("stopped; the same command goes on from here")
        return head.STOPPED


def stop(*_: object) -> None:
    """Stop a run at the first polite signal; a second one must not keep it from ending its jobs."""
    head.when_stopped(signal.SIG_IGN)
    raise KeyboardInterrupt


def check_logs(graph: Graph) -> None:
    """ValueError when a job could not write its log: Snakemake would start it nevertheless and lose its message."""
    for job in graph.jobs:
        if (log := Path(job.log)).exists() and not (log.is_file() and os.access(log, os.W_OK)):
            raise ValueError(f"the log {log} of rule {job.rule} is not a file that can be written; remove it")


def make(graph: Graph, snakemake: "Snakemake", take_from: Sequence[Path] = ()) -> int:
    """Have Snakemake make the jobs at fault until none is; FAILED when it fails.

    What the same jobs have made in the folders `take_from` is copied instead.
    ValueError when a job has to be made twice: code or input changed while the workflow ran, or Snakemake was kept from it.
    """
    made: set[Job] = set()
    while faulty := verify.faults(graph):
        todo = {graph.maker[file] for file in faulty}
        if again := [fault for fault in faulty.values() if graph.maker[fault.file] in made]:
            raise ValueError(f"{again[0]}, though its job is done: was code or data edited, or an option after -- in the way?")
        if taken := scenarios.take(graph, todo, take_from):
            head.say(f"{len(taken)} jobs were done elsewhere with the same inputs: copied")
            continue
        head.say(announcement(graph, faulty))
        now, untimely = certain(graph, todo), correct_times(graph)
        if not snakemake.make(now, len(todo)):
            now -= {graph.maker[file] for file in verify.faults(graph)}
            if not now & untimely:
                full = "; no space is left on the disk of results/" if shutil.disk_usage("results").free < 1e6 else ""
                head.say(f"Not every job ended well, see above{full}; the same command goes on from here")
                return head.FAILED
            head.say("What read files of the future is in order, whatever Snakemake says of their times; going on")
        made |= now
    head.say(f"{verify.summary(graph, ())}; results in results/")
    return 0


def certain(graph: Graph, todo: set[Job]) -> set[Job]:
    """Those of the jobs to do that do not hang on a job in order that may or may not have to be made again."""
    return todo - graph.below(graph.below(todo))


def correct_times(graph: Graph) -> set[Job]:
    """Give files of the future, left by a clock that has jumped back since, the present time; jobs that read the others."""
    present, others = time.time(), set()
    for file in {*graph.maker, *(file for job in graph.jobs for file in job.inputs)}:
        if Path(file).exists() and Path(file).stat().st_mtime > present:
            try:
                os.utime(file)
            except OSError:  # not ours; Snakemake takes it for a failure of a job that its output is older than its input
                others.add(file)
    return {job for job in graph.jobs if others.intersection(job.inputs)}


def announcement(graph: Graph, faulty: Mapping[str, Fault]) -> str:
    """What will be made and why, and what will be judged again when that is made."""
    todo = {graph.maker[file] for file in faulty}
    names = [fault.kind for fault in faulty.values()], *([job.rule for job in each] for each in (todo, graph.below(todo)))
    why, rules, later = (verify.listed(Counter(each)) for each in names)
    return f"{len(todo)} jobs to do ({why} files): {rules}" + (f"; if these come out otherwise, also {later}" if later else "")


class Snakemake:
    """Snakemake as the engine of one run."""

    def __init__(self, run: str, options: list[str]) -> None:
        self.run, self.options, self.display = run, options, progress.Display(sys.stdout)

    def make(self, jobs: Iterable[Job], left: int) -> bool:
        """Run these jobs, of the `left` that are to do, needed or not in the eyes of Snakemake; whether all went well."""
        # `verify` has judged every other job: Snakemake need not; and a file that is there is whole
        command = [*SNAKEMAKE, *sorted(job.outputs[0] for job in jobs), "--force", "--rerun-triggers", "input"]
        command += ["--ignore-incomplete", "--keep-incomplete", *self.options]
        environment = {**plan.environment(self.options), head.MARK: self.run, "PYTHONUNBUFFERED": "1"}
        said = {"stdout": self.display.said, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **said)  # Ctrl-C is for us
        try:
            self.display.follow(process, left)
        finally:
            if process.poll() is None or process.returncode < 0:  # it was stopped or killed: its jobs end too
                head.end_jobs(self.run)
        return not process.returncode


def _profile(name: str | None) -> list[str]:
    """Snakemake's options for a profile; with Slurm, jobs get names by which a later run finds them."""
    folder = Path(name) if name and Path(name).is_dir() else Path("profiles") / (name or "default")
    files = list(folder.glob("config*.yaml"))
    if name and not files:
        known = sorted(path.parent.name for path in Path("profiles").glob("*/config*.yaml"))
        raise ValueError(f"there is no profile {name!r}; profiles holds {', '.join(known)}; or name a folder")
    if "slurm" not in [overlay.says(path, "executor") for path in files]:
        return ["--workflow-profile", str(folder)]
    if not shutil.which("sbatch"):
        raise ValueError("sbatch was not found; start this on a login node of the cluster, or leave out --profile")
    return ["--workflow-profile", str(folder), "--slurm-jobname-prefix", head.job_prefix()]
