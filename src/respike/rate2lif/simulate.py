"""Run the LIF network at the scale that was found.

In: the network with its scale. Out: a row per trial, spikes, outputs and rates.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from respike.core import files, seeds, spikes
from respike.rate2lif import conversion, lif, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, STEPS_PER_COLUMN, Lif, Simulation
from respike.rate2lif.tasks import TASKS, Task, Trials

OUTPUT_EVERY = 20  # LIF steps between two kept samples of an output: 1 ms


def run(
    *,
    network: Path,
    task: str,
    activity: Path,
    table: Path,
    shown: Path,
    spike_file: Path,
    settings: Simulation,
    conditions: dict[str, Lif],
    variant: str,
    replica: int,
    seed: int,
) -> None:
    """Run every LIF network in `conditions` on trials the rate model was shown on; keep some standard trials in full."""
    trained, place = networks.read(network), (seed, "rate2lif", "simulate", variant, replica)
    scale = scale_of(network, trained)
    trials = shown_trials(activity, settings.trials)
    parts = [
        play(trained, TASKS[task], trials, scale, options, place).assign(condition=name)
        for name, options in conditions.items()
    ]
    files.write_table(table, pd.concat(parts, ignore_index=True).assign(variant=variant, seed=replica))
    options = conditions["standard"]
    record = recorded(trained, trials, min(settings.recorded, len(trials.wanted)), scale, options, place)
    spikes.write(spike_file, record.spikes)
    files.write_arrays(shown, **record.arrays, **at_scales(trained, trials, settings.shown_scales, options, place))


def scale_of(path: Path, trained: Network) -> float:
    """The scale in the network's file; ValueError when the search has not put one there."""
    if "opt_scaling_factor" not in trained.extra:
        raise ValueError(f"{path}: no field opt_scaling_factor; run rate2lif.search on this network first")
    return float(np.ravel(trained.extra["opt_scaling_factor"])[0])


def shown_trials(activity: Path, count: int) -> Trials:
    """The first `count` trials in an activity file."""
    kept = files.read_arrays(activity, "inputs", "target", "wanted", "group")
    return Trials(kept["inputs"][:, :count], kept["target"][:, :count], kept["wanted"][:count], kept["group"][:count].tolist())


def play(
    trained: Network, task: Task, trials: Trials, scale: float, options: Lif, place: tuple[int | str, ...]
) -> pd.DataFrame:
    """One row per trial."""
    wiring, found = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion"))], []
    inputs = tasks.extra_column(trials.inputs)
    for trial in range(len(trials.wanted)):
        runs = lif.run(wiring, lif.drive(trained, inputs[:, trial], options, *place, trial), options)
        found += conversion.rows(trials, trial, task, runs, [scale], options)
    return pd.DataFrame(found)


class Record(NamedTuple):
    """Some trials in full."""

    spikes: spikes.Spikes
    arrays: dict[str, np.ndarray]


def recorded(trained: Network, trials: Trials, count: int, scale: float, options: Lif, place: tuple[int | str, ...]) -> Record:
    """The first `count` trials: spikes, outputs (trial, ms), and the filtered spikes (trial, step of 5 ms, cell) in Hz."""
    wiring, inputs = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion"))], tasks.extra_column(trials.inputs)
    dt, per_column = LIF_STEP * options.downsample, STEPS_PER_COLUMN // options.downsample
    runs = [
        lif.run(wiring, lif.drive(trained, inputs[:, trial], options, *place, trial), options, per_column)[0]
        for trial in range(count)
    ]
    found = spikes.Spikes(
        times=np.concatenate([run.spike_step for run in runs]) * dt,
        cells=np.concatenate([run.spike_cell for run in runs]),
        n_cells=trained.n_cells,
        duration=len(runs[0].output) * dt,
        trials=np.repeat(np.arange(count), [len(run.spike_step) for run in runs]),
        n_trials=count,
    )
    arrays = {
        "output": np.stack([run.output[:: OUTPUT_EVERY // options.downsample] for run in runs]).astype(np.float32),
        "filtered": np.stack([run.filtered for run in runs]).astype(np.float32),
        "group": np.array(trials.group[:count]),
        "scale": np.array(scale),
    }
    return Record(found, arrays)


def at_scales(
    trained: Network, trials: Trials, scales: tuple[float, ...], options: Lif, place: tuple[int | str, ...]
) -> dict[str, np.ndarray]:
    """Outputs (scale, ms) on the first trial that wants a response."""
    trial = int(np.argmax(trials.wanted != 0))
    wirings = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion")) for scale in scales]
    drive = lif.drive(trained, tasks.extra_column(trials.inputs)[:, trial], options, *place, trial)
    outputs = [run.output[:: OUTPUT_EVERY // options.downsample] for run in lif.run(wirings, drive, options)]
    return {"shown_scales": np.array(scales), "scale_output": np.array(outputs, dtype=np.float32)}
