"""Find the scale of each network: its LIF accuracy over values of L = 1 / lambda."""

from dataclasses import replace
from pathlib import Path

from respike.core import files, seeds
from respike.rate2lif import archives, conversion, fitted, tasks
from respike.rate2lif.params import Lif, Search


def run(*, networks: Path, out: Path, settings: Search, options: Lif, seed: int) -> None:
    """Write an archive of a row per scale and trial, and of each network's file with the best scale in it.

    As in the published search, each scale is tried on trials of its own. A network that no scale converts is written too,
    with the best scale; the log says so.
    """
    source = archives.Archives(networks)
    for name, folder in archives.fill(out, source.names):
        stream = (seed, "rate2lif", "search", *name)
        with source.unpacked(name) as given:
            network = fitted.read(given / "network.mat")
            activity = files.read_arrays(given / "activity.npz", "task", "inputs", "mean_rate")
        task, scales = tasks.TASKS[str(activity["task"])], settings.scales
        if settings.method == "narrow":
            scales = conversion.narrow_scales(network, activity, options, stream)
        trials = [tasks.draw(task, seeds.generator(*stream, "trials", f"{scale:g}"), settings.trials) for scale in scales]
        table = conversion.try_scales(network, task, trials, scales, options, stream)
        files.write_table(folder / "search.parquet", table)
        extra = network.extra | conversion.published_fields(table)
        fitted.write(folder / "scaled.mat", replace(network, extra=extra))
        conversion.report(str(name), table)
