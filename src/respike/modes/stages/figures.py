"""Figures 1-5 of the paper, from the simulated trials, losses and measures of all networks."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from respike.core import files, measures, spikes, style
from respike.core.tasks import OFFSET, windows
from respike.modes import analysis, measurement, trials
from respike.modes.params import DT, THRESHOLD
from respike.modes.trials import Trials

MS = 1000 * DT
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def run(*, simulations: list[Path], metrics: Path, folder: Path) -> None:
    """Write every figure into `folder` as PDF and PNG; a figure whose networks are not in the run says so."""
    rows = measured_networks(files.read_table(metrics, measures.COLUMNS))
    of_digits, of_task = (rows[rows["task"] == name] for name in ("digits", "contextual"))
    of_spikes = of_digits[of_digits["cell"] == "spike"]
    networks = trials.read(simulations)
    digits, task = pick(networks, "digits", modes=10), pick(networks, "contextual", modes=3)
    switch, largest = pick(networks, "switch", modes=3), most_modes(networks)
    pictures = {  # name: what it shows, and how it is drawn
        "fig1": ([digits, task], lambda: stimuli(digits, task)),
        "fig2a": ([of_spikes], lambda: accuracy_and_speed(of_spikes)),
        "fig2b": ([digits], lambda: losses(networks, "digits")),
        "fig2c": ([of_digits], lambda: accuracy(of_digits)),
        "fig2d": ([digits], lambda: membrane(digits)),
        "fig2e": ([digits], lambda: raster(digits)),
        "fig3a": ([of_task], lambda: errors_and_decisions(of_task)),
        "fig3b": ([task], lambda: losses(networks, "contextual")),
        "fig3c": ([task], lambda: outputs(task)),
        "fig3d": ([task], lambda: membrane(task)),
        "fig3e": ([task], lambda: raster(task)),
        "fig4a": ([task], lambda: trajectories(task)),
        "fig4b": ([switch or task], lambda: stimulus(switch or task)),
        "fig4c": ([switch], lambda: switches(switch, "through_pin")),
        "fig4d": ([switch], lambda: switches(switch, "through_basis")),
        "fig5": ([replicas[0] for replicas in largest.values()], lambda: importance(largest)),
    }
    for name, (shown, draw) in pictures.items():
        datasets = sorted({str(dataset) for one in shown if one is not None for dataset in np.unique(one["dataset"])})
        style.save(draw() if datasets else absent(), folder, name, ", ".join(datasets))


def absent(axes: Axes | None = None) -> Figure:
    """A figure, or a panel of one, without its networks."""
    axes = axes or style.panels()[1][0, 0]
    axes.text(0.5, 0.5, "this run holds no network for this figure", ha="center", va="center", transform=axes.transAxes)
    axes.set_axis_off()
    return axes.figure


def pick(networks: dict[str, Trials], task: str, modes: int, neurons: int = 100) -> Trials | None:
    """Trials of the first spiking replica whose size is nearest to the paper's; None when there is no such network."""
    first = [one for name, one in networks.items() if name.startswith(f"{task}_spike") and int(one["replica"]) == 0]
    return min(first, key=lambda one: (abs(one["pin"].shape[0] - neurons), abs(one["pin"].shape[1] - modes)), default=None)


def most_modes(networks: dict[str, Trials]) -> dict[str, list[Trials]]:
    """Replicas of the three spiking variants with the most modes, three or more."""
    variants = defaultdict(list)
    for name, one in networks.items():
        if "spike" in name and one["pin"].shape[1] >= 3:
            variants[name.rsplit("_replica", 1)[0]].append(one)
    return dict(sorted(variants.items(), key=lambda item: -item[1][0]["pin"].shape[1])[:3])


