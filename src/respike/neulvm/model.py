"""The mesoscopic model: its equations, discretised in two schemes, and the loss that the fit minimises.

Per population: cohorts of neurons that fired in the same bin share potential V and survival S (log-survival L). In a bin

    s_a    <- e^(-dt/tau_syn) s_a + (1 - e^(-dt/tau_syn)) A_a(previous bin)          synaptic activity, Hz
    V      <- decay V + drive, drive = gain (alpha rest + sum_a s_a W_am + I)        0 while refractory
    x       = exp(V - threshold) dt,  P = 1 - exp(-x)                                chance to fire in the bin
    Zbar    = sum m P + Lambda (1 - sum m),  m = S Z,  Lambda = sum v P / sum v,  v = (1 - S) m
    S      <- S (1 - P)

Z is the fraction of a population that fires in a bin. The finite-size correction Lambda (1 - sum m) restores the number of
neurons (Schwalger, Deger, Gerstner 2017; Schmutz, Loecherbach, Schwalger 2023). The loss is the negative log of the joint
density of recorded spikes and latent activity, divided by batches x populations x bins.

scheme "compat": the published discretisation, forward Euler (decay = 1 - alpha dt, gain = dt), P = x below 0.01.
scheme "exact": exponential step (decay = e^(-alpha dt), gain = (1 - decay) / alpha) and P throughout; the default.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from respike.neulvm import kernel
from respike.neulvm.params import Circuit, Scheme

QUADRATURE = 0.001  # s, step of the published stationary start


@dataclass(frozen=True)
class Trial:
    """What is recorded: spikes of some neurons and the external drive, in bins. The first `history` bins are not fitted."""

    dt: float  # s
    history: int  # bins; also the greatest age that is followed
    spikes: Int[np.ndarray, "batch bin neuron"]  # 0 or 1
    population: Int[np.ndarray, " neuron"]
    drive: Float[np.ndarray, "batch fitbin population"]
    known_rates: Float[np.ndarray, "batch population"] | None = None  # Hz, early_rates of a history that was longer

    @property
    def shape(self) -> tuple[int, int, int]:
        """Batches, fit bins, populations."""
        return self.drive.shape

    @cached_property
    def early_rates(self) -> Float[np.ndarray, "batch population"]:
        """Mean rate (Hz) of each population's recorded neurons in the history."""
        if self.known_rates is not None:
            return self.known_rates
        cells = self.spikes[:, : self.history].mean(1) / self.dt
        return np.stack([cells[:, self.population == m].mean(1) for m in range(self.shape[2])], axis=1)

    @cached_property
    def last_spike(self) -> Int[np.ndarray, "batch neuron"]:
        """Bins since the last spike of each neuron at the end of the history (0: in its last bin; -1: none)."""
        past = self.spikes[:, : self.history][:, ::-1] > 0
        return np.where(past.any(1), past.argmax(1), -1)

    def shortened(self, history: int) -> "Trial":
        """The same trial from the same rates on, but with no age followed beyond `history` bins: faster, nearly the same."""
        cut = max(0, self.history - history)
        return replace(self, history=self.history - cut, spikes=self.spikes[:, cut:], known_rates=self.early_rates)

    @cached_property
    def workspace(self) -> tuple[np.ndarray, np.ndarray]:
        """Memory that the kernel fills anew for each population."""
        n_bins = self.shape[1]
        return np.empty((n_bins, 4, self.history)), np.empty((n_bins, 2))


@dataclass(frozen=True)
class Stationary:
    """Cohorts of a population at constant input: potential and log-survival by age, and their slopes."""

    v: Float[np.ndarray, " age"]
    l: Float[np.ndarray, " age"]  # noqa: E741  (the paper's letter)
    v_h: Float[np.ndarray, " age"]  # slope with respect to the asymptotic potential h
    v_alpha: Float[np.ndarray, " age"]
    l_h: Float[np.ndarray, " age"]
    l_alpha: Float[np.ndarray, " age"]
    l_threshold: Float[np.ndarray, " age"]


