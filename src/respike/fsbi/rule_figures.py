"""Figures of the rules: who survives, how they spread, what they do to a synapse."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import style
from respike.fsbi import mean_field as coefficients
from respike.fsbi import protocol
from respike.fsbi.params import PLASTIC, TERM_BOX, THETA, box
from respike.fsbi.targets import Target, group, meets, metrics_of, plausible
from respike.fsbi.whitening import components, whiten

CLIP = 1e-4  # smallest share shown
GROUP_LABELS = {
    "activity": "stable activity",
    "weights": "stable weights",
    "irregular": "asynchronous irregular",
    "plausible": "all",
}
COLORS = {"activity": "#0072B2", "weights": "#D55E00", "irregular": "#009E73", "plausible": "#000000"}
ROUND_COLORS = ("0.6", "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#000000")
RATE_RANGE = (0, 50)  # Hz, of the colours
TERM_LIMITS = (TERM_BOX[0] - 0.1, TERM_BOX[1] + 0.1)


def accumulation(rounds: list[pd.DataFrame], rule: str, targets: Mapping[str, Target]) -> Figure:
    """Share of the rules of each round that meet each group of conditions (figures 2a and 4a)."""
    figure, ((axes,),) = style.panels()
    counted = {"irregular": "irregular_with_std_cv", "plausible": "plausible_with_std_cv"} if rule == "poly" else {}
    for number, (name, label) in enumerate(GROUP_LABELS.items()):
        conditions = plausible(targets, group(counted.get(name, name), rule))
        shares = [max(meets(table, conditions).mean(), CLIP) for table in rounds]
        places = np.arange(len(rounds)) + 0.12 * (number - 1.5)  # side by side: equal shares stay visible
        axes.plot(places, shares, "--", linewidth=0.7, color=COLORS[name])
        axes.plot(places, shares, "_", markersize=9, markeredgewidth=2, color=COLORS[name], label=label)
    axes.set(yscale="log", ylim=(CLIP / 1.5, 1.5), xlim=(-0.5, len(rounds) - 0.5), ylabel="share of rules (at least 1e-4)")
    axes.set_xticks(range(len(rounds)), [f"pi{number}\n{len(table)}" for number, table in enumerate(rounds)])
    axes.set_xlabel("round and its number of rules")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=0.5)
    return figure


def spectra(rounds: list[pd.DataFrame], rule: str) -> Figure:
    """Explained variance of the whitened rules, round by round (figures 2b and 4b)."""
    figure, ((axes,),) = style.panels()
    n = len(THETA[rule]) - 1
    for number, table in enumerate(rounds):
        share = components(whiten(table, rule))[1]
        axes.plot(
            np.arange(1, n + 1),
            share,
            ".-",
            color=ROUND_COLORS[number % len(ROUND_COLORS)],
            label=f"pi{number}, n = {len(table)}",
        )
    axes.axhline(1 / n, color="0.5", linestyle=":", linewidth=0.8, label="uniform, many rules")
    axes.set(xlabel="principal component", ylabel="explained variance", ylim=(0, None))
    axes.legend()
    return figure


def protocols(example: pd.Series, rule: str, hidden: np.ndarray | None) -> Figure:
    """Weight change of one rule under a pre-post pair, one panel per type of synapse (figures 2c, 4c and 4d)."""
    kinds = PLASTIC[rule]
    figure, axes = style.panels(1, len(kinds), 2.2)
    for panel, kind in zip(axes[0], kinds, strict=True):
        reach = 0.2 if rule == "poly" else 0.1
        for lag in (np.linspace(-reach, -1e-6, 200), np.linspace(0, reach, 200)):
            draw_protocol(panel, example, rule, kind, lag, hidden)
        if rule == "poly":
            panel.axhline(0, color="0.7", linewidth=0.5)
        panel.set(title=f"{kind[0]} to {kind[1]}", xlabel="post minus pre (s)")
    axes[0, 0].set_ylabel("weight change / learning rate" if rule == "poly" else "weight change")
    if rule == "mlp":
        axes[0, -1].legend(
            [f"{level:.2g}" for level in np.linspace(0, 1, 5)], title="activity", loc="upper left", bbox_to_anchor=(1, 1)
        )
    return figure


def draw_protocol(axes: Axes, example: pd.Series, rule: str, kind: str, lag: np.ndarray, hidden: np.ndarray | None) -> None:
    """One side of the curve, before or after the presynaptic spike."""
    if rule == "poly":
        axes.plot(lag, protocol.poly(example, kind, lag), color=style.EXCITATORY if kind[0] == "E" else style.INHIBITORY)
        return
    for level in np.linspace(0, 1, 5):
        axes.plot(lag, protocol.mlp(example, kind, lag, hidden, level), color=colormaps["viridis"](0.9 * level))


def histograms(rounds: list[pd.DataFrame], rule: str, targets: Mapping[str, Target]) -> Figure:
    """Every metric, round by round, with its plausible range in grey."""
    names = metrics_of(rule)
    figure, axes = style.panels(3, 6, 1.5)
    for panel, name in zip(axes.flat, names, strict=False):
        values = [table[name].dropna().to_numpy(float) for table in rounds]
        edges = bin_edges(np.concatenate(values))
        for number, value in enumerate(values):
            weights = np.full(len(value), 1 / max(len(rounds[number]), 1))
            panel.hist(value, edges, weights=weights, histtype="step", color=ROUND_COLORS[number % len(ROUND_COLORS)])
        if name in targets and targets[name].plausible:
            low, high = targets[name].plausible
            panel.axvspan(max(low, edges[0]), max(edges[0], min(high, edges[-1])), color="0.92", zorder=0)
        panel.set_title(name)
    for panel in axes.flat[len(names) :]:
        panel.axis("off")
    last = axes.flat[-1]
    for number, table in enumerate(rounds):
        last.plot([], [], color=ROUND_COLORS[number % len(ROUND_COLORS)], label=f"pi{number}, n = {len(table)}")
    last.axis("off")
    last.legend(loc="center")
    axes[1, 0].set_ylabel("share of rules")
    return figure


def bin_edges(values: np.ndarray) -> np.ndarray:
    """30 bins over the central 98 % of the values."""
    low, high = np.quantile(values, (0.01, 0.99)) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, 31)


def mean_field(rounds: list[pd.DataFrame]) -> Figure:
    """Coefficients of the mean-field weight change, coloured by the rate they lead to (figure 3)."""
    rows = ("EE", "EI", "IE", "II", "alpha, beta")
    figure, axes = style.panels(len(rows), len(rounds), 1.7)
    for number, table in enumerate(rounds):
        finished = table[table["rate"].notna()]
        for row, kind in enumerate(rows):
            x, y, rate, labels = mean_field_axes(finished, kind)
            order = np.argsort(rate)  # high rates are drawn last
            dots = axes[row, number].scatter(x[order], y[order], 4, rate[order], vmin=RATE_RANGE[0], vmax=RATE_RANGE[1])
            axes[row, number].set(xlabel=labels[0], ylabel=labels[1] if number == 0 else "")
        axes[0, number].set_title(f"pi{number}, n = {len(finished)}")
    figure.colorbar(dots, ax=axes[:, -1], shrink=0.4, label="rate of the receiving cells (Hz)")
    return figure


def mean_field_axes(table: pd.DataFrame, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, str]]:
    """x, y, rate that gives the colour, and axis labels of one row of the mean-field figure."""
    rate, rate_i = table["rate"].to_numpy(float), table["rate_i"].to_numpy(float)
    if kind == "alpha, beta":
        return table["EE_alpha"].to_numpy(), table["EE_beta"].to_numpy(), rate, ("alpha EE", "beta EE")
    alpha, beta = table[f"{kind}_alpha"].to_numpy(), table[f"{kind}_beta"].to_numpy()
    slope = coefficients.slope(table, kind)
    sender, receiver = (rate if kind[0] == "E" else rate_i), (rate if kind[1] == "E" else rate_i)
    if kind[0] == kind[1]:
        return -(alpha + beta), slope, receiver, (f"-(alpha + beta) {kind}", f"lambda {kind}")
    name = "r_E" if kind[0] == "E" else "r_I"
    return -alpha * sender, beta + sender * slope, receiver, (f"-alpha {name}, {kind}", f"beta + {name} lambda, {kind}")


def correlations(good: pd.DataFrame, examined: dict[str, np.ndarray] | None, rule: str) -> Figure:
    """Conditional correlations of the last posterior and Pearson correlations of the plausible rules (figures 4e and 4f)."""
    figure, axes = style.panels(1, 2, 3.6)
    names = list(THETA[rule][:-1])
    pearson = np.corrcoef(good[names].to_numpy(float).T) if len(good) > 2 else np.full((len(names), len(names)), np.nan)
    matrices = [
        (examined["correlations"], condition_text(examined)) if examined else (pearson * np.nan, "no posterior in this run")
    ]
    matrices.append((pearson, f"Pearson, {len(good)} rules that meet the conditions"))
    for panel, (matrix, title) in zip(axes[0], matrices, strict=True):
        shown = panel.imshow(np.where(np.eye(len(names)) > 0, np.nan, matrix), vmin=-1, vmax=1, cmap="RdBu_r")
        panel.set_title(textwrap.fill(title, 40))
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=4)
        panel.set_yticks(range(len(names)), names, fontsize=4)
    figure.colorbar(shown, ax=axes[0, 1], shrink=0.6, label="correlation")
    return figure


def condition_text(examined: dict[str, np.ndarray]) -> str:
    """Where the posterior was examined, in words."""
    parts = [f"{name} {value:.3g}" for name, value in zip(examined["condition_names"], examined["condition"], strict=True)]
    return "conditional, posterior at " + ", ".join(parts)


def pairs(good: pd.DataFrame, rule: str) -> Figure:
    """Every parameter against every other, each over its prior range, for the rules that meet the conditions (figure 4f)."""
    names = list(THETA[rule])
    figure, ((axes,),) = style.panels(1, 1, 7.0)
    figure.set_size_inches(7.2, 7.2)
    low, high = np.array([box(name) for name in names]).T
    place = 0.05 + 0.9 * (good[names].to_numpy(float) - low) / (high - low)  # of each rule inside a cell of width 1
    dots = {"markersize": 1, "mew": 0, "color": "black", "alpha": min(1, 400 / max(len(good), 1)), "rasterized": True}
    for row in range(len(names)):
        x = np.concatenate([column + place[:, column] for column in range(row)]) if row else np.zeros(0)
        axes.plot(x, len(names) - 1 - row + np.tile(place[:, row], row), ".", **dots)
        share = np.histogram(place[:, row], 10, (0.05, 0.95))[0] / max(len(good), 1)
        edges = row + np.linspace(0.05, 0.95, 11)
        axes.stairs(
            len(names) - 1 - row + 0.9 * share / max(share.max(), 1e-9),
            edges,
            baseline=len(names) - 1 - row,
            fill=True,
            color="0.6",
        )
    middle = np.arange(len(names)) + 0.5
    axes.set_xticks(middle, names, rotation=90, fontsize=5)
    axes.set_yticks(middle, names[::-1], fontsize=5)
    axes.set(xlim=(0, len(names)), ylim=(0, len(names)), title=f"{len(good)} rules that meet the conditions")
    return figure


def longevity(table: pd.DataFrame, rule: str, targets: Mapping[str, Target], seconds: float) -> Figure:
    """What still holds after the long simulation (figure 5a), and where the stable rules lie (figures 5b and 5c)."""
    kinds = PLASTIC[rule] if rule == "poly" else ()
    figure, axes = style.panels(1 + len(kinds) // 2, 2, 2.9)
    stable = meets(table, plausible(targets, group("plausible", rule)))
    survival_bars(axes[0, 0], table, rule, targets)
    axes[0, 0].set_title(f"{len(table)} rules after {seconds:.0f} s")
    theta = table[list(THETA[rule][:-1])].to_numpy(float)
    if len(table) > 2:
        split_scatter(axes[0, 1], *(components(theta)[0][:2] @ (theta - theta.mean(0)).T), stable)
    axes[0, 1].set(
        xlabel="first principal component", ylabel="second principal component", title="blue: all conditions still met"
    )
    for panel, kind in zip(axes[1:].flat, kinds, strict=True):
        split_scatter(panel, table[f"{kind}_alpha"].to_numpy(), table[f"{kind}_beta"].to_numpy(), stable)
        panel.set(xlabel=f"alpha {kind}", ylabel=f"beta {kind}", xlim=TERM_LIMITS, ylim=TERM_LIMITS)
    return figure


def survival_bars(axes: Axes, table: pd.DataFrame, rule: str, targets: Mapping[str, Target]) -> None:
    """Share of the rules that still meet each condition and each group."""
    single = {
        name: {name: targets[name].plausible} for name in metrics_of(rule) if name in targets and targets[name].plausible
    }
    groups = {label: plausible(targets, group(name, rule)) for name, label in GROUP_LABELS.items()}
    conditions = {"finite": {"rate": (0.0, np.inf)}, **single, **groups}
    shares = [meets(table, bounds).mean() if len(table) else np.nan for bounds in conditions.values()]
    axes.barh(range(len(shares)), shares, color="#56B4E9")
    axes.set_yticks(range(len(shares)), list(conditions), fontsize=5)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of rules")


def split_scatter(axes: Axes, x: np.ndarray, y: np.ndarray, stable: np.ndarray) -> None:
    """Dots of the rules that stayed stable and of those that did not."""
    axes.plot(x[~stable], y[~stable], ".", color="0.6", label="not stable")
    axes.plot(x[stable], y[stable], ".", color="#0072B2", label="stable")
