"""The mesoscopic model as a generator: free simulation of the population activities, with or without a drive."""

import math

import numpy as np
from jaxtyping import Float, Int
from numba import njit

from respike.neulvm import kernel, model
from respike.neulvm.params import Circuit, Scheme


@njit(cache=True, error_model="numpy")
def _run(
    rng,
    latent,
    v,
    s,
    synapse,
    weights,
    current,
    alpha_rest,
    decay,
    gain,
    offset,
    syn_decay,
    sizes,
    lag,
    dt,
    refractory,
    compat,
):
    """Fill latent[population, history:] bin by bin: binomial draws of the expected fraction, Gaussian ones in compat."""
    n_populations, columns = latent.shape
    history = columns - len(current)
    kept, work = np.empty((4, history)), np.empty((3, history))
    expected = np.empty(n_populations)
    for c in range(len(current)):
        if c > lag:
            for m in range(n_populations):
                past = latent[m, history + c - lag - 1] / dt
                synapse[m] = syn_decay[m] * synapse[m] + (1 - syn_decay[m]) * past
        for m in range(n_populations):
            drive = current[c, m] + alpha_rest[m]
            for a in range(n_populations):
                drive += synapse[a] * weights[a, m]
            expected[m] = kernel.advance(
                latent[m],
                v[m],
                s[m],
                c,
                decay[m],
                gain[m] * drive,
                offset[m],
                kernel.SILENT * dt,
                refractory,
                compat,
                kept,
                work,
            )[0]
        for m in range(n_populations):
            p = min(max(expected[m], 0.0), 1.0)
            if compat:
                latent[m, history + c] = max(0.0, rng.normal(p, math.sqrt(p / sizes[m])))
            else:
                latent[m, history + c] = rng.binomial(sizes[m], p) / sizes[m]


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
    _run(
        rng, latent, v, s, rates.copy(), circuit.weights, circuit.input_gain * np.asarray(current, dtype=float),
        np.asarray(circuit.mem_rate) * np.asarray(circuit.rest), steps[:, 0].copy(), steps[:, 1].copy(),
        math.log(dt) - np.asarray(circuit.threshold), np.exp(-np.asarray(circuit.syn_rate) * dt),
        np.asarray(circuit.sizes, dtype=np.int64), model.bins(circuit.delay, dt), dt, model.bins(circuit.refractory, dt),
        scheme == "compat",
    )  # fmt: skip
    return latent[:, history:].T.copy()


def counts(latent: Float[np.ndarray, "bin population"], circuit: Circuit) -> Int[np.ndarray, "bin population"]:
    """Spikes per bin and population."""
    return np.rint(latent * np.asarray(circuit.sizes)).astype(np.int64)
