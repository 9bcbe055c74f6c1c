"""A model in; its free simulation and its response to pulses out. The hidden network is simulated by the same command."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.neulvm import drives, fitted, simulation
from respike.neulvm.params import FINE, Free


def run(*, model: Path, out: Path, free: Free, seed: int) -> None:
    """Write rates (Hz) of each bin and population: `free`, and `pulsed` (trial, bin, population).

    `spikes` (step of `fine` s, cell) are those of some cells of the network, cell by cell, that has the model's parameters.
    """
    read = fitted.read(model)
    m = len(read.circuit.sizes)
    free.check(read.circuit, read.dt)
    rngs = {name: seeds.generator(seed, "neulvm", "simulate", name) for name in ("free", "pulsed", "cells")}
    pulse = drives.pulses(free, m, read.dt)
    quiet = simulation.rates(read, np.zeros((round(free.seconds / read.dt), m)), rngs["free"])
    pulsed = simulation.rates(read, np.tile(pulse, (free.pulses, 1)), rngs["pulsed"]).reshape(free.pulses, -1, m)
    files.write_arrays(
        out, spikes=simulation.cells(read, free, rngs["cells"]), fine=FINE, dataset=read.dataset, dt=read.dt,
        free=quiet.astype(np.float32), pulse=pulse, target=free.pulse_target, first=free.pulse_first,
        pulsed=pulsed.astype(np.float32),
    )  # fmt: skip
