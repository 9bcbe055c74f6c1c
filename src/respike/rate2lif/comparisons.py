"""Figures that compare variants: all they need stands in the metrics table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from respike.core import style
from respike.rate2lif.params import CONVERTED


@dataclass(frozen=True)
class Roles:
    """Which variant stands for what; lists are drawn side by side."""

    example: str  # Fig. 1B, 2B, S1, S2, evaluation script
    contextual: str  # Fig. 3, 4, S5
    motif: str  # Fig. S3
    sizes: tuple[str, ...]  # Fig. 1C, 2C
    largest_taus: tuple[str, ...]  # Fig. 2D, 2E
    decay: tuple[str, ...]  # Fig. 5
    activations: tuple[str, ...]  # Fig. 7
    tasks: tuple[str, ...]  # all tasks side by side
    conditions: str  # Fig. 6: the variant whose conditions are compared


def draw(table: pd.DataFrame, roles: Roles, out: Path) -> None:
    """Draw every comparison into `out`."""
    sizes(table, roles.sizes, out)
    largest_taus(table, roles.largest_taus, out)
    bars(table, roles.decay, "fig5_decay", "fixed and tuned decay constants", out)
    bars(table, roles.activations, "fig7_activations", "activation functions", out)
    bars(table, roles.tasks, "tasks", "tasks", out)
    conditions(table, roles.conditions, out)


def values(table: pd.DataFrame, variant: str, metric: str) -> np.ndarray:
    """The values of all replicas of a variant."""
    return table.loc[(table["variant"] == variant) & (table["metric"] == metric), "value"].to_numpy()


def spread(axes: Axes, table: pd.DataFrame, variants: Sequence[str], of: str, metric: str, label: str) -> None:
    """Mean and sd over replicas of `metric` against the metric `of`, one point per variant."""
    rows = [(values(table, variant, of).mean(), values(table, variant, metric)) for variant in variants]
    x, y = [row[0] for row in rows], [row[1].mean() for row in rows]
    axes.errorbar(x, y, [row[1].std() for row in rows], fmt="o-", capsize=2, label=label)


def sizes(table: pd.DataFrame, variants: Sequence[str], out: Path) -> None:
    """Fig. 1C and 2C: training and conversion against the number of cells."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    spread(left, table, variants, "cells", "rate accuracy", "rate model")
    spread(left, table, variants, "cells", "LIF accuracy", "LIF network")
    left.axhline(100 * CONVERTED, color="0.6", linewidth=0.6, linestyle=":")
    left.set(ylabel="correct trials (%)", ylim=(-3, 103), title="accuracy, mean ± sd over networks")
    left.legend()
    spread(middle, table, variants, "cells", "trained", "trained")
    spread(middle, table, variants, "cells", "converted", "converted (≥ 95%)")
    middle.set(ylabel="networks (%)", ylim=(-3, 103), title=f"{replicas(table, variants)} per size")
    middle.legend()
    spread(right, table, variants, "cells", "trials to train", "")
    right.set(ylabel="trials to train")
    for axes in (left, middle, right):
        axes.set_xlabel("cells")
    style.save(figure, out, "fig1_fig2_sizes", dataset(table, variants))


def largest_taus(table: pd.DataFrame, variants: Sequence[str], out: Path) -> None:
    """Fig. 2D, 2E: decay constants and conversion against the largest decay constant allowed."""
    figure, ((left, right),) = style.panels(1, 2)
    spread(left, table, variants, "largest tau", "mean tau", "")
    left.set(ylabel="mean decay constant (ms)", title=f"{replicas(table, variants)} per point")
    spread(right, table, variants, "largest tau", "LIF accuracy", "")
    right.axhline(100 * CONVERTED, color="0.6", linewidth=0.6, linestyle=":")
    right.set(ylabel="LIF accuracy (%)", ylim=(-3, 103), title="mean ± sd over networks")
    for axes in (left, right):
        axes.set_xlabel("largest decay constant (ms)")
    style.save(figure, out, "fig2_tau", dataset(table, variants))


def bars(table: pd.DataFrame, variants: Sequence[str], name: str, title: str, out: Path) -> None:
    """Fig. 5 and 7: accuracy of rate model and LIF network of several variants; a dot for each network."""
    figure, ((axes,),) = style.panels(1, 1)
    for shift, metric in ((-0.2, "rate accuracy"), (0.2, "LIF accuracy")):
        shares = [values(table, variant, metric) for variant in variants]
        x = np.arange(len(variants)) + shift
        axes.bar(x, [share.mean() for share in shares], 0.38, label=metric.removesuffix(" accuracy"), alpha=0.6)
        for at, share in zip(x, shares, strict=True):
            axes.plot(np.full(len(share), at), share, "k.", markersize=3)
    axes.axhline(100 * CONVERTED, color="0.4", linewidth=0.6, linestyle=":")
    axes.set(
        xticks=range(len(variants)),
        ylabel="correct trials (%)",
        yticks=range(0, 101, 20),
        ylim=(0, 125),
        title=f"{title}, {replicas(table, variants)}",
    )
    axes.set_xticks(range(len(variants)), [labelled(table, variant) for variant in variants])
    axes.legend(ncols=2, loc="upper center")
    style.save(figure, out, name, dataset(table, variants))


def labelled(table: pd.DataFrame, variant: str) -> str:
    """Variant and the scale that was chosen for it."""
    return f"{variant.replace('_', ' ')}\n1/λ = {values(table, variant, 'best scale').mean():.3g}"


def conditions(table: pd.DataFrame, variant: str, out: Path) -> None:
    """Fig. 6: the same networks with other LIF settings: refractory period, filter, lesions, ..."""
    start = "LIF accuracy, mean output"
    rows = table[table["variant"] == variant]
    names = [m.removeprefix(start).removeprefix(", ") for m in rows["metric"].unique() if m.startswith(start)]
    figure, ((axes,),) = style.panels(1, 1, height=0.6 + 0.28 * max(4, len(names)))
    for shift, (first, label) in enumerate((("LIF accuracy", "published criterion"), (start, "mean output"))):
        shares = [values(rows, variant, f"{first}, {name}" if name else first) for name in names]
        y, means, spreads = np.arange(len(names)) + 0.4 * shift - 0.2, [s.mean() for s in shares], [s.std() for s in shares]
        axes.barh(y, means, 0.38, xerr=spreads, label=label, alpha=0.7)
    axes.set_yticks(range(len(names)), [name or "standard" for name in names])
    axes.set(xlabel="correct trials (%)", xlim=(0, 104), title=f"{variant.replace('_', ' ')}: LIF settings")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.15), ncols=2)
    style.save(figure, out, "fig6_conditions", dataset(rows, [variant]))


def replicas(table: pd.DataFrame, variants: Sequence[str]) -> str:
    """How many networks of each variant there are, in words."""
    counts = sorted({len(values(table, variant, "cells")) for variant in variants})
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) + (" network" if counts == [1] else " networks")


def dataset(table: pd.DataFrame, variants: Sequence[str]) -> str:
    """The data sets of the variants."""
    return "; ".join(sorted(table.loc[table["variant"].isin(variants), "dataset"].unique()))
