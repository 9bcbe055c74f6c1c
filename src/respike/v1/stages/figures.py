"""Recording, free runs and measures in, the figures of the study out: recording and fitted networks side by side."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from respike.core import files, statistics, style
from respike.v1 import agreement, recorded, simulated, truth
from respike.v1.agreement import Raster
from respike.v1.params import Variant
from respike.v1.recorded import Recording
from respike.v1.simulated import Simulation
from respike.v1.truth import Truth

DATA_COLOR = "black"
COLORS = plt.rcParams["axes.prop_cycle"].by_key()["color"]


class Shown(NamedTuple):
    """What the figures draw: the recording, and some networks with their names."""

    recording: Recording
    simulations: dict[str, Simulation]
    histories: dict[str, pd.DataFrame]
    measures: pd.DataFrame
    truth: Truth | None
    weights: dict[str, float]  # of the noise correlation in the variants of the config

    def color(self, name: str) -> str:
        """Colour of a way of fitting, the same in every figure."""
        order = list(dict.fromkeys([*self.simulations, *self.weights]))
        return COLORS[order.index(name) % len(COLORS)]

    @property
    def n_cells(self) -> int:
        """Recorded cells."""
        return self.recording.spikes.shape[2]

    @property
    def n_runs(self) -> int:
        """Free runs of each network."""
        return max(len(simulation.spikes) for simulation in self.simulations.values())

    def of(self, split: str) -> Raster:
        """Recorded trials of a split, over the bins that free runs have."""
        n_steps = next(iter(self.simulations.values())).spikes.shape[1]
        return self.recording.of(split)[:, -n_steps:]

    def runs(self, name: str) -> Raster:
        """Free runs of the recorded cells of a network."""
        return self.simulations[name].recorded_spikes

    def noise_correlations(self) -> dict[str, Float[np.ndarray, " pair"]]:
        """Of each pair of cells, in the test trials and in the free runs of each network."""
        spikes = {"data (test)": self.of("test")} | {name: self.runs(name) for name in self.simulations}
        return {name: agreement.correlations(raster)["noise"] for name, raster in spikes.items()}

    def true_couplings(self) -> Float[np.ndarray, "post pre lag"]:
        """Behind a stand-in, in logit units, lag 1 first: of the cells that were kept of it, and of the hidden ones."""
        weights, hidden = self.truth.couplings, range(self.truth.n_visible, len(self.truth.couplings))
        kept = [*self.recording.units, *hidden]
        return weights[np.ix_(kept, kept)]


def run(
    *,
    recording: Path,
    runs: list[Path],
    histories: list[Path],
    names: list[str],
    metrics: Path,
    ground_truth: Path | None,
    variants: dict[str, Variant],
    folder: Path,
) -> None:
    """Draw every figure into `folder`: free `runs` and training `histories` of networks called `names`.

    `metrics` is the table of all networks, `ground_truth` the file of the network behind a stand-in, None for recorded data;
    `variants` are the ways of fitting that the config names.
    """
    shown = Shown(
        recorded.read(recording),
        {name: simulated.read(path) for name, path in zip(names, runs, strict=True)},
        {name: files.read_table(path) for name, path in zip(names, histories, strict=True)},
        files.read_table(metrics),
        None if ground_truth is None else truth.read(ground_truth),
        {name: variant.objective.noise_correlation for name, variant in variants.items()},
    )
    draw = (movie, rasters, training, psth, correlation_matrices, correlation_scatter)
    draw += (couplings, self_couplings, methods, pareto, hidden_cells)
    for figure in draw:
        style.save(figure(shown), folder, figure.__name__, shown.recording.dataset)


def movie(shown: Shown) -> plt.Figure:
    """Six frames of the movie as the network sees it."""
    figure, axes = style.panels(1, 6, 1.4, 1.2)
    for panel, frame in zip(axes[0], np.linspace(0, len(shown.recording.movie) - 1, 6).astype(int), strict=True):
        panel.imshow(shown.recording.movie[frame], cmap="gray", vmin=0, vmax=1)
        panel.set(title=f"{frame * shown.recording.bin_seconds:.2f} s", xticks=[], yticks=[])
    return figure


def rasters(shown: Shown) -> plt.Figure:
    """Figure 1: one trial of the data above, one free run of the last shown network below; training left, test right."""
    name = list(shown.simulations)[-1]
    figure, axes = style.panels(2, 2, height=2.0, sharex=True, sharey=True)
    columns = ((shown.of("train")[0], "data, training trial"), (shown.of("test")[0], "data, test trial"))
    for column, (trial, title) in enumerate(columns):
        _raster(axes[0, column], trial, shown.recording.bin_seconds, title)
        _raster(axes[1, column], shown.runs(name)[column], shown.recording.bin_seconds, f"{name}, free run {column + 1}")
    for panel in axes[0]:
        panel.set(xlabel="")
    for panel in axes[:, 1]:
        panel.set(ylabel="")
    return figure


def _raster(panel: Axes, trial: Bool[np.ndarray, "step cell"], bin_seconds: float, title: str) -> None:
    step, cell = np.nonzero(trial)
    style.raster(panel, step * bin_seconds, cell)
    panel.set(title=title, xlabel="time in the run (s)", ylim=(-0.5, trial.shape[1] - 0.5))
    panel.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def training(shown: Shown) -> plt.Figure:
    """Figure 2: training and validation loss of each shown network, and the best step."""
    figure, axes = style.panels(1, len(shown.histories), 2.3, 2.4)
    for panel, (name, log) in zip(axes[0], shown.histories.items(), strict=True):
        seen = log.dropna(subset=["validation"])
        best = seen.loc[seen["validation"].idxmin()]
        panel.plot(log["step"] + 1, log["train"], color=COLORS[1], linewidth=0.7, label="training batch")
        panel.plot(seen["step"] + 1, seen["validation"], color=DATA_COLOR, linestyle="--", label="validation")
        panel.axvline(best["step"] + 1, color="0.6", linewidth=0.7)
        settled = pd.concat([log["train"][len(log) // 20 :], seen["validation"]])
        panel.set(ylim=(settled.min() * 0.98, settled.max() * 1.02), xlabel="step", ylabel="loss")
        panel.set_title(f"{name}\nbest step {best['step'] + 1:.0f}, validation {best['validation']:.4f}")
    axes[0, 0].legend()
    return figure


def psth(shown: Shown) -> plt.Figure:
    """Figure 3: trial mean of the most active cells, test data against the free runs of each network."""
    test = shown.of("test")
    cells = np.argsort(-test.mean((0, 1)), kind="stable")[:8]
    rows = -(-len(cells) // 2)
    figure, axes = style.panels(rows, min(2, len(cells)), height=max(1.2, 2.0 / rows), sharex=True)
    for panel in list(axes.flat)[len(cells) :]:
        panel.set_visible(False)
    time = np.arange(test.shape[1]) * shown.recording.bin_seconds
    for panel, cell in zip(axes.flat, cells, strict=False):
        panel.plot(time, test[:, :, cell].mean(0), color="0.7", linewidth=0.8, label="data (test)")
        for name in shown.simulations:
            panel.plot(time, shown.runs(name)[:, :, cell].mean(0), color=shown.color(name), linewidth=0.8, label=name)
        panel.set(title=f"cell {cell}", ylim=(0, None))
    for panel in axes.flat[max(0, len(cells) - axes.shape[1]) : len(cells)]:  # the lowest of each column
        panel.set(xlabel="time in the run (s)")
        panel.tick_params(labelbottom=True)
    figure.supylabel("spike probability per bin", fontsize=8)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(shown.simulations) + 1)
    return figure


def correlation_matrices(shown: Shown) -> plt.Figure:
    """Figure 4: noise correlations, lower triangle, of the data and each network on one scale."""
    pairs = shown.noise_correlations()
    limit = np.percentile(np.abs(pairs["data (test)"]), 98) if shown.n_cells > 1 else 1.0
    figure, axes = style.panels(1, len(pairs), 2.5, 2.1)
    for panel, (name, values) in zip(axes[0], pairs.items(), strict=True):
        below = np.full((shown.n_cells, shown.n_cells), np.nan)
        below[np.tril_indices(shown.n_cells, -1)] = values
        image = panel.imshow(below, cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set(title=name, xlabel="cell")
    axes[0, 0].set(ylabel="cell")
    figure.colorbar(image, ax=axes[0], label="noise correlation", shrink=0.8, extend="both")
    return figure


def correlation_scatter(shown: Shown) -> plt.Figure:
    """Figure 7: noise correlation of each pair, network against data."""
    pairs, train = shown.noise_correlations(), shown.of("train")
    data = pairs.pop("data (test)")
    pairs[f"{len(train)} other trials"] = agreement.correlations(train)["noise"]
    figure, axes = style.panels(1, len(pairs), 2.2, 2.0, sharex=True, sharey=True)
    for panel, (name, values) in zip(axes[0], pairs.items(), strict=True):
        panel.axline((0, 0), slope=1, color="0.8", linewidth=0.7)
        panel.plot(data, values, ".", markersize=3)
        panel.set(title=f"{name}\nR² {statistics.r2(data, values):.2f}", xlabel="data (test)")
    axes[0, 0].set(ylabel="noise correlation")
    return figure


def couplings(shown: Shown) -> plt.Figure:
    """Figure 5: summed couplings in logit units, from (to the right) and to (downwards); recorded cells before the line.

    Each panel has its own scale, since those of the truth and of the fits differ.
    """
    matrices = {name: simulation.logit_couplings.sum(2) for name, simulation in shown.simulations.items()}
    if shown.truth is not None:
        matrices = {"truth": shown.true_couplings().sum(2)} | matrices
    figure, axes = style.panels(1, len(matrices), 2.1, 2.5)
    for panel, (name, matrix) in zip(axes[0], matrices.items(), strict=True):
        limit = np.percentile(np.abs(matrix), 98) or 1.0
        image = panel.imshow(matrix, cmap="bwr", vmin=-limit, vmax=limit)
        if len(matrix) > shown.n_cells:
            panel.axvline(shown.n_cells - 0.5, color="black", linewidth=0.6)
            panel.axhline(shown.n_cells - 0.5, color="black", linewidth=0.6)
        panel.set(title=name, xlabel="from cell")
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        figure.colorbar(image, ax=panel, shrink=0.8, label="logit", extend="both")
    axes[0, 0].set(ylabel="to cell")
    return figure


def self_couplings(shown: Shown) -> plt.Figure:
    """Figure 6: how a cell's own spike acts on it in the following bins, logit units."""
    cells = range(min(shown.n_cells, 50))
    columns = min(10, len(cells))
    rows = -(-len(cells) // columns)
    figure, axes = style.panels(rows, columns, 0.95 + 0.3 / rows, 2 * style.WIDTH / columns, sharex=True, sharey=True)
    for panel in list(axes.flat)[len(cells) :]:
        panel.set_visible(False)
    for panel, cell in zip(axes.flat, cells, strict=False):
        panel.axhline(0, color="0.8", linewidth=0.5)
        if shown.truth is not None:
            true = shown.true_couplings()[cell, cell]
            panel.plot(np.arange(1, len(true) + 1), true, color=DATA_COLOR, linewidth=0.9, label="truth")
        for name, simulation in shown.simulations.items():
            fitted = simulation.logit_couplings[cell, cell]
            panel.plot(np.arange(1, len(fitted) + 1), fitted, color=shown.color(name), linewidth=0.8, label=name)
            panel.set_xticks([1, len(fitted)])
        panel.set_title(f"cell {cell}", fontsize=6)
    for panel in axes.flat[max(0, len(cells) - columns) : len(cells)]:  # the lowest of each column
        panel.tick_params(labelbottom=True)
    figure.supxlabel("lag (bins)", fontsize=8)
    figure.supylabel("self-coupling (logit)", fontsize=8)
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(handles[0]))
    return figure


