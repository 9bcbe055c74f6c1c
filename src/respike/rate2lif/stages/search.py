"""Find the scale of each network: its LIF accuracy over values of L = 1 / lambda."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.rate2lif import archives, conversion, fitted, tasks
from respike.rate2lif.params import CONVERTED, Lif, Search

AROUND = (0.5, 0.64, 0.8, 1.0, 1.25)  # of the least-squares scale, which lies above the best one more often than below


def run(*, networks: Path, out: Path, settings: Search, options: Lif, seed: int) -> None:
    """Write an archive of a row per scale and trial, and of each network's file with the best scale in it.

    As in the published search, each scale is tried on trials of its own. A network that no scale converts is written too,
    with the best scale; the log says so.
    """
    source = archives.Archives(networks)
    for name, folder in archives.fill(out, source.names):
        stream = (seed, "rate2lif", "search", *name)
        with source.unpacked(name) as given:
            network = fitted.read(given / "network.mat")
            activity = files.read_arrays(given / "activity.npz", "task", "inputs", "mean_rate")
        task, scales = tasks.TASKS[str(activity["task"])], settings.scales
        if settings.method == "narrow":
            start = conversion.least_squares(network, activity["inputs"], activity["mean_rate"], options, stream)
            scales = tuple(round(start * factor, 3) for factor in AROUND)
        trials = [tasks.draw(task, seeds.generator(*stream, "trials", f"{scale:g}"), settings.trials) for scale in scales]
        table = conversion.try_scales(network, task, trials, scales, options, stream)
        files.write_table(folder / "search.parquet", table)
        extra = network.extra | published_fields(table)
        fitted.write(folder / "scaled.mat", replace(network, extra=extra))
        report(str(name), table)


def published_fields(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the published search adds to the network's file."""
    shares = conversion.accuracy(table)
    return {
        "opt_scaling_factor": np.array([[conversion.best(table)]]),
        "all_perfs": shares.to_numpy()[:, None],
        "scaling_factors": shares.index.to_numpy(dtype=float)[None],
    }


def report(network: str, table: pd.DataFrame) -> None:
    """A line per scale in the log, and whether the network converts."""
    shares, scale = conversion.accuracy(table), conversion.best(table)
    for tried, share in shares.items():
        sys.stdout.write(f"1/lambda {tried:g}: {100 * share:.0f}% correct\n")
    verdict = "converts" if shares[scale] >= CONVERTED else f"does not convert: no scale reaches {100 * CONVERTED:.0f}%"
    sys.stdout.write(f"{network}: best 1/lambda {scale:g}, {100 * shares[scale]:.0f}% correct; {verdict}\n")
