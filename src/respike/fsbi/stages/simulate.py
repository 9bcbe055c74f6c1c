"""Run plasticity rules: a table of rules in, one row of metrics per rule out.

A row depends on its rule, its seed and the settings only, not on the chunk it is in. A chunk that was cut off goes on after
the rows it had finished (see core.partial).
"""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from respike.core import files, partial
from respike.fsbi import rules as tables
from respike.fsbi.params import Simulation
from respike.fsbi.simulator.binary import Simulator


def run(
    *,
    rules: list[Path],
    binary: Path,
    out: Path,
    settings: Simulation,
    rows: tables.Rows = tables.ALL,
    hidden: Path | None = None,
) -> None:
    """Simulate `rows` (all) of the files `rules` with the binary described by `binary`.

    `out` gets the rule, its metrics, outcome, stop time (s) and CPU time (s). `hidden` is a text file of the two fixed layers
    of the mlp rule; without one they are drawn.
    """
    simulator = Simulator(binary, settings, hidden)
    table = tables.read_checked(rules, simulator.network.family, rows)
    made_by = {"simulation": asdict(settings), "binary": simulator.key, "rows": asdict(rows)}
    done = (partial.resume(out, made_by) or {"rows": []})["rows"]
    for rule in table[len(done) :]:
        done.append(simulator.row(rule, *simulator.record(rule)))
        partial.save(out, made_by, {"rows": done})
    measured = pd.DataFrame(done, columns=simulator.columns())
    files.write_table(out, measured.sort_values(["round", "index"], ignore_index=True))
    partial.forget(out)