def methods(shown: Shown) -> plt.Figure:
    """Figure 8: each way of fitting by likelihood, PSTH and noise correlation; mean over replicates, each one a dot."""
    table = shown.measures[~shown.measures["variant"].str.contains("@")]
    wanted = {
        "nll": "test NLL (nat/bin/cell)",
        f"psth r ({shown.n_runs} trials)": "PSTH r",
        f"noise correlation R2 ({shown.n_runs} trials)": "noise correlation R²",
    }
    order = list(dict.fromkeys(table.loc[table["metric"].isin(wanted), "variant"]))
    figure, axes = style.panels(1, 3, 0.22 * len(order) + 0.8, 2.6, sharey=True)
    for panel, (metric, label) in zip(axes[0], wanted.items(), strict=True):
        for row, variant in enumerate(order):
            values = table.loc[(table["metric"] == metric) & (table["variant"] == variant), "value"]
            if len(values):
                color = COLORS[0] if variant in shown.simulations else "0.7"
                panel.axhline(row, color="0.9", linewidth=0.7, zorder=0)
                panel.plot(values.mean(), row, "|", color=color, markersize=10, markeredgewidth=3)
                panel.plot(values, [row] * len(values), ".", color="black", markersize=3)
        panel.set(xlabel=label)
        if metric != "nll":
            panel.axvline(0, color="0.5", linewidth=0.8, zorder=0)  # correlations count from there
    axes[0, 0].set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.4, -0.6))
    nll = table[table["metric"] == "nll"]
    end = min(1.02 * nll["value"].max(), 1.5 * nll["value"].median())
    beyond = [order.index(variant) for variant in nll.loc[nll["value"] > end, "variant"].unique()]
    axes[0, 0].plot([end] * len(beyond), beyond, ">", color="black", markersize=5, clip_on=False)
    axes[0, 0].set_xlim(0.95 * nll["value"].min(), end)
    return figure


