"""The small results of each study's run, in a folder kept with the sources (docs/results); pages are filled from there.

<study>/: metrics.csv, activity.csv: tables of the run.  facts.csv: what ran, by variant.  costs.csv: jobs, time and memory per
stage.  run.csv: what made the run, a fact per row.  figures.csv: captions of the figures, which lie beside it, drawn smaller.
<study>_<name>/: a further run of a study without activity.csv; it judges the claims that the first does not answer.
all/: figures of all networks; rasters by `report.activity`, from the spikes of these runs.
scorecard.csv: the verdicts on all claims.
bench.csv, peers.csv: what `make bench` and `make peers` measured, if they did.  performance/: its figure.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from PIL import Image

from respike.core import files, measures, spikes
from respike.report import activity, activity_figures, cards, markdown, performance, pictures, records, verdicts
from respike.report.claims import read

LARGEST = 300_000  # bytes of a figure
LARGEST_TABLE = 1_000_000  # bytes: some ten thousand measures
WIDTHS = (1500, 1200, 1000, 800, 640)  # pixels tried for a figure


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A copy of `folder` that takes its place when the block ends well, and vanishes when it does not.

    Nothing is lost by a kill: what it leaves is put in order when the same folder is replaced again.
    """
    beside = folder.with_name(f".tmp-{folder.name}")
    new, old = beside / "new", beside / "old"
    _put_back(old, folder)
    try:
        beside.mkdir(parents=True)
        if folder.exists():
            shutil.copytree(folder, new)
        new.mkdir(exist_ok=True)
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        _put_back(old, folder)


def _put_back(old: Path, folder: Path) -> None:
    """Put `old` back where no new folder has taken its place, and remove it and what lies beside it otherwise."""
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old.parent, ignore_errors=True)


def write(
    results: Path, captions: Path, study: str, about: dict[str, str], folder: Path, shown: set[str] | None = None
) -> None:
    """Make the `folder` of a study's finished run in `results` anew: its measures, facts, costs and figures, and what made it.

    `about`: what made the run and no record tells. `shown`: of the figures these alone. Raises FileNotFoundError when the run
    is not finished, ValueError when it is finished in part.
    """
    rows, jobs = files.read_table(results / study / "metrics.parquet"), records.jobs(results, results / study)
    made = [record for record in records.read(results / study) if records.job(record) in jobs]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _write_table(rows.drop(columns="study"), folder / "metrics.csv")
    _write_table(files.read_table(results / study / "facts.parquet"), folder / "facts.csv")
    _write_table(records.costs(made), folder / "costs.csv")
    facts = about | records.provenance(made)
    _write_table(pd.DataFrame(facts.items(), columns=["fact", "value"]), folder / "run.csv")
    write_figures(results, captions, study, folder, jobs, shown)


def write_activity(results: Path, study: str, folder: Path) -> None:
    """Statistics of the spikes of a study's finished run, into its `folder`."""
    networks = spikes.read_networks(results / study / "spikes.npz")
    _write_table(activity.table(networks), folder / "activity.csv")


def draw_activity(captions: Path, folder: Path, studies: list[str]) -> None:
    """The statistics of the spikes of all published runs side by side, from their tables in `folder`."""
    tables = [path for study in studies if (path := folder / study / "activity.csv").exists()]
    with tempfile.TemporaryDirectory() as drawn:
        activity_figures.statistics(pd.concat(map(pd.read_csv, tables)), Path(drawn))
        _keep(Path(drawn) / "activity.png", captions, folder / pictures.folder(pictures.ALL_STUDIES))


def _keep(picture: Path, captions: Path, folder: Path) -> None:
    """Take a figure of all studies together into `folder`, with its caption, in place of the one of this name."""
    folder.mkdir(exist_ok=True)
    (folder / picture.name).write_bytes(small(picture))
    listed = table(folder / "figures.csv", ("name", "caption")).set_index("name")["caption"]
    listed[picture.stem] = pictures.caption(captions, pictures.ALL_STUDIES, picture.stem)
    _write_table(listed.sort_index().reset_index(), folder / "figures.csv")


def write_figures(
    results: Path, captions: Path, study: str, folder: Path, jobs: set[tuple[str, str]], shown: set[str] | None = None
) -> None:
    """Figures of a study's `jobs`, or of those of all studies, and captions, into `folder`: all, or those `shown`."""
    folder.mkdir(exist_ok=True)
    figures = [picture for picture in pictures.of(results, captions, jobs) if picture.study == study]
    figures = [picture for picture in figures if shown is None or picture.name in shown]
    for picture in figures:
        (folder / f"{picture.name}.png").write_bytes(small(files.checked(picture.path)))
    _write_table(pd.DataFrame(figures, columns=pictures.Picture._fields)[["name", "caption"]], folder / "figures.csv")


def write_bench(results: Path, captions: Path, folder: Path) -> None:
    """Take what `make bench` and `make peers` measured, if they did, and draw how cost grows."""
    for name in performance.TABLES:
        if (results / name).exists():
            shutil.copyfile(results / name, folder / name)
    if not (results / "bench.csv").exists():
        return
    with tempfile.TemporaryDirectory() as drawn:
        performance.draw(results / "bench.csv", Path(drawn))
        _keep(Path(drawn) / "performance.png", captions, folder / "performance")


def table(path: Path, columns: tuple[str, ...], **how: object) -> pd.DataFrame:
    """A published table; with no rows when there is none."""
    return pd.read_csv(path, keep_default_na=False, **how) if path.exists() else pd.DataFrame(columns=list(columns), dtype=str)


def judge(folder: Path, claims: list[Path]) -> None:
    """Write verdicts on the `claims` (a file per study), and the overview, from the measures and facts in `folder`."""
    of_studies = []
    for path in claims:
        study = path.parent.name
        names = [study, *sorted(run.parent.name for run in folder.glob(f"{study}_*/run.csv"))]
        of_studies.append(verdicts.card(study, read(path), [_run(folder, study, name) for name in names]))
    card = pd.concat(of_studies)[list(cards.COLUMNS)]
    (folder / "scorecard.csv").write_text(card.to_csv(index=False), encoding="utf-8")
    (folder / "README.md").write_text(markdown.overview(folder), encoding="utf-8")


def _run(folder: Path, study: str, name: str) -> verdicts.Run:
    """A published run of a study; one of which figures alone were kept has no facts."""
    how = {"na_values": {"value": [""]}, "dtype": {"unit": str}}
    measured = table(folder / name / "metrics.csv", measures.COLUMNS[1:], **how).assign(study=study)
    facts = table(folder / name / "facts.csv", measures.FACTS, dtype=str)
    return verdicts.Run(measured, facts, markdown.provenance(folder, name)["size"])


def _write_table(rows: pd.DataFrame, path: Path) -> None:
    """CSV file with numbers to six digits."""
    rows.to_csv(path, index=False, float_format="%.6g")


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
