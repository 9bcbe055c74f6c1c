"""Less biased than hard EM: the latent activity as a distribution, by a particle filter on the mesoscopic model.

The joint density favours smooth activity, so a fit to its maximum (hard EM) pulls the parameters away. Here the latent
activity is sampled given the spikes: a bootstrap filter, resampled when fewer than half of the particles count. The filter
also gives the likelihood of the recorded spikes, with the latent activity integrated out.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.compiled import njit
from respike.neulvm import kernel, model
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Scheme


class Swarm(NamedTuple):
    """State of all particles; the cohorts lie in a window of 2 * history columns that moves along."""

    latent: Float[np.ndarray, "particle population column"]
    v: Float[np.ndarray, "particle population column"]
    s: Float[np.ndarray, "particle population column"]
    synapse: Float[np.ndarray, "particle population"]  # Hz
    potential: Float[np.ndarray, "particle neuron"]


class Observed(NamedTuple):
    """What the particles are weighed by: spikes in the fitted bins, and each neuron's population and age (bins)."""

    spikes: Bool[np.ndarray, "bin neuron"]
    population: Int[np.ndarray, " neuron"]
    age: Int[np.ndarray, " neuron"]


class Lines(NamedTuple):
    """Lines of descent: activity and ancestor of each particle in each bin."""

    fired: Float[np.ndarray, "bin particle population"]
    ancestors: Int[np.ndarray, "bin particle"]


@njit(error_model="numpy")
def _weigh(spikes, neurons, potential, drive, k):
    """Log-likelihood of the recorded neurons' bin for one particle; moves their potentials."""
    total = 0.0
    for i in range(len(neurons.population)):
        m = neurons.population[i]
        if neurons.age[i] < k.refractory:
            potential[i] = 0.0
            total += k.offset[m] if spikes[i] else 0.0
            continue
        potential[i] = k.decay[m] * potential[i] + drive[m]
        x = kernel.hazard(potential[i], k.offset[m])
        if spikes[i]:
            total += kernel.log_spike(x, potential[i] + k.offset[m], k.compat)
            potential[i] = 0.0
        else:
            total -= x
    return total


@njit(error_model="numpy")
def systematic(rng, weights, ancestors):
    """Systematic resampling: fill `ancestors` with particles, each about as often as its weight times their number."""
    n = len(weights)
    position, cumulated, k = rng.random() / n, weights[0], 0
    for i in range(n):
        while position > cumulated and k < n - 1:
            k += 1
            cumulated += weights[k]
        ancestors[i] = k
        position += 1 / n


@njit(error_model="numpy")
def _reorder(ancestors, low, high, swarm):
    """Copy the state of each particle's ancestor, columns low .. high - 1."""
    for a in (swarm.latent, swarm.v, swarm.s):
        a[:, :, low:high] = a[:, :, low:high][ancestors]
    for b in (swarm.synapse, swarm.potential):
        b[:] = b[ancestors]


@njit(error_model="numpy")
def _propagate(rng, cohorts, synapse, current, column, k, drive, ages, work):
    """One bin of one particle: the drive of each population, and which share of its neurons fires (drawn as in `freerun`)."""
    latent, v, s = cohorts
    for m in range(len(k.sizes)):
        drive[m] = current[m]
        for a in range(len(k.sizes)):
            drive[m] += synapse[a] * k.weights[a, m]
        drive[m] *= k.gain[m]
        p = kernel.advance(latent[m], v[m], s[m], column, drive[m], kernel.cells(m, k), ages, work)[0]
        latent[m, ages.shape[1] + column] = kernel.draw(rng, p, k.sizes[m], k.compat)


@njit(error_model="numpy")
def _move_window(swarm, history):
    """The second half of the windows becomes the first."""
    for a in (swarm.latent, swarm.v, swarm.s):
        a[:, :, :history] = a[:, :, history:]
    swarm.v[:, :, history:], swarm.s[:, :, history:] = 0.0, 1.0


@njit(error_model="numpy")
def _normalise(log_w, w):
    """Fill w with the normalised weights; returns the log of the mean weight."""
    top = log_w.max()
    w[:] = np.exp(log_w - top)
    mass = w.sum()
    w /= mass
    return top + math.log(mass / len(w))