def pareto(shown: Shown) -> plt.Figure:
    """Noise correlation against likelihood, over the weight of the noise correlation, and the rate that comes with it."""
    table = shown.measures.pivot_table(index="variant", columns="metric", values="value", sort=False, dropna=False)
    score, wide = f"noise correlation R2 ({shown.n_runs} trials)", table.index.to_series().str.split("@nc", expand=True)
    wide = wide.reindex(columns=[0, 1])
    swept = list(dict.fromkeys(wide.loc[wide[1].notna(), 0]))
    figure, axes = style.panels(1, 2, height=2.6)
    for family in swept:
        color = shown.color(family)
        points = table[wide[0] == family].sort_values(score)
        axes[0, 0].plot(points["nll"], points[score], ".-", color=color, label=family)
        axes[0, 1].plot(points["nll"], points["rate ratio"], ".-", color=color)
        for variant, point in points.iterrows():
            weight = variant.split("@nc")[1] if "@nc" in variant else f"{shown.weights[variant]:g}"
            axes[0, 0].annotate(weight, (point["nll"], point[score]), fontsize=5, textcoords="offset points", xytext=(3, 2))
    if "mle" in table.index:
        axes[0, 0].plot(*table.loc["mle", ["nll", score]], "k*", label="mle")
        axes[0, 1].plot(*table.loc["mle", ["nll", "rate ratio"]], "k*")
    axes[0, 1].axhspan(0.9, 1.1, color="0.92", zorder=0)
    axes[0, 0].set(xlabel="test NLL (nat/bin/cell)", ylabel=f"noise correlation R² ({shown.n_runs} trials)")
    axes[0, 1].set(xlabel="test NLL (nat/bin/cell)", ylabel="rate / rate of the data")
    if axes[0, 0].lines:
        axes[0, 0].legend()
    return figure


