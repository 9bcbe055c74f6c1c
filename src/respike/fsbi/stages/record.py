"""Simulate a table of few rules and keep everything: spikes, weight samples and metrics."""

from pathlib import Path

import pandas as pd

from respike.core import files
from respike.fsbi import recording
from respike.fsbi import rules as tables
from respike.fsbi.params import Simulation
from respike.fsbi.simulator.binary import Simulator


def run(
    *, rules: list[Path], binary: Path, out: Path, recordings: Path, settings: Simulation, hidden: Path | None = None
) -> None:
    """Write to `out` what `fsbi.simulate` writes, and to `recordings` the recording of each rule (see fsbi/recording.py)."""
    simulator = Simulator(binary, settings, hidden)
    table = tables.read_checked(rules, simulator.network.family)
    ran = [(rule, *simulator.record(rule)) for rule in table]
    recording.write(recordings, {int(rule["index"]): one for rule, one, _ in ran})
    rows = [simulator.row(*each) for each in ran]
    files.write_table(out, pd.DataFrame(rows, columns=simulator.columns()))
