"""Figures 1-5 of the paper, from the simulated trials, losses and measures of all networks."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes

from respike.core import files, measures, spikes, style
from respike.core.tasks import windows
from respike.modes import analysis, replicas
from respike.modes.params import DT, THRESHOLD
from respike.modes.replicas import Trials

MS = 1000 * DT
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CONDITIONS = ((-0.5, "-"), (0.5, "+"))


def run(*, simulations: list[Path], metrics: Path, folder: Path) -> None:
    """Write every figure into `folder` as PDF and PNG; a figure whose networks are not in the run says so."""
    rows = measured_networks(files.read_table(metrics, measures.COLUMNS))
    found = replicas.read(simulations)
    digits = pick(found, "digits_spike", modes=10)
    task = pick(found, "contextual_spike", modes=3)
    switch = pick(found, "switch_spike", modes=3)
    figure_1(folder, digits, task)
    figure_2a(folder, rows)
    figure_loss(folder, found, "digits", "fig2b", dataset_of(digits))
    figure_2c(folder, rows)
    figure_membrane(folder, digits, "fig2d")
    figure_raster(folder, digits, "fig2e")
    figure_3a(folder, rows)
    figure_loss(folder, found, "contextual", "fig3b", dataset_of(task))
    figure_3c(folder, task)
    figure_membrane(folder, task, "fig3d")
    figure_raster(folder, task, "fig3e")
    figure_4a(folder, task)
    figure_4b(folder, switch if switch else task)
    figure_4cd(folder, switch, orthonormal=False)
    figure_4cd(folder, switch, orthonormal=True)
    figure_5(folder, found)


def measured_networks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of single networks, with the columns task, cell, neurons and modes of their variant."""
    parts = rows["variant"].str.extract(r"(?P<task>[a-z]+)_(?P<cell>[a-z]+)_N(?P<neurons>\d+)_P(?P<modes>\d+)$")
    rows = pd.concat([rows, parts], axis=1)[(rows["seed"] >= 0) & parts["modes"].notna()]
    return rows.astype({"neurons": int, "modes": int})


def pick(trials: dict[str, Trials], kind: str, modes: int, neurons: int = 100) -> Trials | None:
    """Trials of the first replica whose size is nearest to the paper's; None when there is no such network."""
    mine = {name: t for name, t in trials.items() if name.startswith(kind) and int(t["replica"]) == 0}
    sizes = {name: (abs(t["pin"].shape[0] - neurons), abs(t["pin"].shape[1] - modes)) for name, t in mine.items()}
    return mine[min(sizes, key=sizes.get)] if mine else None


def dataset_of(trials: Trials | None) -> str:
    """Name of the data set, for the corner of a figure."""
    return str(trials["dataset"]) if trials else ""


def absent(folder: Path, name: str, what: str) -> None:
    """A figure that says what it would need."""
    figure, axes = style.panels()
    axes[0, 0].text(0.5, 0.5, f"this run holds no {what}", ha="center", va="center")
    axes[0, 0].set_axis_off()
    style.save(figure, folder, name, "")


def figure_1(folder: Path, digits: Trials | None, task: Trials | None) -> None:
    """Example stimuli and wanted outputs (figure 1)."""
    figure, axes = style.panels(1, 2)
    if digits:
        shown = axes[0, 0].imshow(digits["sample_image"] / 255, cmap="gray")
        axes[0, 0].set(xticks=[], yticks=[], title=f"digit {digits['sample_label']}")
        figure.colorbar(shown, ax=axes[0, 0], label="spike probability per 2 ms step")
    if task:
        stimulus_panel(axes[0, 1], task, 0)
    style.save(figure, folder, "fig1", dataset_of(task))


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


def by_modes(axes: Axes, rows: pd.DataFrame, metric: str, kinds: list[tuple[str, str]], scale: float = 1.0) -> None:
    """Mean and sd over replicas of `metric` against the number of modes, a line per (cell, neurons): rate cells dashed."""
    part = rows[rows["metric"] == metric]
    sizes = list(dict.fromkeys(neurons for _, neurons in kinds))
    for cell, neurons in kinds:
        look = {"color": COLORS[sizes.index(neurons) % len(COLORS)], "linestyle": "-" if cell == "spike" else "--"}
        mine = part[(part["cell"] == cell) & (part["neurons"] == neurons)].groupby("modes")["value"]
        mean, spread = scale * mean_of(mine), scale * mine.std(ddof=0)
        axes.errorbar(mean.index, mean, spread, marker="o", capsize=2, label=f"{cell}, N = {neurons}", **look)
    axes.set(xscale="log", xlabel="modes P")
    axes.legend()


