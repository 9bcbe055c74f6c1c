"""Find the scale of each network: its LIF accuracy over values of L = 1 / lambda.

In: an archive of networks. Out: an archive with a row per trial, and each network with its scale.
"""

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, seeds
from respike.rate2lif import archives, conversion, lif, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.network import Network
from respike.rate2lif.params import CONVERTED, Lif, Search
from respike.rate2lif.tasks import TASKS, Task, Trials

FIRST_GUESS = 25.0  # where the least squares start: the scale of the published examples
ROUNDS, FITTED_TRIALS = 4, 6  # of the least squares
AROUND = (0.5, 0.64, 0.8, 1.0, 1.25)  # of the least-squares scale, which lies above the best one more often than below


def run(
    *,
    source: Path,
    archive: Path,
    task: str,
    settings: Search,
    scales: tuple[float, ...],
    options: Lif,
    seed: int,
) -> None:
    """Find the scale of each network in the archive `source`.

    The variant's own `scales`, if it has any, take the place of the grid in `settings`.
    """
    settings = replace(settings, scales=scales or settings.scales)
    variant = archives.Chunk.named(archive.stem).variant

    def one(replica: int, given: Path, made: Path) -> None:
        find(given, made, task, settings, options, (seed, "rate2lif", "search", variant, replica))

    described = {"task": task, "search": asdict(settings), "options": asdict(options), "seed": seed}
    archives.make(archive, described, one, [source])


def find(given: Path, made: Path, task: str, settings: Search, options: Lif, place: tuple[int | str, ...]) -> None:
    """Try scales on fresh trials; write one row per scale and trial, and the network's file with the best scale in it.

    A network that no scale converts is written too, with the best that was found; the log says so.
    """
    trained, tried = networks.read(given / "network.mat"), list(settings.scales)
    if settings.method == "narrow":
        shown = files.read_arrays(given / "activity.npz", "inputs", "mean_rate")
        start = least_squares(trained, shown, options, place)
        tried = [round(start * factor, 3) for factor in AROUND]
    trials = tasks.draw(TASKS[task], seeds.generator(*place, "trials"), settings.trials)
    found = try_scales(trained, TASKS[task], trials, tried, options, place)
    files.write_table(made / "search.parquet", found)
    networks.write(made / "scaled.mat", replace(trained, extra=trained.extra | search_fields(found)))
    report(made.name, found)


def try_scales(
    trained: Network, task: Task, trials: Trials, scales: list[float], options: Lif, place: tuple[int | str, ...]
) -> pd.DataFrame:
    """One row per trial and scale; all scales of a trial see the same stimulus and noise."""
    wirings = [lif.wire(trained, scale, options, seeds.generator(*place, "lesion")) for scale in scales]
    inputs, found = tasks.extra_column(trials.inputs), []
    for trial in range(len(trials.wanted)):
        runs = lif.run(wirings, lif.drive(trained, inputs[:, trial], options, *place, trial), options)
        found += conversion.rows(trials, trial, task, runs, scales, options)
    return pd.DataFrame(found)


def least_squares(trained: Network, shown: dict[str, np.ndarray], options: Lif, place: tuple[int | str, ...]) -> float:
    """The scale at which the LIF rates, divided by it, are nearest to the rates of the rate model on the same trials.

    The LIF rates depend on the scale, so the fit is repeated from its own result.
    """
    inputs, wanted = tasks.extra_column(shown["inputs"]), shown["mean_rate"][:FITTED_TRIALS].ravel()
    scale = FIRST_GUESS
    for _ in range(ROUNDS):
        wiring = [lif.wire(trained, scale, options)]
        drives = (lif.drive(trained, inputs[:, trial], options, *place, "fit", trial) for trial in range(FITTED_TRIALS))
        seen = np.concatenate([lif.rates(lif.run(wiring, drive, options)[0], options) for drive in drives])
        scale = float(np.clip(seen @ wanted / (wanted @ wanted), 1.0, 200.0))
    return scale


def search_fields(found: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the published search adds to the network's file."""
    accuracy = conversion.accuracy(found)
    return {
        "opt_scaling_factor": np.array([[conversion.best(found)]]),
        "all_perfs": accuracy.to_numpy()[:, None],
        "scaling_factors": accuracy.index.to_numpy(dtype=float)[None],
    }


def report(name: str, found: pd.DataFrame) -> None:
    """A line per scale in the log, and whether the network converts."""
    accuracy, best = conversion.accuracy(found), conversion.best(found)
    for scale, share in accuracy.items():
        sys.stdout.write(f"1/lambda {scale:g}: {100 * share:.0f}% correct\n")
    verdict = "converts" if accuracy[best] >= CONVERTED else f"does not convert: no scale reaches {100 * CONVERTED:.0f}%"
    sys.stdout.write(f"{name}: best 1/lambda {best:g}, {100 * accuracy[best]:.0f}% correct; {verdict}\n")
