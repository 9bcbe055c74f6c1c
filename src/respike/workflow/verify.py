"""Is every file what the workflow would make now? Compares content, code, arguments and inputs with the records.

Needs nothing but the files and their records: Snakemake's own memory (.snakemake) may be gone.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from respike import fingerprint, provenance
from respike.core import files
from respike.workflow import head, plan
from respike.workflow.plan import Graph, Job


@dataclass(frozen=True)
class Fault:
    """What is wrong with one file."""

    file: str
    kind: str  # missing, corrupt (changed since it was written), foreign (not made by the workflow) or stale (made otherwise)
    why: str

    def __str__(self) -> str:
        return f"{self.kind:8} {self.file}: {self.why}"


def faults(graph: Graph) -> dict[str, Fault]:
    """Every output of the jobs that is missing, corrupt, foreign or stale, by file.

    An input that is itself at fault says nothing about what was made from it: that is judged when it is mended.
    """
    hashes = cache(lambda file: provenance.content(Path(file)))
    found = {file: fault for job in graph.jobs for file in job.outputs if (fault := own_fault(job, file))}
    for job in graph.jobs:
        judged = [file for file in job.inputs if file not in found and Path(file).is_file()]
        for output in job.outputs:
            if output not in found and (why := other_inputs(job, output, judged, hashes)):
                found[output] = Fault(output, "stale", why)
    return found


def own_fault(job: Job, file: str) -> Fault | None:
    """What is wrong with a file regardless of the job's inputs."""
    path, arguments = Path(file), list(job.arguments)
    if not path.is_file():
        return Fault(file, "missing", f"rule {job.rule} makes it")
    if why := _corruption(path):
        return Fault(file, "corrupt", why)
    record = files.read_record(path)
    if record is None:
        return Fault(file, "foreign", f"it has no record; rule {job.rule} would write it")
    if record.get("stage") != job.stage:
        return Fault(file, "foreign", f"made by {record.get('stage')}, expected {job.stage}")
    if record.get("code") != fingerprint.code(job.stage):
        return Fault(file, "stale", f"the code of {job.stage} was changed since")
    if (before := record.get("arguments") or []) != arguments:
        return Fault(file, "stale", f"made with {_new(before, arguments)}, now {_new(arguments, before)}")
    return None


def _new(words: list[str], others: list[str]) -> str:
    """Those of the words that are not among the others, cut after a hundred letters."""
    return " ".join(dict.fromkeys(word for word in words if word not in others))[:100] or "fewer arguments or another order"


def other_inputs(job: Job, output: str, inputs: Iterable[str], hashes: Callable[[str], str | None]) -> str:
    """Which of `inputs` is not what `output` was made from; empty when all are.

    A record can only tell of files that stand on the command line, or that are in a folder which does.
    """
    made_from = files.read_record(Path(output)).get("inputs", {})
    named = {argument.rstrip("/") for argument in job.arguments}
    for file in inputs:
        if file in made_from and made_from[file] != hashes(file):
            return f"made from another {file}"
        if file not in made_from and named.intersection([file, *map(str, Path(file).parents)]):
            return f"made without {file}"
    return ""


def leftovers(graph: Graph, results: Path = Path("results")) -> list[Fault]:
    """Files with a record that no job of the present config makes and whose content changed since they were written."""
    kept = [path for path in files.recorded(results) if str(path) not in graph.maker]
    return [Fault(str(path), "corrupt", why) for path in kept if (why := _corruption(path))]


def _corruption(path: Path) -> str:
    """In which way the content of a file is not what its record says; empty when it is."""
    try:
        files.checked(path)
    except files.CorruptFile as error:
        return str(error).split("; ")[0]
    return ""


def main(arguments: list[str]) -> int:
    """`python -m respike verify`: list what is wrong; 0 when nothing is or all was mended, 1 when something is."""
    parser = plan.parser("verify", __doc__)
    parser.add_argument("--fix", action="store_true", help="remove what is corrupt, foreign or stale; `run` makes it again")
    options = parser.parse_args(arguments)
    graph = plan.graph(options)
    with head.only_one() if options.fix else nullcontext():  # what a run is about to make is not at fault
        found = [*faults(graph).values(), *leftovers(graph)]
        head.say("\n".join([*map(str, found), summary(graph, found)]))
        if not options.fix:
            return 1 if found else 0
        present = [Path(fault.file) for fault in found if fault.kind != "missing"]
        for path in (*present, *map(files.record_path, present)):
            path.unlink(missing_ok=True)
    head.say(f"{len(present)} files removed; `python -m respike run` makes them again")
    return 0


def summary(graph: Graph, found: Iterable[Fault]) -> str:
    """A sentence: how many files were looked at and how many are at fault, by kind."""
    kinds = Counter(fault.kind for fault in found)
    looked_at = f"{len(graph.maker)} files of {len(graph.jobs)} jobs"
    return f"Of {looked_at}: {listed(kinds)}" if kinds else f"All {looked_at} are as they should be"


def listed(counts: Mapping[str, int]) -> str:
    """For instance: 2 missing, 1 stale."""
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
