"""Where the results are: the last lines of `make reproduce`."""

import sys
from pathlib import Path

from respike.report import cards


def run(*, results: Path = Path("results")) -> None:
    """Print the places of scorecard, measures, figures and report, and how many claims have which verdict."""
    card, measures, report = (results / name for name in ("scorecard.csv", "metrics.parquet", "report.html"))
    lines = [f"scorecard  {_verdicts(card) if card.exists() else 'make reproduce, without ONLY, writes it'}"]
    lines += [f"measures   {measures}"] if measures.exists() else []
    lines += [f"figures    {folder}" for folder in sorted({path.parent for path in results.rglob("figures/*.png")})]
    lines += [f"report     {report if report.exists() else f'make report writes {report}'}"]
    sys.stdout.write("\n".join(lines) + "\n")


def _verdicts(card: Path) -> str:
    counts = cards.counts(cards.read(card), cards.WHOSE[:1]).sum()
    told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return f"{card.with_suffix('.html')} (and .csv); of the papers' claims: {told}"
