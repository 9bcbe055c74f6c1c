"""From a rate network to a LIF network: trials judged by the published criterion, and the scale L = 1 / lambda found."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.core import seeds
from respike.rate2lif import lif, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import CONVERTED, STEPS_PER_COLUMN, Lif, Stream
from respike.rate2lif.tasks import Task, Trials

FIRST_GUESS = 25.0  # where the least squares start: the scale of the published examples
ROUNDS, FITTED_TRIALS = 4, 6  # of the least squares
SMALLEST, LARGEST = 1.0, 200.0  # scale that the least squares may find
AROUND = (0.5, 0.64, 0.8, 1.0, 1.25)  # of the least-squares scale, which lies above the best one more often than below


def window(task: Task, options: Lif) -> tuple[int, int]:
    """First LIF step of the response, from which on the output is judged, and the first step after it.

    The published program counts samples from 1: its windows start at sample 10000, 20000 or 26000.
    """
    steps = STEPS_PER_COLUMN // options.downsample
    return task.lif_window * steps - 1, task.end * steps


def rows(
    trials: Trials, trial: int, task: Task, runs: Sequence[lif.Run], scales: Sequence[float], options: Lif
) -> Iterator[dict]:
    """Rows of one trial, one for each of `runs`: what the output did, and the mean firing rate in Hz."""
    wanted = trials.wanted[trial : trial + 1]
    for run, scale in zip(runs, scales, strict=True):
        responses = tasks.responses(run.output[:, None], *window(task, options))
        yield {
            "trial": trial,
            "wanted": int(wanted[0]),
            "group": trials.group[trial],
            "scale": scale,
            "largest": float(responses.largest[0]),
            "smallest": float(responses.smallest[0]),
            "mean": float(responses.mean[0]),
            "correct": bool(tasks.is_correct(responses, wanted, quiet_both_ways=False)[0]),
            "decided": bool(tasks.is_decided(task, responses.mean, wanted)[0]),
            "rate": float(lif.rates(run, options).mean()),
        }


def table(trials: Trials, task: Task, runs: Sequence[lif.Run], scale: float, options: Lif) -> pd.DataFrame:
    """Rows of one run per trial."""
    return pd.DataFrame([row for k, run in enumerate(runs) for row in rows(trials, k, task, [run], [scale], options)])


def try_scales(
    network: Network, task: Task, trials: Trials, scales: Sequence[float], options: Lif, stream: Stream
) -> pd.DataFrame:
    """One row per trial and scale; all scales of a trial see the same stimulus and noise."""
    wirings = [lif.wire(network, scale, options, seeds.generator(*stream, "lesion")) for scale in scales]
    inputs, tried = tasks.extra_column(trials.inputs), []
    for trial in range(len(trials.wanted)):
        runs = lif.simulate(wirings, lif.drive(network, inputs[:, trial], options, *stream, trial), options)
        tried += rows(trials, trial, task, runs, scales, options)
    return pd.DataFrame(tried)


def narrow_scales(network: Network, activity: dict[str, np.ndarray], options: Lif, stream: Stream) -> list[float]:
    """A few scales around that of the least squares."""
    start = least_squares(network, activity["inputs"], activity["mean_rate"], options, stream)
    return [round(start * factor, 3) for factor in AROUND]


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
        wiring = [lif.wire(network, scale, options)]
        drives = (lif.drive(network, inputs[:, trial], options, *stream, "fit", trial) for trial in range(FITTED_TRIALS))
        fired = np.concatenate([lif.rates(lif.simulate(wiring, drive, options)[0], options) for drive in drives])
        scale = float(np.clip(fired @ wanted / (wanted @ wanted), SMALLEST, LARGEST))
    return scale


def accuracy(table: pd.DataFrame) -> pd.Series:
    """Share of correct trials by scale, in the order in which the scales were tried."""
    return table.groupby("scale", sort=False)["correct"].mean()


def best(table: pd.DataFrame) -> float:
    """The first scale that reaches the highest accuracy."""
    shares = accuracy(table)
    return float(shares.index[int(np.argmax(shares.to_numpy()))])


def published_fields(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the published search adds to the network's file."""
    shares = accuracy(table)
    return {
        "opt_scaling_factor": np.array([[best(table)]]),
        "all_perfs": shares.to_numpy()[:, None],
        "scaling_factors": shares.index.to_numpy(dtype=float)[None],
    }


def report(network: str, table: pd.DataFrame) -> None:
    """A line per scale in the log, and whether the network converts."""
    shares, scale = accuracy(table), best(table)
    for tried, share in shares.items():
        sys.stdout.write(f"1/lambda {tried:g}: {100 * share:.0f}% correct\n")
    verdict = "converts" if shares[scale] >= CONVERTED else f"does not convert: no scale reaches {100 * CONVERTED:.0f}%"
    sys.stdout.write(f"{network}: best 1/lambda {scale:g}, {100 * shares[scale]:.0f}% correct; {verdict}\n")