def bins(seconds: float, dt: float) -> int:
    """Whole bins in a time, not fooled by rounding."""
    return int(math.floor(seconds / dt + 1e-9))


def step(alpha: float, dt: float, scheme: Scheme) -> tuple[float, float, float, float]:
    """decay and gain of the membrane step, and their slopes with respect to alpha."""
    if scheme == "compat":
        return 1 - alpha * dt, dt, -dt, 0.0
    decay = math.exp(-alpha * dt)
    return decay, (1 - decay) / alpha, -dt * decay, (dt * decay - (1 - decay) / alpha) / alpha


def relax(ages: np.ndarray, h: float, alpha: float, free: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """h (1 - e^(-alpha age)) where free, else 0; and its slopes with respect to h and alpha."""
    rise = np.where(free, -np.expm1(-alpha * ages), 0.0)
    return h * rise, rise, np.where(free, h * ages * np.exp(-alpha * ages), 0.0)


def stationary(
    h: float, alpha: float, threshold: float, n_ages: int, dt: float, refractory: float, scheme: Scheme
) -> Stationary:
    """Cohorts of ages 0, dt, 2 dt, ... when the potential relaxes to h."""
    if scheme == "compat":
        ages = np.arange(n_ages) * dt
        v, v_h, v_alpha = relax(ages, h, alpha, ages >= refractory - 1e-12)
        l, l_h, l_alpha = _published_survival(h, alpha, threshold, ages, refractory)  # noqa: E741
        l[0] = -np.inf  # published quirk: the youngest cohort of the start is empty
        return Stationary(v, l, v_h, v_alpha, l_h, l_alpha, -np.where(np.isfinite(l), l, 0.0))
    held = bins(refractory, dt)
    ages = np.maximum(np.arange(n_ages + 1) - held, 0) * dt
    v, v_h, v_alpha = relax(ages, h, alpha, ages > 0)
    x = np.where(ages[1:] > 0, dt * np.exp(np.minimum(v[1:] - threshold, kernel.LARGEST)), kernel.SILENT * dt)
    grown = [-np.concatenate([[0.0], np.cumsum(x * slope)[:-1]]) for slope in (1.0, v_h[1:], v_alpha[1:])]
    return Stationary(v[:-1], grown[0], v_h[:-1], v_alpha[:-1], grown[1], grown[2], -grown[0])


def _published_survival(h: float, alpha: float, threshold: float, ages: np.ndarray, refractory: float):
    """Log-survival by the published sum over a grid of about 1 ms that counts both ends, and its slopes."""
    points = np.floor(ages / QUADRATURE + 1e-9).astype(int)
    if np.allclose(points * QUADRATURE, ages, rtol=0, atol=1e-12):  # one grid serves all ages
        grid = np.arange(points[-1] + 1) * QUADRATURE
        terms = _hazards(grid, h, alpha, threshold, refractory)
        return tuple(-QUADRATURE * np.cumsum(term)[points] for term in terms)
    sums = [
        [term.sum() for term in _hazards(np.linspace(0, age, n + 1), h, alpha, threshold, refractory)]
        for age, n in zip(ages, points, strict=True)
    ]
    return tuple(-QUADRATURE * np.array(column) for column in zip(*sums, strict=True))


def _hazards(ages: np.ndarray, h: float, alpha: float, threshold: float, refractory: float) -> tuple[np.ndarray, ...]:
    v, v_h, v_alpha = relax(ages, h, alpha, ages >= refractory - 1e-12)
    rate = np.where(v != 0, np.exp(np.minimum(v - threshold, kernel.LARGEST)), 0.0)
    return rate, rate * v_h, rate * v_alpha


def neuron_start(last_spike: np.ndarray, trial: Trial, refractory: float, scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Age of recorded neurons in bins, and the time (s) for which their potential has been free to grow.

    A neuron without a spike in the history has age 0 in the published program, as if it had just fired; here it is old.
    """
    age = np.where(last_spike < 0, 0 if scheme == "compat" else trial.history, last_spike)
    if scheme == "compat":
        free = age * trial.dt
        return age, np.where(free >= refractory - 1e-12, free, 0.0)
    return age, np.maximum(age - bins(refractory, trial.dt), 0) * trial.dt


@dataclass(frozen=True)
class Loss:
    """Loss, its two parts, what the model expects in each fit bin, and the gradients."""

    spikes: float
    latent: float
    expected: Float[np.ndarray, "batch fitbin population"]
    nll: Float[np.ndarray, "batch fitbin population"]
    grad_latent: Float[np.ndarray, "batch bin population"]  # 0 in the history, which is fixed
    grad_vector: Float[np.ndarray, " parameter"]  # order of params.GROUPS
    grad_weights: Float[np.ndarray, "population population"]  # as if each weight were free

    @property
    def total(self) -> float:
        """Negative log joint density / (batches x populations x bins)."""
        return self.spikes + self.latent


def with_history(latent: np.ndarray, trial: Trial) -> np.ndarray:
    """Latent activity whose history is the constant early rate of the recorded neurons."""
    full = np.array(latent, dtype=float)
    full[:, : trial.history] = trial.early_rates[:, None] * trial.dt
    return full


def loss(
    circuit: Circuit, trial: Trial, latent: Float[np.ndarray, "batch bin population"], scheme: Scheme, drawn: bool = False
) -> Loss:
    """Loss of the latent activity and the parameters, with exact gradients.

    `drawn`: the latent activity is one that the model drew (`freerun`, `particles`), and the density is the one that it was
    drawn from (up to a term that no parameter changes): without the floor of the variance, and binomial in scheme exact.
    """
    n_batches, n_bins, n_populations = trial.shape
    latent = with_history(latent, trial)
    parts = [_batch(circuit, trial, latent[b], b, scheme, drawn) for b in range(n_batches)]
    spikes, of_latent, expected, nll, grad_latent, grad_vector, grad_weights = zip(*parts, strict=True)
    return Loss(
        sum(spikes),
        sum(of_latent),
        np.stack(expected),
        np.stack(nll),
        np.stack(grad_latent),
        sum(grad_vector),
        sum(grad_weights),
    )


def synapses(circuit: Circuit, trial: Trial, latent: Float[np.ndarray, "bin population"], batch: int) -> np.ndarray:
    """Synaptic activity (Hz) of each population in each fit bin."""
    lag, n_bins = bins(circuit.delay, trial.dt), trial.shape[1]
    return np.stack(
        [
            kernel.synaptic_trace(
                np.ascontiguousarray(latent[:, m]),
                trial.early_rates[batch, m],
                math.exp(-rate * trial.dt),
                lag,
                trial.dt,
                n_bins,
            )
            for m, rate in enumerate(circuit.syn_rate)
        ],
        axis=1,
    )


def _batch(circuit: Circuit, trial: Trial, latent: np.ndarray, batch: int, scheme: Scheme, drawn: bool) -> tuple:
    """Loss and gradients of one batch: the populations one by one, then what they share."""
    n_populations = trial.shape[2]
    traces = synapses(circuit, trial, latent, batch)
    current = traces @ circuit.weights + circuit.input_gain * trial.drive[batch]
    parts = [_population(circuit, trial, latent, batch, m, current[:, m], scheme, drawn) for m in range(n_populations)]
    spikes, of_latent, expected, nll, by_population, adj_current, adj_h = map(list, zip(*parts, strict=True))
    grad_latent = np.stack([part[0] for part in by_population], axis=1)
    adj_current = np.stack(adj_current, axis=1)
    adj_traces = adj_current @ circuit.weights.T
    lag = bins(circuit.delay, trial.dt)
    for m, rate in enumerate(circuit.syn_rate):
        column = np.ascontiguousarray(grad_latent[:, m])
        kernel.synaptic_adjoint(np.ascontiguousarray(adj_traces[:, m]), math.exp(-rate * trial.dt), lag, trial.dt, column)
        grad_latent[:, m] = column
    grad_latent[: trial.history] = 0.0
    # through the asymptotic potential of the start, h = rest + early rates W / alpha
    alpha = np.asarray(circuit.mem_rate)
    grad_weights = traces.T @ adj_current + np.outer(trial.early_rates[batch], np.array(adj_h) / alpha)
    grad_coupling = (grad_weights * np.asarray(circuit.connectivity, dtype=float)).sum(1)
    grad_alpha, grad_rest, grad_threshold = np.array([part[1] for part in by_population]).T
    grad_vector = np.concatenate([grad_alpha, grad_coupling, grad_rest, grad_threshold])
    return sum(spikes), sum(of_latent), np.stack(expected, 1), np.stack(nll, 1), grad_latent, grad_vector, grad_weights


def _population(
    circuit: Circuit, trial: Trial, latent: np.ndarray, batch: int, m: int, current: np.ndarray, scheme: Scheme, drawn: bool
):
    """Loss of population m, its adjoints of latent, (alpha, rest, threshold), current, and asymptotic potential."""
    dt, history = trial.dt, trial.history
    n_batches, n_bins, n_populations = trial.shape
    alpha, rest, threshold = circuit.mem_rate[m], circuit.rest[m], circuit.threshold[m]
    decay, gain, decay_alpha, gain_alpha = step(alpha, dt, scheme)
    pull = (trial.early_rates[batch] @ circuit.weights)[m] / alpha
    start = stationary(rest + pull, alpha, threshold, history, dt, circuit.refractory, scheme)
    v, s = np.zeros(history + n_bins), np.ones(history + n_bins)
    v[:history], s[:history] = start.v[::-1], np.maximum(np.exp(start.l[::-1]), 1e-100)
    mine = np.flatnonzero(trial.population == m)
    age, free = neuron_start(trial.last_spike[batch, mine], trial, circuit.refractory, scheme)
    v0, v0_h, v0_alpha = relax(free, rest + pull, alpha, free > 0)
    spikes, of_latent, expected, nll, adj_latent, adj_v, adj_l, adj_drive, adj_v0, of_decay, of_offset = kernel.population(
        np.ascontiguousarray(latent[:, m]), v, s, np.ascontiguousarray(trial.spikes[batch, history:][:, mine]), v0, age,
        decay, gain * (alpha * rest + current), math.log(dt) - threshold, kernel.SILENT * dt, circuit.sizes[m], dt,
        math.log(2 * (3.14 if scheme == "compat" else math.pi)) / 2, 1 / (n_batches * n_populations * n_bins),
        bins(circuit.refractory, dt), scheme == "compat", drawn, *trial.workspace,
    )  # fmt: skip
    adj_v, adj_l = adj_v[:history][::-1], np.where(np.isfinite(start.l), adj_l[:history][::-1], 0.0)
    adj_h = adj_v @ start.v_h + adj_l @ start.l_h + adj_v0 @ v0_h
    of_drive, of_gain = adj_drive.sum(), adj_drive @ (alpha * rest + current)
    of_alpha = (
        of_decay * decay_alpha + of_gain * gain_alpha + gain * rest * of_drive
        + adj_v @ start.v_alpha + adj_l @ start.l_alpha + adj_v0 @ v0_alpha - adj_h * pull / alpha
    )  # fmt: skip
    gradients = of_alpha, gain * alpha * of_drive + adj_h, -of_offset + adj_l @ start.l_threshold
    return spikes, of_latent, expected, nll, (adj_latent, gradients), gain * adj_drive, adj_h
