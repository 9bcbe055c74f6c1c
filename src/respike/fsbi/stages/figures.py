"""Figures of one family of rules; each function's docstring names the paper's figure it answers."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import files, style
from respike.fsbi import inference_figure, mean_field, mlp, network_figure, protocol, recording
from respike.fsbi.inference.targets import Target, group, meets, plausible
from respike.fsbi.inference.whitening import components, whiten
from respike.fsbi.params import PLASTIC, TERM_BOX, THETA, TYPES, Simulation, box, metrics_of
from respike.fsbi.rules import parameters, read

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
BINS = 10  # of a heat map
UNITS = {"rate": "Hz", "rate_i": "Hz", "std_rate_spatial": "Hz"} | dict.fromkeys(("std_rate_temporal", "fft"), "1/cell/ms")
CONSTANT = {"poly": ("alpha", "beta"), "mlp": ("pre_bias", "post_bias")}  # change at a spike whatever the other cell did


@dataclass(frozen=True)
class Shown:
    """What the figures must know beside the tables."""

    targets: dict[str, Target]
    condition: str  # group of conditions of the correlations and the pair plot
    seconds: float | None  # length of the longevity test, where it was simulated here
    simulation: Simulation


def run(
    *,
    tables: list[Path],
    longevity: Path,
    posteriors: list[Path],
    example: Path,
    recordings: list[Path],
    compare: Path,
    folder: Path,
    family: str,
    names: list[str],
    settings: Shown,
    hidden: Path | None = None,
) -> None:
    """Write the figures `names` into `folder` as <family>_<name>.pdf and .png.

    `hidden` is a file of the fixed layers of mlp; `recordings` holds spikes and weights of the rule in `example`, if any.
    """
    rounds, targets = [files.read_table(path) for path in tables], settings.targets
    everything = read(tables)
    good = everything[meets(everything, plausible(targets, group(settings.condition, family)))]
    examined, chosen = [files.read_arrays(path) for path in posteriors], GROUP_LABELS[settings.condition]
    one, wiring = files.read_table(example).iloc[0], settings.simulation.wiring
    draw = {
        "accumulation": lambda: accumulation(rounds, family, targets),
        "components": lambda: spectra(rounds, family),
        "protocol": lambda: protocols(one, family, mlp.fixed_layers(wiring, hidden), wiring.tau_fast),
        "metrics": lambda: histograms(rounds, family, targets),
        "correlations": lambda: correlations(good, chosen, examined[-1] if examined else None, family),
        "pairs": lambda: pairs(good, chosen, family),
        "against_rate": lambda: against_rate(rounds, family, targets),
        "heat_maps": lambda: heat_maps(rounds, family),
        "longevity": lambda: survival(files.read_table(longevity), family, targets, settings.seconds),
        "inference": lambda: inference_figure.draw(examined, rounds, files.read_table(compare)),
        "mean_field": lambda: mean_fields(rounds),
        "network": lambda: network_figure.draw(recording.read(recordings[0])[int(one["index"])]),
    }
    for name in names:
        style.save(draw[name](), folder, f"{family}_{name}", rounds[0]["dataset"].iloc[0])


# -- rules ------------------------------------------------------------------------------------------------------------


def round_color(number: int) -> str:
    """Colour of a round."""
    return ROUND_COLORS[number % len(ROUND_COLORS)]


def accumulation(rounds: list[pd.DataFrame], family: str, targets: Mapping[str, Target]) -> Figure:
    """Share of the rules of each round that meet each group of conditions (figures 2a and 4a)."""
    figure, ((axes,),) = style.panels()
    counted = {"irregular": "irregular_with_std_cv", "plausible": "plausible_with_std_cv"} if family == "poly" else {}
    for number, (name, label) in enumerate(GROUP_LABELS.items()):
        conditions = plausible(targets, group(counted.get(name, name), family))
        shares = [max(meets(table, conditions).mean(), CLIP) if conditions else np.nan for table in rounds]
        x = np.arange(len(rounds)) + 0.12 * (number - 1.5)  # side by side: equal shares stay visible
        axes.plot(x, shares, "--", linewidth=0.7, color=COLORS[name])
        axes.plot(x, shares, "_", markersize=9, markeredgewidth=2, color=COLORS[name], label=label)
    axes.set(yscale="log", ylim=(CLIP / 1.5, 1.5), xlim=(-0.5, len(rounds) - 0.5), ylabel="share of rules (at least 1e-4)")
    axes.set_xticks(range(len(rounds)), [f"pi{number}\n{len(table)}" for number, table in enumerate(rounds)])
    axes.set_xlabel("round and its number of rules")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=0.5)
    return figure


def spectra(rounds: list[pd.DataFrame], family: str) -> Figure:
    """Explained variance of the whitened rules, round by round (figures 2b and 4b)."""
    figure, ((axes,),) = style.panels()
    n = len(THETA[family]) - 1
    for number, table in enumerate(rounds):
        share, label = components(whiten(table, family))[1], f"pi{number}, n = {len(table)}"
        axes.plot(np.arange(1, n + 1), share, ".-", color=round_color(number), label=label)
    axes.axhline(1 / n, color="0.5", linestyle=":", linewidth=0.8, label="uniform, many rules")
    axes.set(xlabel="principal component", ylabel="explained variance", ylim=(0, None))
    axes.legend()
    return figure


def protocols(example: pd.Series, family: str, layers: np.ndarray, tau_fast: float) -> Figure:
    """Weight change of one rule under a pre-post pair, one panel per type of synapse (figures 2c, 4c and 4d)."""
    kinds, levels = PLASTIC[family], np.linspace(0, 1, 5)
    figure, axes = style.panels(1, len(kinds), 2.2)
    reach = 0.2 if family == "poly" else 0.1
    for panel, kind in zip(axes[0], kinds, strict=True):
        for lag in (np.linspace(-reach, -1e-6, 200), np.linspace(0, reach, 200)):
            if family == "poly":
                color = style.EXCITATORY if kind[0] == "E" else style.INHIBITORY
                panel.plot(lag, protocol.poly(example, kind, lag), color=color)
            for level in levels if family == "mlp" else ():
                change = protocol.mlp(example, kind, lag, layers, tau_fast, level)
                panel.plot(lag, change, color=colormaps["viridis"](0.9 * level))
        if family == "poly":
            panel.axhline(0, color="0.7", linewidth=0.5)
        panel.set(title=f"{kind[0]} to {kind[1]}", xlabel="post minus pre (s)")
        panel.locator_params(axis="x", nbins=5)
    axes[0, 0].set_ylabel("weight change / learning rate" if family == "poly" else "weight change")
    if family == "mlp":
        labels = [f"{level:.2g}" for level in levels]
        axes[0, -1].legend(labels, title="activity", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def histograms(rounds: list[pd.DataFrame], family: str, targets: Mapping[str, Target]) -> Figure:
    """Every metric, round by round, with its plausible range in grey."""
    names = metrics_of(family)
    figure, axes = metric_panels(len(names))
    for panel, name in zip(axes, names, strict=False):
        values = [table[name].dropna().to_numpy(float) for table in rounds]
        edges = bin_edges(np.concatenate(values))
        for number, value in enumerate(values):
            weights = np.full(len(value), 1 / max(len(rounds[number]), 1))
            panel.hist(value, edges, weights=weights, histtype="step", color=round_color(number))
        if name in targets and targets[name].plausible:
            low, high = targets[name].plausible
            panel.axvspan(max(low, edges[0]), max(edges[0], min(high, edges[-1])), color="0.92", zorder=0)
        panel.set_xlabel(with_unit(name))
    for number, table in enumerate(rounds):
        axes[0].plot([], [], color=round_color(number), label=f"pi{number}, n = {len(table)}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.supylabel("share of rules", fontsize=8)
    return figure


def metric_panels(n: int) -> tuple[Figure, np.ndarray]:
    """A panel for each of n metrics, four to the width of a page."""
    figure, axes = style.panels(-(-n // 4), 4, 1.6, style.WIDTH / 2)
    for panel in axes.flat[n:]:
        panel.axis("off")
    return figure, axes.ravel()


def with_unit(name: str) -> str:
    """Name of a metric, and its unit if it has one; weights are in units of the leak conductance, all else are numbers."""
    return f"{name} ({UNITS[name]})" if name in UNITS else name


def bin_edges(values: np.ndarray) -> np.ndarray:
    """30 bins over the central 98 % of the values."""
    low, high = np.quantile(values, (0.01, 0.99)) if len(values) else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1, 31)


def against_rate(rounds: list[pd.DataFrame], family: str, targets: Mapping[str, Target]) -> Figure:
    """Every other metric against the rate, a dot per rule, over the central 98 %; the plausible range is grey."""
    names = [name for name in metrics_of(family) if name != "rate"]
    figure, axes = metric_panels(len(names))
    for panel, name in zip(axes, names, strict=False):
        for number, table in enumerate(rounds):
            panel.plot(table["rate"] + 0.01, table[name], ".", markersize=2, color=round_color(number), rasterized=True)
        low, high = bin_edges(np.concatenate([table[name].dropna() for table in rounds]))[[0, -1]]
        panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
        if name in targets and targets[name].plausible:
            panel.axhspan(*np.clip(targets[name].plausible, *panel.get_ylim()), color="0.92", zorder=0)
        panel.set(xscale="log", ylabel=with_unit(name).replace(" ", "\n"))
    for number, table in enumerate(rounds):
        label = f"pi{number}, {int(table['rate'].notna().sum())} finished"
        axes[0].plot([], [], ".", color=round_color(number), label=label)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    figure.supxlabel("rate + 0.01 (Hz)", fontsize=8)
    return figure


def heat_maps(rounds: list[pd.DataFrame], family: str) -> Figure:
    """The constant terms of each plastic type of synapse in two sets of rules, the first round above and the last below."""
    sets = {0: rounds[0], len(rounds) - 1: rounds[-1]}
    figure, axes = style.panels(len(sets), len(PLASTIC[family]), 2.4, 2.6)
    for row, (number, table) in enumerate(sets.items()):
        for panel, kind in zip(axes[row], PLASTIC[family], strict=True):
            x, y = (f"{kind}_{term}" for term in CONSTANT[family])
            edges = [np.linspace(*box(name), BINS + 1) for name in (x, y)]
            share = np.histogram2d(table[x], table[y], edges)[0] / max(len(table), 1) * BINS**2
            shown = panel.pcolormesh(*edges, share.T, vmin=0, vmax=4, cmap="viridis", rasterized=True)
            panel.set(xlabel=x, ylabel=y, title=f"pi{number}, n = {len(table)}", aspect="equal")
    figure.colorbar(shown, ax=axes[:, -1], shrink=0.6, label="density / uniform", extend="max")
    return figure


def mean_fields(rounds: list[pd.DataFrame]) -> Figure:
    """Coefficients of the mean-field weight change, coloured by the rate they lead to (figure 3)."""
    rows = (*TYPES, "alpha, beta")
    figure, axes = style.panels(len(rows), len(rounds), 1.7)
    for number, table in enumerate(rounds):
        finished = table[table["rate"].notna()]
        for row, kind in enumerate(rows):
            x, y, rate, labels = mean_field.axes(finished, kind)
            order = np.argsort(rate)  # high rates are drawn last
            dots = axes[row, number].scatter(x[order], y[order], 4, rate[order], vmin=RATE_RANGE[0], vmax=RATE_RANGE[1])
            axes[row, number].set(xlabel=labels[0], ylabel=labels[1] if number == 0 else "")
        axes[0, number].set_title(f"pi{number}, n = {len(finished)}")
    figure.colorbar(dots, ax=axes[:, -1], shrink=0.4, label="rate of the receiving cells (Hz)", extend="max")
    return figure


def correlations(good: pd.DataFrame, chosen: str, examined: dict[str, np.ndarray] | None, family: str) -> Figure:
    """Conditional correlations of the last posterior, and Pearson's of the rules that meet the chosen conditions (4e, 4f)."""
    figure, axes = style.panels(1, 2, 3.6)
    names = list(THETA[family][:-1])
    none = np.full((len(names), len(names)), np.nan)
    pearson = np.corrcoef(parameters(good, family).T) if len(good) > 2 else none
    conditional = (examined["correlations"], condition_text(examined)) if examined else (none, "no posterior in this run")
    matrices = [conditional, (pearson, f"Pearson, {len(good)} rules that meet the conditions: {chosen}")]
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


