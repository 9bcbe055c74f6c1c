"""Every claim of the papers beside what was measured, with a verdict."""

from pathlib import Path

import pandas as pd

from respike.core import files, measures
from respike.report import cards, html, records, verdicts
from respike.report.claims import read


def run(*, metrics: Path, facts: list[Path], claims: list[Path], size: str, csv: Path, page: Path) -> None:
    """Judge the claims in the files <study>/claims.csv by the joined table `metrics`; write the scorecard as CSV and HTML.

    `facts` says of each study what ran (see `core.measures.facts`); `size` is the name of the size of the run.
    """
    this = verdicts.Run(files.read_table(metrics, measures.COLUMNS), records.joined(facts, measures.FACTS), size)
    card = pd.concat([verdicts.card(path.parent.name, read(path), [this]) for path in claims])[list(cards.COLUMNS)]
    files.write_text(csv, card.to_csv(index=False))
    files.write_text(page, html.scorecard(card))
