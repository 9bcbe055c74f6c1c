"""The scorecards of several scenarios in one table."""

from pathlib import Path

import pandas as pd

CLAIM = ["study", "item", "source", "paper_value", "unit"]  # columns of a scorecard that say what a claim is
PAGE = "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>respike: scenarios</title>\n<body>\n{}\n</body></html>\n"
FOUND = ["value", "size", "dataset", "verdict"]


def run(*, cards: list[Path], out: Path) -> None:
    """A row per claim and a column "<what>: <scenario>" for each of `cards`, scenarios/<scenario>/results/scorecard.csv.

    Written as CSV to `out` and as HTML beside it.
    """
    names = [path.parents[1].name for path in cards]
    tables = [
        pd.read_csv(path)
        .assign(number=lambda card: card.groupby(CLAIM, dropna=False).cumcount())
        .set_index([*CLAIM, "number"])[FOUND]
        .add_suffix(f": {name}")
        for name, path in zip(names, cards, strict=True)
    ]
    columns = [f"{what}: {name}" for what in FOUND for name in names]
    card = pd.concat(tables, axis=1)[columns].reset_index().drop(columns="number")
    card.to_csv(out, index=False)
    out.with_suffix(".html").write_text(PAGE.format(card.to_html(index=False, na_rep="")), encoding="utf-8")
