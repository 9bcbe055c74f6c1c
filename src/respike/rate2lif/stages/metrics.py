"""Measure every network: its training, its decay constants, its scale, its LIF accuracy, its rates.

In the table a network's replica is its seed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from respike.core import files, measures, spikes, statistics
from respike.core.config import build
from respike.core.measures import Measure
from respike.rate2lif import archives, conversion, fitted, model, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import CONVERTED, PUBLISHED_GRID, RATE_STEP, STANDARD, Training, scheduled
from respike.rate2lif.tasks import TASKS

STUDY = "rate2lif"
TOLD = ("task", "trainer", "trials", "cells", "activation", "dale", "sst_cells", "loss")  # of a training
TOLD += ("weights", "gain", "p_inhibitory", "p_recurrent", "learning_rate")
UNBOUNDED_GRID = tuple(float(scale) for scale in range(4, 28, 2))  # 1 / lambda, of softplus and ReLU
COMPONENTS = 3  # whose share of the variance is measured
GRID = ("smallest scale", "largest scale", "published scales")  # facts of all networks of a variant, no measures of each


class Origin(NamedTuple):
    """The network that measures are of, as the table names it."""

    variant: str
    replica: int
    dataset: str

    def measure(self, metric: str, value: float, unit: str, n: int) -> Measure:
        """One row."""
        return Measure(self.variant, self.replica, self.dataset, metric, float(value), unit, n)


def run(
    *, networks: list[Path], searches: list[Path], trials: list[Path], training: dict[str, Training], out: Path, facts: Path
) -> None:
    """Measure the networks of all archives, listed chunk by chunk; `training` holds the settings by variant."""
    chunks = [archives.Archives(*paths) for paths in zip(networks, searches, trials, strict=True)]
    rows = [row for chunk in chunks for name, folder in chunk for row in of_network(name, folder, training[name.variant])]
    files.write_table(out, measures.table(STUDY, [row for row in rows if row.metric not in GRID]))
    files.write_table(facts, measures.facts(STUDY, [*trained(networks), *found(pd.DataFrame(rows))]))


def trained(networks: list[Path]) -> Iterator[tuple[str, dict]]:
    """How the networks of each variant were trained; decay constants in ms. Nothing of networks that were given."""
    for job in (job for path in networks for job in measures.ran(path, "rate2lif.fit")):
        settings = build(Training, job["settings"])
        taus = [1000 * RATE_STEP * tau for tau in settings.taus]
        about = {name: getattr(settings, name) for name in TOLD}
        yield job["variant"], {**about, "smallest_tau": taus[0], "largest_tau": taus[-1]}


def found(rows: pd.DataFrame) -> Iterator[tuple[str, dict]]:
    """Of each variant: networks that met the stop rule (%), the grid of scales, how many are best at an end of theirs."""
    for variant, part in rows.groupby("variant"):
        values = {metric: rows.set_index("seed")["value"] for metric, rows in part.groupby("metric")}
        best, smallest, largest, published = (values[name] for name in ("best scale", *GRID))
        grid = {"smallest_scale": smallest.max(), "largest_scale": largest.min()}  # of what all of them were tried at
        grid["published_grid"] = bool(published.min())
        at_edge = int((((best == smallest) | (best == largest)) & (values["trained"] > 0)).sum())
        yield variant, {"trained": values["trained"].mean(), **grid, "at_edge": at_edge}


def of_network(name: archives.Name, folder: Path, training: Training) -> Iterator[Measure]:
    """All measures of the network `name`, whose files are in `folder`."""
    settings, network = scheduled(training), fitted.read(folder / "scaled.mat")
    activity, shown = (files.read_arrays(folder / f"{kind}.npz") for kind in ("activity", "shown"))
    origin = Origin(*name, str(activity["origin"]))
    history = files.read_table(folder / "history.parquet")
    yield from of_training(origin, history, settings)
    yield from of_rate_model(origin, activity, settings)
    yield from of_cells(origin, network)
    yield from of_search(origin, files.read_table(folder / "search.parquet"), network.activation)
    yield from of_trials(origin, files.read_table(folder / "trials.parquet"))
    yield from of_rates(origin, network, spikes.read(folder / "spikes.npz"), activity)
    yield from of_components(origin, activity["course"], conversion.courses(shown))


def is_trained(history: pd.DataFrame, settings: Training) -> bool:
    """Whether the last check satisfied the stop rule."""
    last = history.dropna(subset="check_accuracy").iloc[-1]
    return bool(settings.stops(last["check_loss"], last["check_accuracy"], last["trials"]))


def of_training(origin: Origin, history: pd.DataFrame, settings: Training) -> Iterator[Measure]:
    """Whether and when the training met its stop rule, and the loss of its last check."""
    n = settings.check_trials
    yield origin.measure("trained", 100 * is_trained(history, settings), "%", n)
    yield origin.measure("trials to train", history["trials"].iloc[-1], "trials", 1)
    yield origin.measure("rate loss", history["check_loss"].dropna().iloc[-1], "1", n)


def of_rate_model(origin: Origin, activity: dict[str, np.ndarray], settings: Training) -> Iterator[Measure]:
    """Loss of the trained rate model on fresh trials, and accuracy by the published criterion."""
    task, wanted = TASKS[settings.task], activity["wanted"]
    responses = tasks.responses(activity["output"], task.rate_window, task.end)
    output, target = (torch.from_numpy(activity[name]) for name in ("output", "target"))
    yield origin.measure("final loss", model.loss(output, target, settings.loss).mean(), "1", len(wanted))
    yield origin.measure("rate accuracy", 100 * tasks.is_correct(responses, wanted, True).mean(), "%", len(wanted))


def of_cells(origin: Origin, network: Network) -> Iterator[Measure]:
    """Size and decay constants."""
    n, tau = network.n_cells, 1000 * network.decay()
    yield origin.measure("cells", n, "cells", n)
    yield origin.measure("largest tau", 5 * network.taus[-1], "ms", n)
    yield origin.measure("mean tau", tau.mean(), "ms", n)
    yield origin.measure("sd tau", tau.std(), "ms", n)


def of_search(origin: Origin, search: pd.DataFrame, activation: str) -> Iterator[Measure]:
    """Best scale, its LIF accuracy on the trials that chose it (as published), and of the grid: ends, whether it is whole.

    More scales can only raise the best accuracy: it is that of the published grid where the scales that were tried hold it.
    """
    accuracy, n = conversion.accuracy(search), search["trial"].nunique()
    published = list(PUBLISHED_GRID if activation == "sigmoid" else UNBOUNDED_GRID)
    held = set(published) <= set(accuracy.index)
    best = (accuracy[published] if held else accuracy).max()
    yield origin.measure("best scale", conversion.best(search), "1", n)
    yield origin.measure("best accuracy in the search", 100 * best, "%", n)
    yield origin.measure("converted in the search", 100 * (best >= CONVERTED), "%", n)
    for name, value in zip(GRID, (min(accuracy.index), max(accuracy.index), held), strict=True):
        yield origin.measure(name, value, "1", n)


def of_trials(origin: Origin, trials: pd.DataFrame) -> Iterator[Measure]:
    """LIF accuracy and mean rate in each condition, on trials that the search did not see."""
    for condition, rows in trials.groupby("condition", sort=False):
        ending, n = "" if condition == STANDARD else f", {condition}", len(rows)
        yield origin.measure(f"LIF accuracy{ending}", 100 * rows["correct"].mean(), "%", n)
        yield origin.measure(f"LIF accuracy, mean output{ending}", 100 * rows["decided"].mean(), "%", n)
        yield origin.measure(f"converted{ending}", 100 * (rows["correct"].mean() >= CONVERTED), "%", n)
        yield origin.measure(f"mean rate{ending}", rows["rate"].mean(), "Hz", n)


def of_rates(origin: Origin, network: Network, fired: spikes.Spikes, activity: dict[str, np.ndarray]) -> Iterator[Measure]:
    """Rates by kind of cell and of trial, and how well LIF rates follow those of the rate model, cell by cell."""
    kinds = {"excitatory": ~network.inhibitory, "inhibitory": network.inhibitory & ~network.sst(), "SST": network.sst()}
    group = activity["group"][: fired.n_trials]
    counts = spikes.bin_counts(fired, fired.duration)[:, 0] / fired.duration
    for kind, cells in ((kind, cells) for kind, cells in kinds.items() if cells.any()):
        for label in sorted(set(group.tolist())):
            value = counts[group == label][:, cells].mean()
            yield origin.measure(f"mean rate, {kind}, {label}", value, "Hz", int(cells.sum() * (group == label).sum()))
    rate_model = activity["mean_rate"][: fired.n_trials].mean(0)
    agreement = np.corrcoef(rate_model, statistics.rate(fired))[0, 1]
    yield origin.measure("correlation of rates", agreement, "1", network.n_cells)


def of_components(origin: Origin, rate_course: np.ndarray, lif_course: np.ndarray) -> Iterator[Measure]:
    """Share of the variance of the mean courses that the first principal components hold, in both networks."""
    for kind, course in (("rate", rate_course), ("LIF", lif_course)):
        flat = course.reshape(-1, course.shape[-1])
        power = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
        share = 100 * power[:COMPONENTS].sum() / power.sum()
        yield origin.measure(f"variance in three components, {kind}", share, "%", len(flat))