@njit(error_model="numpy")
def _filter(rng, swarm, neurons, current, k, lines):
    """Fill `lines`; returns the log-likelihood of the spikes and the weights at the end."""
    latent, v, s, synapse, potential = swarm
    fired, ancestors = lines
    n_particles, history = len(latent), latent.shape[2] // 2
    ages, work, drive = np.empty((4, history)), np.empty((3, history)), np.empty(len(k.sizes))
    log_w, w = np.zeros(n_particles), np.full(n_particles, 1 / n_particles)
    total, column = 0.0, 0
    for c in range(len(current)):
        if column == history:
            _move_window(swarm, history)
            column = 0
        for n in range(n_particles):
            if c > k.lag:
                kernel.low_pass(synapse[n], latent[n, :, history + column - k.lag - 1], k)
            cohorts = kernel.Cohorts(latent[n], v[n], s[n])
            _propagate(rng, cohorts, synapse[n], current[c], column, k, drive, ages, work)
            fired[c, n] = latent[n, :, history + column]
            log_w[n] += _weigh(neurons.spikes[c], neurons, potential[n], drive, k)
            ancestors[c, n] = n
        mean_weight = _normalise(log_w, w)
        if 1 / (w**2).sum() < n_particles / 2:
            total += mean_weight
            systematic(rng, w, ancestors[c])
            _reorder(ancestors[c], column + 1, column + 1 + history, swarm)
            fired[c] = fired[c][ancestors[c]]
            log_w[:], w[:] = 0.0, 1 / n_particles
        for i in range(len(neurons.age)):
            neurons.age[i] = 0 if neurons.spikes[c, i] else neurons.age[i] + 1
        column += 1
    return total + _normalise(log_w, w), w


class Samples(NamedTuple):
    """What the filter says about one batch."""

    log_likelihood: float  # of the recorded spikes, nats
    latent: Float[np.ndarray, "sample bin population"]  # fraction firing; drawn given all spikes; history included


def sample(
    circuit: Circuit, trial: Trial, batch: int, n_particles: int, n_samples: int, rng: np.random.Generator, scheme: Scheme
) -> Samples:
    """Latent activities of one batch drawn given its spikes, and the likelihood of the spikes.

    Raises ValueError when the spikes are impossible for all particles.
    """
    n_bins, n_populations = trial.shape[1:]
    history, k = trial.history, model.constants(circuit, trial.dt, scheme)
    swarm, age = _start(circuit, trial, batch, n_particles, scheme)
    lines = Lines(np.empty((n_bins, n_particles, n_populations)), np.empty((n_bins, n_particles), dtype=np.int32))
    neurons = Observed(trial.spikes[batch, history:] > 0, trial.population, age)
    total, w = _filter(rng, swarm, neurons, circuit.input_gain * trial.drive[batch] + k.pull, k, lines)
    if not np.isfinite(total):
        raise ValueError(
            f"neulvm: none of {n_particles} particles explains the recorded spikes (log-likelihood {total}); "
            "raise neulvm.refine.particles and neulvm.particles, or narrow neulvm.prior in config.yaml"
        )
    line = rng.choice(n_particles, n_samples, p=w / w.sum())
    latent = np.empty((n_samples, history + n_bins, n_populations))
    latent[:, :history] = trial.early_rates[batch] * trial.dt
    for c in range(n_bins - 1, -1, -1):
        latent[:, history + c] = lines.fired[c, line]
        line = lines.ancestors[c, line]
    return Samples(total, latent)


def log_likelihood(circuit: Circuit, trial: Trial, n_particles: int, rng: np.random.Generator, scheme: Scheme) -> float:
    """Log-likelihood (nats) of the spikes of all batches, the latent activity integrated out."""
    return sum(sample(circuit, trial, b, n_particles, 1, rng, scheme).log_likelihood for b in range(trial.shape[0]))


def _start(circuit: Circuit, trial: Trial, batch: int, n_particles: int, scheme: Scheme) -> tuple[Swarm, np.ndarray]:
    """All particles, equal, and the age (bins) of each neuron."""
    rates, history = trial.early_rates[batch], trial.history
    start = model.stationary_start(circuit, rates, history, trial.dt, scheme)
    age, free = model.neuron_start(trial.last_spike[batch], trial, circuit.refractory, scheme == "compat")
    potential = np.empty(len(age))
    for m, each in enumerate(start):
        mine = trial.population == m
        potential[mine] = model.relax(free[mine], each.h, circuit.mem_rate[m], free[mine] > 0)[0]
    state = (*model.windows(start, rates, 2 * history, trial.dt), rates, potential)
    return Swarm(*(np.repeat(array[None], n_particles, axis=0) for array in state)), age.astype(np.int64)
