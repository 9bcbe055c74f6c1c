"""All results on one HTML page that works offline: scorecard, figures by study, workflow rules, costs, provenance."""

from pathlib import Path

import pandas as pd

from respike.core import files
from respike.report import cards, html, pictures, records, rulegraph

LARGEST = 20e6  # bytes
HEADS = {"wall_s": "s in all", "cpu_s": "CPU s in all", "memory_mb": "most memory (MB)"}


def run(*, results: Path, captions: Path, graph: Path, out: Path) -> None:
    """Write the page `out` from the folder `results`, the captions of the figures and the rule graph (dot text).

    Raises FileNotFoundError when there is no scorecard yet and ValueError when the page would be too large to pass on.
    """
    card, bench, jobs = cards.read(results / "scorecard.csv"), results / "bench.csv", records.jobs(results, results)
    made = [record for record in records.read(results) if records.job(record) in jobs]
    tables = {"jobs of this run": records.costs(made).rename(columns=HEADS)}
    if bench.exists():
        tables["make bench"] = pd.read_csv(bench)
    graphs = rulegraph.of_studies(graph.read_text(encoding="utf-8"))
    page = html.page(
        card,
        pictures.of(results, captions, jobs),
        {study: rulegraph.draw(rules) for study, rules in graphs.items()},
        tables,
        records.provenance(made),
    )
    if len(page) > LARGEST:
        raise ValueError(f"{out}: {len(page) / 1e6:.0f} MB, expected at most {LARGEST / 1e6:.0f} MB; draw smaller figures")
    files.write_text(out, page)
