"""Run each LIF network at the scale that was found, in several conditions."""

from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, spikes
from respike.rate2lif import activity, archives, conversion, fitted
from respike.rate2lif.params import STANDARD, Condition, Simulation


def run(
    *,
    networks: Path,
    searches: Path,
    out: Path,
    settings: Simulation,
    conditions: list[Condition],
    seed: int,
) -> None:
    """Write an archive of a row per condition and trial, on the trials that the rate model was shown.

    And of some standard trials the spikes, outputs and filtered spikes, with the outputs of one trial at other scales.
    """
    sources = archives.Archives(networks, searches)
    for name, folder in archives.fill(out, sources.names):
        stream, tables = (seed, "rate2lif", "simulate", *name), []
        with sources.unpacked(name) as given:
            network, scale = fitted.read_scaled(given / "scaled.mat")
            task, trials = activity.read_trials(given / "activity.npz", settings.trials)
        for condition in conditions:
            options, standard = condition.lif, condition.name == STANDARD
            runs = list(conversion.play(network, trials, [scale], options, stream, settings.recorded if standard else 0))
            table = conversion.judged(trials, task, runs, [scale], options)
            tables.append(table.assign(condition=condition.name))
            if standard:
                shown = [run for (run,) in runs[: settings.recorded]]
                spikes.write(folder / "spikes.npz", conversion.fired(shown, options))
                kept = conversion.recordings(shown, trials, options) | {"scale": np.array(scale)}
                kept |= conversion.at_scales(network, trials, settings.shown_scales, options, stream)
                files.write_arrays(folder / "shown.npz", **kept)
        files.write_table(folder / "trials.parquet", pd.concat(tables, ignore_index=True))
