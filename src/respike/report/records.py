"""What the records beside the files of a run tell: the cost of its jobs, and what made it."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from respike.core import files

COST = {"wall_s": "sum", "cpu_s": "sum", "memory_mb": "max"}  # of a job (see core.files), and how jobs are taken together


def read(results: Path) -> list[dict[str, Any]]:
    """Record of each file in `results` that has one; saved parts of trainings that have not ended are left out."""
    return [files.read_record(path) for path in files.recorded(results)]


def costs(records: list[dict[str, Any]]) -> pd.DataFrame:
    """A row per study and stage: jobs, their wall and CPU time in all (s), and the largest memory of one (MB).

    A job that writes several files leaves a record beside each, with what it has used up to then: the last one counts.
    """
    rows = [
        (*record["stage"].split("."), json.dumps(record["arguments"]), *(record["cost"][name] for name in COST))
        for record in records
        if {"stage", "cost"} <= record.keys()
    ]
    jobs = pd.DataFrame(rows, columns=["study", "stage", "job", *COST]).groupby(["study", "stage", "job"]).max()
    stages = jobs.groupby(["study", "stage"])
    return stages.agg(COST).assign(jobs=stages.size()).reset_index()[["study", "stage", "jobs", *COST]]


def provenance(records: list[dict[str, Any]]) -> dict[str, str]:
    """What made a run, fact by fact: root seed, machine, day, number of files with a record, version of each package.

    Name and user of the machine stay out. Where files were made by several machines or versions, all of them are named.
    """
    seeds = [record["seed"] for record in records if record.get("seed") is not None]
    hosts = {
        f"{record['host']['system'].split('-')[0]} {record['host']['processor']}" for record in records if "host" in record
    }
    versions: dict[str, set[str]] = {}
    for record in records:
        for package, version in record.get("versions", {}).items():
            versions.setdefault(package, set()).add(version)
    return {
        "seed": str(min(seeds, default="unknown")),  # trainings count up from that of the config
        "machine": ", ".join(sorted(hosts)) or "unknown",
        "finished": max((record["time"][:10] for record in records if "time" in record), default="unknown"),
        "files with a record of their origin": str(len(records)),
        **{package: ", ".join(sorted(versions[package])) for package in sorted(versions)},
    }
