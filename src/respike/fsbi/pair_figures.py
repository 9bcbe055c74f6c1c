"""Figures of two things at a time: one metric against another, and two data sets as heat maps."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from respike.core import style
from respike.fsbi.params import PLASTIC, box
from respike.fsbi.rule_figures import ROUND_COLORS, bin_edges
from respike.fsbi.targets import Target, metrics_of

BINS = 10
CONSTANT = {"poly": ("alpha", "beta"), "mlp": ("pre_bias", "post_bias")}  # change at a spike whatever the other cell did


def against_rate(rounds: list[pd.DataFrame], rule: str, targets: Mapping[str, Target]) -> Figure:
    """Every other metric against the rate, a dot per rule, over the central 98 %; the plausible range is grey."""
    names = [name for name in metrics_of(rule) if name != "rate"]
    figure, axes = style.panels(3, 6, 1.5)
    figure.set_size_inches(12, 5)
    for panel, name in zip(axes.flat, names, strict=False):
        for number, table in enumerate(rounds):
            color = ROUND_COLORS[number % len(ROUND_COLORS)]
            panel.plot(table["rate"] + 0.01, table[name], ".", markersize=2, color=color, rasterized=True)
        low, high = bin_edges(np.concatenate([table[name].dropna() for table in rounds]))[[0, -1]]
        panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        if name in targets and targets[name].plausible:
            low, high = panel.get_ylim()
            panel.axhspan(*np.clip(targets[name].plausible, low, high), color="0.92", zorder=0)
        panel.set(xscale="log", title=name)
    for panel in axes.flat[len(names) :]:
        panel.axis("off")
    for number, table in enumerate(rounds):
        color = ROUND_COLORS[number % len(ROUND_COLORS)]
        axes.flat[-1].plot([], [], ".", color=color, label=f"pi{number}, {int(table['rate'].notna().sum())} finished")
    axes.flat[-1].legend(loc="center")
    axes[2, 0].set_xlabel("rate + 0.01 (Hz)")
    return figure


def heat_maps(rounds: list[pd.DataFrame], rule: str) -> Figure:
    """The constant terms of each plastic type of synapse in two sets of rules, the first round above and the last below."""
    sets = {0: rounds[0], len(rounds) - 1: rounds[-1]}
    figure, axes = style.panels(len(sets), len(PLASTIC[rule]), 2.4)
    figure.set_size_inches(2.5 * len(PLASTIC[rule]) + 0.6, 2.4 * len(sets))
    for row, (number, table) in enumerate(sets.items()):
        for panel, kind in zip(axes[row], PLASTIC[rule], strict=True):
            x, y = (f"{kind}_{term}" for term in CONSTANT[rule])
            edges = [np.linspace(*box(name), BINS + 1) for name in (x, y)]
            share = np.histogram2d(table[x], table[y], edges)[0] / max(len(table), 1) * BINS**2
            shown = panel.pcolormesh(*edges, share.T, vmin=0, vmax=4, cmap="viridis", rasterized=True)
            panel.set(xlabel=x, ylabel=y, title=f"pi{number}, n = {len(table)}", aspect="equal")
    figure.colorbar(shown, ax=axes[:, -1], shrink=0.6, label="density / uniform", extend="max")
    return figure
