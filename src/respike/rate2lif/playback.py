"""The LIF network at work, with the scale that was found, on the trials that its rate model was shown."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds, spikes
from respike.rate2lif import conversion, lif, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, STANDARD, STEPS_PER_COLUMN, Condition, Lif, Simulation, Stream
from respike.rate2lif.tasks import Task, Trials

OUTPUT_EVERY = 20  # LIF steps between two kept samples of an output: 1 ms


def play(network: Network, trials: Trials, scale: float, options: Lif, stream: Stream, recorded: int = 0) -> list[lif.Run]:
    """Run every trial; the first `recorded` of them keep the state every 5 ms."""
    wiring = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion"))]
    inputs, column = tasks.extra_column(trials.inputs), STEPS_PER_COLUMN // options.downsample
    return [
        lif.simulate(wiring, lif.drive(network, inputs[:, k], options, *stream, k), options, column if k < recorded else 0)[0]
        for k in range(len(trials.wanted))
    ]


def write(
    folder: Path,
    network: Network,
    scale: float,
    trials: Trials,
    task: Task,
    settings: Simulation,
    conditions: Sequence[Condition],
    stream: Stream,
) -> None:
    """Run the LIF network on `trials` in all `conditions` and write into `folder` what the next stages read.

    trials.parquet: a row per condition and trial. spikes.npz and shown.npz: some standard trials in full, and the outputs
    at other scales.
    """
    tables = []
    for name, options in ((condition.name, condition.lif) for condition in conditions):
        runs = play(network, trials, scale, options, stream, settings.recorded if name == STANDARD else 0)
        tables.append(conversion.table(trials, task, runs, scale, options).assign(condition=name))
        if name == STANDARD:
            recorded = runs[: settings.recorded]
            spikes.write(folder / "spikes.npz", fired(recorded, options))
            shown = recordings(recorded, trials, options) | {"scale": np.array(scale)}
            shown |= at_scales(network, trials, settings.shown_scales, options, stream)
            files.write_arrays(folder / "shown.npz", **shown)
    files.write_table(folder / "trials.parquet", pd.concat(tables, ignore_index=True))


def fired(runs: Sequence[lif.Run], options: Lif) -> spikes.Spikes:
    """Spikes of the runs, one trial each."""
    dt = LIF_STEP * options.downsample
    return spikes.Spikes(
        times=np.concatenate([run.spike_step for run in runs]) * dt,
        cells=np.concatenate([run.spike_cell for run in runs]),
        n_cells=runs[0].n_cells,
        duration=len(runs[0].output) * dt,
        trials=np.repeat(np.arange(len(runs)), [len(run.spike_step) for run in runs]),
        n_trials=len(runs),
    )


def recordings(runs: Sequence[lif.Run], trials: Trials, options: Lif) -> dict[str, np.ndarray]:
    """Outputs (trial, ms) and filtered spikes (trial, step of 5 ms, cell) in Hz, and the kind of each trial."""
    return {
        "output": np.stack([run.output[:: OUTPUT_EVERY // options.downsample] for run in runs]).astype(np.float32),
        "filtered": np.stack([run.filtered for run in runs]).astype(np.float32),
        "group": np.array(trials.group[: len(runs)]),
    }


def at_scales(
    network: Network, trials: Trials, scales: Sequence[float], options: Lif, stream: Stream
) -> dict[str, np.ndarray]:
    """Outputs (scale, ms) on the first trial that wants a response."""
    trial = int(np.argmax(trials.wanted != 0))
    wirings = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion")) for scale in scales]
    drive = lif.drive(network, tasks.extra_column(trials.inputs)[:, trial], options, *stream, trial)
    outputs = [run.output[:: OUTPUT_EVERY // options.downsample] for run in lif.simulate(wirings, drive, options)]
    return {"shown_scales": np.array(scales), "scale_output": np.array(outputs, dtype=np.float32)}