def pairs(good: pd.DataFrame, chosen: str, family: str) -> Figure:
    """Every parameter against every other, each over its prior range, of rules that meet the chosen conditions (figure 4f)."""
    names = list(THETA[family])
    figure, ((axes,),) = style.panels(1, 1, 7.2, 7.2)
    low, high = np.array([box(name) for name in names]).T
    at = 0.05 + 0.9 * (good[names].to_numpy(float) - low) / (high - low)  # of each rule inside a cell of width 1
    dots = {"markersize": 1, "mew": 0, "color": "black", "alpha": min(1, 400 / max(len(good), 1)), "rasterized": True}
    for row in range(len(names)):
        floor = len(names) - 1 - row
        x = np.concatenate([column + at[:, column] for column in range(row)]) if row else np.zeros(0)
        axes.plot(x, floor + np.tile(at[:, row], row), ".", **dots)
        share = np.histogram(at[:, row], 10, (0.05, 0.95))[0] / max(len(good), 1)
        heights, edges = floor + 0.9 * share / max(share.max(), 1e-9), row + np.linspace(0.05, 0.95, 11)
        axes.stairs(heights, edges, baseline=floor, fill=True, color="0.6")
    middle = np.arange(len(names)) + 0.5
    axes.set_xticks(middle, names, rotation=90, fontsize=5)
    axes.set_yticks(middle, names[::-1], fontsize=5)
    title = f"{len(good)} rules that meet the conditions: {chosen}"
    axes.set(xlim=(0, len(names)), ylim=(0, len(names)), title=title)
    return figure


