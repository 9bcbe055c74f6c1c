"""From a recording to bins of the model: the published loader, for any number of populations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

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
    chosen = pick(window, recording.spikes, seed)
    recorded = [spikes[:, cells] for spikes, cells in zip(recording.spikes, chosen, strict=True)]
    rates, spikes, drive = rebin(recording._replace(spikes=recorded), n.per, path)
    if n.end + n.held_out > len(drive):
        raise ValueError(
            f"{path}: lasts {len(drive) * window.dt:g} s; neulvm.window needs end {window.end:g} s "
            f"and held_out {window.held_out:g} s after it"
        )
    population = np.repeat(np.arange(m), [len(cells) for cells in chosen])
    units = recording.units or [range(own.shape[1]) for own in recording.spikes]
    names = [f"{units[k][cell]} of population {k}" for k, cells in enumerate(chosen) for cell in cells]
    _check_active(spikes[n.end - n.length : n.end], names, path)
    fitted = batches(rates, spikes, drive, n.history, n.end, n.length, n.batch)
    later = batches(rates, spikes, drive, n.history, n.end + n.held_out, n.held_out, n.held_out)
    trial, held_out = (Trial(window.dt, n.history, part[1], population, part[2]) for part in (fitted, later))
    return Trials(dataset, trial, fitted[0], held_out)


def pick(window: Window, spikes: Sequence[Bool[np.ndarray, "step cell"]], seed: int) -> list[np.ndarray]:
    """Indices of the cells of each population that count as recorded: all, where it has fewer than `window.cells`."""
    rng, chosen = seeds.generator(seed, "neulvm", "preprocess"), []
    for own in spikes:
        n = min(window.cells, own.shape[1])
        order = np.argsort(-own.sum(0), kind="stable") if window.pick == "active" else np.arange(own.shape[1])
        chosen.append(np.sort(rng.choice(own.shape[1], n, replace=False) if window.pick == "random" else order[:n]))
    return chosen


def rebin(recording: Recording, per: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates (bin, population), spikes (bin, cell; two count as one) and drive (bin, population), in bins of `per` steps."""
    n_steps, n_populations = recording.drive.shape
    if n_steps % per:
        raise ValueError(
            f"{path}: {n_steps} time steps do not fill whole bins of {per} steps "
            "(neulvm.window.dt / neulvm.window.fine); cut the file"
        )
    n = n_steps // per
    spikes = np.concatenate([own.reshape(n, per, -1).any(1) for own in recording.spikes], axis=1).astype(np.uint8)
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


def _check_active(spikes: np.ndarray, names: list[str], path: Path) -> None:
    silent = np.flatnonzero(spikes.sum(0) == 0)
    if len(silent):
        raise ValueError(
            f"{path}: cell {names[silent[0]]} (from 0) fires no spike in the fitted window, as {len(silent)} of {len(names)}; "
            "the model has no silent neurons; are the times in seconds? Else choose others (neulvm.window.pick: active takes "
            "those with most spikes, neulvm.data.populations lists them) or another window (neulvm.window.end, .length)"
        )
