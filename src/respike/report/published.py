"""The small results of a run, in a folder that can be kept with the sources (docs/results); pages are filled from there.

scorecard.csv, activity.csv, metrics/<study>.csv: tables of the run.  facts.csv: what ran, by study and variant.
costs.csv: jobs, time and memory per study and stage.
run.csv: what made the run, a fact per row.  figures/, figures.csv: figures with captions, drawn smaller.
bench.csv, peers.csv: what `make bench` and `make peers` measured, if they did.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from PIL import Image

from respike.core import files, measures
from respike.report import cards, performance, pictures, records

LARGEST = 300_000  # bytes of a figure
LARGEST_TABLE = 500_000  # bytes: what code hosts still show as a table
NO_FACTS = pd.DataFrame(columns=list(measures.FACTS), dtype=str)
WIDTHS = (1500, 1200, 1000, 800, 640)  # pixels tried for a figure


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when the block ends well, and vanishes when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-") as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)


def write(results: Path, captions: Path, commit: str, folder: Path) -> None:
    """Write the small results of the finished run in `results` into the empty `folder`.

    Raises FileNotFoundError when the run is not finished.
    """
    card = cards.read(results / "scorecard.csv")
    shutil.copyfile(results / "scorecard.csv", folder / "scorecard.csv")
    (folder / "metrics").mkdir()
    for study, rows in files.read_table(results / "metrics.parquet").groupby("study", sort=False):
        _write_table(rows, folder / "metrics" / f"{study}.csv")
    told = [files.read_table(path, measures.FACTS) for path in sorted(results.glob("*/facts.parquet"))]
    _write_table(pd.concat([NO_FACTS, *told]), folder / "facts.csv")
    _write_table(files.read_table(results / "activity.parquet"), folder / "activity.csv")
    made = records.read(results)
    _write_table(records.costs(made), folder / "costs.csv")
    for name in performance.TABLES:
        if (results / name).exists():
            shutil.copyfile(results / name, folder / name)
    if (results / "bench.csv").exists():
        performance.draw(results / "bench.csv", results / "figures")
    about = origin(str(card["size"].iloc[0]), commit) | records.provenance(made)
    _write_table(pd.DataFrame(about.items(), columns=["fact", "value"]), folder / "run.csv")
    figures = pictures.of(results, captions)
    (folder / "figures").mkdir()
    for picture in figures:
        content = small(files.checked(picture.path))
        (folder / "figures" / pictures.published_name(picture.study, picture.name)).write_bytes(content)
    _write_table(pd.DataFrame(figures).drop(columns="path"), folder / "figures.csv")


def measured(folder: Path) -> pd.DataFrame:
    """The published measures of all studies, to six digits."""
    how = {"keep_default_na": False, "na_values": {"value": [""]}, "dtype": {"unit": str}}
    return pd.concat([pd.read_csv(path, **how) for path in sorted((folder / "metrics").glob("*.csv"))], ignore_index=True)


def facts(folder: Path) -> pd.DataFrame:
    """What the published run says it did; nothing, when it was made before runs said so."""
    path = folder / "facts.csv"
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.exists() else NO_FACTS


def _write_table(rows: pd.DataFrame, path: Path) -> None:
    """CSV file with numbers to six digits."""
    rows.to_csv(path, index=False, float_format="%.6g")


def origin(size: str, commit: str) -> dict[str, str]:
    """The command that makes the run, its size, and the commit."""
    config = "" if size == "quick" else f" CONFIG=workflow/presets/{size}.yaml"
    return {"command": f"make reproduce{config}", "size": size, "commit": commit}


def small(path: Path) -> bytes:
    """The picture as PNG of at most LARGEST bytes: 256 colours, and as many pixels as fit."""
    with Image.open(path) as picture:
        whole = picture.convert("RGB")
    for width in [width for width in WIDTHS if width < whole.width] or [whole.width]:
        size = (width, round(whole.height * width / whole.width))
        content = io.BytesIO()
        # no dithering: lines stay lines, and flat areas compress
        scaled = whole.resize(size, Image.Resampling.LANCZOS).quantize(256, dither=Image.Dither.NONE)
        scaled.save(content, "PNG", optimize=True)
        if content.tell() <= LARGEST:
            break
    return content.getvalue()


def refuse_large(folder: Path) -> None:
    """ValueError for a file that is too large to be kept with the sources."""
    for path in sorted(folder.rglob("*")):
        largest = LARGEST_TABLE if path.suffix == ".csv" else LARGEST
        if path.is_file() and path.stat().st_size > largest:
            sizes = f"{path.stat().st_size / 1000:.0f} kB, expected at most {largest / 1000:.0f} kB"
            raise ValueError(f"{path.relative_to(folder)}: {sizes}; draw it smaller or measure less in that study")
