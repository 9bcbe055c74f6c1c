"""Loss of the mesoscopic model and its exact gradients in one pass forward and one backward, compiled.

Given the latent activity, the populations do not interact: each is driven by the known activity of all. So one population
is followed at a time. A cohort is the set of neurons that fired in the same bin; cohort j lives in column j of the arrays
for as long as it is no older than the history, so that ageing moves nothing. All cohorts of a population see the same
affine map of the potential, V <- decay V + drive, which makes the inner loops a few vector operations and two exponentials.

Sums are taken in order: letting the compiler reorder them made the last digit depend on where the arrays lay in memory.

The adjoint follows from the equations of `model` by hand; tests compare it with torch's automatic differentiation.
"""

import math

import numpy as np

from respike.core.compiled import njit

LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
MAGIC = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits
LARGEST = 690.0  # exponents are kept inside what a float64 can hold without becoming denormal
SILENT = 1e-8  # Hz, hazard of a refractory cell (published value; keeps logarithms finite)
LEAST_RATE = 0.1  # Hz, floor of the variance of the population activity (published value)
SWITCH = 0.01  # below, the published program takes P(spike) = x instead of 1 - exp(-x)
FEW = 1e-60  # sums of weights below this count as zero


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
def advance(latent, v, s, c, decay, drive, offset, silent, refractory, compat, kept, work):
    """Expected fraction of firing neurons in bin c, before it is cut to [0, 1]; ages the cohorts c .. c + history - 1.

    latent, v, s[column]: activity in the past, potential and survival of the cohorts. kept[0..3, cohort] receives the
    potential before the step, survival, x = hazard * dt and P(spike); work[0..2, cohort] is scratch.
    Also returned: Lambda, and the missing neurons / sum of v, which the adjoint needs.
    """
    history = kept.shape[1]
    before, survival, x, p = kept[0], kept[1], kept[2], kept[3]
    arg, scratch, survive = work[0], work[1], work[2]
    active = history - refractory
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
        p[i] = x[i] if compat and x[i] < SWITCH else 1 - survive[i]
        m = survival[i] * latent[c + i]
        weight = (1 - survival[i]) * m
        fired += m * p[i]
        present += m
        v_sum += weight
        v_fired += weight * p[i]
        s[c + i] = max(survival[i] * survive[i], 1e-100)
    mean = v_fired / v_sum if v_sum > FEW else 0.0
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
def _forward(latent, v, s, decay, drive, offset, silent, refractory, compat, kept, kept_sums, expected):
    """`advance` through all fit bins; kept[bin] and kept_sums[bin] are for the adjoint."""
    work = np.empty((3, kept.shape[2]))
    for c in range(len(expected)):
        expected[c], kept_sums[c, 0], kept_sums[c, 1] = advance(
            latent, v, s, c, decay, drive[c], offset, silent, refractory, compat, kept[c], work
        )


@njit(error_model="numpy")
def _backward(latent, adj_expected, decay, refractory, compat, kept, kept_sums, adj_latent, adj_v, adj_l, adj_drive):
    """Adjoint of `_forward`. adj_v and adj_l end as the adjoints of the initial potential and log-survival.

    Returns the adjoints of decay and offset.
    """
    history = kept.shape[2]
    active = history - refractory
    adj_x = np.empty(history)
    adj_decay, adj_offset = 0.0, 0.0
    for c in range(len(adj_expected) - 1, -1, -1):
        before, survival, x, p = kept[c, 0], kept[c, 1], kept[c, 2], kept[c, 3]
        g, mean, slope = adj_expected[c], kept_sums[c, 0], kept_sums[c, 1]
        for i in range(history):
            weight = 1 + slope * (1 - survival[i])
            excess = g * (p[i] - mean)
            m = survival[i] * latent[c + i]
            derivative = 1.0 if compat and x[i] < SWITCH else 1 - p[i]
            adj_latent[c + i] += excess * weight * survival[i]
            adj_x[i] = g * m * weight * derivative - adj_l[c + i]
            adj_l[c + i] += excess * m * (weight - slope * survival[i])
        total = 0.0
        for i in range(active):
            through = adj_x[i] * x[i]
            adj_offset += through
            through += adj_v[c + i]
            adj_decay += through * before[i]
            total += through
            adj_v[c + i] = decay * through
        adj_drive[c] = total
        for i in range(active, history):
            adj_v[c + i] = 0.0
    return adj_decay, adj_offset


