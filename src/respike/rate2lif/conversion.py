"""Trials of a LIF network: what its output did, in one row per trial and setting."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from respike.rate2lif import lif, tasks
from respike.rate2lif.params import STEPS_PER_COLUMN, Lif
from respike.rate2lif.tasks import Task, Trials


def rows(trials: Trials, trial: int, task: Task, runs: list[lif.Run], scales: list[float], options: Lif) -> Iterator[dict]:
    """Rows of one trial, one for each of `runs`; `rate` is the mean firing rate in Hz."""
    wanted = trials.wanted[trial : trial + 1]
    per_column = STEPS_PER_COLUMN // options.downsample
    first, last = task.lif_window * per_column - 1, task.end * per_column
    for run, scale in zip(runs, scales, strict=True):
        seen = tasks.responses(run.output[:, None], first, last)
        yield {
            "trial": trial,
            "wanted": int(wanted[0]),
            "group": trials.group[trial],
            "scale": scale,
            "largest": float(seen.largest[0]),
            "smallest": float(seen.smallest[0]),
            "mean": float(seen.mean[0]),
            "correct": bool(tasks.is_correct(seen, wanted, quiet_both_ways=False)[0]),
            "decided": bool(tasks.is_decided(task, seen.mean, wanted)[0]),
            "rate": float(lif.rates(run, options).mean()),
        }


def table(trials: Trials, task: Task, runs: list[lif.Run], scale: float, options: Lif) -> pd.DataFrame:
    """Rows of one run per trial."""
    return pd.DataFrame([row for k, run in enumerate(runs) for row in rows(trials, k, task, [run], [scale], options)])


def accuracy(table: pd.DataFrame) -> pd.Series:
    """Share of correct trials by scale, in the order in which the scales were tried."""
    return table.groupby("scale", sort=False)["correct"].mean()


def best(table: pd.DataFrame) -> float:
    """The first scale that reaches the highest accuracy."""
    found = accuracy(table)
    return float(found.index[int(np.argmax(found.to_numpy()))])
