"""Every claim of the papers beside what was measured, with a verdict."""

from pathlib import Path

import pandas as pd

from respike.core import files, measures
from respike.report import cards, html, verdicts


def run(*, metrics: Path, claims: list[Path], size: str, csv: Path, page: Path) -> None:
    """Judge the claims in the files <study>/claims.csv by the joined table `metrics`; write the scorecard as CSV and HTML.

    `size` is that of the run: quick, medium or paper.
    """
    measured = files.read_table(metrics, measures.COLUMNS)
    studies = [(path.parent.name, verdicts.read_claims(path)) for path in claims]
    rows = [verdicts.judge(study, claim, measured, size) for study, listed in studies for claim in listed]
    card = pd.DataFrame(rows, columns=list(cards.COLUMNS))
    files.write_text(csv, card.to_csv(index=False))
    files.write_text(page, html.scorecard(card))
