"""Figure of one simulated network: raster, rates, spectrum and weights."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import style
from respike.fsbi.params import TYPES
from respike.fsbi.recording import Recording

KIND_COLORS = {"EE": "#D55E00", "EI": "#E69F00", "IE": "#0072B2", "II": "#56B4E9"}
POPULATIONS = {"e": style.EXCITATORY, "i": style.INHIBITORY}
SECONDS, E_CELLS, I_CELLS = 2.0, 100, 25  # in the raster


def draw(recording: Recording) -> Figure:
    """Raster, population rates, spectrum, rates, weights in time and at the end, of one rule; its outcome if it has none."""
    if not len(recording.weight_times):
        figure, ((axes,),) = style.panels()
        axes.set(title=f"ended before the recording: {recording.outcome}", xticks=[], yticks=[])
        return figure
    figure, axes = style.panels(2, 3, 2.3)
    cells = {"e": (recording.e_times, recording.e_cells, recording.n_e)}
    cells |= {"i": (recording.i_times, recording.i_cells, recording.n_i)} if recording.n_i else {}
    draw_raster(axes[0, 0], cells, recording.start)
    draw_rates(axes[0, 1], cells, recording)
    draw_spectrum(axes[0, 2], recording)
    duration = recording.stop - recording.start
    rates = {name: np.bincount(which, minlength=n) / duration for name, (_, which, n) in cells.items()}
    edges = np.linspace(0, max(rate.max() for rate in rates.values()) + 1e-9, 31)
    for name, rate in rates.items():
        axes[1, 0].hist(rate, edges, density=True, histtype="step", color=POPULATIONS[name], label=f"{name.upper()} cells")
    axes[1, 0].set(xlabel="rate (Hz)", ylabel="density of cells")
    axes[1, 0].legend()
    draw_weights(axes[1, 1], axes[1, 2], recording)
    return figure


def draw_raster(axes: Axes, cells: Mapping[str, tuple], start: float) -> None:
    """First seconds of the recording: excitatory cells below, inhibitory above."""
    for (name, (times, which, _)), first, n in zip(cells.items(), (0, E_CELLS), (E_CELLS, I_CELLS), strict=False):
        shown = (times < start + SECONDS) & (which < n)
        style.raster(axes, times[shown] - start, which[shown] + first, POPULATIONS[name])
    axes.set_title(f"{E_CELLS} E (orange) and {I_CELLS} I cells (blue)")


def draw_rates(axes: Axes, cells: Mapping[str, tuple], recording: Recording) -> None:
    """Population rates in bins of 10 ms."""
    start, stop = recording.start, recording.stop
    edges = np.linspace(start, stop, round((stop - start) / 0.01) + 1)
    shown = edges[:-1] < start + SECONDS
    for name, (times, _, n) in cells.items():
        rate = np.histogram(times, edges)[0] / (0.01 * n)
        axes.plot(edges[:-1][shown] - start, rate[shown], color=POPULATIONS[name], linewidth=0.7)
    axes.set(xlabel="time (s)", ylabel="population rate (Hz)")


def draw_spectrum(axes: Axes, recording: Recording) -> None:
    """Amplitude spectrum of the excitatory population rate in bins of 1 ms."""
    n_bins = round((recording.stop - recording.start) / 0.001)
    edges = np.linspace(recording.start, recording.stop, n_bins + 1)
    signal = np.histogram(recording.e_times, edges)[0] / (0.001 * recording.n_e)
    amplitude, frequency = 2 / n_bins * np.abs(np.fft.rfft(signal))[1:], np.fft.rfftfreq(n_bins, 0.001)[1:]
    axes.loglog(frequency, amplitude, linewidth=0.4, color=style.EXCITATORY)
    axes.set(xlabel="frequency (Hz)", ylabel="amplitude (Hz)", title="spectrum of the E rate")


def draw_weights(axes: Axes, histogram: Axes, recording: Recording) -> None:
    """Mean and spread of the sampled weights in time, and their histogram at the end."""
    times = recording.weight_times - recording.start
    edges = np.linspace(0, max(samples[-1].max() for samples in recording.weights.values()) + 1e-9, 31)
    for kind in (kind for kind in TYPES if kind in recording.weights):
        samples = recording.weights[kind]
        mean, low, high = samples.mean(1), *np.quantile(samples, (0.1, 0.9), axis=1)
        axes.plot(times, mean, color=KIND_COLORS[kind], label=kind)
        axes.fill_between(times, low, high, color=KIND_COLORS[kind], alpha=0.2, linewidth=0)
        histogram.hist(samples[-1], edges, histtype="step", color=KIND_COLORS[kind], label=kind)
    axes.set(xlabel="time (s)", ylabel="weight (mean, 10 to 90 %)")
    histogram.set(xlabel="weight at the end", ylabel="synapses")
    histogram.legend()
