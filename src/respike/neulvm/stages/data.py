"""The embedded recording: a run of the hidden network, written in the published file format.

The fitted window of a spontaneous recording must hold a switch of the winner, or nothing could tell how strong the
excitatory coupling is; so runs are drawn until one has a switch well inside it.
"""

from pathlib import Path

import numpy as np

from respike.core import seeds
from respike.neulvm import drives, microscopic, pickles
from respike.neulvm.params import Circuit, Data, Window


def run(*, out: Path, circuit: Circuit, data: Data, window: Window, seed: int) -> None:
    """Simulate the network and write its recording as a pickle of NumPy arrays."""
    if data.sampled > min(circuit.sizes):
        raise ValueError(
            f"neulvm.data.sampled = {data.sampled} cells, but neulvm.circuit.sizes = {list(circuit.sizes)}; record fewer"
        )
    if data.seconds < window.end:
        raise ValueError(
            f"neulvm.data.seconds = {data.seconds:g} ends before neulvm.window.end = {window.end:g}; make the recording longer"
        )
    for attempt in range(microscopic.TRIES):
        rng = seeds.generator(seed, "neulvm", "data", attempt)
        recording, current = simulate(circuit, data, window, rng)
        if data.drive != "none" or len(circuit.sizes) < 2 or microscopic.switches(recording, circuit, window):
            break
    else:
        raise ValueError(
            f"none of {microscopic.TRIES} recordings switches in the fitted window; "
            "make neulvm.window.length longer or change run.seed"
        )
    m = len(circuit.sizes)
    per_population = [array.reshape(len(current), m, -1).transpose(1, 0, 2) for array in recording[1:]]
    rates = recording.counts / (np.asarray(circuit.sizes) * window.fine)
    pickles.write(out, pickles.Recorded(rates, per_population[0], current), window.fine, per_population[1])


def simulate(
    circuit: Circuit, data: Data, window: Window, rng: np.random.Generator
) -> tuple[microscopic.Recording, np.ndarray]:
    """A run of the network and its drive, which is held for one bin of the model."""
    every = round(window.dt / window.fine)
    n_steps = round(data.seconds / window.fine)
    current = drives.draw(data.drive, rng, -(-n_steps // every), len(circuit.sizes), window.dt)
    recording = microscopic.simulate(circuit, data.seconds, rng, window.fine, data.sampled, current, every)
    return recording, np.repeat(current, every, axis=0)[:n_steps]
