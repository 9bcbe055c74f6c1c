"""Run each LIF network at the scale that was found.

In: archives of the networks and of their scales. Out: an archive with a row per trial, spikes, outputs and rates.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds, spikes
from respike.rate2lif import archives, conversion, lif, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, STEPS_PER_COLUMN, Lif, Simulation
from respike.rate2lif.tasks import TASKS, Trials

STANDARD = "standard"  # the condition whose trials are kept in full
OUTPUT_EVERY = 20  # LIF steps between two kept samples of an output: 1 ms


def run(
    *,
    sources: list[Path],
    archive: Path,
    task: str,
    settings: Simulation,
    conditions: dict[str, Lif],
    seed: int,
) -> None:
    """Run each network of the archives `sources` (of `fit` and of `search`) in all `conditions`."""
    variant = archives.Chunk.named(archive.stem).variant

    def one(replica: int, given: Path, made: Path) -> None:
        run_network(given, made, task, settings, conditions, (seed, "rate2lif", "simulate", variant, replica))

    options = {name: asdict(condition) for name, condition in conditions.items()}
    described = {"task": task, "simulation": asdict(settings), "conditions": options, "seed": seed}
    archives.make(archive, described, one, sources)


def run_network(
    given: Path, made: Path, task: str, settings: Simulation, conditions: dict[str, Lif], place: tuple[int | str, ...]
) -> None:
    """Run every LIF network in `conditions` on trials the rate model was shown on; keep some standard trials in full."""
    trained, trials = networks.read(given / "scaled.mat"), shown_trials(given / "activity.npz", settings.trials)
    scale, parts = scale_of(given / "scaled.mat", trained), []
    for name, options in conditions.items():
        runs = play(trained, trials, scale, options, place, settings.recorded if name == STANDARD else 0)
        found = conversion.table(trials, TASKS[task], runs, scale, options)
        parts.append(found.assign(condition=name))
        if name == STANDARD:
            spikes.write(made / "spikes.npz", fired(runs[: settings.recorded], options))
            kept = record(runs[: settings.recorded], trials, options) | {"scale": np.array(scale)}
            files.write_arrays(made / "shown.npz", **kept, **at_scales(trained, trials, settings.shown_scales, options, place))
    files.write_table(made / "trials.parquet", pd.concat(parts, ignore_index=True))


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
    trained: Network, trials: Trials, scale: float, options: Lif, place: tuple[int | str, ...], recorded: int = 0
) -> list[lif.Run]:
    """Run every trial; the first `recorded` of them keep the state every 5 ms."""
    wiring = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion"))]
    inputs, column = tasks.extra_column(trials.inputs), STEPS_PER_COLUMN // options.downsample
    return [
        lif.run(wiring, lif.drive(trained, inputs[:, k], options, *place, k), options, column if k < recorded else 0)[0]
        for k in range(len(trials.wanted))
    ]


def fired(runs: list[lif.Run], options: Lif) -> spikes.Spikes:
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


def record(runs: list[lif.Run], trials: Trials, options: Lif) -> dict[str, np.ndarray]:
    """Outputs (trial, ms) and filtered spikes (trial, step of 5 ms, cell) in Hz, and the kind of each trial."""
    return {
        "output": np.stack([run.output[:: OUTPUT_EVERY // options.downsample] for run in runs]).astype(np.float32),
        "filtered": np.stack([run.filtered for run in runs]).astype(np.float32),
        "group": np.array(trials.group[: len(runs)]),
    }


def at_scales(
    trained: Network, trials: Trials, scales: tuple[float, ...], options: Lif, place: tuple[int | str, ...]
) -> dict[str, np.ndarray]:
    """Outputs (scale, ms) on the first trial that wants a response."""
    trial = int(np.argmax(trials.wanted != 0))
    wirings = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion")) for scale in scales]
    drive = lif.drive(trained, tasks.extra_column(trials.inputs)[:, trial], options, *place, trial)
    outputs = [run.output[:: OUTPUT_EVERY // options.downsample] for run in lif.run(wirings, drive, options)]
    return {"shown_scales": np.array(scales), "scale_output": np.array(outputs, dtype=np.float32)}
