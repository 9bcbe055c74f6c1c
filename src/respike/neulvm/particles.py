"""Less biased than hard EM: the latent activity as a distribution, by a particle filter on the mesoscopic model.

The joint density favours smooth activity, so a fit to its maximum (hard EM) pulls the parameters away. Here the latent
activity is sampled given the spikes: a bootstrap filter, resampled when fewer than half of the particles count. The filter
also gives the likelihood of the recorded spikes, with the latent activity integrated out.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from respike.core.compiled import njit
from respike.neulvm import kernel, model
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Scheme


@njit(error_model="numpy")
def _weigh(spikes, population, age, potential, decay, drive, offset, refractory, compat):
    """Log-likelihood of the recorded neurons' bin for one particle; moves their potentials."""
    total = 0.0
    for i in range(len(population)):
        m = population[i]
        if age[i] < refractory:
            potential[i] = 0.0
            total += offset[m] if spikes[i] else 0.0
            continue
        potential[i] = decay[m] * potential[i] + drive[m]
        x = math.exp(min(potential[i] + offset[m], kernel.LARGEST))
        if spikes[i]:
            total += potential[i] + offset[m] if compat and x < kernel.SWITCH else math.log(-math.expm1(-x))
            potential[i] = 0.0
        else:
            total -= x
    return total


@njit(error_model="numpy")
def _resample(rng, weights, ancestors):
    """Systematic resampling."""
    n = len(weights)
    position, cumulated, k = rng.random() / n, weights[0], 0
    for i in range(n):
        while position > cumulated and k < n - 1:
            k += 1
            cumulated += weights[k]
        ancestors[i] = k
        position += 1 / n


@njit(error_model="numpy")
def _reorder(ancestors, low, high, latent, v, s, synapse, potential):
    """Copy the state of each particle's ancestor, columns low .. high - 1."""
    latent[:, :, low:high] = latent[:, :, low:high][ancestors]
    v[:, :, low:high] = v[:, :, low:high][ancestors]
    s[:, :, low:high] = s[:, :, low:high][ancestors]
    synapse[:] = synapse[ancestors]
    potential[:] = potential[ancestors]


@njit(error_model="numpy")
def _propagate(
    rng, latent, v, s, synapse, weights, current, decay, gain, offset, sizes, dt, refractory, compat, place, drive, kept, work
):
    """One bin of one particle: the drive of each population, and which share of its neurons fires (drawn as in `freerun`)."""
    for m in range(len(sizes)):
        drive[m] = current[m]
        for a in range(len(sizes)):
            drive[m] += synapse[a] * weights[a, m]
        drive[m] *= gain[m]
        p = kernel.advance(
            latent[m], v[m], s[m], place, decay[m], drive[m], offset[m], kernel.SILENT * dt, refractory, compat, kept, work
        )[0]
        latent[m, kept.shape[1] + place] = kernel.draw(rng, p, sizes[m], compat)


@njit(error_model="numpy")
def _move_window(latent, v, s, history):
    """The second half of the windows becomes the first."""
    for a in (latent, v, s):
        a[:, :, :history] = a[:, :, history:]
    v[:, :, history:], s[:, :, history:] = 0.0, 1.0


@njit(error_model="numpy")
def _normalise(log_w, w):
    """Fill w with the normalised weights; returns the log of the mean weight."""
    top = log_w.max()
    w[:] = np.exp(log_w - top)
    mass = w.sum()
    w /= mass
    return top + math.log(mass / len(w))


@njit(error_model="numpy")
def _filter(
    rng, latent, v, s, synapse, potential, age, spikes, population, weights, current, decay, gain, offset, syn_decay, sizes,
    lag, dt, refractory, compat, history, fired, ancestors, means, lookback,
):  # fmt: skip
    """Fill fired[bin, particle, population] and ancestors[bin, particle]; returns the log-likelihood of the spikes.

    latent, v, s[particle, population, column] hold a window of 2 * history columns that moves along. means[bin] becomes
    the mean activity given the spikes up to `lookback` bins later.
    """
    n_particles = len(latent)
    kept, work, drive = np.empty((4, history)), np.empty((3, history)), np.empty(len(sizes))
    log_w, w = np.zeros(n_particles), np.full(n_particles, 1 / n_particles)
    total, place = 0.0, 0
    for c in range(len(current)):
        if place == history:
            _move_window(latent, v, s, history)
            place = 0
        for k in range(n_particles):
            if c > lag:
                synapse[k] = syn_decay * synapse[k] + (1 - syn_decay) * latent[k, :, history + place - lag - 1] / dt
            _propagate(
                rng, latent[k], v[k], s[k], synapse[k], weights, current[c], decay, gain, offset, sizes, dt, refractory,
                compat, place, drive, kept, work,
            )  # fmt: skip
            fired[c, k] = latent[k, :, history + place]
            log_w[k] += _weigh(spikes[c], population, age, potential[k], decay, drive, offset, refractory, compat)
            ancestors[c, k] = k
        mean_weight = _normalise(log_w, w)
        if 1 / (w**2).sum() < n_particles / 2:
            total += mean_weight
            _resample(rng, w, ancestors[c])
            _reorder(ancestors[c], place + 1, place + 1 + history, latent, v, s, synapse, potential)
            fired[c] = fired[c][ancestors[c]]
            log_w[:], w[:] = 0.0, 1 / n_particles
        if c >= lookback:
            _mean_of_past(fired, ancestors, w, c, lookback, means)
        for i in range(len(population)):
            age[i] = 0 if spikes[c, i] else age[i] + 1
        place += 1
    return total + _normalise(log_w, w), w


