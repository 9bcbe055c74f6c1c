"""Several configs side by side: `python -m respike scenarios quick.yaml no_dale.yaml`. What they share is made once.

Each scenario is an overlay of config.yaml and runs in a folder of its own, scenarios/<name of the file>, a copy of this
one made of links, with its own results. Before a scenario makes a file, it looks whether the very same job (same stage,
code and arguments, inputs of the same content) has made it in this folder or in another scenario, and copies it.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

from respike import links, provenance
from respike.core import files
from respike.workflow import head, plan, verify
from respike.workflow.plan import Graph, Job

HOME = Path("scenarios")
RESPIKE = [sys.executable, "-m", "respike"]


def main(arguments: list[str]) -> int:
    """`python -m respike scenarios`: 0 when all ended well, 130 when stopped, else the first status of one that failed."""
    parser = argparse.ArgumentParser(prog="respike scenarios", description=__doc__, allow_abbrev=False)
    parser.add_argument("overlays", nargs="+", type=Path, metavar="FILE", help="a scenario: what differs from config.yaml")
    several = {"nargs": "+", "action": "extend", "default": []}
    parser.add_argument("--targets", **several, help="studies, rules or files; none: the whole workflow")
    parser.add_argument("--configfile", **several, type=Path, metavar="FILE", help="laid under every scenario")
    options, rest = plan.how_to_run(parser, arguments)
    scenarios, statuses = {prepare(overlay): overlay for overlay in options.overlays}, []
    if len(scenarios) < len(options.overlays):
        raise ValueError(f"two of {', '.join(map(str, options.overlays))} have one name, and results go by it; rename one")
    for folder, overlay in scenarios.items():
        head.say(f"scenario {folder.name}, results in {folder / 'results'}")
        others = [path.absolute() for path in (Path(), *sorted(HOME.iterdir())) if path.is_dir() and path != folder]
        command = [*RESPIKE, "run", *options.targets, "--cores", str(options.cores), "--take-from", *others]
        command += ["--configfile", *(path.absolute() for path in (*options.configfile, overlay))]
        command += [*(["--profile", options.profile] if options.profile else []), *(["--dry-run"] if options.dry_run else [])]
        with subprocess.Popen([*command, "--", *rest], cwd=folder) as run:  # what stops us stops it; it ends its jobs
            head.when_stopped(lambda number, _, run=run: run.send_signal(number))
        if run.returncode in {head.STOPPED, *(-polite for polite in head.POLITE)}:
            return head.STOPPED
        statuses.append(run.returncode)
    if cards := [card for folder in scenarios if (card := folder / "results/scorecard.csv").is_file()]:
        subprocess.run([*RESPIKE, "report.side_by_side", "--cards", *cards, "--out", HOME / "scorecard.csv"], check=False)
        head.say(f"side by side: {HOME / 'scorecard.html'}")
    return next(filter(None, statuses), 0)


def prepare(overlay: Path) -> Path:
    """The folder of a scenario: links to everything here but results and hidden files."""
    if not overlay.is_file():
        raise ValueError(f"there is no file {overlay}; a scenario is a YAML file with what differs from config.yaml")
    plan.check_folder()
    links.fill(HOME / overlay.stem, Path(), but={"results", HOME.name, *(hidden.name for hidden in Path().glob(".*"))})
    return HOME / overlay.stem


def take(graph: Graph, todo: set[Job], folders: Iterable[Path]) -> set[Job]:
    """Copy what the same job has made in one of `folders` from the same inputs; the jobs that need not be done now."""
    taken: set[Job] = set()
    for job in sorted(todo, key=lambda job: len(graph.ancestors(job))):
        waits = graph.parents(job) & (todo - taken)
        if source := None if waits else next((folder for folder in folders if made_in(folder, job)), None):
            for output in map(Path, job.outputs):
                _copy(files.record_path(source / output), files.record_path(output))  # in the order in which they are written
                _copy(source / output, output)
            taken.add(job)
    return taken


def made_in(folder: Path, job: Job) -> bool:
    """Whether every output of the job is in order in another folder, and was made there from what the inputs are here."""
    inputs = {file: provenance.content(Path(file)) for file in job.inputs if Path(file).is_file()}
    if not (folder / job.outputs[0]).is_file() or len(inputs) < len(job.inputs):
        return False
    with chdir(folder):
        found = (verify.own_fault(job, out) or verify.other_inputs(job, out, job.inputs, inputs.get) for out in job.outputs)
        return not any(found)


def _copy(source: Path, target: Path) -> None:
    """No link: damage to one must not reach the other."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{files.temporary_prefix()}{target.name}")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
