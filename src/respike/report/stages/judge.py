"""Judge the published tables anew and fill the pages: after an edit of a claim, without a run."""

from pathlib import Path

from respike.report import cards, markdown, marks, published, verdicts
from respike.report.claims import read


def run(*, out: Path, fill: list[Path], claims: list[Path]) -> None:
    """Make the scorecard and the overview in the published folder `out` anew from the measures and facts that lie there.

    Then fill the pages in `fill`. A run that does not say what it did leaves its claims not comparable.
    """
    size = markdown.provenance(out)["size"]
    studies = [(path.parent.name, read(path)) for path in claims]
    card = verdicts.card(studies, published.measured(out), published.facts(out), size)[list(cards.COLUMNS)]
    (out / "scorecard.csv").write_text(card.to_csv(index=False), encoding="utf-8")
    (out / "README.md").write_text(markdown.overview(out), encoding="utf-8")
    marks.fill(fill, out)
