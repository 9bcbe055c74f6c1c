"""The mesoscopic model: its equations, discretised in two schemes, and the loss that the fit minimises.

Per population: cohorts of neurons that fired in the same bin share potential V and survival S (log-survival L). In a bin

    s_a    <- e^(-dt/tau_syn) s_a + (1 - e^(-dt/tau_syn)) A_a(previous bin)          synaptic activity, Hz
    V      <- decay V + drive, drive = gain (alpha rest + sum_a s_a W_am + I)        0 while refractory
    x       = exp(V - threshold) dt,  P = 1 - exp(-x)                                chance to fire in the bin
    Zbar    = sum m P + Lambda (1 - sum m),  m = S Z,  Lambda = sum v P / sum v,  v = (1 - S) m     0/0: P of the oldest
    S      <- S (1 - P)

Z is the fraction of a population that fires in a bin. The finite-size correction Lambda (1 - sum m) restores the number of
neurons (Schwalger, Deger, Gerstner 2017; Schmutz, Loecherbach, Schwalger 2023). The loss is the negative log of the joint
density of recorded spikes and latent activity, divided by batches x populations x bins.

scheme "compat": the published discretisation, forward Euler (decay = 1 - alpha dt, gain = dt), P = x below 0.01.
scheme "exact": exponential step (decay = e^(-alpha dt), gain = (1 - decay) / alpha) and P throughout; the default.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Num

from respike.neulvm import kernel
from respike.neulvm.params import Circuit, Scheme, age_bins, bins

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
        return population_means(self.spikes[:, : self.history].mean(1) / self.dt, self.population)

    def beginning(self, circuit: Circuit) -> Circuit:
        """`circuit`, whose simulations start at the rates with which the recording starts."""
        return replace(circuit, typical_rates=tuple(self.early_rates[0].tolist()))

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
    def memory(self) -> kernel.Memory:
        """Memory that the kernel fills anew for each population."""
        n_bins = self.shape[1]
        return kernel.Memory(np.empty((n_bins, 4, self.history)), np.empty((n_bins, 2)))


def population_means(
    values: Num[np.ndarray, "*shape neuron"], population: Int[np.ndarray, " neuron"]
) -> Float[np.ndarray, "*shape population"]:
    """Mean over the recorded neurons of each population."""
    return np.stack([values[..., population == m].mean(-1) for m in range(population.max() + 1)], axis=-1)


@dataclass(frozen=True)
class Stationary:
    """Cohorts of a population at constant input, which has driven the potential towards `h`; by age, the youngest first."""

    h: float  # asymptotic potential
    v: Float[np.ndarray, " age"]  # potential
    l: Float[np.ndarray, " age"]  # log-survival  # noqa: E741  (the paper's letter)
    v_h: Float[np.ndarray, " age"]  # slope of v with respect to h, and so on
    v_alpha: Float[np.ndarray, " age"]
    l_h: Float[np.ndarray, " age"]
    l_alpha: Float[np.ndarray, " age"]
    l_threshold: Float[np.ndarray, " age"]


def constants(circuit: Circuit, dt: float, scheme: Scheme) -> kernel.Constants:
    """The circuit as the kernel wants it, for bins of `dt` seconds."""
    alpha = np.asarray(circuit.mem_rate, dtype=float)
    decay, gain = np.array([step(each, dt, scheme)[:2] for each in alpha.tolist()]).T.copy()
    return kernel.Constants(
        decay, gain, alpha * np.asarray(circuit.rest), math.log(dt) - np.asarray(circuit.threshold),
        np.exp(-np.asarray(circuit.syn_rate) * dt), circuit.weights, np.asarray(circuit.sizes, dtype=np.int64), dt,
        bins(circuit.delay, dt), bins(circuit.refractory, dt), scheme == "compat",
        math.log(2 * (3.14 if scheme == "compat" else math.pi)) / 2,
    )  # fmt: skip


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


def stationary(circuit: Circuit, m: int, h: float, n_ages: int, dt: float, scheme: Scheme) -> Stationary:
    """Cohorts of population m of ages 0, dt, 2 dt, ... when the potential relaxes to h."""
    alpha, threshold, refractory = circuit.mem_rate[m], circuit.threshold[m], circuit.refractory
    if scheme == "compat":
        ages = np.arange(n_ages) * dt
        v, v_h, v_alpha = relax(ages, h, alpha, ages >= refractory - 1e-12)
        l, l_h, l_alpha = _published_survival(h, alpha, threshold, ages, refractory)  # noqa: E741
        l[0] = -np.inf  # published quirk: the youngest cohort of the start is empty
        return Stationary(h, v, l, v_h, v_alpha, l_h, l_alpha, -np.where(np.isfinite(l), l, 0.0))
    resting = bins(refractory, dt)
    ages = np.maximum(np.arange(n_ages + 1) - resting, 0) * dt
    v, v_h, v_alpha = relax(ages, h, alpha, ages > 0)
    x = np.where(ages[1:] > 0, dt * np.exp(np.minimum(v[1:] - threshold, kernel.LARGEST)), kernel.SILENT * dt)
    grown = [-np.concatenate([[0.0], np.cumsum(x * slope)[:-1]]) for slope in (1.0, v_h[1:], v_alpha[1:])]
    return Stationary(h, v[:-1], grown[0], v_h[:-1], v_alpha[:-1], grown[1], grown[2], -grown[0])


def stationary_start(
    circuit: Circuit, rates: Float[np.ndarray, " population"], history: int, dt: float, scheme: Scheme
) -> list[Stationary]:
    """Cohorts of each population when all have fired at `rates` (Hz) for as long as is followed, `history` bins.

    Raises ValueError when that is no longer than a neuron is refractory or a spike travels.
    """
    age_bins("history", history * dt, dt, circuit)
    h = circuit.asymptote(rates)
    return [stationary(circuit, m, float(h[m]), history, dt, scheme) for m in range(len(circuit.sizes))]


def windows(start: Iterable[Stationary], rates: np.ndarray, columns: int, dt: float) -> kernel.Cohorts:
    """Arrays (population, column) whose first columns are the start, oldest cohort first; the others wait to be filled."""
    starts = list(start)
    latent, v = np.zeros((len(starts), columns)), np.zeros((len(starts), columns))
    s = np.ones((len(starts), columns))
    for m, each in enumerate(starts):
        history = len(each.v)
        latent[m, :history] = rates[m] * dt
        v[m, :history], s[m, :history] = each.v[::-1], np.maximum(np.exp(each.l[::-1]), kernel.LEAST_SURVIVAL)
    return kernel.Cohorts(latent, v, s)


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


def neuron_start(last_spike: np.ndarray, trial: Trial, refractory: float, compat: bool) -> tuple[np.ndarray, np.ndarray]:
    """Age of recorded neurons in bins, and the time (s) for which their potential has been free to grow.

    A neuron without a spike in the history has age 0 in the published program, as if it had just fired; here it is old.
    """
    age = np.where(last_spike < 0, 0 if compat else trial.history, last_spike)
    if compat:
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
    ValueError for an activity of another shape than the trial's.
    """
    whole = trial.shape[0], trial.history + trial.shape[1], trial.shape[2]
    if np.shape(latent) != whole:  # the compiled loops do not look
        raise ValueError(
            f"latent has shape {np.shape(latent)}, expected batches, history and fitted bins, populations: {whole}"
        )
    latent = with_history(latent, trial)
    parts = [_batch(circuit, trial, latent[b], b, scheme, drawn) for b in range(trial.shape[0])]
    spikes, of_latent, expected, nll, grad_latent, grad_vector, grad_weights = zip(*parts, strict=True)
    by_batch = (np.stack(arrays) for arrays in (expected, nll, grad_latent))
    return Loss(float(np.sum(spikes)), float(np.sum(of_latent)), *by_batch, sum(grad_vector), sum(grad_weights))