def survival(table: pd.DataFrame, family: str, targets: Mapping[str, Target], seconds: float | None) -> Figure:
    """What still holds after the long simulation (figure 5a), and where the stable rules lie (figures 5b and 5c)."""
    kinds = PLASTIC[family] if family == "poly" else ()
    figure, axes = style.panels(1 + len(kinds) // 2, 2, 2.9)
    stable = meets(table, plausible(targets, group("plausible", family)))
    survival_bars(axes[0, 0], table, family, targets)
    axes[0, 0].set_title(f"{len(table)} rules " + (f"after {seconds:.0f} s" if seconds else "after a longer simulation"))
    theta = parameters(table, family)
    if len(table) > 2:
        split_scatter(axes[0, 1], *(components(theta)[0][:2] @ (theta - theta.mean(0)).T), stable)
    met = f"blue: the {stable.sum()} that still meet all conditions"
    axes[0, 1].set(xlabel="first principal component", ylabel="second principal component", title=met)
    for panel, kind in zip(axes[1:].flat, kinds, strict=True):
        split_scatter(panel, table[f"{kind}_alpha"].to_numpy(), table[f"{kind}_beta"].to_numpy(), stable)
        panel.set(xlabel=f"alpha {kind}", ylabel=f"beta {kind}", xlim=TERM_LIMITS, ylim=TERM_LIMITS)
    return figure


def survival_bars(axes: Axes, table: pd.DataFrame, family: str, targets: Mapping[str, Target]) -> None:
    """Share of the rules that still meet each condition and each group."""
    groups = {label: plausible(targets, group(name, family)) for name, label in GROUP_LABELS.items()}
    single = {name: {name: bounds} for name, bounds in plausible(targets, metrics_of(family)).items()}
    conditions = {"finite": {"rate": (0.0, np.inf)}, **single, **groups}
    shares = [meets(table, bounds).mean() if len(table) and bounds else np.nan for bounds in conditions.values()]
    axes.barh(range(len(shares)), shares, color="#56B4E9")
    axes.set_yticks(range(len(shares)), list(conditions), fontsize=5)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of rules")


def split_scatter(axes: Axes, x: np.ndarray, y: np.ndarray, stable: np.ndarray) -> None:
    """Dots of the rules that stayed stable and of those that did not."""
    axes.plot(x[~stable], y[~stable], ".", color="0.6", label="not stable")
    axes.plot(x[stable], y[stable], ".", color="#0072B2", label="stable")
