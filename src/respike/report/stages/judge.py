"""Judge the published tables anew and fill the pages: after an edit of a claim, without a run."""

from pathlib import Path

from respike.report import marks, published


def run(*, out: Path, fill: list[Path], claims: list[Path]) -> None:
    """Make the scorecard and the overview in the published folder `out` anew from the measures and facts that lie there.

    Then fill the pages in `fill`. A run that does not say what it did leaves its claims not comparable.
    """
    published.judge(out, claims)
    marks.fill(fill, out)
