"""Where the results are: the last lines of `make reproduce`."""

import sys
from pathlib import Path

import pandas as pd


def run(*, results: Path = Path("results")) -> None:
    """Print the places of scorecard, measures, figures and report, and how many claims met which verdict."""
    lines = [claims(results / "scorecard.csv")]
    lines += [f"measures   {path}" for path in (results / "metrics.parquet",) if path.exists()]
    lines += [f"figures    {folder}" for folder in sorted({path.parent for path in results.glob("*/figures/*.png")})]
    report = results / "report.html"
    lines.append(f"report     {report if report.exists() else f'make report writes {report}'}")
    sys.stdout.write("\n".join(lines) + "\n")


def claims(card: Path) -> str:
    """Verdicts in the scorecard and its place, or how to make it after a run of single studies."""
    if not card.exists():
        return "scorecard  make reproduce, without ONLY, writes it"
    verdicts = pd.read_csv(card)["verdict"].value_counts()
    counts = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.items())
    return f"scorecard  {card.with_suffix('.html')} (and .csv): {counts}"