def mean_of(groups) -> pd.Series:
    """Mean of each group, in the order of the modes."""
    return groups.mean().sort_index()


def kinds_of(rows: pd.DataFrame, cells: tuple[str, ...]) -> list[tuple[str, int]]:
    """Pairs (cell, neurons) present in `rows`."""
    return sorted({(cell, n) for cell, n in zip(rows["cell"], rows["neurons"], strict=True) if cell in cells}, reverse=True)


def figure_2a(folder: Path, rows: pd.DataFrame) -> None:
    """Accuracy, and batches until the loss is below 1.7, against the number of modes, in the true order.

    The published figure 2a shows the list of accuracies in reverse order.
    """
    mine = rows[rows["task"] == "digits"]
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], mine, "accuracy", kinds_of(mine, ("spike",)), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="true order of P (the published panel is reversed)")
    by_modes(axes[0, 1], mine, "batches_to_1.7", kinds_of(mine, ("spike",)))
    axes[0, 1].set(ylabel="batches until loss < 1.7")
    style.save(figure, folder, "fig2a", ", ".join(sorted(mine["dataset"].unique())))


def figure_2c(folder: Path, rows: pd.DataFrame) -> None:
    """Accuracy of spiking and rate networks against the number of modes (figure 2c)."""
    mine = rows[rows["task"] == "digits"]
    figure, axes = style.panels()
    by_modes(axes[0, 0], mine, "accuracy", kinds_of(mine, ("spike", "rate")), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="spikes and rates")
    style.save(figure, folder, "fig2c", ", ".join(sorted(mine["dataset"].unique())))


def figure_loss(folder: Path, found: dict[str, Trials], task: str, name: str, dataset: str) -> None:
    """Training loss per number of modes, spiking networks of the largest size (figures 2b, 3b)."""
    mine = defaultdict(list)
    for network, trials in found.items():
        if named := re.match(rf"{task}_spike_N(\d+)_P(\d+)_", network):
            mine[int(named[1]), int(named[2])].append(trials["loss"])
    shown = {modes: np.stack(curves) for (size, modes), curves in sorted(mine.items()) if size == max(mine)[0]}
    figure, axes = style.panels()
    for color, (modes, curves) in zip(colormaps["viridis"](np.linspace(0, 0.9, len(shown))), shown.items(), strict=True):
        batches = 1 + np.arange(curves.shape[1])
        axes[0, 0].plot(batches, curves.mean(0), color=color, label=f"{modes} modes ({len(curves)})")
        axes[0, 0].fill_between(batches, curves.min(0), curves.max(0), color=color, alpha=0.2, lw=0)
    title = f"N = {max(mine)[0]}: mean and range over replicas (number)" if mine else ""
    axes[0, 0].set(xlabel="batch", ylabel="loss", title=title)
    if mine:
        axes[0, 0].legend()
    style.save(figure, folder, name, dataset)


def figure_membrane(folder: Path, trials: Trials | None, name: str) -> None:
    """Membrane of the three most active cells, threshold and rest, and the step of the largest activity (figures 2d, 3d)."""
    if not trials:
        return absent(folder, name, "spiking network of this task")
    figure, axes = style.panels(3, 1, height=1.1, sharex=True)
    cells = np.argsort(-trials["sample_spikes"].sum(0, dtype=int), kind="stable")[:3]
    time = np.arange(len(trials["sample_v"])) * MS
    for panel, cell in zip(axes[:, 0], cells, strict=True):
        panel.plot(time, np.minimum(trials["sample_v"][:, cell], THRESHOLD), color="black", linewidth=0.8)
        panel.axhline(THRESHOLD, color="0.6", linewidth=0.6, linestyle="--")
        panel.axhline(0, color="0.6", linewidth=0.6)
        panel.axvline(trials["sample_r"][:, cell].argmax() * MS, color=COLORS[1], linewidth=0.8)
        panel.set_ylabel(f"cell {cell}")
    axes[0, 0].set_title("membrane (threshold 1); line: largest filtered activity")
    axes[-1, 0].set_xlabel("time (ms)")
    return style.save(figure, folder, name, dataset_of(trials))


