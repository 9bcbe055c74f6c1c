"""Figures of one simulated network and of the inference."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import style
from respike.fsbi.params import TYPES

SHOWN = (2.0, 100, 25)  # s, E cells and I cells in the raster
KIND_COLORS = {"EE": "#D55E00", "EI": "#E69F00", "IE": "#0072B2", "II": "#56B4E9"}
METHODS = {
    "prior": "prior",
    "prior_thinned": "prior, thinned",
    "npe_linear": "estimator, metrics as they are",
    "npe_log": "estimator, log metrics",
    "npe_log_ensemble": "ensemble, log metrics",
    "npe_log_ensemble_thinned": "ensemble, thinned",
    "posterior_exact": "exact posterior",
}


def network(recording: dict[str, np.ndarray], prefix: str) -> Figure:
    """Raster, population rates, spectrum, rate histogram, weights in time and their final histogram, of one rule."""
    figure, axes = style.panels(2, 3, 2.3)
    part = {name.removeprefix(f"{prefix}_"): value for name, value in recording.items() if name.startswith(f"{prefix}_")}
    draw_raster(axes[0, 0], part)
    draw_rates(axes[0, 1], axes[0, 2], part)
    draw_rate_histogram(axes[1, 0], part)
    draw_weights(axes[1, 1], axes[1, 2], part)
    return figure


def draw_raster(axes: Axes, part: dict[str, np.ndarray]) -> None:
    """First seconds of the recording: excitatory cells below, inhibitory above."""
    seconds, n_e, n_i = SHOWN
    start = float(part["start"])
    for name, first, n, color in (("e", 0, n_e, style.EXCITATORY), ("i", n_e, n_i, style.INHIBITORY)):
        times, cells = part[f"{name}_times"], part[f"{name}_cells"]
        shown = (times < start + seconds) & (cells < n)
        style.raster(axes, times[shown] - start, cells[shown] + first, color)
    axes.set_title(f"{n_e} E (orange) and {n_i} I cells (blue)")


def draw_rates(axes: Axes, spectrum: Axes, part: dict[str, np.ndarray]) -> None:
    """Population rates in bins of 10 ms, and the amplitude spectrum of the excitatory one in bins of 1 ms."""
    start, stop = float(part["start"]), float(part["stop"])
    for name, color in (("e", style.EXCITATORY), ("i", style.INHIBITORY)):
        edges = np.linspace(start, stop, round((stop - start) / 0.01) + 1)
        rate = np.histogram(part[f"{name}_times"], edges)[0] / (0.01 * int(part[f"n_{name}"]))
        shown = edges[:-1] < start + SHOWN[0]
        axes.plot(edges[:-1][shown] - start, rate[shown], color=color, linewidth=0.7)
    axes.set(xlabel="time (s)", ylabel="population rate (Hz)")
    n_bins = round((stop - start) / 0.001)
    signal = np.histogram(part["e_times"], np.linspace(start, stop, n_bins + 1))[0] / (0.001 * int(part["n_e"]))
    amplitude = 2 / n_bins * np.abs(np.fft.rfft(signal))[1:]
    frequency = np.fft.rfftfreq(n_bins, 0.001)[1:]
    spectrum.loglog(frequency, amplitude, linewidth=0.4, color=style.EXCITATORY)
    spectrum.set(xlabel="frequency (Hz)", ylabel="amplitude (Hz)", title="spectrum of the E rate")


def draw_rate_histogram(axes: Axes, part: dict[str, np.ndarray]) -> None:
    """Rates of the cells of both populations."""
    duration = float(part["stop"]) - float(part["start"])
    rates = {n: np.bincount(part[f"{n}_cells"], minlength=int(part[f"n_{n}"])) / duration for n in "ei"}
    edges = np.linspace(0, max(rate.max() for rate in rates.values()) + 1e-9, 31)
    for name, color in (("e", style.EXCITATORY), ("i", style.INHIBITORY)):
        axes.hist(rates[name], edges, density=True, histtype="step", color=color, label=f"{name.upper()} cells")
    axes.set(xlabel="rate (Hz)", ylabel="density of cells")
    axes.legend()


def draw_weights(axes: Axes, histogram: Axes, part: dict[str, np.ndarray]) -> None:
    """Mean and spread of the sampled weights in time, and their histogram at the end."""
    for kind in (kind for kind in TYPES if f"weights_{kind}" in part):
        samples, times = part[f"weights_{kind}"], part["weight_times"] - float(part["start"])
        mean, low, high = samples.mean(1), *np.quantile(samples, (0.1, 0.9), axis=1)
        axes.plot(times, mean, color=KIND_COLORS[kind], label=kind)
        axes.fill_between(times, low, high, color=KIND_COLORS[kind], alpha=0.2, linewidth=0)
        histogram.hist(samples[-1], 30, histtype="step", color=KIND_COLORS[kind], label=kind)
    axes.set(xlabel="time (s)", ylabel="weight (mean, 10 to 90 %)")
    histogram.set(xlabel="weight at the end", ylabel="synapses")
    histogram.legend()


def inference(examined: list[dict[str, np.ndarray]], rounds: list[pd.DataFrame], compare: pd.DataFrame) -> Figure:
    """Calibration of each trained ensemble, proposals against what they were made for, and ways compared on the surrogate."""
    figure, axes = style.panels(1, 3)
    draw_ranks(axes[0, 0], examined)
    draw_aims(axes[0, 1], rounds)
    known = compare.set_index("method")["acceptance"]
    shown = [name for name in METHODS if name in known]
    axes[0, 2].barh(range(len(shown)), known[shown], color=["0.7" if "exact" in name else "#56B4E9" for name in shown])
    axes[0, 2].set_yticks(range(len(shown)), [METHODS[name] for name in shown], fontsize=6)
    axes[0, 2].invert_yaxis()
    axes[0, 2].set(xlabel="share of proposals inside the aim", title="surrogate: equal budget", xlim=(0, 1))
    return figure


def draw_ranks(axes: Axes, examined: list[dict[str, np.ndarray]]) -> None:
    """Histogram of the ranks of held-out rules among posterior draws, all parameters together; flat when calibrated."""
    for one in examined:
        if len(one["ranks"]):
            label = f"pi{int(one['round'])}, {len(one['ranks'])} rules"
            axes.hist(one["ranks"].ravel(), np.linspace(0, 1, 21), density=True, histtype="step", label=label)
    axes.axhline(1, color="0.5", linestyle=":", linewidth=0.8)
    axes.set(xlabel="rank of the true parameter", ylabel="density", title="calibration")
    if examined:
        axes.legend()


def draw_aims(axes: Axes, rounds: list[pd.DataFrame]) -> None:
    """Rate that each proposal was made for and the rate it has."""
    for number, table in enumerate(rounds):
        if "aim_rate" in table:
            axes.plot(table["aim_rate"], table["rate"] + 0.01, ".", label=f"pi{number}, n = {len(table)}")
    low, high = axes.get_xlim()
    axes.plot([low, high], [low, high], color="0.5", linestyle=":", linewidth=0.8)
    axes.set(xlabel="rate aimed at (Hz)", ylabel="rate + 0.01 (Hz)", yscale="log", title="proposals")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
