"""The hidden network itself, cell by cell: the generator of the embedded recordings.

A cell fires when its hazard, summed since its last spike, passes a threshold drawn from the unit exponential
distribution. That has the same law as a draw in each step, P(spike) = 1 - exp(-hazard dt), and needs one random number a
spike.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.compiled import njit
from respike.neulvm import kernel, model
from respike.neulvm.params import FINE, Circuit, bins

START_AGES = np.arange(0, 0.5, 0.0002)  # s, grid from which the ages at the start are drawn


class Run(NamedTuple):
    """Spikes of each population in each step, and of the sampled cells, population by population."""

    counts: Int[np.ndarray, "step population"]
    sampled: Bool[np.ndarray, "step cell"]
    probabilities: Float[np.ndarray, "step cell"]  # of a spike, for the sampled cells


class Cells(NamedTuple):
    """State of all cells, population by population, and which of them are sampled."""

    u: Float[np.ndarray, " cell"]  # potential
    summed: Float[np.ndarray, " cell"]  # hazard since the last spike
    bound: Float[np.ndarray, " cell"]  # at which the cell fires
    release: Int[np.ndarray, " cell"]  # step from which the cell is free to fire
    first: Int[np.ndarray, " edge"]  # cell of each population, and the number of cells
    sampled: Int[np.ndarray, "population sample"]  # sampled cells, each numbered in its population


@njit(error_model="numpy")
def _step_cells(rng, cells, m, step, drive, k, work, fired_out, p_out):
    """Advance the cells of population m by one step; returns the number of spikes."""
    low, high = cells.first[m], cells.first[m + 1]
    u, summed, bound, release = cells.u[low:high], cells.summed[low:high], cells.bound[low:high], cells.release[low:high]
    sampled = cells.sampled[m]
    n, decay, offset = high - low, k.decay[m], k.offset[m]
    arg, x, scratch = work[0], work[1], work[2]
    for i in range(n):
        u[i] = decay * u[i] + drive
        arg[i] = u[i] + offset
    kernel.vector_exp(arg, x, scratch, n)
    for i in range(n):
        free = release[i] <= step
        u[i] = u[i] if free else 0.0
        x[i] = x[i] if free else 0.0
        summed[i] += x[i]
    for j in range(len(sampled)):
        p_out[j] = 1 - math.exp(-x[sampled[j]])
        fired_out[j] = summed[sampled[j]] >= bound[sampled[j]]
    n_spikes = 0
    for i in range(n):
        if summed[i] >= bound[i]:
            n_spikes += 1
            u[i], summed[i], release[i] = 0.0, 0.0, step + 1 + k.refractory
            bound[i] = rng.exponential()
    return n_spikes


@njit(error_model="numpy")
def _run(rng, cells, synapse, current, every, k, run):
    """Fill `run` step by step; `synapse`: synaptic activity (Hz) of each population at the start. k.pull: of a step."""
    n_populations, n_sampled = cells.sampled.shape
    work = np.empty((3, len(cells.u)))
    for i in range(len(cells.u)):
        cells.bound[i] = rng.exponential()
    for c in range(len(run.counts)):
        if c > k.lag:
            for m in range(n_populations):
                past = run.counts[c - k.lag - 1, m] / (k.sizes[m] * k.dt)
                synapse[m] = k.syn_decay[m] * synapse[m] + (1 - k.syn_decay[m]) * past
        for m in range(n_populations):
            drive = current[c // every, m]
            for a in range(n_populations):
                drive += synapse[a] * k.weights[a, m]
            mine = slice(m * n_sampled, (m + 1) * n_sampled)
            drive = k.pull[m] + k.gain[m] * drive
            run.counts[c, m] = _step_cells(rng, cells, m, c, drive, k, work, run.sampled[c, mine], run.probabilities[c, mine])


def simulate(
    circuit: Circuit, seconds: float, rng: np.random.Generator, dt: float = FINE, n_sampled: int = 0,
    current: Float[np.ndarray, "bin population"] | None = None, every: int = 1, exact_input: bool = False,
) -> Run:  # fmt: skip
    """Spikes of the network for `seconds`, under a current (potential/s) that is held for `every` steps.

    The published generator steps the leak exactly and the input by Euler, which makes the coupling 0.5 % stronger at
    0.2 ms; `exact_input` steps both exactly. `n_sampled` random cells of each population are recorded one by one.
    """
    n_steps, m = round(seconds / dt), len(circuit.sizes)
    current = np.zeros((1, m)) if current is None else circuit.input_gain * np.asarray(current, dtype=float)
    every = n_steps if len(current) == 1 else every
    if len(current) * every < n_steps or current.shape[1] != m:  # the compiled loops do not look
        raise ValueError(
            f"current of {current.shape}, each for {every} steps; expected {m} columns and {n_steps} steps in all"
        )
    chosen = np.array([np.sort(rng.choice(size, n_sampled, replace=False)) for size in circuit.sizes], dtype=np.int64)
    alpha = np.asarray(circuit.mem_rate)
    decay = np.exp(-alpha * dt)
    exact = (1 - decay) / alpha
    k = model.constants(circuit, dt, "exact")._replace(
        decay=decay, gain=exact if exact_input else np.full(m, dt), pull=exact * (alpha * circuit.rest)
    )
    cells = _start(circuit, dt, chosen, rng)
    run = Run(
        np.zeros((n_steps, m), dtype=np.int32), np.zeros((n_steps, m * n_sampled), dtype=bool),
        np.zeros((n_steps, m * n_sampled), np.float32),
    )  # fmt: skip
    _run(rng, cells, np.array(circuit.typical_rates, dtype=float), current, every, k, run)
    return run


def _start(circuit: Circuit, dt: float, chosen: Int[np.ndarray, "population sample"], rng: np.random.Generator) -> Cells:
    """Cells whose ages are drawn as if all had fired at the circuit's typical rates."""
    h, first = circuit.asymptote(np.asarray(circuit.typical_rates)), np.concatenate([[0], np.cumsum(circuit.sizes)])
    ages = [_ages(circuit, m, h[m], rng) for m in range(len(h))]
    parts = zip(ages, h, circuit.mem_rate, strict=True)
    u = np.concatenate([model.relax(age, pull, alpha, age >= circuit.refractory)[0] for age, pull, alpha in parts])
    resting = bins(circuit.refractory, dt)
    release = np.maximum(0, resting - np.floor(np.concatenate(ages) / dt + 1e-9)).astype(np.int64)
    return Cells(u, np.zeros(len(u)), np.empty(len(u)), release, first, chosen)


def _ages(circuit: Circuit, m: int, h: float, rng: np.random.Generator) -> Float[np.ndarray, " cell"]:
    """Ages (s) of the cells of population m, whose potential relaxes to h."""
    v = model.relax(START_AGES, h, circuit.mem_rate[m], circuit.refractory <= START_AGES)[0]
    rate = np.where(v == 0, 0.0, np.exp(np.minimum(v - circuit.threshold[m], 50.0)))
    density = np.exp(-np.cumsum(rate) * START_AGES[1])
    return rng.choice(START_AGES, circuit.sizes[m], p=density / density.sum())


def rates(
    counts: Int[np.ndarray, "step population"], circuit: Circuit, dt: float, per: int
) -> Float[np.ndarray, "bin population"]:
    """Population rates (Hz) in bins of `per` steps."""
    n = len(counts) // per
    return counts[: n * per].reshape(n, per, -1).mean(1) / (np.asarray(circuit.sizes) * dt)
