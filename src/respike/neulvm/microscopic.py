"""The hidden network itself, cell by cell: the generator of the embedded recordings.

A cell fires when its hazard, summed since its last spike, passes a threshold drawn from the unit exponential
distribution. That has the same law as a draw in each step, P(spike) = 1 - exp(-hazard dt), and needs one random number a
spike.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.core.compiled import njit
from respike.neulvm import kernel, model, states
from respike.neulvm.params import Circuit, Window

START_AGES = np.arange(0, 0.5, 0.0002)  # s, grid from which the ages at the start are drawn
TRIES = 50  # recordings drawn until one has a switch
CLEAR = 0.2  # share of the window at either end in which a switch does not count


class Recording(NamedTuple):
    """Spikes of each population in each step, and of the sampled cells."""

    counts: Int[np.ndarray, "step population"]
    sampled: Bool[np.ndarray, "step cell"]
    probabilities: Float[np.ndarray, "step cell"]  # of a spike, for the sampled cells


@njit(error_model="numpy")
def _step_cells(rng, u, summed, bound, release, step, decay, drive, offset, held, work, sampled, fired_out, p_out):
    """Advance the cells of one population by one step; returns the number of spikes."""
    n = len(u)
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
    for k in range(len(sampled)):
        p_out[k] = 1 - math.exp(-x[sampled[k]])
        fired_out[k] = summed[sampled[k]] >= bound[sampled[k]]
    n_spikes = 0
    for i in range(n):
        if summed[i] >= bound[i]:
            n_spikes += 1
            u[i], summed[i], release[i] = 0.0, 0.0, step + 1 + held
            bound[i] = rng.exponential()
    return n_spikes


@njit(error_model="numpy")
def _run(
    rng, u, release, first, synapse, weights, current, every, alpha_rest, decay, gain, offset, syn_decay, lag, held, dt,
    sampled, first_sampled, counts, fired, probabilities,
):  # fmt: skip
    n_populations = len(first) - 1
    work = np.empty((3, len(u)))
    summed, bound = np.zeros(len(u)), np.empty(len(u))
    for i in range(len(u)):
        bound[i] = rng.exponential()
    for c in range(len(counts)):
        if c > lag:
            for m in range(n_populations):
                past = counts[c - lag - 1, m] / ((first[m + 1] - first[m]) * dt)
                synapse[m] = syn_decay[m] * synapse[m] + (1 - syn_decay[m]) * past
        for m in range(n_populations):
            drive = current[c // every, m]
            for a in range(n_populations):
                drive += synapse[a] * weights[a, m]
            total = (1 - decay[m]) / (alpha_rest[0, m]) * alpha_rest[1, m] + gain[m] * drive
            low, high = first[m], first[m + 1]
            k_low, k_high = first_sampled[m], first_sampled[m + 1]
            counts[c, m] = _step_cells(
                rng, u[low:high], summed[low:high], bound[low:high], release[low:high], c, decay[m], total, offset[m], held,
                work, sampled[k_low:k_high], fired[c, k_low:k_high], probabilities[c, k_low:k_high],
            )  # fmt: skip


def _ages(circuit: Circuit, m: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Ages of the cells of population m at the typical rates, and the potential to which they relax."""
    pull = (np.asarray(circuit.typical_rates) @ circuit.weights)[m]
    h = circuit.rest[m] + pull / circuit.mem_rate[m]
    v = model.relax(START_AGES, h, circuit.mem_rate[m], circuit.refractory <= START_AGES)[0]
    hazard = np.where(v == 0, 0.0, np.exp(np.minimum(v - circuit.threshold[m], 50.0)))
    density = np.exp(-np.cumsum(hazard) * START_AGES[1])
    return rng.choice(START_AGES, circuit.sizes[m], p=density / density.sum()), h


def simulate(
    circuit: Circuit,
    seconds: float,
    rng: np.random.Generator,
    dt: float = 0.0002,
    n_sampled: int = 0,
    current: Float[np.ndarray, "bin population"] | None = None,
    every: int = 1,
    exact_input: bool = False,
) -> Recording:
    """Spikes of the network for `seconds`, under a current (potential/s) that is held for `every` steps.

    The published generator steps the leak exactly and the input by Euler, which makes the coupling 0.5 % stronger at
    0.2 ms; `exact_input` steps both exactly. `n_sampled` random cells of each population are recorded one by one.
    """
    n_steps, m = round(seconds / dt), len(circuit.sizes)
    current = np.zeros((1, m)) if current is None else circuit.input_gain * np.asarray(current, dtype=float)
    every = n_steps if len(current) == 1 else every
    first = np.concatenate([[0], np.cumsum(circuit.sizes)])
    chosen = [np.sort(rng.choice(size, n_sampled, replace=False)) for size in circuit.sizes]
    starts = [_ages(circuit, k, rng) for k in range(m)]
    held = model.bins(circuit.refractory, dt)
    u = np.concatenate(
        [
            np.where(age < circuit.refractory, 0.0, -h * np.expm1(-a * age))
            for (age, h), a in zip(starts, circuit.mem_rate, strict=True)
        ]
    )
    release = np.concatenate([np.maximum(0, held - np.floor(age / dt + 1e-9)).astype(np.int64) for age, _ in starts])
    alpha = np.asarray(circuit.mem_rate)
    decay = np.exp(-alpha * dt)
    gain = (1 - decay) / alpha if exact_input else np.full(m, dt)
    counts = np.zeros((n_steps, m), dtype=np.int32)
    fired, probabilities = np.zeros((n_steps, m * n_sampled), dtype=bool), np.zeros((n_steps, m * n_sampled), np.float32)
    _run(
        rng, u, release, first, np.array(circuit.typical_rates, dtype=float), circuit.weights, current, every,
        np.stack([alpha, alpha * circuit.rest]), decay, gain, math.log(dt) - np.asarray(circuit.threshold),
        np.exp(-np.asarray(circuit.syn_rate) * dt), model.bins(circuit.delay, dt), held, dt,
        np.concatenate(chosen).astype(np.int64), np.arange(m + 1) * n_sampled, counts, fired, probabilities,
    )  # fmt: skip
    return Recording(counts, fired, probabilities)


def rates(
    counts: Int[np.ndarray, "step population"], circuit: Circuit, dt: float, per: int
) -> Float[np.ndarray, "bin population"]:
    """Population rates (Hz) in bins of `per` steps."""
    n = len(counts) // per
    return counts[: n * per].reshape(n, per, -1).mean(1) / (np.asarray(circuit.sizes) * dt)


def switches(recording: Recording, circuit: Circuit, window: Window) -> bool:
    """Whether the winner changes well inside the fitted window."""
    margin = CLEAR * window.length
    first, last = (round(t / window.fine) for t in (window.end - window.length + margin, window.end - margin))
    found = rates(recording.counts[first:last], circuit, window.fine, round(window.dt / window.fine))
    return states.find(found, window.dt).n_switches > 0