def measured_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of single networks, with the columns task, cell, neurons and modes of their variant."""
    parts = rows["variant"].str.extract(r"(?P<task>[a-z]+)_(?P<cell>[a-z]+)_N(?P<neurons>\d+)_P(?P<modes>\d+)$")
    rows = pd.concat([rows, parts], axis=1)[(rows["seed"] >= 0) & parts["modes"].notna()]
    return rows.astype({"neurons": int, "modes": int})


def by_modes(axes: Axes, rows: pd.DataFrame, metric: str, cells: tuple[str, ...], scale: float = 1.0) -> None:
    """Mean and range over replicas of `metric` against the number of modes, a line per (cell, neurons).

    As in the table, a replica without a value, such as one that never learned, leaves its number of modes without a point.
    A colour for each number of neurons; rate cells dashed, in open squares that hide no dot. One legend above all panels.
    """
    lines = sorted(set(rows.loc[rows["cell"].isin(cells), ["cell", "neurons"]].itertuples(index=False)), reverse=True)
    sizes = list(dict.fromkeys(neurons for _, neurons in lines))
    rows = rows[rows["metric"] == metric]
    for cell, neurons in lines:
        marks = {"fmt": "o-"} if cell == "spike" else {"fmt": "s--", "mfc": "none", "markersize": 7}
        look = {"color": COLORS[sizes.index(neurons) % len(COLORS)], **marks}
        replicas = rows[(rows["cell"] == cell) & (rows["neurons"] == neurons)].groupby("modes")["value"]
        statistics = (pd.Series.min, pd.Series.mean, pd.Series.max)
        low, mean, high = (scale * replicas.apply(statistic, skipna=False) for statistic in statistics)
        label = f"{cell}, N = {neurons}"
        axes.errorbar(mean.index, mean, [mean - low, high - mean], capsize=2, label=label, **look)
    axes.set(xscale="log", xlabel="modes P")
    if not axes.figure.legends:
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def accuracy_and_speed(rows: pd.DataFrame) -> Figure:
    """Accuracy, and batches until the loss is below 1.7, against the number of modes, in the true order.

    The published figure 2a shows the list of accuracies in reverse order.
    """
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], rows, "accuracy", ("spike",), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="true order of P (the published panel is reversed)")
    by_modes(axes[0, 1], rows, "batches_to_1.7", ("spike",))
    axes[0, 1].set(ylabel="batches until loss < 1.7")
    return figure


def accuracy(rows: pd.DataFrame) -> Figure:
    """Accuracy of spiking and rate networks against the number of modes (figure 2c)."""
    figure, axes = style.panels()
    by_modes(axes[0, 0], rows, "accuracy", ("spike", "rate"), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="mean and range over replicas")
    return figure


def losses(networks: dict[str, Trials], task: str) -> Figure:
    """Training loss per number of modes, spiking networks of the largest size (figures 2b, 3b)."""
    by_size = defaultdict(list)
    for network, simulated in networks.items():
        if named := re.match(rf"{task}_spike_N(\d+)_P(\d+)_", network):
            by_size[int(named[1]), int(named[2])].append(simulated["loss"])
    largest = max(by_size)[0]
    shown = {modes: np.stack(curves) for (size, modes), curves in sorted(by_size.items()) if size == largest}
    figure, axes = style.panels()
    for color, (modes, curves) in zip(colormaps["viridis"](np.linspace(0, 0.9, len(shown))), shown.items(), strict=True):
        batches = 1 + np.arange(curves.shape[1])
        axes[0, 0].plot(batches, curves.mean(0), color=color, label=f"P = {modes} ({len(curves)})")
        axes[0, 0].fill_between(batches, curves.min(0), curves.max(0), color=color, alpha=0.2, lw=0)
    axes[0, 0].set(xlabel="batch", ylabel="loss", title=f"N = {largest}: mean and range over replicas (number)")
    axes[0, 0].legend()
    return figure


def errors_and_decisions(rows: pd.DataFrame) -> Figure:
    """Error and decision accuracy of the contextual task against the number of modes (figure 3a)."""
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], rows, "mse", ("spike", "rate"))
    axes[0, 0].set(ylabel="mean squared error", yscale="log")
    by_modes(axes[0, 1], rows, "decision_accuracy", ("spike", "rate"), 100)
    axes[0, 1].set(ylabel="correct decisions (%)", ylim=(None, min(101, axes[0, 1].get_ylim()[1])))
    return figure


def stimuli(digits: Trials | None, task: Trials | None) -> Figure:
    """Example stimuli and wanted outputs (figure 1)."""
    figure, axes = style.panels(1, 2)
    if digits:
        shown = axes[0, 0].imshow(digits["sample_image"] / 255, cmap="gray")
        axes[0, 0].set(xticks=[], yticks=[], title=f"digit {digits['sample_label']}")
        figure.colorbar(shown, ax=axes[0, 0], label="spike probability per 2 ms step")
    if task:
        stimulus_panel(axes[0, 1], task, 0)
    for panel, shown in zip(axes[0], (digits, task), strict=True):
        if not shown:
            absent(panel)
    return figure


def stimulus_panel(axes: Axes, task: Trials, trial: int) -> None:
    """Evidence, context and target of one trial against time."""
    time = np.arange(len(task["target"])) * MS
    names = ("target", "context 2", "context 1", "evidence 2", "evidence 1")
    signals = [task["target"][:, trial], *(task["inputs"][:, trial, channel] for channel in (3, 2, 1, 0))]
    levels = 5.0 * np.arange(len(names))
    for level, values, color in zip(levels, signals, ("black", *COLORS), strict=False):
        axes.axhline(level, color="0.85", linewidth=0.5)
        axes.plot(time, values + level, color=color, linewidth=0.8)
    axes.set(xlabel="time (ms)", yticks=levels, yticklabels=names, title="contextual integration: one trial")


def membrane(trials: Trials) -> Figure:
    """Membrane of the three most active cells, threshold and rest, and the step of the largest activity (figures 2d, 3d)."""
    cells = np.argsort(-trials["sample_spikes"].sum(0, dtype=int), kind="stable")[:3]
    figure, axes = style.panels(len(cells), 1, height=1.1, sharex=True)
    time = np.arange(len(trials["sample_v"])) * MS
    for panel, cell in zip(axes[:, 0], cells, strict=True):
        panel.plot(time, np.minimum(trials["sample_v"][:, cell], THRESHOLD), color="black", linewidth=0.8)
        panel.axhline(THRESHOLD, color="0.6", linewidth=0.6, linestyle="--")
        panel.axhline(0, color="0.6", linewidth=0.6)
        panel.axvline(trials["sample_r"][:, cell].argmax() * MS, color=COLORS[1], linewidth=0.8)
        panel.set_ylabel(f"cell {cell}")
    axes[0, 0].set_title("membrane (threshold 1); line: largest filtered activity")
    axes[-1, 0].set_xlabel("time (ms)")
    return figure


def raster(trials: Trials) -> Figure:
    """Raster of one trial, population rate below, rate of each cell at the right (figures 2e, 3e)."""
    figure, axes = style.panels(2, 2, height=1.6, sharey="row", width_ratios=(3, 1), height_ratios=(2, 1))
    fired = trials["sample_spikes"]
    train = spikes.from_raster(fired[None], DT)
    axes[0, 0].plot(1000 * train.times, train.cells, ".", markersize=2, markeredgewidth=0, color="black")
    axes[0, 0].set(ylabel="cell", xlim=(0, 1000 * train.duration))
    axes[1, 0].plot((np.arange(len(fired)) + 0.5) * MS, fired.mean(1) / DT, color="black", linewidth=0.8)
    axes[1, 0].set(xlabel="time (ms)", ylabel="population\nrate (Hz)", xlim=(0, 1000 * train.duration))
    axes[0, 1].barh(range(fired.shape[1]), fired.sum(0) / train.duration, height=1, color="0.5")
    axes[0, 1].set(xlabel="rate (Hz)")
    axes[1, 1].set_axis_off()
    return figure


def outputs(task: Trials) -> Figure:
    """Mean and sd of the output by label, with targets and the stimulus window (figure 3c)."""
    figure, axes = style.panels()
    time = np.arange(len(task["target"])) * MS
    begin, end = windows(len(time))
    axes[0, 0].axvspan(begin * MS, end * MS, color="0.9")
    for color, sign in zip(COLORS, (1, -1), strict=False):
        chosen = task["target"][-1] == sign
        if not chosen.any():  # of a few trials all may want the same
            continue
        mean, spread = task["output"][:, chosen].mean(1), task["output"][:, chosen].std(1)
        axes[0, 0].plot(time, mean, color=color, label=f"label {sign:+d} ({chosen.sum()} trials)")
        axes[0, 0].fill_between(time, mean - spread, mean + spread, color=color, alpha=0.25, linewidth=0)
        axes[0, 0].plot(time, task["target"][:, chosen][:, 0], color=color, linestyle="--", linewidth=0.7)
    axes[0, 0].set(xlabel="time (ms)", ylabel="output", title="output (mean, sd), target (dashed), stimulus (grey)")
    axes[0, 0].legend()
    return figure


def stimulus(task: Trials) -> Figure:
    """One stimulus: evidence, context, target against time (figure 4b)."""
    figure, axes = style.panels()
    switched = np.flatnonzero(task["switched"][: task["inputs"].shape[1]])
    stimulus_panel(axes[0, 0], task, switched[0] if len(switched) else 0)
    return figure


def conditions(task: Trials, n: int) -> dict[str, np.ndarray]:
    """The first n trials by cued channel and sign of its evidence: "1+", "1-", "2+", "2-"."""
    cued = task["offsets"][np.arange(len(task["context"])), task["context"]]
    return {
        f"{context + 1}{sign}": np.flatnonzero((task["context"][:n] == context) & (cued[:n] == offset))
        for context in (0, 1)
        for offset, sign in ((-OFFSET, "-"), (OFFSET, "+"))
    }


def projected(activity: np.ndarray, axes_count: int = 3) -> np.ndarray:
    """Three coordinates for a picture: the first three modes, or the modes there are and zeros."""
    missing = max(0, axes_count - activity.shape[-1])
    return np.pad(activity, [(0, 0)] * (activity.ndim - 1) + [(0, missing)])[..., :axes_count]


def space(figure: Figure, position: tuple[int, int, int], title: str, word: str = "mode") -> Axes:
    """Three-dimensional axes of mode space, labelled by `word` and number."""
    axes = figure.add_subplot(*position, projection="3d")
    axes.set_title(title)
    for number, name in enumerate("xyz", 1):
        getattr(axes, f"set_{name}label")(f"{word} {number}", fontsize=6, labelpad=-7)
    axes.tick_params(labelsize=5, pad=-3)
    return axes


def trajectories(task: Trials) -> Figure:
    """Trajectories in the space of the input modes and of the output modes, four conditions (figure 4a)."""
    figure = style.plt.figure(figsize=(2 * style.WIDTH, 3.2), layout="constrained")
    for number, (name, title) in enumerate((("through_pin", "pin$^T$ r"), ("through_pout", "pout$^T$ r")), 1):
        axes = space(figure, (1, 2, number), f"{title}; dots: end of the trial")
        clouds = projected(task[name])
        for color, (condition, chosen) in zip(COLORS, conditions(task, clouds.shape[1]).items(), strict=False):
            for trial in chosen[:6]:
                axes.plot(*clouds[:, trial].T, color=color, linewidth=0.4, alpha=0.6)
            axes.plot(*clouds[-1, chosen].T, ".", color=color, label=f"context {condition}")
        axes.legend(fontsize=6, loc="upper left", bbox_to_anchor=(-0.12, 1))
    return figure


def switches(switch: Trials, coordinates: str) -> Figure:
    """Trials that switch context, over the end points of plain trials (figure 4c; 4d in orthonormal coordinates)."""
    clouds = projected(switch[coordinates])
    plain = ~switch["switched"][: clouds.shape[1]]
    figure = style.plt.figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    word = "direction" if coordinates == "through_basis" else "mode"
    axes = space(figure, (1, 1, 1), "switch trials (lines) over plain trials (dots)", word)
    for color, (condition, chosen) in zip(COLORS, conditions(switch, clouds.shape[1]).items(), strict=False):
        ends = clouds[-10:, chosen[plain[chosen]]].reshape(-1, 3)
        axes.plot(*ends.T, ".", color=color, markersize=2, label=f"context {condition}")
        for trial in chosen[~plain[chosen]][:2]:
            axes.plot(*clouds[:, trial].T, color=color, linewidth=0.7)
    axes.legend(fontsize=6, loc="upper left", bbox_to_anchor=(-0.12, 1))
    return figure


def importance(variants: dict[str, list[Trials]]) -> Figure:
    """Scores against rank of the modes' importance, and log-log importance with the two fitted lines (figure 5)."""
    figure, axes = style.panels(1, 2)
    for color, (variant, members) in zip(COLORS, variants.items(), strict=False):
        tau, scores = measurement.ranked_importance(members)
        ranks, neurons = 1 + np.arange(len(tau)), len(members[0]["pin"])
        axes[0, 0].plot(ranks, scores, "o-", color=color, label=variant.replace("_", " "))
        axes[0, 1].loglog(ranks, tau, "o", color=color, markersize=3, alpha=0.3, markeredgewidth=0)
        for (part, line), dash in zip(analysis.power_laws(tau, neurons), ("-", "--"), strict=False):
            label = f"N = {neurons}, ranks {part[0]}-{part[-1]}: slope {line[0]:.3f}"
            axes[0, 1].loglog(part, np.exp(np.polyval(line, np.log(part))), dash, color=color, label=label)
    axes[0, 0].set(xlabel="rank", ylabel="score |l|")
    axes[0, 0].legend()
    axes[0, 1].set(xlabel="rank", ylabel="importance $\\tau$")
    axes[0, 1].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))  # less than a decade has a label or none
    axes[0, 1].yaxis.set_minor_locator(NullLocator())
    axes[0, 1].yaxis.set_major_formatter("{x:g}")
    if axes[0, 1].get_legend_handles_labels()[0]:
        axes[0, 1].legend()
    return figure
