"""Figures 1-5 of the paper, from the simulated trials, losses and measures of all networks."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import files, measures, style
from respike.modes import mode_figures, trial_figures, trials
from respike.modes.trial_figures import COLORS
from respike.modes.trials import Trials


def run(*, simulations: list[Path], metrics: Path, folder: Path) -> None:
    """Write every figure into `folder` as PDF and PNG; a figure whose networks are not in the run says so."""
    rows = measured_networks(files.read_table(metrics, measures.COLUMNS))
    of_digits, of_task = (rows[rows["task"] == name] for name in ("digits", "contextual"))
    networks = trials.read(simulations)
    digits, task = pick(networks, "digits", modes=10), pick(networks, "contextual", modes=3)
    switch, largest = pick(networks, "switch", modes=3), most_modes(networks)
    pictures = {  # name: what it shows, and how it is drawn
        "fig1": (task or digits, lambda: trial_figures.stimuli(digits, task)),
        "fig2a": (of_digits, lambda: accuracy_and_speed(of_digits)),
        "fig2b": (digits, lambda: losses(networks, "digits")),
        "fig2c": (of_digits, lambda: accuracy(of_digits)),
        "fig2d": (digits, lambda: trial_figures.membrane(digits)),
        "fig2e": (digits, lambda: trial_figures.raster(digits)),
        "fig3a": (of_task, lambda: errors_and_decisions(of_task)),
        "fig3b": (task, lambda: losses(networks, "contextual")),
        "fig3c": (task, lambda: trial_figures.outputs(task)),
        "fig3d": (task, lambda: trial_figures.membrane(task)),
        "fig3e": (task, lambda: trial_figures.raster(task)),
        "fig4a": (task, lambda: mode_figures.trajectories(task)),
        "fig4b": (switch or task, lambda: trial_figures.stimulus(switch or task)),
        "fig4c": (switch, lambda: mode_figures.switches(switch, "through_pin")),
        "fig4d": (switch, lambda: mode_figures.switches(switch, "through_basis")),
        "fig5": (next(iter(largest.values()), [None])[0], lambda: mode_figures.importance(largest)),
    }
    for name, (shown, draw) in pictures.items():
        datasets = [] if shown is None else np.unique(shown["dataset"])
        style.save(draw() if len(datasets) else absent(), folder, name, ", ".join(map(str, datasets)))


def absent() -> Figure:
    """A figure without its networks."""
    figure, axes = style.panels()
    axes[0, 0].text(0.5, 0.5, "this run holds no network for this figure", ha="center", va="center")
    axes[0, 0].set_axis_off()
    return figure


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
    """Mean and sd over replicas of `metric` against the number of modes, a line per (cell, neurons): rate cells dashed."""
    lines = sorted(set(rows.loc[rows["cell"].isin(cells), ["cell", "neurons"]].itertuples(index=False)), reverse=True)
    sizes = list(dict.fromkeys(neurons for _, neurons in lines))
    rows = rows[rows["metric"] == metric]
    for cell, neurons in lines:
        look = {"color": COLORS[sizes.index(neurons) % len(COLORS)], "linestyle": "-" if cell == "spike" else "--"}
        replicas = rows[(rows["cell"] == cell) & (rows["neurons"] == neurons)].groupby("modes")["value"]
        mean, spread = scale * replicas.mean().sort_index(), scale * replicas.std(ddof=0)
        axes.errorbar(mean.index, mean, spread, marker="o", capsize=2, label=f"{cell}, N = {neurons}", **look)
    axes.set(xscale="log", xlabel="modes P")
    axes.legend()


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
    axes[0, 0].set(ylabel="test accuracy (%)", title="spikes and rates")
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
        axes[0, 0].plot(batches, curves.mean(0), color=color, label=f"{modes} modes ({len(curves)})")
        axes[0, 0].fill_between(batches, curves.min(0), curves.max(0), color=color, alpha=0.2, lw=0)
    axes[0, 0].set(xlabel="batch", ylabel="loss", title=f"N = {largest}: mean and range over replicas (number)")
    axes[0, 0].legend()
    return figure


def errors_and_decisions(rows: pd.DataFrame) -> Figure:
    """Error and decision accuracy of the contextual task against the number of modes (figure 3a)."""
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], rows, "mse", ("spike", "rate"))
    axes[0, 0].set(ylabel="mean squared error")
    by_modes(axes[0, 1], rows, "decision_accuracy", ("spike", "rate"), 100)
    axes[0, 1].set(ylabel="correct decisions (%)")
    return figure
