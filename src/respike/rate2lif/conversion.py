"""From a rate network to a LIF network: trials run at several scales and judged, and the scale L = 1 / lambda found."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import seeds, spikes
from respike.rate2lif import lif, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import LIF_STEP, STEPS_PER_COLUMN, UNCOUNTED, Lif, Stream
from respike.rate2lif.tasks import Task, Trials

FIRST_GUESS = 25.0  # where the least squares start: the scale of the published examples
ROUNDS, FITTED_TRIALS = 4, 6  # of the least squares
SMALLEST, LARGEST = 1.0, 200.0  # scale that the least squares may find
OUTPUT_EVERY = 20  # LIF steps between two kept samples of an output: 1 ms
Shown = Trials | Sequence[Trials]  # the same trials at all scales, or a set for each


def play(
    network: Network, trials: Shown, scales: Sequence[float], options: Lif, stream: Stream, recorded: int = 0
) -> Iterator[list[lif.Run]]:
    """Of each trial its runs at all scales, with the same noise; the first `recorded` keep the state every 5 ms."""
    wirings = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion")) for scale in scales]
    inputs = [tasks.extra_column(own.inputs) for own in _of_scales(trials, scales)]
    column = STEPS_PER_COLUMN // options.downsample
    for trial in range(inputs[0].shape[1]):
        drive = lif.drive(network, np.stack([own[:, trial] for own in inputs]), options, *stream, trial)
        yield lif.simulate(wirings, drive, options, column if trial < recorded else 0)


def _of_scales(trials: Shown, scales: Sequence[float]) -> Sequence[Trials]:
    return [trials] * len(scales) if isinstance(trials, Trials) else trials


def window(task: Task, options: Lif) -> tuple[int, int]:
    """First LIF step of the response, from which on the output is judged, and the first step after it.

    The published program counts samples from 1: its windows start at sample 10000, 20000 or 26000.
    """
    steps = STEPS_PER_COLUMN // options.downsample
    return task.lif_window * steps - 1, task.end * steps


def judged(
    trials: Shown, task: Task, runs: Iterable[Sequence[lif.Run]], scales: Sequence[float], options: Lif
) -> pd.DataFrame:
    """A row per trial and scale: what the output did, whether that is correct, and the mean firing rate in Hz."""
    rows, of_scales = [], _of_scales(trials, scales)
    for trial, at_scales in enumerate(runs):
        for run, scale, own in zip(at_scales, scales, of_scales, strict=True):
            wanted = own.wanted[trial : trial + 1]
            responses = tasks.responses(run.output[:, None], *window(task, options))
            row = {"trial": trial, "wanted": int(wanted[0]), "group": own.group[trial], "scale": scale}
            row |= {name: float(values[0]) for name, values in responses._asdict().items()}
            row["correct"] = bool(tasks.is_correct(responses, wanted, quiet_both_ways=False)[0])
            row["decided"] = bool(tasks.is_decided(task, responses.mean, wanted)[0])
            rows.append({**row, "rate": float(lif.rates(run, options).mean())})
    return pd.DataFrame(rows)


def try_scales(
    network: Network, task: Task, trials: Shown, scales: Sequence[float], options: Lif, stream: Stream
) -> pd.DataFrame:
    """A row per trial and scale."""
    return judged(trials, task, play(network, trials, scales, options, stream), scales, options)


def least_squares(
    network: Network,
    inputs: Float[np.ndarray, "step trial channel"],
    rates: Float[np.ndarray, "trial cell"],
    options: Lif,
    stream: Stream,
) -> float:
    """The scale at which the LIF rates, divided by it, are nearest to the `rates` of the rate model on the same trials.

    The LIF rates depend on the scale, so the fit is repeated from its own result.
    """
    inputs, wanted = tasks.extra_column(inputs), rates[:FITTED_TRIALS].ravel()
    scale = FIRST_GUESS
    for _ in range(ROUNDS):
        wiring = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion"))]
        drives = (lif.drive(network, inputs[:, trial], options, *stream, "fit", trial) for trial in range(FITTED_TRIALS))
        fired = np.concatenate([lif.rates(lif.simulate(wiring, drive, options)[0], options) for drive in drives])
        scale = float(np.clip(fired @ wanted / (wanted @ wanted), SMALLEST, LARGEST))
    return scale


def accuracy(table: pd.DataFrame) -> pd.Series:
    """Share of correct trials by scale, in the order in which the scales were tried."""
    return table.groupby("scale", sort=False)["correct"].mean()


def best(table: pd.DataFrame) -> float:
    """The first scale that reaches the highest accuracy."""
    return float(accuracy(table).idxmax())


def fired(runs: Sequence[lif.Run], options: Lif) -> spikes.Spikes:
    """Spikes of the runs, one trial each, without those that the random first voltages cause (see `lif.rates`)."""
    dt, steps = LIF_STEP * options.downsample, np.concatenate([run.spike_step for run in runs])
    counted = steps >= UNCOUNTED
    return spikes.Spikes(
        times=steps[counted] * dt,
        cells=np.concatenate([run.spike_cell for run in runs])[counted],
        n_cells=runs[0].n_cells,
        duration=len(runs[0].output) * dt,
        trials=np.repeat(np.arange(len(runs)), [len(run.spike_step) for run in runs])[counted],
        n_trials=len(runs),
    )


def recordings(runs: Sequence[lif.Run], trials: Trials, options: Lif) -> dict[str, np.ndarray]:
    """Outputs (trial, ms), filtered spikes (trial, step of 5 ms, cell) in Hz and kind of the first trials, one run each."""
    filtered = np.stack([run.filtered for run in runs]).astype(np.float32)
    return {"output": outputs(runs, options), "filtered": filtered, "group": np.array(trials.group[: len(runs)])}


def courses(shown: dict[str, np.ndarray]) -> Float[np.ndarray, "group step cell"]:
    """Mean filtered spikes of each kind of trial in `recordings`, kinds in the order of their names."""
    return np.stack([shown["filtered"][shown["group"] == name].mean(0) for name in sorted(set(shown["group"].tolist()))])


def at_scales(
    network: Network, trials: Trials, scales: Sequence[float], options: Lif, stream: Stream
) -> dict[str, np.ndarray]:
    """Outputs (scale, ms) of the first trial that wants a response."""
    trial = int(np.argmax(trials.wanted != 0))
    wirings = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion")) for scale in scales]
    drive = lif.drive(network, tasks.extra_column(trials.inputs)[:, trial], options, *stream, trial)
    return {"shown_scales": np.array(scales), "scale_output": outputs(lif.simulate(wirings, drive, options), options)}


def outputs(runs: Sequence[lif.Run], options: Lif) -> Float[np.ndarray, "run ms"]:
    """Output of each run, once a millisecond."""
    return np.stack([run.output[:: OUTPUT_EVERY // options.downsample] for run in runs]).astype(np.float32)
