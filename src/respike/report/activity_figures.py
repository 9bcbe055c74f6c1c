"""Pictures of all networks side by side: one panel per statistic with a line per network, and a raster of each."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from respike.core import style
from respike.core.spikes import Network

TITLES = {
    "rate": "rate (Hz)",
    "cv_isi": "CV of intervals",
    "fano": "Fano factor",
    "correlation": "correlation",
    "spectrum_peak": "peak (Hz)",
    "flatness": "flatness",
}
POISSON = {"cv_isi": 1.0, "fano": 1.0, "correlation": 0.0}
SHOWN = (1.0, 50)  # s and cells of a raster
NOTE = "open: recording, filled: model, dotted: Poisson process"


def statistics(rows: pd.DataFrame, folder: Path) -> None:
    """activity.pdf and .png: a panel per statistic, a line per network, recordings with open marks."""
    names = rows[["study", "network", "recorded", "dataset"]].drop_duplicates().reset_index(drop=True)
    figure, axes = style.panels(1, len(TITLES), height=0.55 + 0.17 * len(names), sharey=True)
    figure.set_figwidth(2.6 * style.WIDTH)
    colors = {study: f"C{number}" for number, study in enumerate(names["study"].unique())}
    for panel, statistic in zip(axes[0], TITLES, strict=True):
        some = names.merge(rows[rows["statistic"] == statistic], how="left")
        draw(panel, some, [colors[study] for study in names["study"]])
        panel.set_title(TITLES[statistic])
        if statistic in POISSON:
            panel.axvline(POISSON[statistic], color="0.5", linestyle=":", linewidth=0.8, zorder=0)
    data = [f" ({row.dataset.split()[0]})" if row.recorded else "" for row in names.itertuples()]  # stand-in, embedded, pvc-11
    labels = [f"{row.study}: {row.network}{kind}" for row, kind in zip(names.itertuples(), data, strict=True)]
    axes[0, 0].set_yticks(range(len(names)), labels)
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    style.save(figure, folder, "activity", f"{NOTE}. Data: {'; '.join(rows['dataset'].unique())}")


def draw(axes: Axes, rows: pd.DataFrame, colors: list[str]) -> None:
    """A dot at the mean of each network and a bar from quantile 0.1 to 0.9 over its cells or pairs."""
    if rows["low"].min() > 0 and rows["high"].max() / rows["low"].min() > 30:
        axes.set_xscale("log")
    for line, (row, color) in enumerate(zip(rows.itertuples(), colors, strict=True)):
        axes.plot([row.low, row.high], [line, line], color=color, linewidth=1, alpha=0.5)
        axes.plot(row.value, line, "o", color=color, markerfacecolor="white" if row.recorded else color)
    axes.grid(axis="y", linewidth=0.3, alpha=0.5)
    axes.tick_params(axis="y", length=0)


def rasters(networks: list[Network], folder: Path, columns: int = 4) -> None:
    """rasters.pdf and .png: the first second of some cells of each network and recording."""
    figure, axes = style.panels(-(-len(networks) // columns), columns, height=1.25, sharex=True)
    figure.set_figwidth(2 * style.WIDTH)
    for panel in axes.flat[len(networks) :]:
        panel.set_axis_off()
    for panel, network in zip(axes.flat, networks, strict=False):
        raster(panel, network)
    for panel in axes.flat[max(0, len(networks) - columns) : len(networks)]:  # the lowest of each column
        panel.set_xlabel("time (s)")
        panel.tick_params(labelbottom=True)
    style.save(figure, folder, "rasters", f"Data: {'; '.join(dict.fromkeys(network.dataset for network in networks))}")


def raster(axes: Axes, network: Network) -> None:
    """Some cells, evenly through the network, for a second; trials one after the other where they are shorter."""
    seconds, most = SHOWN
    spikes = network.spikes
    chosen = np.unique(np.linspace(0, spikes.n_cells - 1, most).astype(int))
    times = spikes.times + spikes.trial * spikes.duration
    here = (times < seconds) & np.isin(spikes.cells, chosen)
    axes.plot(
        times[here], np.searchsorted(chosen, spikes.cells[here]), "|", color="black", markersize=1.8, markeredgewidth=0.5
    )
    for edge in np.arange(1, min(spikes.n_trials, np.ceil(seconds / spikes.duration))) * spikes.duration:
        axes.axvline(edge, color="0.7", linewidth=0.4)
    axes.set(title=f"{network.study}: {network.name}", xlim=(0, seconds), ylim=(-1, len(chosen)), yticks=[])
    if network.recorded:
        axes.set_facecolor("#f6efdc")
