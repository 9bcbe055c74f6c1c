"""Run each LIF network at the scale that was found, in several conditions."""

from pathlib import Path

from respike.rate2lif import activity, archives, fitted, playback
from respike.rate2lif.params import Condition, Simulation, TaskName
from respike.rate2lif.tasks import TASKS


def run(
    *,
    networks: Path,
    searches: Path,
    out: Path,
    task: TaskName,
    settings: Simulation,
    conditions: list[Condition],
    seed: int,
) -> None:
    """Write an archive of a row per trial, and of spikes, outputs and rates, on the trials that the rate model was shown."""
    sources = archives.Archives(networks, searches)
    for name, folder in archives.fill(out, sources.names):
        with sources.unpacked(name) as given:
            network, scale = fitted.read_scaled(given / "scaled.mat")
            trials = activity.read_trials(given / "activity.npz", settings.trials)
        stream = (seed, "rate2lif", "simulate", *name)
        playback.write(folder, network, scale, trials, TASKS[task], settings, conditions, stream)