def figure_raster(folder: Path, trials: Trials | None, name: str) -> None:
    """Raster of one trial, population rate below, rate of each cell at the right (figures 2e, 3e)."""
    if not trials:
        return absent(folder, name, "spiking network of this task")
    figure, axes = style.panels(2, 2, height=1.6, width_ratios=(3, 1), height_ratios=(2, 1))
    raster = trials["sample_spikes"]
    train = spikes.from_raster(raster[None], DT)
    axes[0, 0].plot(1000 * train.times, train.cells, ".", markersize=2, markeredgewidth=0, color="black")
    axes[0, 0].set(ylabel="cell", xlim=(0, 1000 * train.duration))
    axes[1, 0].plot(np.arange(len(raster)) * MS, raster.mean(1) / DT, color="black", linewidth=0.8)
    axes[1, 0].set(xlabel="time (ms)", ylabel="population rate (Hz)", xlim=(0, 1000 * train.duration))
    axes[0, 1].barh(range(raster.shape[1]), raster.sum(0) / train.duration, height=1, color="0.5")
    axes[0, 1].set(xlabel="rate (Hz)", yticks=[])
    axes[1, 1].set_axis_off()
    return style.save(figure, folder, name, dataset_of(trials))


def figure_3a(folder: Path, rows: pd.DataFrame) -> None:
    """Error and decision accuracy of the contextual task against the number of modes (figure 3a)."""
    mine = rows[rows["task"] == "contextual"]
    figure, axes = style.panels(1, 2)
    kinds = kinds_of(mine, ("spike", "rate"))
    by_modes(axes[0, 0], mine, "mse", kinds)
    axes[0, 0].set(ylabel="mean squared error")
    by_modes(axes[0, 1], mine, "decision_accuracy", kinds, 100)
    axes[0, 1].set(ylabel="correct decisions (%)")
    style.save(figure, folder, "fig3a", ", ".join(sorted(mine["dataset"].unique())))


def figure_3c(folder: Path, task: Trials | None) -> None:
    """Mean and sd of the output by label, with targets and the stimulus window (figure 3c)."""
    if not task:
        return absent(folder, "fig3c", "spiking network of this task")
    figure, axes = style.panels()
    time = np.arange(len(task["target"])) * MS
    begin, end = windows(len(time))
    axes[0, 0].axvspan(begin * MS, end * MS, color="0.9")
    for color, sign in zip(COLORS, (1, -1), strict=False):
        mine = task["target"][-1] == sign
        mean, spread = task["output"][:, mine].mean(1), task["output"][:, mine].std(1)
        axes[0, 0].plot(time, mean, color=color, label=f"label {sign:+d} ({mine.sum()} trials)")
        axes[0, 0].fill_between(time, mean - spread, mean + spread, color=color, alpha=0.25, linewidth=0)
        axes[0, 0].plot(time, task["target"][:, mine][:, 0], color=color, linestyle="--", linewidth=0.7)
    axes[0, 0].set(xlabel="time (ms)", ylabel="output", title="output (mean, sd), target (dashed), stimulus (grey)")
    axes[0, 0].legend()
    return style.save(figure, folder, "fig3c", dataset_of(task))


def conditions(task: Trials, n: int) -> dict[str, np.ndarray]:
    """The first n trials by cued channel and sign of its evidence: "1+", "1-", "2+", "2-"."""
    cued = task["offsets"][np.arange(len(task["context"])), task["context"]]
    return {
        f"{context + 1}{sign}": np.flatnonzero((task["context"][:n] == context) & (cued[:n] == offset))
        for context in (0, 1)
        for offset, sign in CONDITIONS
    }


def projected(activity: np.ndarray, axes_count: int = 3) -> np.ndarray:
    """Three coordinates for a picture: the first three modes, or the modes there are and zeros."""
    missing = max(0, axes_count - activity.shape[-1])
    return np.pad(activity, [(0, 0)] * (activity.ndim - 1) + [(0, missing)])[..., :axes_count]


def space(figure, place: tuple[int, int, int], title: str) -> Axes:
    """Three-dimensional axes of mode space."""
    axes = figure.add_subplot(*place, projection="3d")
    axes.set_title(title)
    axes.tick_params(labelsize=5, pad=-3)
    return axes


