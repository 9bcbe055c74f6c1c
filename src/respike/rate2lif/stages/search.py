"""Find the scale of each network: its LIF accuracy over values of L = 1 / lambda."""

from dataclasses import replace
from pathlib import Path

from respike.core import files, seeds
from respike.rate2lif import archives, conversion, fitted, tasks
from respike.rate2lif.params import Lif, Search, TaskName


def run(*, networks: Path, out: Path, task: TaskName, settings: Search, options: Lif, seed: int) -> None:
    """Write an archive of a row per scale and trial, and of each network's file with the best scale in it.

    A network that no scale converts is written too, with the best scale; the log says so.
    """
    source = archives.Archives(networks)
    for name, folder in archives.fill(out, source.names):
        stream = (seed, "rate2lif", "search", *name)
        with source.unpacked(name) as given:
            network, tried = fitted.read(given / "network.mat"), settings.scales
            if settings.method == "narrow":
                activity = files.read_arrays(given / "activity.npz", "inputs", "mean_rate")
                tried = conversion.narrow_scales(network, activity, options, stream)
        trials = tasks.draw(tasks.TASKS[task], seeds.generator(*stream, "trials"), settings.trials)
        table = conversion.try_scales(network, tasks.TASKS[task], trials, tried, options, stream)
        files.write_table(folder / "search.parquet", table)
        extra = network.extra | conversion.published_fields(table)
        fitted.write(folder / "scaled.mat", replace(network, extra=extra))
        conversion.report(str(name), table)