def synapses(
    k: kernel.Constants, latent: Float[np.ndarray, "bin population"], rates: np.ndarray, n_bins: int
) -> Float[np.ndarray, "fitbin population"]:
    """Synaptic activity (Hz) of each population in the last `n_bins` bins; before, all fired at `rates`."""
    columns = (np.ascontiguousarray(latent[:, m]) for m in range(len(k.sizes)))
    traces = [kernel.synaptic_trace(column, rates[m], k.syn_decay[m], k.lag, k.dt, n_bins) for m, column in enumerate(columns)]
    return np.stack(traces, axis=1)


def _batch(circuit: Circuit, trial: Trial, latent: np.ndarray, batch: int, scheme: Scheme, drawn: bool) -> tuple:
    """Loss and gradients of one batch, population by population, added by NumPy: `sum` of Python 3.12 rounds otherwise."""
    n_bins, n_populations = trial.shape[1:]
    rates, k = trial.early_rates[batch], constants(circuit, trial.dt, scheme)
    traces = synapses(k, latent, rates, n_bins)
    current = traces @ circuit.weights + circuit.input_gain * trial.drive[batch]
    start = stationary_start(circuit, rates, trial.history, trial.dt, scheme)
    cohorts = windows(start, rates, trial.history + n_bins, trial.dt)
    cohorts = cohorts._replace(latent=np.ascontiguousarray(latent.T))
    own = [kernel.Cohorts(*parts) for parts in zip(*cohorts, strict=True)]
    parts = [_population(circuit, trial, batch, m, own[m], start[m], k, current[:, m], drawn) for m in range(n_populations)]
    spikes, of_latent, expected, nll, grad_latent, gradients, adj_current, adj_h = map(list, zip(*parts, strict=True))
    adj_current = np.stack(adj_current, axis=1)
    adj_traces = adj_current @ circuit.weights.T
    for m in range(n_populations):
        kernel.synaptic_adjoint(np.ascontiguousarray(adj_traces[:, m]), k.syn_decay[m], k.lag, k.dt, grad_latent[m])
    grad_latent = np.stack(grad_latent, axis=1)
    grad_latent[: trial.history] = 0.0
    # through the asymptotic potential of the start, h = rest + early rates W / alpha
    grad_weights = traces.T @ adj_current + np.outer(rates, np.array(adj_h) / np.asarray(circuit.mem_rate))
    grad_coupling = (grad_weights * np.asarray(circuit.connectivity, dtype=float)).sum(1)
    grad_alpha, grad_rest, grad_threshold = np.array(gradients).T
    grad_vector = np.concatenate([grad_alpha, grad_coupling, grad_rest, grad_threshold])
    return np.sum(spikes), np.sum(of_latent), np.stack(expected, 1), np.stack(nll, 1), grad_latent, grad_vector, grad_weights


