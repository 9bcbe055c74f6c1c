"""The figures of a run and their captions."""

import re
from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from respike.core import files
from respike.report import records

ALL_STUDIES = "all studies"


class Picture(NamedTuple):
    """A figure of a run: where it is, whose it is, and what its caption says."""

    path: Path
    study: str
    name: str
    caption: str


def of(results: Path, captions: Path, jobs: Container[tuple[str, str]]) -> list[Picture]:
    """The figures in `results` that one of the `jobs` of a run made and that have a caption: those of all studies first."""
    together = [(path, ALL_STUDIES) for path in sorted((results / "figures").glob("*.png"))]
    figures = together + [(path, path.parents[1].name) for path in sorted(results.glob("*/figures/*.png"))]
    pictures = (Picture(path, study, path.stem, caption(captions, study, path.stem)) for path, study in figures)
    shown = [(picture, files.read_record(picture.path)) for picture in pictures if picture.caption]
    return [picture for picture, record in shown if record and records.job(record) in jobs]


def caption(captions: Path, study: str, name: str) -> str:
    """Caption of a figure without marks: that of its name, or of its kind (poly_pairs: pairs); empty when there is none."""
    kinds = [name] if study == ALL_STUDIES else [f"{study}_{name}", f"{study}_{name.partition('_')[2]}"]
    sources = (captions / f"{kind}.rst" for kind in kinds)
    text = next((source.read_text(encoding="utf-8") for source in sources if source.exists()), "")
    return re.sub(r"``?|\*\*?|\\", "", text).strip().replace("\n", " ")


def folder(study: str) -> str:
    """Name of the folder of a study's published figures."""
    return "all" if study == ALL_STUDIES else study