def figure_4a(folder: Path, task: Trials | None) -> None:
    """Trajectories in the space of the input modes and of the output modes, four conditions (figure 4a)."""
    if not task:
        return absent(folder, "fig4a", "spiking network of this task")
    figure = style.plt.figure(figsize=(2 * style.WIDTH, 3.2), layout="constrained")
    for number, (name, title) in enumerate((("through_pin", "pin$^T$ r"), ("through_pout", "pout$^T$ r")), 1):
        axes = space(figure, (1, 2, number), f"{title}; dots: end of the trial")
        clouds = projected(task[name])
        for color, (condition, chosen) in zip(COLORS, conditions(task, clouds.shape[1]).items(), strict=False):
            for trial in chosen[:6]:
                axes.plot(*clouds[:, trial].T, color=color, linewidth=0.4, alpha=0.6)
            axes.plot(*clouds[-1, chosen].T, ".", color=color, label=f"context {condition}")
        axes.legend(fontsize=6)
    return style.save(figure, folder, "fig4a", dataset_of(task))


def figure_4b(folder: Path, task: Trials | None) -> None:
    """One stimulus: evidence, context, target against time (figure 4b)."""
    if not task:
        return absent(folder, "fig4b", "contextual network")
    figure, axes = style.panels()
    switched = np.flatnonzero(task["switched"])
    stimulus_panel(axes[0, 0], task, switched[0] if len(switched) else 0)
    return style.save(figure, folder, "fig4b", dataset_of(task))


def figure_4cd(folder: Path, switch: Trials | None, orthonormal: bool) -> None:
    """Trials that switch context, over the end points of plain trials (figure 4c; 4d in orthonormal coordinates)."""
    name = "fig4d" if orthonormal else "fig4c"
    if not switch:
        return absent(folder, name, "network trained on context switches")
    clouds = projected(switch["through_basis" if orthonormal else "through_pin"])
    plain = ~switch["switched"][: clouds.shape[1]]
    figure = style.plt.figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    axes = space(figure, (1, 1, 1), "switch trials (lines) over plain trials (dots)")
    for color, (condition, chosen) in zip(COLORS, conditions(switch, clouds.shape[1]).items(), strict=False):
        ends = clouds[-10:, chosen[plain[chosen]]].reshape(-1, 3)
        axes.plot(*ends.T, ".", color=color, markersize=2, label=f"context {condition}")
        for trial in chosen[~plain[chosen]][:2]:
            axes.plot(*clouds[:, trial].T, color=color, linewidth=0.7)
    axes.legend(fontsize=6)
    return style.save(figure, folder, name, dataset_of(switch))


def figure_5(folder: Path, trials: dict[str, Trials]) -> None:
    """Scores against rank of the modes' importance, and log-log importance with the two fitted lines (figure 5)."""
    kinds = defaultdict(list)
    for name, member in trials.items():
        if "spike" in name and member["pin"].shape[1] >= 3:
            kinds[name.rsplit("_replica", 1)[0]].append(member)
    if not kinds:
        return absent(folder, "fig5", "spiking network with three modes or more")
    largest = sorted(kinds, key=lambda kind: -kinds[kind][0]["pin"].shape[1])[:3]
    figure, axes = style.panels(1, 2)
    for color, kind in zip(COLORS, largest, strict=False):
        members = kinds[kind]
        tau = np.stack([analysis.importance(m["pin"], m["scores"], m["pout"]) for m in members])
        mean, sizes = analysis.ranked(tau, np.stack([m["scores"] for m in members]))
        ranks = 1 + np.arange(len(mean))
        axes[0, 0].plot(ranks, sizes, "o-", color=color, label=kind.replace("_", " "))
        axes[0, 1].loglog(ranks, mean, "o", color=color, markersize=3)
        for first, last in analysis.slope_ranks(members[0]["pin"].shape[0]):
            if last <= len(mean):
                fit = np.polyfit(np.log(ranks[first - 1 : last]), np.log(mean[first - 1 : last]), 1)
                line = np.exp(np.polyval(fit, np.log(ranks[first - 1 : last])))
                axes[0, 1].loglog(ranks[first - 1 : last], line, color=color, label=f"slope {fit[0]:.3f}")
    axes[0, 0].set(xlabel="rank", ylabel="score |l|")
    axes[0, 0].legend()
    axes[0, 1].set(xlabel="rank", ylabel="importance $\\tau$")
    if axes[0, 1].get_legend_handles_labels()[0]:
        axes[0, 1].legend()
    return style.save(figure, folder, "fig5", dataset_of(kinds[largest[0]][0]))
