"""Copy the small results of a finished run to a folder that is kept with the sources, and fill the pages from there."""

from pathlib import Path

from respike.report import markdown, marks, published


def run(*, results: Path, captions: Path, fill: list[Path], commit: str, out: Path) -> None:
    """Make the folder `out` anew from the finished run in `results`, then fill the pages in `fill` (files or folders).

    All text between marks in the pages is made anew from the files in `out`, so that no number is typed.
    Raises FileNotFoundError when the run is not finished and ValueError for a file that is too large.
    """
    with published.replaced(out) as new:
        published.write(results, captions, commit, new)
        (new / "README.md").write_text(markdown.overview(new), encoding="utf-8")
        published.refuse_large(new)
    marks.fill(fill, out)
