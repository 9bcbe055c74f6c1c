"""Copy the small results of a finished run into a folder that can be kept with the sources, and fill the pages from there.

    python -m respike report.publish --results results --captions workflow/report --fill README.md docs --commit abc123
        --out docs/results

The folder gets scorecard.csv, activity.csv, costs.csv, run.csv, metrics/<study>.csv, figures/<study>_<name>.png and a
README.md. All text between marks in the pages is made anew from these files (see `pages`), so that no number is typed.
"""

import io
import shutil
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

from respike.core import files
from respike.report import facts
from respike.report.stages import pages

LARGEST = 300_000  # bytes of a figure
LARGEST_TABLE = 500_000  # bytes: what code hosts still show as a table
WIDTHS = (1500, 1200, 1000, 800, 640)  # pixels tried for a figure


def run(*, results: Path, captions: Path, fill: list[Path], commit: str, out: Path) -> None:
    """Make the folder `out` anew from the finished run in `results`, then fill the pages in `fill` (files or folders).

    Raises FileNotFoundError when the run is not finished and ValueError for a file that is too large.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".tmp-") as new:
        gather(results, captions, commit, Path(new) / "results")
        shutil.rmtree(out, ignore_errors=True)
        (Path(new) / "results").rename(out)
    pages.fill_all(fill, out)


def gather(results: Path, captions: Path, commit: str, out: Path) -> None:
    """Write everything but the pages into the new folder `out`."""
    for folder in (out / "metrics", out / "figures"):
        folder.mkdir(parents=True)
    card = pd.read_csv(files.checked(results / "scorecard.csv"), keep_default_na=False)
    card.to_csv(out / "scorecard.csv", index=False)
    metrics = files.read_table(results / "metrics.parquet")
    for study, rows in metrics.groupby("study", sort=False):
        write(rows, out / "metrics" / f"{study}.csv")
    write(files.read_table(results / "activity.parquet"), out / "activity.csv")
    write(facts.costs(results), out / "costs.csv")
    write(about(results, str(card["size"].iloc[0]), commit), out / "run.csv")
    for picture in facts.pictures(results, captions):
        prefix = "" if picture.study == facts.ALL_STUDIES else f"{picture.study}_"
        (out / "figures" / f"{prefix}{picture.name}.png").write_bytes(small(files.checked(picture.path)))
    write(pd.DataFrame(facts.pictures(results, captions)).drop(columns="path"), out / "figures.csv")
    (out / "README.md").write_text(pages.overview(out), encoding="utf-8")
    refuse_large(out)


def write(table: pd.DataFrame, path: Path) -> None:
    """CSV file with numbers to six digits."""
    table.to_csv(path, index=False, float_format="%.6g")


def about(results: Path, size: str, commit: str) -> pd.DataFrame:
    """What made the run, one fact per row: command, size, version, commit, seed, machine, time, packages."""
    made = facts.records(results)
    config = "" if size == "quick" else f" CONFIG=workflow/presets/{size}.yaml"
    finished = max((record["time"] for record in made if "time" in record), default="unknown")
    known = {
        "command": f"make reproduce{config}",
        "size": size,
        "commit": commit,
        "seed": facts.root_seed(made),
        "machine": facts.machine(made),
        "finished": finished[:10],
        "files with a record of their origin": len(made),
        **facts.versions(made),
    }
    return pd.DataFrame(known.items(), columns=["fact", "value"])


def small(path: Path) -> bytes:
    """The picture as PNG of at most LARGEST bytes: 256 colours, and as many pixels as fit."""
    with Image.open(path) as picture:
        whole = picture.convert("RGB")
    for width in [width for width in WIDTHS if width < whole.width] or [whole.width]:
        size = (width, round(whole.height * width / whole.width))
        content = io.BytesIO()
        # no dithering: lines stay lines, and flat areas compress
        whole.resize(size, Image.Resampling.LANCZOS).quantize(256, dither=Image.Dither.NONE).save(
            content, "PNG", optimize=True
        )
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
