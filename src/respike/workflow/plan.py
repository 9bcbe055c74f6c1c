"""The jobs of the workflow, as Snakemake plans them for the present config: all of them, done or not."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from respike import fingerprint, links, overlay

# Profiles of the user (SNAKEMAKE_PROFILE, ~/.config/snakemake) are for other workflows.
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--logger", "respike", "--profile", "none"]
# What Snakemake says of the places in our files at which it found what is wrong, and its advice to authors of rules
PLACES = r'(?m)^WorkflowError in file .*:\n| in file ".*", line \d+(?=:$)|\nTraceback:$|\n  File ".*|^MissingR.*\n| \(if you.*'
PROGRAM, REDIRECTED = 3, 3  # words at the begin and the end of a job's command: python -m respike ... > LOG 2>&1


@dataclass(frozen=True, eq=False)  # a job is equal to itself only
class Job:
    """One job: what it reads and writes, and the command that does it."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    stage: str  # <study>.<stage>
    arguments: tuple[str, ...]


class Graph:
    """Jobs and which of them read what others write."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = list(jobs)
        self.maker = {output: job for job in self.jobs for output in job.outputs}

    def parents(self, job: Job) -> set[Job]:
        """Jobs whose outputs `job` reads."""
        return {self.maker[file] for file in job.inputs if file in self.maker}

    @cache  # noqa: B019  (a graph lives as long as the program)
    def ancestors(self, job: Job) -> frozenset[Job]:
        """Jobs that must be done before `job`."""
        return frozenset(self.parents(job)).union(*map(self.ancestors, self.parents(job)))

    def below(self, jobs: set[Job]) -> set[Job]:
        """Other jobs that read, at once or by way of others, what these write. Of jobs to do: they are judged again then."""
        return {job for job in self.jobs if job not in jobs and self.ancestors(job) & jobs}


def graph(parsed: argparse.Namespace) -> Graph:
    """Every job behind the targets and config of a command line; ValueError with Snakemake's message when it will not plan."""
    check_folder()
    command = [*SNAKEMAKE, "--logger-respike-events", "-", "--workflow-profile", "none", *parsed.targets]
    command += ["--dry-run", "--forceall", "--ignore-incomplete", "--nolock", *config_options(parsed)]
    with links.writable(Path.cwd()) as folder:
        done = subprocess.run(command, cwd=folder, env=environment(), check=False, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:
        complaints = [event["message"] for event in events if event["event"] == "error"]
        raise ValueError(re.sub(PLACES, "", "\n".join(complaints)).strip() or done.stderr.strip())
    told = [event for event in events if event["event"] == "job_info"]  # those of a target alone have no command
    planned = Graph(_job(event) for event in told if event["shellcmd"])
    read = {file for event in told for file in event["input"] if file.startswith("results/")}
    if lost := sorted(read - planned.maker.keys()):  # what it is made from is missing, so Snakemake takes it as it is
        graph(argparse.Namespace(**{**vars(parsed), "targets": lost[:1]}))  # of a target itself it tells what is missing
        raise ValueError(f"no job makes {lost[0]}, which others read")
    if not planned.jobs:
        raise ValueError(f"no job makes {' '.join(parsed.targets) or 'anything'}; name files, workflow rules or studies")
    return planned


def environment(options: Sequence[str] = ()) -> dict[str, str]:
    """Environment in which Snakemake finds its logger plugin, which lies beside us; and Slurm if the `options` speak of it."""
    paths = filter(None, [str(fingerprint.SOURCE), os.environ.get("PYTHONPATH")])
    slurm = {} if "slurm" in " ".join(options) else {"SLURM_CONF": os.devnull}  # its plugin asks it, for 10 s where it is down
    return {**os.environ, **slurm, "PYTHONPATH": os.pathsep.join(paths)}


def check_folder() -> None:
    """Jobs run the code of the folder's checkout, so that code must be the one that judges their files."""
    here = Path.cwd()
    if not (here / "Snakefile").is_file():
        raise ValueError(f"{here} has no Snakefile; go to the top folder of the project")
    if (here / "src/respike").is_dir() and (here / "src").resolve() != fingerprint.SOURCE:
        raise ValueError(f"this is the respike of {fingerprint.SOURCE}, not of {here}; set PYTHONPATH=src or install this one")


def _job(event: dict) -> Job:
    stage, *arguments = shlex.split(event["shellcmd"])[PROGRAM:-REDIRECTED]
    inputs, outputs = (tuple(dict.fromkeys(event[name])) for name in ("input", "output"))
    return Job(event["rule_name"], inputs, outputs, event["log"], stage, tuple(arguments))


def parser(command: str, about: str) -> argparse.ArgumentParser:
    """Parser of the command `respike <command>` with what all commands take: targets and config."""
    made = argparse.ArgumentParser(prog=f"respike {command}", description=about, allow_abbrev=False)
    made.add_argument("targets", nargs="*", help="files, rules or studies; none: the whole workflow")
    laid = {"nargs": "+", "action": "extend", "default": [], "metavar": "FILE"}
    made.add_argument("--configfile", **laid, help="laid over config.yaml, in this order")
    return made


def how_to_run(parser: argparse.ArgumentParser, arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments of a command that runs jobs, read with the options of all such commands, and what follows --."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()  # macOS has no such function
    parser.add_argument("--cores", type=int, default=ours, help="jobs at a time on this machine; none: all cores we may use")
    parser.add_argument("--profile", help="folder below profiles, for instance slurm")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be made")
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    if (options := parser.parse_args(arguments[:cut])).cores < 1:
        parser.error(f"argument --cores: {options.cores}, expected 1 or more")
    return options, arguments[cut + 1 :]


def config_options(parsed: argparse.Namespace) -> list[str]:
    """Snakemake's options for the config that was asked for; ValueError when one of its files cannot be used."""
    overlay.check([*filter(os.path.exists, ["config.yaml"]), *parsed.configfile])
    return ["--configfile", *parsed.configfile] if parsed.configfile else []