@njit(error_model="numpy")
def _observed(fired, v0, age0, decay, drive, offset, silent, refractory, compat, scale, adj_drive):
    """Negative log-likelihood (times scale) of one neuron's spikes in the fit bins; its adjoint of the drive is added.

    Returns loss and the adjoints of decay, offset and initial potential.
    """
    n_bins = len(drive)
    before, slope, held = np.empty(n_bins), np.zeros(n_bins), np.zeros(n_bins, np.bool_)
    loss, adj_decay, adj_offset, adj_offset_held, v, age = 0.0, 0.0, 0.0, 0.0, v0, age0
    for c in range(n_bins):
        before[c] = v
        held[c] = age < refractory
        if held[c]:
            v, x, log_p = 0.0, silent, offset  # as the published program scores a spike in the refractory time
            adj_offset_held += -scale if fired[c] else 0.0
        else:
            v = decay * v + drive[c]
            x = math.exp(min(v + offset, LARGEST))
            small = compat and x < SWITCH
            log_p = v + offset if small else math.log(-math.expm1(-x))
            rise = 1.0 if small else x / math.expm1(x)
            slope[c] = -scale * (rise if fired[c] else -x)
        loss -= scale * (log_p if fired[c] else -x)
        age += 1
        if fired[c]:
            v, age = 0.0, 0
    adj = 0.0
    for c in range(n_bins - 1, -1, -1):
        if fired[c] or held[c]:
            adj = 0.0  # a spike or the refractory time sets the potential to 0 whatever it was
        adj += slope[c]
        adj_offset += slope[c]
        if not held[c]:
            adj_decay += adj * before[c]
            adj_drive[c] += adj
            adj *= decay
    return loss, adj_decay, adj_offset + adj_offset_held, adj


@njit(error_model="numpy")
def _density(latent, expected, size, least, log_norm, scale, nll, adj_latent, adj_expected):
    """Negative log-density of the latent activity given what is expected, per bin; adjoints of its mean times scale.

    Gaussian; the variance is that of a Poisson number of neurons, plus the share `least` of them.
    """
    for c in range(len(expected)):
        raw = expected[c]
        mean = min(max(raw, 0.0), 1.0)
        variance = mean / size + least / size
        error = latent[c] - mean
        nll[c] = error**2 / (2 * variance) + math.log(variance) / 2 + log_norm
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
    """Synaptic activity (Hz) of one population in each fit bin: the rate, delayed by one bin and `lag`, low-passed."""
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
def population(
    latent,
    v,
    s,
    spikes,
    v0,
    age0,
    decay,
    drive,
    offset,
    silent,
    size,
    dt,
    log_norm,
    scale,
    refractory,
    compat,
    drawn,
    kept,
    kept_sums,
):
    """Loss of one population in one batch, and its adjoints.

    latent[column], v and s[column]: potential and survival of the cohorts of the history, 0 and 1 for later ones;
    spikes[fit bin, neuron], v0 and age0[neuron]; drive[fit bin].
    `drawn`: the latent activity is one that the model drew, and its density is that of `draw`.
    Returns loss of the spikes, loss of the latent activity, expected and nll per fit bin, and the adjoints of latent,
    cohort potentials, cohort log-survivals, drive, neuron potentials, and (decay, offset).
    """
    n_bins, columns = len(drive), len(latent)
    history = columns - n_bins
    expected, nll, adj_expected, adj_drive = np.empty(n_bins), np.empty(n_bins), np.empty(n_bins), np.empty(n_bins)
    adj_latent, adj_v, adj_l = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    _forward(latent, v, s, decay, drive, offset, silent, refractory, compat, kept, kept_sums, expected)
    if drawn and not compat:
        _binomial(latent[history:], expected, size, scale, nll, adj_latent[history:], adj_expected)
    else:
        least = 0.0 if drawn else LEAST_RATE * dt
        _density(latent[history:], expected, size, least, log_norm, scale, nll, adj_latent[history:], adj_expected)
    of_decay, of_offset = _backward(
        latent, adj_expected, decay, refractory, compat, kept, kept_sums, adj_latent, adj_v, adj_l, adj_drive
    )
    loss_spikes = 0.0
    adj_v0 = np.empty(len(v0))
    for i in range(len(v0)):
        loss, more_decay, more_offset, adj_v0[i] = _observed(
            spikes[:, i], v0[i], age0[i], decay, drive, offset, silent, refractory, compat, scale, adj_drive
        )
        loss_spikes += loss
        of_decay += more_decay
        of_offset += more_offset
    return (
        loss_spikes, nll.sum() * scale, expected, nll, adj_latent, adj_v, adj_l, adj_drive, adj_v0, of_decay, of_offset
    )  # fmt: skip
