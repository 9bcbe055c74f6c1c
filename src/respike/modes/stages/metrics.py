"""Simulated trials, weights and losses of all networks in, one tidy table out, and what ran."""

from pathlib import Path

from respike.core import files, measures
from respike.modes import measurement, trials


def run(*, simulations: list[Path], out: Path, facts: Path) -> None:
    """Measure every network and every variant."""
    files.write_table(out, measures.table("modes", measurement.measures(trials.read(simulations))))
    files.write_table(facts, measures.facts("modes", measurement.facts(simulations)))
