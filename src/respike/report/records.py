"""What the records beside the files of a run tell: the cost of its jobs, and what made it."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from respike.core import files

ENDS = ("metrics.parquet", "facts.parquet", "spikes.npz", "scorecard.csv", "activity.parquet")  # of a study; of them all
COST = {"wall_s": "sum", "cpu_s": "sum", "memory_mb": "max"}  # of a job (see core.files), and how jobs are taken together


def joined(paths: Iterable[Path], columns: Sequence[str]) -> pd.DataFrame:
    """The tables of studies, results/<study>/<name>, as one with these columns; ValueError for rows of another study."""
    tables = {path: files.read_table(path, columns) for path in paths}
    for path, table in tables.items():
        if others := sorted(set(table["study"]) - {path.parent.name}):
            study = path.parent.name
            told = f"correct the name that {study}.metrics gives to measures.table and measures.facts"
            raise ValueError(f"{path}: column study holds {', '.join(others)}, expected {study} alone; {told}")
    none = pd.DataFrame(columns=list(columns), dtype=str)
    return pd.concat(list(tables.values()) or [none], ignore_index=True)[list(columns)]


def read(results: Path) -> list[dict[str, Any]]:
    """Record of each file in `results` that has one; saved parts of trainings that have not ended are left out."""
    return [files.read_record(path) for path in files.recorded(results)]


def jobs(results: Path, folder: Path) -> set[tuple[str, str]]:
    """The jobs of the run in `results` behind the tables, spikes and figures in `folder`: what an earlier config left is none.

    A figure counts if it was made from what stands behind the tables, or from files that were made from that alone.
    ValueError for a file that was made from another than is there now.
    """
    made: dict[Path, dict[str, Any]] = {}
    for name in ENDS:
        _follow(results, folder / name, made)
    known = dict.fromkeys(made, True)
    for figure in [path for path in sorted(folder.rglob("figures/*.png")) if _rests_on(results, path, known)]:
        _follow(results, figure, made)
    return {job(record) for record in made.values()}


def job(record: dict[str, Any]) -> tuple[str, str]:
    """Which job wrote a file, by its record: stage and arguments."""
    return str(record.get("stage")), json.dumps(record.get("arguments"))


def _follow(results: Path, path: Path, made: dict[Path, dict[str, Any]]) -> None:
    """Add the records of a file and of all that it was made from to `made`."""
    record = files.read_record(path) if path.is_file() else None
    if record is None or path in made:
        return
    made[path] = record
    for source, content in _sources(results, record).items():
        _follow(results, source, made)
        if source in made and made[source]["sha256"] != content and len(content) == len(made[source]["sha256"]):
            raise ValueError(f"{path} was made from another {source} than is there now; `respike run` makes it again")


def _rests_on(results: Path, path: Path, known: dict[Path, bool]) -> bool:
    """Whether a file is one of the `known` ones or made from those that are, and nothing else; it is known then."""
    if path not in known:
        sources = _sources(results, files.read_record(path) or {})
        known[path] = bool(sources) and all(_rests_on(results, source, known) for source in sources)
    return known[path]


def _sources(results: Path, record: dict[str, Any]) -> dict[Path, str]:
    """The inputs of a file that the workflow made, and their content then; not the other figures in the folder it is in."""
    inputs = {Path(name): content for name, content in record.get("inputs", {}).items()}
    own = {path: content for path, content in inputs.items() if path.parts[0] == "results" and path.parent.name != "figures"}
    return {results / path.relative_to("results"): content for path, content in own.items()}


def costs(records: list[dict[str, Any]]) -> pd.DataFrame:
    """A row per study and stage: jobs, their wall and CPU time in all (s), and the largest memory of one (MB).

    A job that writes several files leaves a record beside each, with what it has used up to then: the last one counts.
    """
    rows = [
        (*record["stage"].split("."), job(record)[1], *(record["cost"][name] for name in COST))
        for record in records
        if {"stage", "cost"} <= record.keys()
    ]
    jobs = pd.DataFrame(rows, columns=["study", "stage", "job", *COST]).groupby(["study", "stage", "job"]).max()
    stages = jobs.groupby(["study", "stage"])
    return stages.agg(COST).assign(jobs=stages.size()).reset_index()[["study", "stage", "jobs", *COST]]


def provenance(records: list[dict[str, Any]]) -> dict[str, str]:
    """What made a run, fact by fact: root seed, machine, day, number of files with a record, version of each package.

    Name and user of the machine stay out. Where files were made with several seeds, by several machines or versions, all of
    them are named.
    """
    seeds = {record["seed"] for record in records if record.get("seed") is not None}
    hosts = {
        f"{record['host']['system'].split('-')[0]} {record['host']['processor']}" for record in records if "host" in record
    }
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.get("versions", {}).items():
            versions.setdefault(package, set()).add(version)
    return {
        "seed": ", ".join(map(str, sorted(seeds))) or "unknown",
        "machine": ", ".join(sorted(hosts)) or "unknown",
        "finished": max((record["time"][:10] for record in records if "time" in record), default="unknown"),
        "files with a record of their origin": str(len(records)),
        **{package: ", ".join(sorted(versions[package])) for package in sorted(versions)},
    }
