"""The tables and the figure of `docs/performance.md`, made from the published results of `make bench` and `make peers`."""

from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import style

NONE = "*Not measured in the published run: `make bench` or `make peers`, then `make publish`.*"
TABLES = ("bench.csv", "peers.csv")  # in the results, if they were measured
COLUMNS = {
    "workload": "workload",
    "cpu_s": "ours (CPU s)",
    "yardstick": "yardstick",
    "yardstick_cpu_s": "yardstick (CPU s)",
    "ratio": "ratio",
    "peak_mb": "peak memory (MB)",
    "load": "load of the machine",
}


def lines(published: Path, pattern: str) -> list[list[str]]:
    """Workloads of TABLES whose name matches `pattern`, in the order of COLUMNS; none when they were not measured."""
    tables = [pd.read_csv(published / name) for name in TABLES if (published / name).exists()]
    table = pd.concat([pd.DataFrame(columns=list(COLUMNS)), *tables])
    asked = table[table["workload"].map(lambda name: fnmatchcase(name, pattern)).astype(bool)]
    return [[_short(value) for value in line] for line in asked[list(COLUMNS)].itertuples(index=False, name=None)]


SIZES = r"fsbi poly, .* s, (?:(?P<cells>\d+) cells, (?P<synapses>[\d.]+) M|(?P<rules>\d+) rules on (?P<cores>\d+))"


def growth(bench: Path) -> dict[str, pd.DataFrame]:
    """How the cost of the plastic network grows: tables of x and CPU seconds for each, by what x is.

    A network grows in cells with the same inputs to each, and in inputs of as many cells; workloads of `benchmarks/fsbi.py`.
    """
    table = pd.read_csv(bench)
    sizes = table["workload"].str.extract(SIZES).astype(float).assign(cpu_s=table["cpu_s"])
    inputs = (1e6 * sizes["synapses"] / sizes["cells"]).round(-2)  # of a cell
    chosen = {
        "cells": inputs == inputs.median(),
        "synapses": sizes["cells"] == sizes["cells"].median(),
        "rules": sizes["cores"] == 1,
        "cores": sizes["rules"] == sizes["cores"],
    }
    return {
        name: sizes.loc[rows, [name, "cpu_s"]].set_axis(["x", "cpu_s"], axis=1).sort_values("x")
        for name, rows in chosen.items()
    }


def draw(bench: Path, folder: Path) -> None:
    """performance.pdf and .png: CPU seconds by cells, synapses, rules in a row, and cores at work; dotted, in proportion.

    Nothing is drawn when these workloads were not measured.
    """
    grown = growth(bench)
    if any(points.empty for points in grown.values()):
        return
    labels = {
        "cells": "cells, as many inputs to each",
        "synapses": "million synapses, as many cells",
        "rules": "rules, one after the other",
        "cores": "cores, a rule on each",
    }
    figure, axes = style.panels(1, len(labels), height=2.4, sharey=True)
    figure.set_figwidth(2.3 * style.WIDTH)
    for panel, (name, points) in zip(axes[0], grown.items(), strict=True):
        panel.loglog(points["x"], points["cpu_s"].iloc[0] * points["x"] / points["x"].iloc[0], ":", color="0.5")
        panel.loglog(points["x"], points["cpu_s"], "o-")
        panel.set_xticks(points["x"], [f"{x:g}" for x in points["x"]])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(labels[name])
    ticks = 2.0 ** np.arange(-2, 4)
    axes[0, 0].set(ylabel="CPU seconds", yticks=ticks, yticklabels=[f"{tick:g}" for tick in ticks])
    axes[0, 0].set_yticks([], minor=True)
    style.save(figure, folder, "performance", "make bench")


def _short(value: object) -> str:
    return "" if pd.isna(value) else f"{value:.3g}" if isinstance(value, float) else str(value)
