"""Several configs side by side: `python -m respike scenarios quick.yaml no_dale.yaml`. What they share is made once.

Each scenario is an overlay of config.yaml and runs in a folder of its own, scenarios/<name of the file>, a copy of this
one made of links, with its own results. Before a scenario makes a file, it looks whether the very same job (same stage,
code and arguments, inputs of the same content) has made it in this folder or in another scenario, and copies it.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

from respike import provenance
from respike.core import files
from respike.workflow import plan, verify
from respike.workflow.plan import Graph, Job

HOME = Path("scenarios")
NOT_SHARED = {"results", HOME.name}
SHARED = ["study", "item", "source", "paper_value", "unit"]  # columns of the scorecard that say what a claim is
OWN = ["value", "size", "dataset", "verdict"]


def main(arguments: list[str]) -> int:
    """`python -m respike scenarios`: 0 when every scenario ended well, else the first exit status of one that did not."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    options = _parser().parse_args(arguments[:cut])
    try:
        folders = {prepare(overlay): overlay for overlay in options.overlays}
    except (plan.PlanError, OSError) as error:
        sys.stderr.write(f"respike scenarios: {error}\n")
        return 2
    statuses = [_run(folder, overlay, options, arguments[cut:]) for folder, overlay in folders.items()]
    cards = {folder.name: card for folder in folders if (card := folder / "results/scorecard.csv").is_file()}
    if cards:
        sys.stdout.write(f"side by side: {side_by_side(cards)}\n")
    return next((status for status in statuses if status), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="respike scenarios", description=__doc__, allow_abbrev=False)
    parser.add_argument("overlays", nargs="+", type=Path, metavar="FILE", help="a scenario: what differs from config.yaml")
    parser.add_argument("--targets", nargs="+", default=[], help="studies, rules or files; none: the whole workflow")
    parser.add_argument("--configfile", nargs="+", default=[], type=Path, metavar="FILE", help="laid under every scenario")
    parser.add_argument("--cores", default=str(os.cpu_count()), help="jobs at a time on this machine")
    parser.add_argument("--profile", help="folder below profiles, for instance slurm")
    parser.add_argument("--dry-run", action="store_true", help="only say what each scenario would make")
    return parser


def _run(folder: Path, overlay: Path, options: argparse.Namespace, more: list[str]) -> int:
    """Run one scenario in its folder, with the results of this folder and of the other scenarios at hand."""
    sys.stdout.write(f"scenario {folder.name}, results in {folder / 'results'}\n")
    sys.stdout.flush()
    configs = [str(path.absolute()) for path in (*options.configfile, overlay)]
    others = [str(path.absolute()) for path in (Path(), *sorted(HOME.iterdir())) if path.is_dir() and path != folder]
    command = [sys.executable, "-m", "respike", "run", *options.targets, "--cores", options.cores]
    command += ["--configfile", *configs, "--take-from", *others]
    command += ["--profile", options.profile] if options.profile else []
    command += ["--dry-run"] if options.dry_run else []
    return subprocess.run([*command, *more], cwd=folder, check=False).returncode


def prepare(overlay: Path) -> Path:
    """The folder of a scenario: links to everything here but results and hidden files."""
    if not overlay.is_file():
        raise plan.PlanError(f"there is no file {overlay}; a scenario is a YAML file with what differs from config.yaml")
    if not Path("Snakefile").is_file():
        raise plan.PlanError(f"{Path.cwd()} has no Snakefile; go to the top folder of the project")
    folder = HOME / overlay.stem
    folder.mkdir(parents=True, exist_ok=True)
    for entry in Path().iterdir():
        link = folder / entry.name
        if entry.name not in NOT_SHARED and not entry.name.startswith(".") and not link.is_symlink():
            link.symlink_to(os.path.relpath(entry, folder))
    return folder


def take(graph: Graph, todo: set[Job], folders: Iterable[Path]) -> set[Job]:
    """Copy what the same job has made in one of `folders` from the same inputs; the jobs that need not be done now."""
    taken: set[Job] = set()
    for job in sorted(todo, key=lambda job: len(graph.ancestors(job))):
        waiting = any(parent in todo and parent not in taken for parent in graph.parents(job))
        source = None if waiting else next((folder for folder in folders if made_in(folder, job)), None)
        if source:
            for output in job.outputs:
                _copy(source / output, Path(output))
            taken.add(job)
    return taken


def made_in(folder: Path, job: Job) -> bool:
    """Whether every output of the job is in order in another folder, and was made there from what the inputs are here."""
    inputs = {file: provenance.content(Path(file)) for file in job.inputs if Path(file).is_file()}
    if not (folder / job.outputs[0]).is_file() or len(inputs) < len(job.inputs):
        return False
    with chdir(folder):
        return not any(
            verify.own_fault(job, output) or verify.other_inputs(job, output, job.inputs, inputs.get) for output in job.outputs
        )


def _copy(source: Path, target: Path) -> None:
    """Record and file, in the order in which they are written. No link: damage to one must not reach the other."""
    for path, place in ((files.record_path(source), files.record_path(target)), (source, target)):
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f"{files.temporary_prefix()}{place.name}")
        shutil.copyfile(path, temporary)
        temporary.replace(place)


def side_by_side(cards: dict[str, Path]) -> Path:
    """One scorecard of all scenarios, a row per claim and columns <what>: <scenario>; as CSV and HTML."""
    import pandas as pd  # noqa: PLC0415  (half a second, and runs do not need it)

    tables = [
        pd.read_csv(path)
        .assign(number=lambda card: card.groupby(SHARED, dropna=False).cumcount())
        .set_index([*SHARED, "number"])[OWN]
        .add_suffix(f": {name}")
        for name, path in cards.items()
    ]
    columns = [f"{what}: {name}" for what in OWN for name in cards]
    card = pd.concat(tables, axis=1)[columns].reset_index().drop(columns="number")
    card.to_csv(HOME / "scorecard.csv", index=False)
    (HOME / "scorecard.html").write_text(card.to_html(index=False, na_rep=""), encoding="utf-8")
    return HOME / "scorecard.html"
