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
from respike.modes.trial_figures import COLORS, dataset_of
from respike.modes.trials import Trials


def run(*, simulations: list[Path], metrics: Path, folder: Path) -> None:
    """Write every figure into `folder` as PDF and PNG; a figure whose networks are not in the run says so."""
    rows = measured_networks(files.read_table(metrics, measures.COLUMNS))
    networks = trials.read(simulations)
    digits = pick(networks, "digits_spike", modes=10)
    task = pick(networks, "contextual_spike", modes=3)
    switch = pick(networks, "switch_spike", modes=3)
    figure_2a(folder, rows)
    figure_loss(folder, networks, "digits", "fig2b", dataset_of(digits))
    figure_2c(folder, rows)
    figure_3a(folder, rows)
    figure_loss(folder, networks, "contextual", "fig3b", dataset_of(task))
    trial_figures.figure_1(folder, digits, task)
    trial_figures.figure_membrane(folder, digits, "fig2d")
    trial_figures.figure_raster(folder, digits, "fig2e")
    trial_figures.figure_3c(folder, task)
    trial_figures.figure_membrane(folder, task, "fig3d")
    trial_figures.figure_raster(folder, task, "fig3e")
    trial_figures.figure_4b(folder, switch if switch else task)
    mode_figures.figure_4a(folder, task)
    mode_figures.figure_4cd(folder, switch, orthonormal=False)
    mode_figures.figure_4cd(folder, switch, orthonormal=True)
    mode_figures.figure_5(folder, networks)


def pick(networks: dict[str, Trials], kind: str, modes: int, neurons: int = 100) -> Trials | None:
    """Trials of the first replica whose size is nearest to the paper's; None when there is no such network."""
    first = [one for name, one in networks.items() if name.startswith(kind) and int(one["replica"]) == 0]
    return min(first, key=lambda one: (abs(one["pin"].shape[0] - neurons), abs(one["pin"].shape[1] - modes)), default=None)


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


def save(figure: Figure, folder: Path, name: str, rows: pd.DataFrame) -> None:
    """Write the figure with the names of the data sets that `rows` rest on."""
    style.save(figure, folder, name, ", ".join(sorted(rows["dataset"].unique())))


def figure_2a(folder: Path, rows: pd.DataFrame) -> None:
    """Accuracy, and batches until the loss is below 1.7, against the number of modes, in the true order.

    The published figure 2a shows the list of accuracies in reverse order.
    """
    rows = rows[rows["task"] == "digits"]
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], rows, "accuracy", ("spike",), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="true order of P (the published panel is reversed)")
    by_modes(axes[0, 1], rows, "batches_to_1.7", ("spike",))
    axes[0, 1].set(ylabel="batches until loss < 1.7")
    save(figure, folder, "fig2a", rows)


def figure_2c(folder: Path, rows: pd.DataFrame) -> None:
    """Accuracy of spiking and rate networks against the number of modes (figure 2c)."""
    rows = rows[rows["task"] == "digits"]
    figure, axes = style.panels()
    by_modes(axes[0, 0], rows, "accuracy", ("spike", "rate"), 100)
    axes[0, 0].set(ylabel="test accuracy (%)", title="spikes and rates")
    save(figure, folder, "fig2c", rows)


def figure_loss(folder: Path, networks: dict[str, Trials], task: str, name: str, dataset: str) -> None:
    """Training loss per number of modes, spiking networks of the largest size (figures 2b, 3b)."""
    losses = defaultdict(list)
    for network, simulated in networks.items():
        if named := re.match(rf"{task}_spike_N(\d+)_P(\d+)_", network):
            losses[int(named[1]), int(named[2])].append(simulated["loss"])
    shown = {modes: np.stack(curves) for (size, modes), curves in sorted(losses.items()) if size == max(losses)[0]}
    figure, axes = style.panels()
    for color, (modes, curves) in zip(colormaps["viridis"](np.linspace(0, 0.9, len(shown))), shown.items(), strict=True):
        batches = 1 + np.arange(curves.shape[1])
        axes[0, 0].plot(batches, curves.mean(0), color=color, label=f"{modes} modes ({len(curves)})")
        axes[0, 0].fill_between(batches, curves.min(0), curves.max(0), color=color, alpha=0.2, lw=0)
    title = f"N = {max(losses)[0]}: mean and range over replicas (number)" if losses else ""
    axes[0, 0].set(xlabel="batch", ylabel="loss", title=title)
    if losses:
        axes[0, 0].legend()
    style.save(figure, folder, name, dataset)


def figure_3a(folder: Path, rows: pd.DataFrame) -> None:
    """Error and decision accuracy of the contextual task against the number of modes (figure 3a)."""
    rows = rows[rows["task"] == "contextual"]
    figure, axes = style.panels(1, 2)
    by_modes(axes[0, 0], rows, "mse", ("spike", "rate"))
    axes[0, 0].set(ylabel="mean squared error")
    by_modes(axes[0, 1], rows, "decision_accuracy", ("spike", "rate"), 100)
    axes[0, 1].set(ylabel="correct decisions (%)")
    save(figure, folder, "fig3a", rows)
