"""Where the results are: the last lines of `make reproduce`."""

import sys
from pathlib import Path

import pandas as pd


def run(*, results: Path = Path("results")) -> None:
    """Print the scorecard's summary and the places of scorecard, figures and report."""
    card = pd.read_csv(results / "scorecard.csv")
    counts = ", ".join(f"{n} {verdict}" for verdict, n in card["verdict"].value_counts().items())
    figures = sorted({str(path.parent) for path in results.glob("*/figures/*.png")})
    sys.stdout.write(
        f"claims     {counts}\nscorecard  {results}/scorecard.html (and .csv)\nmeasures   {results}/metrics.parquet\n"
    )
    for folder in figures:
        sys.stdout.write(f"figures    {folder}\n")
    report = results / "report.html"
    sys.stdout.write(f"report     {report if report.exists() else 'make report writes ' + str(report)}\n")
