"""Where the results are: the last lines of `make reproduce`."""

import sys
from pathlib import Path

from respike.core import files
from respike.report import cards, records


def run(*, results: Path = Path("results")) -> None:
    """Print the places of scorecard, measures, figures and report, and how many claims have which verdict.

    A scorecard that was made from other measures than are there now says nothing.
    """
    card, measures, report = (results / name for name in ("scorecard.csv", "metrics.parquet", "report.html"))
    judged = card.exists() and _is_of_now(card)
    lines = [f"scorecard  {_verdicts(card) if judged else 'make reproduce, without ONLY, writes it'}"]
    lines += [f"measures   {measures}"] if measures.exists() else []
    lines += [f"figures    {folder}" for folder in sorted({path.parent for path in results.rglob("figures/*.png")})]
    lines += [f"report     {report if report.exists() else f'make report writes {report}'}"]
    sys.stdout.write("\n".join(lines) + "\n")


def _is_of_now(card: Path) -> bool:
    """Whether the measures are those that were judged: by the records, and by the times of files without."""
    if (files.read_record(card) or {}).get("inputs"):
        try:
            return bool(records.jobs(card.parent, card.parent))
        except ValueError:
            return False
    return all(path.stat().st_mtime <= card.stat().st_mtime for path in card.parent.glob("*/metrics.parquet"))


def _verdicts(card: Path) -> str:
    counts = cards.counts(cards.read(card), cards.WHOSE[:1]).sum()
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return f"{card.with_suffix('.html')} (and .csv); of the papers' claims: {told}"
