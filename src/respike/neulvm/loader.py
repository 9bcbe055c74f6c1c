"""From a recording to bins of the model: the published loader, for any number of populations."""

from pathlib import Path

import numpy as np

from respike.core import seeds
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Window, window_bins
from respike.neulvm.recording import Recording
from respike.neulvm.trials import Trials


def cut(recording: Recording, dataset: str, circuit: Circuit, window: Window, seed: int, path: Path) -> Trials:
    """Bins of the fitted window and of the seconds after it, of the cells that count as recorded.

    Raises ValueError when the window does not fit the recording, which `path` names, or a cell never fires in it.
    """
    n, m = window_bins(window, circuit), len(circuit.sizes)
    chosen = pick(window, recording.spikes.shape[2], m, seed, path)
    recorded = np.stack([spikes[:, cells] for spikes, cells in zip(recording.spikes, chosen, strict=True)])
    rates, spikes, drive = rebin(recording._replace(spikes=recorded), n.per, path)
    if n.end + n.held_out > len(drive):
        raise ValueError(
            f"{path}: lasts {len(drive) * window.dt:g} s; neulvm.window needs end {window.end:g} s "
            f"and held_out {window.held_out:g} s after it"
        )
    _check_active(spikes[n.end - n.length : n.end], path)
    population = np.repeat(np.arange(m), window.cells)
    fitted = batches(rates, spikes, drive, n.history, n.end, n.length, n.batch)
    later = batches(rates, spikes, drive, n.history, n.end + n.held_out, n.held_out, n.held_out)
    trial, held_out = (Trial(window.dt, n.history, part[1], population, part[2]) for part in (fitted, later))
    return Trials(dataset, trial, fitted[0], held_out)


def pick(window: Window, n_cells: int, n_populations: int, seed: int, path: Path) -> list[np.ndarray]:
    """Indices of the cells of each population that count as recorded."""
    if not 1 <= window.cells <= n_cells:
        raise ValueError(
            f"{path}: sampled_spikes has {n_cells} cells in each population, neulvm.window.cells = {window.cells}; "
            "every population needs at least one recorded neuron"
        )
    if window.pick == "first":
        return [np.arange(window.cells)] * n_populations
    rng = seeds.generator(seed, "neulvm", "preprocess")
    return [np.sort(rng.choice(n_cells, window.cells, replace=False)) for _ in range(n_populations)]


def rebin(recording: Recording, per: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates (bin, population), spikes (bin, cell; two count as one) and drive (bin, population), in bins of `per` steps."""
    n_steps, n_populations = recording.drive.shape
    if n_steps % per:
        raise ValueError(
            f"{path}: {n_steps} time steps do not fill whole bins of {per} steps "
            "(neulvm.window.dt / neulvm.window.fine); cut the file"
        )
    n = n_steps // per
    spikes = recording.spikes.reshape(n_populations, n, per, -1).any(2).transpose(1, 0, 2).reshape(n, -1).astype(np.uint8)
    unknown = np.full((n, n_populations), np.nan)
    rates = unknown if recording.rates is None else recording.rates.reshape(n, per, -1).mean(1)
    return rates, spikes, recording.drive.reshape(n, per, -1).mean(1)


def batches(
    rates: np.ndarray, spikes: np.ndarray, drive: np.ndarray, history: int, end: int, length: int, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The window before bin `end` in batches; rates and spikes begin `history` bins earlier and overlap."""
    starts = range(end - length, end, batch)
    long = [np.stack([array[start - history : start + batch] for start in starts]) for array in (rates, spikes)]
    return *long, np.stack([drive[start : start + batch] for start in starts])


def _check_active(spikes: np.ndarray, path: Path) -> None:
    silent = np.flatnonzero(spikes.sum(0) == 0)
    if len(silent):
        raise ValueError(
            f"{path}: recorded neuron {silent[0]} of {spikes.shape[1]} fires no spike in the fitted window; "
            "the model has no silent neurons; choose other cells (neulvm.window.cells, .pick) "
            "or another window (neulvm.window.end, .length)"
        )
