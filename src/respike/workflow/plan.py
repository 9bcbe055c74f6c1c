"""The jobs of the workflow, as Snakemake plans them for the present config: all of them, done or not."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from respike.core import fingerprint

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
RULE = re.compile(r"(?:local)?(?:rule|checkpoint) (\w+):")
PROGRAM = ["python", "-m", "respike"]


class PlanError(ValueError):
    """Snakemake refused to plan; the message is Snakemake's own."""


@dataclass(frozen=True, eq=False)  # a job is equal to itself only
class Job:
    """One job: what it reads and writes, and the command that does it."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    stage: str  # <study>.<stage>
    arguments: tuple[str, ...]

    @property
    def study(self) -> str:
        """First word of the rule's name."""
        return self.stage.split(".")[0]


def jobs(targets: Iterable[str] = (), options: Iterable[str] = ()) -> list[Job]:
    """Every job behind `targets` (none: the whole workflow); `options` are Snakemake's, such as --configfile.

    Raises PlanError with Snakemake's message when the config or an input cannot be used.
    """
    _check_folder()
    command = [*SNAKEMAKE, *targets, "--dry-run", "--forceall", "--printshellcmds", "--nolock", "--cores", "1", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise PlanError(complaint(done.stdout + done.stderr))
    return [job for job in parse(done.stdout + done.stderr) if job.outputs]


def _check_folder() -> None:
    """Jobs run the code of the folder's checkout, so that code must be the one that judges their files."""
    here = Path.cwd()
    if not (here / "Snakefile").is_file():
        raise PlanError(f"{here} has no Snakefile; go to the top folder of the project")
    if (here / "src/respike").is_dir() and (here / "src").resolve() != fingerprint.SOURCE:
        raise PlanError(f"this is the respike of {fingerprint.SOURCE}, not of {here}; set PYTHONPATH=src or install this one")


def complaint(said: str) -> str:
    """What Snakemake complains of, without its greeting."""
    lines = [line for line in said.splitlines() if line.strip()]
    start = next((n for n, line in enumerate(lines) if re.search(r"\w*(Error|Exception)\b|^Error", line)), None)
    return "\n".join(lines[start:] if start is not None else lines[-10:])


def parse(said: str) -> Iterator[Job]:
    """Jobs in the text of a dry run; rules without a command of respike (targets) are left out."""
    rule, fields = "", {}
    for line in said.splitlines():
        start = RULE.fullmatch(line)
        if start:
            rule, fields = start[1], {}
        elif line.startswith("    ") and ": " in line:
            name, _, value = line.strip().partition(": ")
            fields.setdefault(name, value)
        elif line.startswith("Shell command: ") and not line.endswith(": None"):
            yield _job(rule, fields, shlex.split(line.removeprefix("Shell command: ")))


def _job(rule: str, fields: dict[str, str], words: list[str]) -> Job:
    if words[:3] != PROGRAM:
        raise PlanError(f"rule {rule}: its command starts with {words[:3]}, expected {' '.join(PROGRAM)} <study>.<stage>")
    end = words.index(">") if ">" in words else len(words)
    return Job(
        rule,
        _files(fields.get("input", "")),
        _files(fields.get("output", "")),
        fields.get("log", "").split(" (")[0],
        words[3],
        tuple(words[4:end]),
    )


def _files(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(", "))) if text else ()


class Graph:
    """Jobs and which of them read what others write."""

    def __init__(self, all_jobs: Iterable[Job]) -> None:
        self.jobs = list(all_jobs)
        self.maker = {output: job for job in self.jobs for output in job.outputs}
        self._before: dict[Job, frozenset[Job]] = {}

    def parents(self, job: Job) -> set[Job]:
        """Jobs whose outputs `job` reads."""
        return {self.maker[file] for file in job.inputs if file in self.maker}

    def ancestors(self, job: Job) -> frozenset[Job]:
        """Jobs that must be done before `job`."""
        if job not in self._before:
            parents = self.parents(job)
            self._before[job] = frozenset(parents).union(*(self.ancestors(parent) for parent in parents))
        return self._before[job]


def parser(command: str, about: str) -> argparse.ArgumentParser:
    """Parser of the command `respike <command>` with what all commands take: targets and config."""
    made = argparse.ArgumentParser(prog=f"respike {command}", description=about, allow_abbrev=False)
    made.add_argument("targets", nargs="*", help="files, rules or studies; none: the whole workflow")
    made.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="laid over config.yaml, in this order")
    made.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE", help="laid over the config files")
    return made


def config_options(parsed: argparse.Namespace) -> list[str]:
    """Snakemake's options for the config that was asked for."""
    pairs = (("--configfile", parsed.configfile), ("--config", parsed.config))
    return [word for name, values in pairs if values for word in (name, *values)]


def on_command_line(job: Job, file: str) -> bool:
    """Whether `file`, or a folder it is in, stands on the job's command line; only then can its record tell of it."""
    named = {argument.rstrip("/") for argument in job.arguments}
    return file in named or any(str(folder) in named for folder in Path(file).parents)
