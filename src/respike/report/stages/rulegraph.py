"""The workflow rules of each study as pictures for the pages: `make rules`."""

from pathlib import Path

from respike.report import rulegraph


def run(*, graph: Path, folder: Path) -> None:
    """Write folder/rules_<study>.svg for each study in the rule graph of Snakemake (dot text)."""
    folder.mkdir(parents=True, exist_ok=True)
    for study, rules in rulegraph.of_studies(graph.read_text(encoding="utf-8")).items():
        (folder / f"rules_{study}.svg").write_text(rulegraph.draw(rules), encoding="utf-8")
