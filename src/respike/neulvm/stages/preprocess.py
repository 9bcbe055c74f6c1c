"""Recording in, bins of the model out: the published loader, for any number of populations."""

from pathlib import Path

import numpy as np

from respike.core import seeds
from respike.neulvm import pickles, trials
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Window


def run(*, recording: Path, out: Path, dataset: str, circuit: Circuit, window: Window, seed: int) -> None:
    """Bin the recording, cut out the fitted window and the seconds after it, and keep the cells that count as recorded."""
    recorded = pickles.read(recording, circuit.sizes)
    chosen = pick(window, recorded.spikes.shape[2], len(circuit.sizes), seed, recording)
    fine = pickles.Recorded(
        recorded.rates, np.stack([s[:, c] for s, c in zip(recorded.spikes, chosen, strict=True)]), recorded.drive
    )
    rates, spikes, drive = rebin(fine, window, recording)
    length, batch = (whole(getattr(window, name), window.dt, name) for name in ("length", "batch"))
    end, history, later = (whole(getattr(window, name), window.dt, name) for name in ("end", "history", "held_out"))
    check_window(len(drive), end, history, length, batch, later, window, recording)
    check_active(spikes[end - length : end], recording)
    n_populations = len(circuit.sizes)
    population = np.repeat(np.arange(n_populations), window.cells)
    cut = batches(rates, spikes, drive, history, end, length, batch)
    after = batches(rates, spikes, drive, history, end + later, later, later)
    trials.write(
        out,
        trials.Recorded(
            dataset, Trial(window.dt, history, cut[1], population, cut[2]), cut[0],
            Trial(window.dt, history, after[1], population, after[2]),
        ),
    )  # fmt: skip


def whole(seconds: float, dt: float, name: str) -> int:
    """Bins in a time that must be a multiple of the bin."""
    n = round(seconds / dt)
    if n < 1 or abs(n * dt - seconds) > 1e-6 * dt:
        raise ValueError(f"neulvm.window.{name} = {seconds:g} s is not a multiple of neulvm.window.dt = {dt:g} s")
    return n


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


def rebin(recorded: pickles.Recorded, window: Window, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates (bin, population), spikes (bin, cell; two in a bin count as one) and drive (bin, population)."""
    per = round(window.dt / window.fine)
    if per < 1 or abs(per * window.fine - window.dt) > 1e-6 * window.fine:
        raise ValueError(
            f"neulvm.window.dt = {window.dt:g} s is not a multiple of the recording's step, "
            f"neulvm.window.fine = {window.fine:g} s; correct one of them in config.yaml"
        )
    n_steps, n_populations = recorded.drive.shape
    if n_steps % per:
        raise ValueError(
            f"{path}: {n_steps} time steps do not fill whole bins of {per} steps "
            "(neulvm.window.dt / neulvm.window.fine); cut the file"
        )
    n = n_steps // per
    spikes = recorded.spikes.reshape(n_populations, n, per, -1).any(2)
    truth = np.full((n, n_populations), np.nan) if recorded.rates is None else recorded.rates.reshape(n, per, -1).mean(1)
    return truth, spikes.transpose(1, 0, 2).reshape(n, -1).astype(np.uint8), recorded.drive.reshape(n, per, -1).mean(1)


def batches(
    rates, spikes, drive, history: int, end: int, length: int, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The window before bin `end` in batches; rates and spikes begin `history` bins earlier and overlap."""
    starts = range(end - length, end, batch)
    long = [[array[start - history : start + batch] for start in starts] for array in (rates, spikes)]
    return np.stack(long[0]), np.stack(long[1]), np.stack([drive[start : start + batch] for start in starts])


def check_window(n_bins: int, end: int, history: int, length: int, batch: int, later: int, window: Window, path: Path) -> None:
    """ValueError when the window does not fit into the recording or into whole batches."""
    if end + later > n_bins or end < length + history:
        raise ValueError(
            f"{path}: lasts {n_bins * window.dt:g} s; neulvm.window needs history {window.history:g} s + length "
            f"{window.length:g} s before end {window.end:g} s, and held_out {window.held_out:g} s after it"
        )
    if length % batch:
        raise ValueError(
            f"neulvm.window.length = {window.length:g} s is not a multiple of neulvm.window.batch = {window.batch:g} s"
        )


def check_active(spikes: np.ndarray, path: Path) -> None:
    """ValueError when a recorded cell never fires in the fitted window."""
    silent = np.flatnonzero(spikes.sum(0) == 0)
    if len(silent):
        cells = spikes.shape[1]
        raise ValueError(
            f"{path}: recorded neuron {silent[0]} of {cells} fires no spike in the fitted window; "
            "the model has no silent neurons; choose other cells (neulvm.window.cells, .pick) "
            "or another window (neulvm.window.end, .length)"
        )
