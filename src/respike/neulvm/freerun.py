"""The mesoscopic model as a generator: free simulation of the population activities, with or without a drive."""

import math

import numpy as np
from jaxtyping import Float, Int

from respike.core.compiled import njit
from respike.neulvm import kernel, model
from respike.neulvm.params import Circuit, Scheme


@njit(error_model="numpy")
def _run(rng, latent, v, s, synapse, weights, current, decay, gain, offset, syn_decay, sizes, lag, dt, refractory, compat):
    """Fill latent[population, history:] bin by bin."""
    history = latent.shape[1] - len(current)
    kept, work = np.empty((4, history)), np.empty((3, history))
    for c in range(len(current)):
        if c > lag:
            synapse[:] = syn_decay * synapse + (1 - syn_decay) * latent[:, history + c - lag - 1] / dt
        for m in range(len(sizes)):
            drive = gain[m] * (current[c, m] + (synapse * weights[:, m]).sum())
            expected, _, _ = kernel.advance(
                latent[m], v[m], s[m], c, decay[m], drive, offset[m], kernel.SILENT * dt, refractory, compat, kept, work
            )
            latent[m, history + c] = kernel.draw(rng, expected, sizes[m], compat)


def simulate(
    circuit: Circuit,
    current: Float[np.ndarray, "bin population"],
    rng: np.random.Generator,
    dt: float,
    history: int,
    scheme: Scheme,
    synchronized: bool = False,
) -> Float[np.ndarray, "bin population"]:
    """Fraction of each population that fires in each bin, under an external current (potential/s).

    Starts at the circuit's typical rates, or with all neurons having fired in the last bin (`synchronized`).
    """
    n_bins, n_populations = current.shape
    rates = np.ones(n_populations) if synchronized else np.asarray(circuit.typical_rates, dtype=float)
    latent, v = np.zeros((n_populations, history + n_bins)), np.zeros((n_populations, history + n_bins))
    s = np.ones((n_populations, history + n_bins))
    steps = np.array([model.step(alpha, dt, scheme) for alpha in circuit.mem_rate])
    for m in range(n_populations):
        h = circuit.rest[m] + (rates @ circuit.weights)[m] / circuit.mem_rate[m]
        start = model.stationary(h, circuit.mem_rate[m], circuit.threshold[m], history, dt, circuit.refractory, scheme)
        v[m, :history], s[m, :history] = start.v[::-1], np.maximum(np.exp(start.l[::-1]), 1e-100)
    latent[:, :history] = rates[:, None] * dt
    if synchronized:
        latent[:, :history] = np.arange(history) == history - 1
        v[:, :history], s[:, :history] = 0.0, 1.0
        rates = latent[:, :history].mean(1) / dt
    pull = np.asarray(circuit.mem_rate) * np.asarray(circuit.rest) + circuit.input_gain * np.asarray(current, dtype=float)
    _run(
        rng, latent, v, s, rates.copy(), circuit.weights, pull, steps[:, 0].copy(), steps[:, 1].copy(),
        math.log(dt) - np.asarray(circuit.threshold), np.exp(-np.asarray(circuit.syn_rate) * dt),
        np.asarray(circuit.sizes, dtype=np.int64), model.bins(circuit.delay, dt), dt, model.bins(circuit.refractory, dt),
        scheme == "compat",
    )  # fmt: skip
    return latent[:, history:].T.copy()


@njit(error_model="numpy")
def _fire(rng, drive, decay, offset, refractory, population, spikes):
    """Fill spikes[bin, cell] of cells that start at reset, free to fire."""
    for i in range(len(population)):
        m = population[i]
        v, age = 0.0, refractory
        for c in range(len(drive)):
            v = decay[m] * v + drive[c, m] if age >= refractory else 0.0
            x = math.exp(min(v + offset[m], kernel.LARGEST)) if age >= refractory else 0.0
            age += 1
            if rng.random() < -math.expm1(-x):
                spikes[c, i], v, age = 1, 0.0, 0


def record(
    circuit: Circuit,
    current: Float[np.ndarray, "bin population"],
    population: Int[np.ndarray, " cell"],
    rng: np.random.Generator,
    dt: float,
    history: int,
) -> Int[np.ndarray, "bin cell"]:
    """Spikes of single cells of the given populations in a free simulation (scheme exact)."""
    latent = simulate(circuit, current, rng, dt, history, "exact")
    rates = np.asarray(circuit.typical_rates, dtype=float)
    lag = model.bins(circuit.delay, dt)
    past = np.concatenate([np.tile(rates * dt, (lag + 1, 1)), latent])
    decays = np.exp(-np.asarray(circuit.syn_rate) * dt)
    traces = [kernel.synaptic_trace(past[:, a], rates[a], decays[a], lag, dt, len(latent)) for a in range(len(rates))]
    steps = np.array([model.step(alpha, dt, "exact") for alpha in circuit.mem_rate])
    drive = np.asarray(circuit.mem_rate) * circuit.rest + circuit.input_gain * current + np.stack(traces, 1) @ circuit.weights
    spikes = np.zeros((len(latent), len(population)), dtype=np.uint8)
    _fire(
        rng, steps[:, 1] * drive, steps[:, 0].copy(), math.log(dt) - np.asarray(circuit.threshold),
        model.bins(circuit.refractory, dt), population, spikes,
    )  # fmt: skip
    return spikes
