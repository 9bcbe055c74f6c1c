"""The rules of each study as pictures for the pages: `make rules`."""

from pathlib import Path

from respike.report.stages import page


def run(*, graph: Path, folder: Path) -> None:
    """Write folder/rules_<study>.svg for each study in the rule graph of Snakemake (dot text)."""
    folder.mkdir(parents=True, exist_ok=True)
    for study, rules in page.graphs(graph.read_text(encoding="utf-8")).items():
        # sorted, as Snakemake's order is another one in each call
        lines = [line.rstrip() for line in page.drawing(page.nx.DiGraph(sorted(rules.edges))).splitlines()]
        (folder / f"rules_{study}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")
