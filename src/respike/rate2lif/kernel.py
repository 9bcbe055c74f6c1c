"""The equations of the LIF network, once, in a compiled loop over steps, cells and synapses. Times in s, voltages in mV.

Step i ends at t = (i + 1) dt. With u the column of the stimulus at t and last_j the time of cell j's last spike,

    v_j <- v_j + dt [t > last_j + refractory] (total_j - v_j) / tau_membrane + noise_j,   total_j = current_j + bias + W_in u

(for the quadratic neuron v_j^2 + total_j in place of total_j - v_j). Cells at or above threshold fire and are reset. A spike
of cell k adds W_jk / (rise tau_j) to rise_j and 1 / (rise tau_k) to filtered_rise_k, with tau the decay constant of a cell:

    current_j <- current_j exp(-dt / tau_j) + dt rise_j,    rise_j <- rise_j exp(-dt / rise)

and likewise for the filtered spikes, which the output weights read. Without a rise time, spikes add to `current` and
`filtered` themselves.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from respike.compiled import njit


class Constants(NamedTuple):
    """Numbers that all cells share."""

    dt: float  # s
    tau_membrane: float  # s
    refractory: float  # s
    threshold: float  # mV
    reset: float  # mV
    bias: float  # mV
    peak: float  # mV, recorded at a spike
    noise: float  # mV, sd per step
    fade_rise: float  # factor by which a rising synapse decays in a step
    quadratic: bool  # quadratic neuron in place of the leaky one
    single: bool  # single-exponential synapses
    steps_per_column: int  # of the stimulus


class Cells(NamedTuple):
    """The network, per step and per spike."""

    jump: Float[np.ndarray, "sender receiver"]  # what a spike adds to the synapses
    unit: Float[np.ndarray, " cell"]  # what a spike adds to the cell's filtered spikes
    fade: Float[np.ndarray, " cell"]  # factor by which synapses decay in a step
    w_out: Float[np.ndarray, " cell"]
    columns: Float[np.ndarray, "column cell"]  # W_in u
    stimulated: Float[np.ndarray, " cell"]  # 1 for cells that the stimulation pushes


class State(NamedTuple):
    """What the loop changes in place, an array each: for rows of one array the compiler makes no vector instructions."""

    v: Float[np.ndarray, " cell"]  # mV
    last: Float[np.ndarray, " cell"]  # s, time of the last spike
    current: Float[np.ndarray, " cell"]  # synaptic current
    rise: Float[np.ndarray, " cell"]
    filtered: Float[np.ndarray, " cell"]  # filtered spikes, 1/s
    filtered_rise: Float[np.ndarray, " cell"]


class Records(NamedTuple):
    """What the loop writes: the output of each step, and every so many steps (0: never) voltage, filtered spikes, current."""

    output: Float[np.ndarray, " step"]
    states: Float[np.ndarray, "3 record cell"]
    every: int


# The compiled loop may add the terms of a sum in any order; nothing else about the arithmetic is loosened.
arithmetic = {"fastmath": {"reassoc", "contract"}, "error_model": "numpy"}
compiled = njit(**arithmetic)
part = njit(inline="always", **arithmetic)  # of the compiled loop: becomes vector instructions there, without a call


@compiled
def advance(state, records, cells, constants, first, noise, push):
    """Advance `state` by the steps of `noise` (step, cell), the first of which is step `first`; write `records`.

    `push` (step) is what the stimulation adds. Returns the spikes, rows step and cell. Arrays are read by two indices,
    because a row cut out in each step costs a count of references.
    """
    dt, tau_membrane, refractory, threshold, reset, bias, peak, sd, fade_rise, quadratic, single, per_column = constants
    jump, unit, fade, w_out, columns, stimulated = cells
    v, last, current, rise, filtered, filtered_rise = state
    synapse, trace = (current, filtered) if single else (rise, filtered_rise)
    spikes, n_spikes = np.empty((2, 1024), dtype=np.int64), 0
    fired = np.empty(len(v), dtype=np.int64)
    for i in range(len(noise)):
        step = first + i
        now = dt * (step + 1)
        column = int(np.floor((step + 1) / per_column + 0.5))  # round half up
        recorded = step // records.every if records.every > 0 and step % records.every == 0 else -1
        if recorded >= 0:
            _keep(records.states, 2, recorded, current)
        for j in range(len(v)):
            total = current[j] + bias + columns[column, j]
            slope = (v[j] * v[j] + total if quadratic else total - v[j]) / tau_membrane
            free = 1.0 if now > last[j] + refractory else 0.0
            v[j] = v[j] + dt * (free * slope) + noise[i, j] * sd + push[i] * stimulated[j]
        n_fired = _above(v, threshold, fired)
        _decay(current, rise, fade, fade_rise, dt, single)
        _decay(filtered, filtered_rise, fade, fade_rise, dt, single)
        if n_spikes + n_fired > spikes.shape[1]:
            spikes = _larger(spikes, n_spikes + n_fired)
        for k in range(n_fired):
            sender = fired[k]
            _add(synapse, jump, sender)
            trace[sender] += unit[sender]
            last[sender] += now - last[sender]  # the published form, whose rounding decides the last refractory step
            v[sender] = peak
            spikes[0, n_spikes], spikes[1, n_spikes] = step, sender
            n_spikes += 1
        records.output[step] = _dot(w_out, filtered)
        if recorded >= 0:
            _keep(records.states, 0, recorded, v)
            _keep(records.states, 1, recorded, filtered)
        for k in range(n_fired):
            v[fired[k]] = reset
    return spikes[:, :n_spikes].copy()


@part
def _above(v, threshold, fired):
    """Write the cells at or above threshold into `fired`; returns their number."""
    count = 0
    for j in range(len(v)):
        count += v[j] >= threshold
    if count == 0:  # in most steps, and counting is much faster than noting
        return 0
    count = 0
    for j in range(len(v)):
        if v[j] >= threshold:
            fired[count] = j
            count += 1
    return count


@part
def _add(values, rows, row):
    """Add a row of `rows` to `values`."""
    for j in range(len(values)):
        values[j] += rows[row, j]


@part
def _keep(states, kind, record, values):
    """Copy `values` into `states`; assigning a slice would take a second to compile."""
    for j in range(len(values)):
        states[kind, record, j] = values[j]


@part
def _decay(value, rise, fade, fade_rise, dt, single):
    """One step of a synaptic filter, before the spikes of this step join."""
    if single:
        for j in range(len(value)):
            value[j] *= fade[j]
    else:
        for j in range(len(value)):
            value[j] = value[j] * fade[j] + rise[j] * dt
            rise[j] *= fade_rise


@part
def _dot(weights, values):
    """Sum of products; numpy's would call BLAS, which costs more than it saves at this size."""
    total = 0.0
    for j in range(len(values)):
        total += weights[j] * values[j]
    return total


@compiled
def _larger(spikes, needed):
    """A copy of `spikes` with room for more than the `needed` ones."""
    larger = np.empty((2, 2 * needed), dtype=np.int64)
    for row in range(2):
        for k in range(spikes.shape[1]):
            larger[row, k] = spikes[row, k]
    return larger
