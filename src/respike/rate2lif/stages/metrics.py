"""Measure every network: its training, its decay constants, its scale, its LIF accuracy, its rates. Out: one tidy table.

A network is called <variant>_<replica>; in the table the replica is the seed.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from respike.core import files, measures, spikes, statistics
from respike.core.measures import Measure
from respike.rate2lif import archives, conversion, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.network import Network
from respike.rate2lif.params import CONVERTED, LIF_STEP, UNCOUNTED, Training, scheduled
from respike.rate2lif.tasks import TASKS

STUDY = "rate2lif"
COMPONENTS = 3  # whose share of the variance is measured


class Name(NamedTuple):
    """Where the measures of a network stand in the table."""

    variant: str
    replica: int
    dataset: str

    def measure(self, metric: str, value: float, unit: str, n: int) -> Measure:
        """One row."""
        return Measure(self.variant, self.replica, self.dataset, metric, float(value), unit, n)


def run(*, folder: Path, chunks: list[str], training: dict[str, Training], table: Path) -> None:
    """Measure the networks of `chunks`, whose archives are in the result folder; `training` holds the settings by variant."""
    everyone = (network for chunk in chunks for network in archives.read(folder, chunk))
    found = [measure for stem, its_files in everyone for measure in of_network(stem, its_files, training)]
    files.write_table(table, measures.table(STUDY, found))


def of_network(stem: str, folder: Path, training: dict[str, Training]) -> Iterator[Measure]:
    """All measures of the network `stem`, whose files are in `folder`."""
    variant, replica = stem.rsplit("_", 1)
    settings, network = scheduled(training[variant]), networks.read(folder / "scaled.mat")
    played = files.read_arrays(folder / "activity.npz")
    fired = spikes.read(folder / "spikes.npz")
    shown = files.read_arrays(folder / "shown.npz")
    name = Name(variant, int(replica), f"{settings.task}, {played['origin']}")
    yield from of_training(name, files.read_table(folder / "history.parquet"), settings)
    yield from of_rate_model(name, played, settings)
    yield from of_cells(name, network)
    yield from of_search(name, files.read_table(folder / "search.parquet"))
    yield from of_trials(name, files.read_table(folder / "trials.parquet"))
    yield from of_rates(name, network, settled(fired), played)
    yield from of_components(name, played["course"], courses(shown))


def of_training(name: Name, history: pd.DataFrame, settings: Training) -> Iterator[Measure]:
    """When the training ended and whether its last check satisfied the published rule."""
    last = history.dropna(subset="check_accuracy").iloc[-1]
    n = settings.check_trials
    mastered = last["check_accuracy"] > settings.stop_accuracy and last["check_loss"] < settings.stop_loss
    yield name.measure("trained", 100 * mastered, "%", n)
    yield name.measure("trials to train", history["trials"].iloc[-1], "trials", 1)
    yield name.measure("rate loss", last["check_loss"], "1", n)


def of_rate_model(name: Name, played: dict[str, np.ndarray], settings: Training) -> Iterator[Measure]:
    """Accuracy of the rate model on fresh trials, by the published criterion and by the mean output."""
    task, wanted = TASKS[settings.task], played["wanted"]
    seen = tasks.responses(played["output"], task.rate_window, task.end)
    yield name.measure("rate accuracy", 100 * tasks.is_correct(seen, wanted, True).mean(), "%", len(wanted))
    yield name.measure("rate accuracy, mean output", 100 * tasks.is_decided(task, seen.mean, wanted).mean(), "%", len(wanted))


def of_cells(name: Name, network: Network) -> Iterator[Measure]:
    """Size, decay constants and sparseness."""
    n, tau = network.n_cells, 1000 * network.decay()
    yield name.measure("cells", n, "cells", n)
    yield name.measure("inhibitory cells", network.inhibitory.sum(), "cells", n)
    yield name.measure("largest tau", 5 * network.taus[-1], "ms", n)
    yield name.measure("mean tau", tau.mean(), "ms", n)
    yield name.measure("sd tau", tau.std(), "ms", n)
    yield name.measure("absent connections", 100 * (network.recurrent() == 0).mean(), "%", n * n)


def of_search(name: Name, search: pd.DataFrame) -> Iterator[Measure]:
    """Best scale and LIF accuracy at every scale tried."""
    accuracy, n = conversion.accuracy(search), search["trial"].nunique()
    yield name.measure("best scale", conversion.best(search), "1", n)
    yield name.measure("best accuracy in the search", 100 * accuracy.max(), "%", n)
    for scale, share in accuracy.items():
        yield name.measure(f"LIF accuracy at scale {scale:g}", 100 * share, "%", n)


def of_trials(name: Name, trials: pd.DataFrame) -> Iterator[Measure]:
    """LIF accuracy and mean rate in each condition, on trials that the search did not see."""
    for condition, rows in trials.groupby("condition", sort=False):
        ending, n = "" if condition == "standard" else f", {condition}", len(rows)
        yield name.measure(f"LIF accuracy{ending}", 100 * rows["correct"].mean(), "%", n)
        yield name.measure(f"LIF accuracy, mean output{ending}", 100 * rows["decided"].mean(), "%", n)
        yield name.measure(f"converted{ending}", 100 * (rows["correct"].mean() >= CONVERTED), "%", n)
        yield name.measure(f"mean rate{ending}", rows["rate"].mean(), "Hz", n)


def settled(fired: spikes.Spikes) -> spikes.Spikes:
    """`fired` without the spikes that the random first voltages cause; the published rates leave them out as well."""
    late = fired.times >= UNCOUNTED * LIF_STEP
    return replace(fired, times=fired.times[late], cells=fired.cells[late], trials=fired.trial[late])


def of_rates(name: Name, network: Network, fired: spikes.Spikes, played: dict[str, np.ndarray]) -> Iterator[Measure]:
    """Rates by kind of cell and of trial, and how well LIF rates follow those of the rate model, cell by cell."""
    kinds = {"excitatory": ~network.inhibitory, "inhibitory": network.inhibitory & ~network.sst(), "SST": network.sst()}
    group = played["group"][: fired.n_trials]
    counts = spikes.bin_counts(fired, fired.duration)[:, 0] / fired.duration
    for kind, cells in ((kind, cells) for kind, cells in kinds.items() if cells.any()):
        for one in sorted(set(group.tolist())):
            value = counts[group == one][:, cells].mean()
            yield name.measure(f"mean rate, {kind}, {one}", value, "Hz", int(cells.sum() * (group == one).sum()))
    rate_model = played["mean_rate"][: fired.n_trials].mean(0)
    agreement = np.corrcoef(rate_model, statistics.rate(fired))[0, 1]
    yield name.measure("correlation of rates", agreement, "1", network.n_cells)


def courses(shown: dict[str, np.ndarray]) -> np.ndarray:
    """Mean filtered spikes (group, step, cell) of the recorded LIF trials."""
    return np.stack([shown["filtered"][shown["group"] == one].mean(0) for one in sorted(set(shown["group"].tolist()))])


def of_components(name: Name, rate_course: np.ndarray, lif_course: np.ndarray) -> Iterator[Measure]:
    """Share of the variance of the mean courses that the first principal components hold, in both networks."""
    for kind, course in (("rate", rate_course), ("LIF", lif_course)):
        flat = course.reshape(-1, course.shape[-1])
        power = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
        share = 100 * power[:COMPONENTS].sum() / power.sum()
        yield name.measure(f"variance in three components, {kind}", share, "%", len(flat))