def hidden_cells(shown: Shown) -> plt.Figure:
    """Figure 9: recovery of couplings and of noise correlations against the hidden cells behind the data; lines: means."""
    table = shown.measures[shown.measures["variant"].str.contains("@hidden")]
    wide = table["variant"].str.split("@hidden", expand=True).reindex(columns=[0, 1])
    table = table.assign(family=wide[0], hidden=pd.to_numeric(wide[1]))
    if shown.truth is not None:  # the study's own stand-in is one more point
        here = shown.measures[shown.measures["variant"].isin(table["family"])]
        n_hidden = len(shown.truth.couplings) - shown.truth.n_visible
        table = pd.concat([table, here.assign(family=here["variant"], hidden=n_hidden)])
    wanted = {"coupling r": "coupling r", f"noise correlation R2 ({shown.n_runs} trials)": "noise correlation R²"}
    figure, axes = style.panels(1, 2, height=2.4)
    for panel, (metric, label) in zip(axes[0], wanted.items(), strict=True):
        for family in dict.fromkeys(table["family"]):
            color = shown.color(family)
            points = table[(table["metric"] == metric) & (table["family"] == family)]
            panel.plot(points["hidden"], points["value"], "o", color=color)
            means = points.groupby("hidden")["value"].mean()
            panel.plot(means.index, means, color=color, label=family)
        panel.set(xlabel="hidden cells behind the data", ylabel=label)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(table):
        axes[0, 0].legend()
    else:
        axes[0, 0].set_title("needs a stand-in: the truth is not known")
    return figure
