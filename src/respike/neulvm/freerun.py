"""The mesoscopic model as a generator: free simulation of the population activities, with or without a drive."""

import math

import numpy as np
from jaxtyping import Float, Int

from respike.compiled import njit
from respike.neulvm import kernel, model
from respike.neulvm.params import Circuit, Scheme


@njit(error_model="numpy")
def _run(rng, cohorts, synapse, current, k):
    """Fill cohorts.latent[population, history:] bin by bin."""
    latent, v, s = cohorts
    history = latent.shape[1] - len(current)
    ages, work = np.empty((4, history)), np.empty((3, history))
    for c in range(len(current)):
        if c > k.lag:
            kernel.low_pass(synapse, latent[:, history + c - k.lag - 1], k)
        for m in range(len(k.sizes)):
            drive = k.gain[m] * (current[c, m] + (synapse * k.weights[:, m]).sum())
            expected, _, _ = kernel.advance(latent[m], v[m], s[m], c, drive, kernel.cells(m, k), ages, work)
            latent[m, history + c] = kernel.draw(rng, expected, k.sizes[m], k.compat)


def simulate(
    circuit: Circuit, current: Float[np.ndarray, "bin population"], rng: np.random.Generator, dt: float, history: int,
    scheme: Scheme,
) -> Float[np.ndarray, "bin population"]:  # fmt: skip
    """Fraction of each population that fires in each bin, under an external current (potential/s).

    Starts at the circuit's typical rates.
    """
    early = np.array(circuit.typical_rates, dtype=float)
    start = model.stationary_start(circuit, early, history, dt, scheme)
    cohorts, k = model.windows(start, early, history + len(current), dt), model.constants(circuit, dt, scheme)
    _run(rng, cohorts, early, k.pull + circuit.input_gain * np.asarray(current, dtype=float), k)
    return cohorts.latent[:, history:].T.copy()


def rates(
    circuit: Circuit, seconds: float, rng: np.random.Generator, dt: float, history: int, scheme: Scheme
) -> Float[np.ndarray, "bin population"]:
    """Rates (Hz) of the populations in a simulation without a current."""
    return simulate(circuit, np.zeros((round(seconds / dt), len(circuit.sizes))), rng, dt, history, scheme) / dt


@njit(error_model="numpy")
def _fire(rng, drive, population, k, spikes):
    """Fill spikes[bin, cell] of cells that start at reset, free to fire."""
    for i in range(len(population)):
        m = population[i]
        v, age = 0.0, k.refractory
        for c in range(len(drive)):
            v = k.decay[m] * v + drive[c, m] if age >= k.refractory else 0.0
            x = kernel.hazard(v, k.offset[m]) if age >= k.refractory else 0.0
            age += 1
            if rng.random() < -math.expm1(-x):
                spikes[c, i], v, age = 1, 0.0, 0


def record(
    circuit: Circuit, current: Float[np.ndarray, "bin population"], population: Int[np.ndarray, " cell"],
    rng: np.random.Generator, dt: float, history: int,
) -> Int[np.ndarray, "bin cell"]:  # fmt: skip
    """Spikes of single cells of the given populations in a free simulation (scheme exact)."""
    latent = simulate(circuit, current, rng, dt, history, "exact")
    rates, k = np.asarray(circuit.typical_rates, dtype=float), model.constants(circuit, dt, "exact")
    past = np.concatenate([np.tile(rates * dt, (k.lag + 1, 1)), latent])
    traces = model.synapses(k, past, rates, len(latent))
    drive = k.gain * (k.pull + circuit.input_gain * current + traces @ circuit.weights)
    spikes = np.zeros((len(latent), len(population)), dtype=np.uint8)
    _fire(rng, drive, population, k, spikes)
    return spikes