@njit(error_model="numpy")
def _mean_of_past(fired, ancestors, w, c, back, means):
    """Weighted mean of the activity `back` bins ago, along the lines of descent of the present particles."""
    for k in range(len(w)):
        line = k
        for b in range(c, c - back, -1):
            line = ancestors[b, line]
        for m in range(fired.shape[2]):
            means[c - back, m] += w[k] * fired[c - back, line, m]


@dataclass(frozen=True)
class Samples:
    """What the filter says about one batch."""

    log_likelihood: float  # of the recorded spikes, nats
    latent: Float[np.ndarray, "sample bin population"]  # fraction firing; drawn given all spikes; history included
    mean: Float[np.ndarray, "bin population"]  # given the spikes up to a little later; history included
    lines: int  # distinct lines of descent at the first bin, of all particles that survive to the end


LOOKBACK = 0.4  # s; activity further back than this is hardly informed by what comes now


def sample(
    circuit: Circuit, trial: Trial, batch: int, n_particles: int, n_samples: int, rng: np.random.Generator, scheme: Scheme
) -> Samples:
    """Latent activities of one batch drawn given its spikes, and the likelihood of the spikes.

    Raises ValueError when the spikes are impossible for all particles.
    """
    n_bins, n_populations = trial.shape[1:]
    dt, history = trial.dt, trial.history
    rates = trial.early_rates[batch]
    start = _start(circuit, trial, batch, n_particles, scheme)
    fired = np.empty((n_bins, n_particles, n_populations))
    ancestors = np.empty((n_bins, n_particles), dtype=np.int32)
    means = np.zeros((n_bins, n_populations))
    steps = np.array([model.step(alpha, dt, scheme) for alpha in circuit.mem_rate])
    current = circuit.input_gain * trial.drive[batch] + np.asarray(circuit.mem_rate) * np.asarray(circuit.rest)
    lookback = min(model.bins(LOOKBACK, dt), n_bins - 1)
    total, w = _filter(
        rng, *start, trial.spikes[batch, history:] > 0, trial.population, circuit.weights, current,
        steps[:, 0].copy(), steps[:, 1].copy(), math.log(dt) - np.asarray(circuit.threshold),
        np.exp(-np.asarray(circuit.syn_rate) * dt), np.asarray(circuit.sizes, dtype=np.int64), model.bins(circuit.delay, dt),
        dt, model.bins(circuit.refractory, dt), scheme == "compat", history, fired, ancestors, means, lookback,
    )  # fmt: skip
    if not np.isfinite(total):
        raise ValueError(
            f"neulvm: none of {n_particles} particles explains the recorded spikes (log-likelihood {total}); "
            "raise neulvm.refine.particles and neulvm.particles, or narrow neulvm.prior in config.yaml"
        )
    w /= w.sum()
    drawn = rng.choice(n_particles, n_samples, p=w)
    lines, all_lines = drawn, np.arange(n_particles)
    latent = np.empty((n_samples, history + n_bins, n_populations))
    for c in range(n_bins - 1, -1, -1):
        latent[:, history + c] = fired[c, lines]
        if c >= n_bins - lookback:
            means[c] = w @ fired[c, all_lines]
        lines, all_lines = ancestors[c, lines], ancestors[c, all_lines]
    latent[:, :history] = rates * dt
    mean = np.concatenate([np.repeat(rates[None] * dt, history, axis=0), means])
    return Samples(total, latent, mean, len(np.unique(all_lines)))


def _start(circuit: Circuit, trial: Trial, batch: int, n_particles: int, scheme: Scheme) -> tuple[np.ndarray, ...]:
    """Windows of activity, potential and survival, synaptic activity, neurons' potential and age: equal in all particles."""
    dt, history, n_populations = trial.dt, trial.history, trial.shape[2]
    rates = trial.early_rates[batch]
    latent, v = np.zeros((n_populations, 2 * history)), np.zeros((n_populations, 2 * history))
    s = np.ones((n_populations, 2 * history))
    latent[:, :history] = rates[:, None] * dt
    age, free = model.neuron_start(trial.last_spike[batch], trial, circuit.refractory, scheme)
    potential = np.empty(len(age))
    for m in range(n_populations):
        h = circuit.rest[m] + (rates @ circuit.weights)[m] / circuit.mem_rate[m]
        start = model.stationary(h, circuit.mem_rate[m], circuit.threshold[m], history, dt, circuit.refractory, scheme)
        v[m, :history], s[m, :history] = start.v[::-1], np.maximum(np.exp(start.l[::-1]), 1e-100)
        mine = trial.population == m
        potential[mine] = model.relax(free[mine], h, circuit.mem_rate[m], free[mine] > 0)[0]
    repeated = [np.repeat(a[None], n_particles, axis=0) for a in (latent, v, s, rates, potential)]
    return *repeated, age.astype(np.int64)
