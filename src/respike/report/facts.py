"""What is known about a finished run besides its numbers: figures and captions, cost, seeds, versions, machine."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

ALL_STUDIES = "all studies"


class Picture(NamedTuple):
    """A figure of a run: where it is, whose it is, and what its caption says."""

    path: Path
    study: str
    name: str
    caption: str


def pictures(results: Path, captions: Path) -> list[Picture]:
    """The figures in `results` that have a caption: those of all studies together first."""
    together = [(path, ALL_STUDIES) for path in sorted((results / "figures").glob("*.png"))]
    found = together + [(path, path.parents[1].name) for path in sorted(results.glob("*/figures/*.png"))]
    captioned = [(path, study, caption(captions, study, path.stem)) for path, study in found]
    return [Picture(path, study, path.stem, text) for path, study, text in captioned if text]


def caption(captions: Path, study: str, name: str) -> str:
    """Caption of a figure without marks: its own, or that of its kind (poly_pairs: pairs)."""
    kinds = [name] if study == ALL_STUDIES else [f"{study}_{name}", f"{study}_{name.partition('_')[2]}"]
    sources = (captions / f"{kind}.rst" for kind in kinds)
    text = next((source.read_text(encoding="utf-8") for source in sources if source.exists()), "")
    return re.sub(r"``?|\*\*?|\\", "", text).strip().replace("\n", " ")


def costs(results: Path) -> pd.DataFrame:
    """A row per study and rule: jobs, seconds from their start to their end in all, and most memory (MB) that was seen.

    A job has one thread. Not its CPU time: Snakemake reads that every half minute and misses what comes after the last look.
    """
    jobs = []
    for path in sorted(results.glob("*/benchmark/*.tsv")):
        rows = pd.read_csv(path, sep="\t", na_values="-")
        place = {"study": path.parents[1].name, "rule": path.stem.split("_")[0]}
        jobs.append({**place, "s": rows["s"].sum(), "mb": rows["max_rss"].max()})
    table = pd.DataFrame(jobs, columns=["study", "rule", "s", "mb"])
    by_rule = table.groupby(["study", "rule"]).agg(jobs=("s", "size"), run_s=("s", "sum"), peak_mb=("mb", "max"))
    return by_rule.reset_index()


def records(results: Path) -> list[dict]:
    """What stands beside each file of a run about its making."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.rglob(".made/*.json"))]


def machine(made: list[dict]) -> str:
    """System and processor on which the files of a run were made; its name and its user are nobody's business."""
    hosts = {f"{record['host']['system'].split('-')[0]} {record['host']['processor']}" for record in made if "host" in record}
    return ", ".join(sorted(hosts)) or "unknown"


def versions(made: list[dict]) -> dict[str, str]:
    """Exact version of every package that made a file of a run; several when it was made with several."""
    found: dict[str, set[str]] = {}
    for record in made:
        for package, version in record.get("versions", {}).items():
            found.setdefault(package, set()).add(version)
    return {package: ", ".join(sorted(found[package])) for package in sorted(found)}


def root_seed(made: list[dict]) -> str:
    """The seed of the config: the lowest that any stage was given (trainings count up from it)."""
    given = [record["seed"] for record in made if record.get("seed") is not None]
    return str(min(given)) if given else "unknown"
