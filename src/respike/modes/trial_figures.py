"""Figures of single trials: stimuli, membranes, rasters, outputs (figures 1, 2d, 2e, 3c-e, 4b)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import spikes, style
from respike.core.tasks import windows
from respike.modes.params import DT, THRESHOLD
from respike.modes.trials import Trials

MS = 1000 * DT
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def stimuli(digits: Trials | None, task: Trials | None) -> Figure:
    """Example stimuli and wanted outputs (figure 1)."""
    figure, axes = style.panels(1, 2)
    if digits:
        shown = axes[0, 0].imshow(digits["sample_image"] / 255, cmap="gray")
        axes[0, 0].set(xticks=[], yticks=[], title=f"digit {digits['sample_label']}")
        figure.colorbar(shown, ax=axes[0, 0], label="spike probability per 2 ms step")
    if task:
        stimulus_panel(axes[0, 1], task, 0)
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
    return figure


def raster(trials: Trials) -> Figure:
    """Raster of one trial, population rate below, rate of each cell at the right (figures 2e, 3e)."""
    figure, axes = style.panels(2, 2, height=1.6, width_ratios=(3, 1), height_ratios=(2, 1))
    fired = trials["sample_spikes"]
    train = spikes.from_raster(fired[None], DT)
    axes[0, 0].plot(1000 * train.times, train.cells, ".", markersize=2, markeredgewidth=0, color="black")
    axes[0, 0].set(ylabel="cell", xlim=(0, 1000 * train.duration))
    axes[1, 0].plot(np.arange(len(fired)) * MS, fired.mean(1) / DT, color="black", linewidth=0.8)
    axes[1, 0].set(xlabel="time (ms)", ylabel="population rate (Hz)", xlim=(0, 1000 * train.duration))
    axes[0, 1].barh(range(fired.shape[1]), fired.sum(0) / train.duration, height=1, color="0.5")
    axes[0, 1].set(xlabel="rate (Hz)", yticks=[])
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
