"""Figures 1-5 of the paper, from the simulated trials, losses and measures of all networks."""

from pathlib import Path

from respike.core import files, measures
from respike.modes import mode_figures, performance_figures, trial_figures, trials
from respike.modes.figure_parts import dataset_of
from respike.modes.trials import Trials


def run(*, simulations: list[Path], metrics: Path, folder: Path) -> None:
    """Write every figure into `folder` as PDF and PNG; a figure whose networks are not in the run says so."""
    rows = performance_figures.measured_networks(files.read_table(metrics, measures.COLUMNS))
    networks = trials.read(simulations)
    digits = pick(networks, "digits_spike", modes=10)
    task = pick(networks, "contextual_spike", modes=3)
    switch = pick(networks, "switch_spike", modes=3)
    performance_figures.figure_2a(folder, rows)
    performance_figures.figure_loss(folder, networks, "digits", "fig2b", dataset_of(digits))
    performance_figures.figure_2c(folder, rows)
    performance_figures.figure_3a(folder, rows)
    performance_figures.figure_loss(folder, networks, "contextual", "fig3b", dataset_of(task))
    trial_figures.figure_1(folder, digits, task)
    trial_figures.figure_membrane(folder, digits, "fig2d")
    trial_figures.figure_raster(folder, digits, "fig2e")
    trial_figures.figure_3c(folder, task)
    trial_figures.figure_membrane(folder, task, "fig3d")
    trial_figures.figure_raster(folder, task, "fig3e")
    trial_figures.figure_4b(folder, switch if switch else task)
    mode_figures.figure_4a(folder, task)
    mode_figures.figure_4cd(folder, switch, orthonormal=False)
    mode_figures.figure_4cd(folder, switch, orthonormal=True)
    mode_figures.figure_5(folder, networks)


def pick(networks: dict[str, Trials], kind: str, modes: int, neurons: int = 100) -> Trials | None:
    """Trials of the first replica whose size is nearest to the paper's; None when there is no such network."""
    first = [one for name, one in networks.items() if name.startswith(kind) and int(one["replica"]) == 0]
    return min(first, key=lambda one: (abs(one["pin"].shape[0] - neurons), abs(one["pin"].shape[1] - modes)), default=None)
