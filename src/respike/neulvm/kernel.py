"""Loss of the mesoscopic model and its exact gradients in one pass forward and one backward, compiled.

Given the latent activity, the populations do not interact: each is driven by the known activity of all. So one population
is followed at a time. A cohort is the set of neurons that fired in the same bin; cohort j lives in column j of the arrays
for as long as it is no older than the history, so that ageing moves nothing. All cohorts of a population see the same
affine map of the potential, V <- decay V + drive, which makes the inner loops a few vector operations and two exponentials.

Sums are taken in order: letting the compiler reorder them made the last digit depend on where the arrays lay in memory.

The adjoint follows from the equations of `model` by hand; tests compare it with torch's automatic differentiation.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from respike.compiled import njit

LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits
LARGEST = 690.0  # exponents are kept inside what a float64 can hold without becoming denormal
SILENT = 1e-8  # Hz, hazard of a refractory cell (published value; keeps logarithms finite)
LEAST_RATE = 0.1  # Hz, floor of the variance of the population activity (published value)
SWITCH = 0.01  # below, the published program takes P(spike) = x instead of 1 - exp(-x)
FEW = 1e-60  # sums of weights below this count as zero
LEAST_SURVIVAL = 1e-100  # keeps logarithms of the survival finite


class Constants(NamedTuple):
    """A circuit in bins of one length: what does not change from bin to bin. Arrays have one entry per population."""

    decay: Float[np.ndarray, " population"]  # of the potential
    gain: Float[np.ndarray, " population"]  # s, potential per potential/s of input
    pull: Float[np.ndarray, " population"]  # potential/s, of the resting potential
    offset: Float[np.ndarray, " population"]  # log(hazard dt) at potential 0
    syn_decay: Float[np.ndarray, " population"]  # of the synaptic activity, by presynaptic population
    weights: Float[np.ndarray, "population population"]
    sizes: Int[np.ndarray, " population"]
    dt: float  # s
    lag: int  # bins, synaptic delay
    refractory: int  # bins
    compat: bool  # the published scheme
    log_norm: float  # of a Gaussian density


class Cells(NamedTuple):
    """The constants of one population; numbers only, which cost the inner loops nothing."""

    decay: float
    offset: float
    size: int
    dt: float  # s
    refractory: int  # bins
    compat: bool
    log_norm: float


class Cohorts(NamedTuple):
    """A population by the bin in which its neurons fired last: columns of the history, then of the fitted bins."""

    latent: Float[np.ndarray, " column"]  # fraction that fires
    v: Float[np.ndarray, " column"]  # potential
    s: Float[np.ndarray, " column"]  # survival


class Neurons(NamedTuple):
    """The recorded neurons of a population: spikes in the fitted bins, potential and age (bins) at their start."""

    spikes: Int[np.ndarray, "fitbin neuron"]
    potential: Float[np.ndarray, " neuron"]
    age: Int[np.ndarray, " neuron"]


class Memory(NamedTuple):
    """What the adjoint needs of each bin: potential, survival, x and P(spike) by age; Lambda and its slope."""

    ages: Float[np.ndarray, "fitbin 4 age"]
    sums: Float[np.ndarray, "fitbin 2"]


class Adjoints(NamedTuple):
    """Slopes of the loss, filled on the way back."""

    latent: Float[np.ndarray, " column"]
    v: Float[np.ndarray, " column"]
    l: Float[np.ndarray, " column"]  # of the log-survival  # noqa: E741
    drive: Float[np.ndarray, " fitbin"]
    potential: Float[np.ndarray, " neuron"]


@njit(error_model="numpy")
def vector_exp(x, out, scratch, n):
    """exp of the first n entries of x to 1e-15 relative, arguments clamped to +-LARGEST; four times a call of exp."""
    bits = scratch.view(np.int64)
    for i in range(n):
        out[i] = min(max(x[i], -LARGEST), LARGEST)
        scratch[i] = out[i] * LOG2E + MAGIC
    for i in range(n):
        power = scratch[i] - MAGIC
        r = (out[i] - power * LN2_HIGH) - power * LN2_LOW
        p = 1 / 479001600 + r * (1 / 6227020800)
        p = 1 / 362880 + r * (1 / 3628800 + r * (1 / 39916800 + r * p))
        p = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * (1 / 40320 + r * p)))
        out[i] = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * p))))
    for i in range(n):
        bits[i] = (bits[i] << 52) + (np.int64(1023) << 52)
    for i in range(n):
        out[i] *= scratch[i]


@njit(error_model="numpy")
def cells(m, k):
    """Population m of all constants k."""
    return Cells(k.decay[m], k.offset[m], k.sizes[m], k.dt, k.refractory, k.compat, k.log_norm)


@njit(error_model="numpy")
def advance(latent, v, s, c, drive, k, ages, work):
    """Expected fraction of a population that fires in bin c, before it is cut to [0, 1]; ages the cohorts of that bin.

    latent, v, s[column]: activity in the past, potential and survival of the cohorts, of which c .. c + history - 1 count.
    `drive`: gain (alpha rest + input). ages[0..3, cohort] receives the potential before the step, survival, x = hazard * dt
    and P(spike); work[0..2, cohort] is scratch. Also returned: Lambda, and the missing neurons / sum of v (for the adjoint).
    When nobody has fired for as long as is followed, all are missing and fire as the oldest cohort does (in compat never).
    """
    history = ages.shape[1]
    before, survival, x, p = ages[0], ages[1], ages[2], ages[3]
    arg, scratch, survive = work[0], work[1], work[2]
    decay, offset, silent = k.decay, k.offset, SILENT * k.dt
    active = max(history - k.refractory, 0)  # the older cohorts come first
    for i in range(history):
        before[i] = v[c + i]
        survival[i] = s[c + i]
    for i in range(active):
        v[c + i] = decay * v[c + i] + drive
        arg[i] = min(v[c + i] + offset, 6.5)  # x <= 665: nobody survives
    vector_exp(arg, x, scratch, active)
    for i in range(active, history):
        v[c + i] = 0.0
        x[i] = silent
    for i in range(history):
        arg[i] = -x[i]
    vector_exp(arg, survive, scratch, history)
    fired, present, v_sum, v_fired = 0.0, 0.0, 0.0, 0.0
    for i in range(history):
        p[i] = x[i] if k.compat and x[i] < SWITCH else 1 - survive[i]
        mass = survival[i] * latent[c + i]
        weight = (1 - survival[i]) * mass
        fired += mass * p[i]
        present += mass
        v_sum += weight
        v_fired += weight * p[i]
        s[c + i] = max(survival[i] * survive[i], LEAST_SURVIVAL)
    mean = v_fired / v_sum if v_sum > FEW else (0.0 if k.compat else p[0])
    slope = (1 - present) / v_sum if v_sum > FEW else 0.0
    return fired + mean * (1 - present), mean, slope


@njit(error_model="numpy")
def draw(rng, expected, size, compat):
    """Fraction of `size` neurons that fires: binomial, in compat Gaussian with the mean as variance and cut at 0."""
    p = min(max(expected, 0.0), 1.0)
    if compat:
        return max(0.0, rng.normal(p, math.sqrt(p / size)))
    return rng.binomial(size, p) / size


@njit(error_model="numpy")
def low_pass(synapse, activity, k):
    """Synaptic activity (Hz) of all populations, one bin later; `activity`: fraction that fired, a delay ago."""
    for m in range(len(synapse)):
        synapse[m] = k.syn_decay[m] * synapse[m] + (1 - k.syn_decay[m]) * activity[m] / k.dt


@njit(error_model="numpy")
def hazard(potential, offset):
    """x = hazard dt of a cell that is free to fire."""
    return math.exp(min(potential + offset, LARGEST))


@njit(error_model="numpy")
def log_spike(x, log_x, compat):
    """log P(spike)."""
    return log_x if compat and x < SWITCH else math.log(-math.expm1(-x))


@njit(error_model="numpy")
def _forward(cohorts, drive, k, memory, expected):
    """`advance` through all fitted bins; what the adjoint needs goes to `memory`."""
    work = np.empty((3, memory.ages.shape[2]))
    latent, v, s = cohorts
    for c in range(len(expected)):
        expected[c], memory.sums[c, 0], memory.sums[c, 1] = advance(latent, v, s, c, drive[c], k, memory.ages[c], work)


@njit(error_model="numpy")
def _backward(latent, adj_expected, k, memory, adj):
    """Adjoint of `_forward`. adj.v and adj.l end as the adjoints of the initial potential and log-survival.

    Returns the adjoints of decay and offset.
    """
    history = memory.ages.shape[2]
    active = max(history - k.refractory, 0)
    adj_x = np.empty(history)
    adj_decay, adj_offset = 0.0, 0.0
    for c in range(len(adj_expected) - 1, -1, -1):
        before, survival, x, p = memory.ages[c, 0], memory.ages[c, 1], memory.ages[c, 2], memory.ages[c, 3]
        g, mean, slope = adj_expected[c], memory.sums[c, 0], memory.sums[c, 1]
        for i in range(history):
            weight = 1 + slope * (1 - survival[i])
            excess = g * (p[i] - mean)
            mass = survival[i] * latent[c + i]
            derivative = 1.0 if k.compat and x[i] < SWITCH else 1 - p[i]
            adj.latent[c + i] += excess * weight * survival[i]
            adj_x[i] = g * mass * weight * derivative - adj.l[c + i]
            adj.l[c + i] += excess * mass * (weight - slope * survival[i])
        if slope == 0.0 and not k.compat:  # Lambda is P of the oldest cohort
            adj_x[0] += g * (1 - (survival * latent[c : c + history]).sum()) * (1 - p[0])
        total = 0.0
        for i in range(active):
            through = adj_x[i] * x[i]
            adj_offset += through
            through += adj.v[c + i]
            adj_decay += through * before[i]
            total += through
            adj.v[c + i] = k.decay * through
        adj.drive[c] = total
        for i in range(active, history):
            adj.v[c + i] = 0.0
    return adj_decay, adj_offset


@njit(error_model="numpy")
def _observed(fired, potential, age, drive, k, scale, adj_drive):
    """Negative log-likelihood (times scale) of one neuron's spikes in the fitted bins; its adjoint of the drive is added.

    Returns loss and the adjoints of decay, offset and initial potential.
    """
    n_bins, decay, offset = len(drive), k.decay, k.offset
    before, slope, resting = np.empty(n_bins), np.zeros(n_bins), np.zeros(n_bins, np.bool_)
    loss, adj_decay, adj_offset, adj_offset_resting, v = 0.0, 0.0, 0.0, 0.0, potential
    for c in range(n_bins):
        before[c] = v
        resting[c] = age < k.refractory
        if resting[c]:
            v, x, log_p = 0.0, SILENT * k.dt, offset  # as the published program scores a spike in the refractory time
            adj_offset_resting += -scale if fired[c] else 0.0
        else:
            v = decay * v + drive[c]
            x = hazard(v, offset)
            log_p = log_spike(x, v + offset, k.compat)
            rise = 1.0 if k.compat and x < SWITCH else x / math.expm1(x)
            slope[c] = -scale * (rise if fired[c] else -x)
        loss -= scale * (log_p if fired[c] else -x)
        age += 1
        if fired[c]:
            v, age = 0.0, 0
    adj = 0.0
    for c in range(n_bins - 1, -1, -1):
        if fired[c] or resting[c]:
            adj = 0.0  # a spike or the refractory time sets the potential to 0 whatever it was
        adj += slope[c]
        adj_offset += slope[c]
        if not resting[c]:
            adj_decay += adj * before[c]
            adj_drive[c] += adj
            adj *= decay
    return loss, adj_decay, adj_offset + adj_offset_resting, adj


@njit(error_model="numpy")
def _density(latent, expected, least, k, scale, nll, adj_latent, adj_expected):
    """Negative log-density of the latent activity given what is expected, per bin; adjoints of its mean times scale.

    Gaussian; the variance is that of a Poisson number of neurons, plus the share `least` of them.
    """
    size = k.size
    for c in range(len(expected)):
        raw = expected[c]
        mean = min(max(raw, 0.0), 1.0)
        variance = mean / size + least / size
        error = latent[c] - mean
        nll[c] = error**2 / (2 * variance) + math.log(variance) / 2 + k.log_norm
        adj_latent[c] = scale * error / variance
        adj_expected[c] = scale * (-error + (1 - error**2 / variance) / (2 * size)) / variance
        if raw != mean:
            adj_expected[c] = 0.0
        expected[c] = mean


@njit(error_model="numpy")
def _binomial(latent, expected, size, scale, nll, adj_latent, adj_expected):
    """As `_density`, of a binomial number of firing neurons and but for a term that no parameter changes.

    The activity counts as given: its adjoint is that of the terms here.
    """
    for c in range(len(expected)):
        p = min(max(expected[c], FEW), 1 - 1e-12)
        nll[c] = -size * (latent[c] * math.log(p) + (1 - latent[c]) * math.log1p(-p))
        adj_latent[c] = -scale * size * (math.log(p) - math.log1p(-p))
        adj_expected[c] = -scale * size * (latent[c] - p) / (p * (1 - p)) if expected[c] == p else 0.0
        expected[c] = p


@njit(error_model="numpy")
def synaptic_trace(latent, start, decay, lag, dt, n_bins):
    """Synaptic activity (Hz) of one population in each fitted bin: the rate, delayed by one bin and `lag`, low-passed."""
    trace = np.empty(n_bins)
    history = len(latent) - n_bins
    s = start
    for c in range(n_bins):
        if c > lag:
            s = decay * s + (1 - decay) * latent[history + c - lag - 1] / dt
        trace[c] = s
    return trace


@njit(error_model="numpy")
def synaptic_adjoint(adj_trace, decay, lag, dt, adj_latent):
    """Adjoint of `synaptic_trace`, added to adj_latent (all columns)."""
    n_bins = len(adj_trace)
    history = len(adj_latent) - n_bins
    adj = 0.0
    for c in range(n_bins - 1, -1, -1):
        adj += adj_trace[c]
        if c > lag:
            adj_latent[history + c - lag - 1] += (1 - decay) / dt * adj
            adj *= decay


@njit(error_model="numpy")
def population(cohorts, neurons, drive, k, scale, drawn, memory):
    """Loss of one population in one batch, and its adjoints.

    `drawn`: the latent activity is one that the model drew, and its density is that of `draw`.
    Returns loss of the spikes, loss of the latent activity, expected and nll per fitted bin, the adjoints, and those of
    decay and offset.
    """
    n_bins, columns, n_neurons = len(drive), len(cohorts.latent), len(neurons.age)
    history = columns - n_bins
    now = cohorts.latent[history:]
    expected, nll, adj_expected = np.empty(n_bins), np.empty(n_bins), np.empty(n_bins)
    adj = Adjoints(np.zeros(columns), np.zeros(columns), np.zeros(columns), np.empty(n_bins), np.empty(n_neurons))
    _forward(cohorts, drive, k, memory, expected)
    if drawn and not k.compat:
        _binomial(now, expected, k.size, scale, nll, adj.latent[history:], adj_expected)
    else:
        least = 0.0 if drawn else LEAST_RATE * k.dt
        _density(now, expected, least, k, scale, nll, adj.latent[history:], adj_expected)
    of_decay, of_offset = _backward(cohorts.latent, adj_expected, k, memory, adj)
    loss_spikes = 0.0
    for i in range(n_neurons):
        loss, more_decay, more_offset, adj.potential[i] = _observed(
            neurons.spikes[:, i], neurons.potential[i], neurons.age[i], drive, k, scale, adj.drive
        )
        loss_spikes += loss
        of_decay += more_decay
        of_offset += more_offset
    return loss_spikes, nll.sum() * scale, expected, nll, adj, of_decay, of_offset
