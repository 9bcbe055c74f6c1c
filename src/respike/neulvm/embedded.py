"""Recordings of the hidden network in place of real ones.

The fitted window of a spontaneous recording must hold a switch of the winner, or nothing could tell how strong the
excitatory coupling is; so runs are drawn until one has a switch well inside it.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from respike.core import seeds
from respike.neulvm import drives, microscopic, states
from respike.neulvm.params import Circuit, Data, Window
from respike.neulvm.recording import Recording

TRIES = 50  # recordings drawn until one has a switch
CLEAR = 0.2  # share of the window at either end in which a switch does not count


def first_with_switch(draw: Callable[[int], microscopic.Run], circuit: Circuit, window: Window) -> microscopic.Run:
    """First of the runs draw(0), draw(1), ... whose winner changes well inside the window; draw(0) where none could win.

    Raises ValueError when none of TRIES runs has a switch.
    """
    start, margin = window.end - window.length, CLEAR * window.length
    inside = slice(round((start + margin) / window.fine), round((window.end - margin) / window.fine))
    for attempt in range(TRIES):
        run = draw(attempt)
        rates = microscopic.rates(run.counts[inside], circuit, window.fine, round(window.dt / window.fine))
        if not circuit.has_rivals or states.find(rates, window.dt).n_switches > 0:
            return run
    raise ValueError(
        f"none of {TRIES} recordings switches in the fitted window; make neulvm.window.length longer or change run.seed"
    )


def record(
    circuit: Circuit, data: Data, window: Window, seed: int, stream: tuple = ("neulvm", "data")
) -> tuple[Recording, np.ndarray]:
    """A recording of the hidden network, and the chance of a spike of each sampled cell (population, step, cell).

    `stream` names the random numbers. The drive is held for one bin of the model; the window then need not hold a switch.
    ValueError when no spontaneous run of many has one, or the recording or the network is too small for what it should hold.
    """
    data.check(circuit, window)
    every, n_steps, m = round(window.dt / window.fine), round(data.seconds / window.fine), len(circuit.sizes)
    first = seeds.generator(seed, *stream, 0)
    drive = drives.draw(data.drive, first, -(-n_steps // every), m, window.dt)

    def draw(attempt: int) -> microscopic.Run:
        rng = seeds.generator(seed, *stream, attempt) if attempt else first
        return microscopic.simulate(circuit, data.seconds, rng, window.fine, data.sampled, drive, every)

    run = draw(0) if data.drive != "none" else first_with_switch(draw, circuit, window)
    rates, drive = run.counts / (np.asarray(circuit.sizes) * window.fine), np.repeat(drive, every, axis=0)[:n_steps]
    spikes, probabilities = (array.reshape(n_steps, m, -1).transpose(1, 0, 2) for array in run[1:])
    return Recording(rates, spikes, drive), probabilities


def window_spikes(
    circuit: Circuit, cells: int, window: Window, drive: Float[np.ndarray, "bin population"], rng: np.random.Generator
) -> Int[np.ndarray, "bin cell"]:
    """Spikes (0 or 1) of some cells of each population in the fitted window, under its drive, of another recording.

    Without a drive the window holds a switch; ValueError when no run of many has one.
    """
    per, first = round(window.dt / window.fine), round((window.end - window.length) / window.dt)
    current = np.concatenate([np.zeros((first, drive.shape[1])), drive])

    def draw(_: int) -> microscopic.Run:
        return microscopic.simulate(circuit, window.end, rng, window.fine, cells, current, per)

    run = draw(0) if drive.any() else first_with_switch(draw, circuit, window)
    return run.sampled[first * per :].reshape(-1, per, run.sampled.shape[1]).any(1).astype(np.uint8)
