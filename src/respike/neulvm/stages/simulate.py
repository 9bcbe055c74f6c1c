"""A model in; its free simulation and its response to pulses out. The hidden network is simulated by the same command."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.core import files, seeds
from respike.neulvm import drives, freerun, microscopic, models
from respike.neulvm.params import Free

FINE = 0.0002  # s, step of the network
CELLS, SECONDS = 3, 20.0  # cells of each population whose spikes are kept, and how long


def run(*, model: Path, out: Path, free: Free, seed: int) -> None:
    """Write rates (Hz) of each bin and population: `free`, and `pulsed` (trial, bin, population).

    `spikes` (step of `fine` s, cell) are those of some cells of the network, cell by cell, that has the model's parameters.
    """
    held = models.read(model)
    m = len(held.circuit.sizes)
    for name in ("pulse_first", "pulse_target"):
        if not 0 <= getattr(free, name) < m:
            raise ValueError(f"neulvm.free.{name} = {getattr(free, name)}: expected a population, 0 to {m - 1}")
    n_bins, per_trial = round(free.seconds / held.dt), round(free.trial / held.dt)
    pulse = sum(
        drives.step(per_trial, m, held.dt, target, free.pulse_size, start, free.pulse_length)
        for target, start in ((free.pulse_first, free.pulse_start / 3), (free.pulse_target, free.pulse_start))
    )
    quiet = simulate(held, np.zeros((n_bins, m)), seeds.generator(seed, "neulvm", "simulate", "free"))
    pulsed = simulate(held, np.tile(pulse, (free.pulses, 1)), seeds.generator(seed, "neulvm", "simulate", "pulsed"))
    rng, n_cells = seeds.generator(seed, "neulvm", "simulate", "cells"), min(CELLS, *held.circuit.sizes)
    spikes = microscopic.simulate(held.circuit, min(SECONDS, free.seconds), rng, FINE, n_cells).sampled
    files.write_arrays(
        out, spikes=spikes, fine=FINE, dataset=held.dataset, dt=held.dt, free=quiet.astype(np.float32), pulse=pulse,
        target=free.pulse_target, first=free.pulse_first, pulsed=pulsed.reshape(free.pulses, per_trial, m).astype(np.float32),
    )  # fmt: skip


def simulate(
    held: models.Model, current: Float[np.ndarray, "bin population"], rng: np.random.Generator
) -> Float[np.ndarray, "bin population"]:
    """Population rates (Hz) in each bin under a current (potential/s)."""
    if held.kind != "network":
        return freerun.simulate(held.circuit, current, rng, held.dt, held.history, held.kind) / held.dt
    per = round(held.dt / FINE)
    fine = microscopic.simulate(held.circuit, len(current) * held.dt, rng, FINE, current=current, every=per)
    return microscopic.rates(fine.counts, held.circuit, FINE, per)