def _population(
    circuit: Circuit, trial: Trial, batch: int, m: int, cohorts: kernel.Cohorts, start: Stationary, k: kernel.Constants,
    current: np.ndarray, drawn: bool,
) -> tuple:  # fmt: skip
    """Loss of population m, its adjoints of latent, (alpha, rest, threshold), current, and asymptotic potential."""
    history, alpha, gain = trial.history, circuit.mem_rate[m], k.gain[m]
    _, _, decay_alpha, gain_alpha = step(alpha, trial.dt, "compat" if k.compat else "exact")
    pull = (trial.early_rates[batch] @ circuit.weights)[m] / alpha
    mine = np.flatnonzero(trial.population == m)
    age, free = neuron_start(trial.last_spike[batch, mine], trial, circuit.refractory, k.compat)
    v0, v0_h, v0_alpha = relax(free, start.h, alpha, free > 0)
    neurons = kernel.Neurons(np.ascontiguousarray(trial.spikes[batch, history:][:, mine]), v0, age)
    spikes, of_latent, expected, nll, adj, of_decay, of_offset = kernel.population(
        cohorts, neurons, gain * (k.pull[m] + current), kernel.cells(m, k), 1 / math.prod(trial.shape), drawn, trial.memory
    )
    adj_v, adj_l = adj.v[:history][::-1], np.where(np.isfinite(start.l), adj.l[:history][::-1], 0.0)
    adj_h = adj_v @ start.v_h + adj_l @ start.l_h + adj.potential @ v0_h
    of_drive, of_gain = adj.drive.sum(), adj.drive @ (k.pull[m] + current)
    of_alpha = (
        of_decay * decay_alpha + of_gain * gain_alpha + gain * circuit.rest[m] * of_drive
        + adj_v @ start.v_alpha + adj_l @ start.l_alpha + adj.potential @ v0_alpha - adj_h * pull / alpha
    )  # fmt: skip
    gradients = of_alpha, gain * alpha * of_drive + adj_h, -of_offset + adj_l @ start.l_threshold
    return spikes, of_latent, expected, nll, adj.latent, gradients, gain * adj.drive, adj_h
