"""The networks of model.py fused into compiled loops, with a hand-written adjoint.

One pass over time with the batch inside. In each step two thin products carry everything between cells: z into, which
brings inputs and modes to the cells, and r out_of, which reads modes and outputs from them. A row of z holds, for one trial,
inputs, modes and outputs side by side; the parts of `into` that belong to outputs, and of `out_of` that belong to inputs,
are zero. Kept for the adjoint are z, the membrane before reset and, of spiking cells, one byte of flags per cell and step.
"""

from typing import NamedTuple

import numpy as np
import torch

from respike.compiled import njit
from respike.modes.params import A_DECAY, A_INPUT, DT, RATE_CELLS, REFRACTORY_STEPS, SLOPE, Filter, Leak

compiled = njit(error_model="numpy")  # without checks of divisors, which would keep the loops scalar
SPIKED, FREE = np.uint8(1), np.uint8(2)  # flags of a neuron in a step: it fired; it was not refractory


class Constants(NamedTuple):
    """Numbers of the equations of model.py, in single precision."""

    a_input: np.float32
    a_membrane: np.float32
    b_membrane: np.float32  # share of the current in the membrane: 1 - A_MEMBRANE, or a `Leak`'s
    a_rise: np.float32
    a_decay: np.float32
    step_h: np.float32
    step_r: np.float32
    slope: np.float32  # of the surrogate derivative
    by_count: bool  # refractory time in steps; else in seconds, rounded as in the published program
    rate: bool  # tanh cells, which have none but the second and the third of these


def constants(cells: Filter | Leak, by_count: bool = False) -> Constants:
    """Constants of a network of spiking cells with a synaptic filter, or of tanh cells with a leak."""
    rate = isinstance(cells, Leak)
    (rise, step_h, step_r), leak = (Filter(0.0, 0.0, 0.0), cells) if rate else (cells, RATE_CELLS["leaky"])
    coefficients = A_INPUT, *leak, rise, A_DECAY, step_h, step_r, SLOPE
    return Constants(*map(np.float32, coefficients), by_count, rate)


class State(NamedTuple):
    """Variables of all cells of all trials that a step changes in place."""

    v: np.ndarray
    current: np.ndarray
    h: np.ndarray
    last: np.ndarray  # time of the last spike
    r: np.ndarray


class Adjoint(NamedTuple):
    """Gradients of the loss by the variables of all cells of all trials, which a step backwards changes in place."""

    r: np.ndarray
    v: np.ndarray
    s: np.ndarray
    h: np.ndarray
    drive: np.ndarray


@compiled
def _spiking_forward(u, before, flag, state, arriving, clock, c):
    """One step of all spiking cells: membrane before reset `u` and flags, of the current that arrives.

    `before` and `flag` are the flags of the step before and of this one; `clock` is the time now and the refractory time.
    """
    v, current, h, last, r = state.v, state.current, state.h, state.last, state.r
    now, wait = clock
    one = np.float32(1)
    for i in range(u.size):
        fired = np.float32(before[i] & SPIKED)
        current[i] = c.a_input * current[i] + arriving[i]
        free = np.float32(now > last[i] + wait)
        u[i] = free * (c.a_membrane * v[i] + c.b_membrane * current[i])
        h[i] = c.a_rise * h[i] + c.step_h * fired
        r[i] = c.a_decay * r[i] + c.step_r * h[i]
        v[i] = u[i] * (one - fired)
        spike = np.float32(v[i] > one)
        # the sum is not simply `now`: in single precision it decides whether the refractory time lasts 5 or 6 steps
        last[i] = last[i] + (now - last[i]) * spike
        flag[i] = np.uint8(spike) + FREE * np.uint8(free)


@compiled
def _tanh(x):
    """tanh to three roundings, without a branch: Lambert's continued fraction for x / 4, and tanh 2x of tanh x twice."""
    one, two, most = np.float32(1), np.float32(2), np.float32(9.2)
    x = most if x > most else x
    x = np.float32(0.25) * (-most if x < -most else x)
    s = x * x
    above = np.float32(135135) + s * (np.float32(17325) + s * (np.float32(378) + s))
    below = np.float32(135135) + s * (np.float32(62370) + s * (np.float32(3150) + np.float32(28) * s))
    t = x * above / below
    t = two * t / (one + t * t)
    return two * t / (one + t * t)


@compiled
def _rate_forward(u, state, arriving, c):
    v, r = state.v, state.r
    for i in range(u.size):
        v[i] = c.a_membrane * v[i] + c.b_membrane * arriving[i]
        u[i] = v[i]
        r[i] = _tanh(v[i])


@compiled
def _raise_peaks(peak, at, r, step):
    """Largest R so far, and the step in which it was reached, the first of equals."""
    for i in range(r.size):
        higher = r[i] > peak[i]
        peak[i] = r[i] if higher else peak[i]
        at[i] = step if higher else at[i]


@compiled
def _from_peaks(arriving, g_peak, at, step):
    for i in range(arriving.size):
        arriving[i] += g_peak[i] if at[i] == step else np.float32(0)


@compiled
def forward(drive, z, weights, kept, c):
    """Run the network from rest, filling z (step, trial, column) and what is kept of it.

    drive (step, trial, cell) is added to what z brings; it may be empty. weights are `into` (column, cell) and `out_of`
    (cell, column); kept are the membrane before reset and the flags, each (step, trial, cell), the latter with the state
    before the first step in front, R, and of each cell and trial its largest value and when; these are empty if not wanted.
    """
    (into, out_of), (membrane, flags, r, peak, at) = weights, kept
    n_steps, n_trials, n_cells = membrane.shape
    size = n_trials * n_cells
    tick = np.float64(1) if c.by_count else DT
    long_ago = np.full(size, np.float32(-1000 if c.by_count else -1), np.float32)
    zeros = np.zeros((4, size), np.float32)
    state = State(zeros[0], zeros[1], zeros[2], long_ago, zeros[3])
    arriving, read = np.zeros((n_trials, n_cells), np.float32), np.zeros(z.shape[1:], np.float32)
    for step in range(n_steps):
        np.dot(z[step], into, arriving)
        if len(drive):
            arriving += drive[step]
        u, flat = membrane[step].reshape(-1), arriving.reshape(-1)
        if c.rate:
            _rate_forward(u, state, flat, c)
        else:
            clock = np.float32(step * tick), np.float32(REFRACTORY_STEPS * tick)
            _spiking_forward(u, flags[step].reshape(-1), flags[step + 1].reshape(-1), state, flat, clock, c)
        np.dot(state.r.reshape(n_trials, n_cells), out_of, read)
        z[step + 1] += read
        if len(r):
            r[step].reshape(-1)[:] = state.r
        if len(peak):
            _raise_peaks(peak, at, state.r, np.int32(step))


@compiled
def _spiking_backward(u, before, flag, arriving, g, fired, c):
    """Adjoint of one step of all spiking cells; `arriving` is what reaches R. Gives the spikes that it was made of."""
    g_r, g_v, g_s, g_h, g_drive = g.r, g.v, g.s, g.h, g.drive
    one = np.float32(1)
    for i in range(u.size):
        fired[i] = np.float32(before[i] & SPIKED)
        not_reset = one - fired[i]
        open_gate = np.float32(flag[i] >> np.uint8(1)) * not_reset
        g_r[i] = c.a_decay * g_r[i] + arriving[i]
        steepness = c.slope * abs(u[i] * not_reset - one) + one
        into_v = g_v[i] + g_s[i] / (steepness * steepness)
        g_drive[i] = c.a_input * g_drive[i] + c.b_membrane * open_gate * into_v
        g_v[i] = c.a_membrane * open_gate * into_v
        g_h[i] = c.a_rise * g_h[i] + c.step_r * g_r[i]
        g_s[i] = c.step_h * g_h[i] - u[i] * into_v


@compiled
def _rate_backward(u, arriving, g, r, c):
    """Adjoint of one step of all rate cells; g.v holds, besides, what reaches v from outside. Gives the rates."""
    for i in range(u.size):
        r[i] = _tanh(u[i])
        into_v = g.v[i] + (np.float32(1) - r[i] * r[i]) * arriving[i]
        g.drive[i] = c.b_membrane * into_v
        g.v[i] = c.a_membrane * into_v


@compiled
def backward(z, kept, g_z, g_kept, weights, c):
    """Adjoint of `forward`: gradients of `into` and of `out_of` (transposed).

    g_z holds the gradient of z from outside, and on return all of it. g_kept are those of R, of its peaks and (rate networks
    only) of the membrane, and room for that of the drive; each may be empty. weights as in `forward`, transposed.
    """
    (membrane, flags, at), (g_r, g_peak, g_membrane, g_drive), (into_t, out_of_t) = kept, g_kept, weights
    n_steps, n_trials, n_cells = membrane.shape
    size, n_columns = n_trials * n_cells, z.shape[2]
    zeros = np.zeros((5, size), np.float32)
    g = Adjoint(zeros[0], zeros[1], zeros[2], zeros[3], zeros[4])
    arriving, sent = np.zeros((n_trials, n_cells), np.float32), np.zeros((n_trials, n_cells), np.float32)
    back, slow, fast = np.zeros_like(z[0]), np.zeros_like(z[0]), np.zeros_like(z[0])
    part = np.zeros((n_columns, n_cells), np.float32)
    g_into, g_out_of = np.zeros_like(part), np.zeros_like(part)
    for step in range(n_steps - 1, -1, -1):
        np.dot(g_z[step + 1], out_of_t, arriving)
        if len(g_r):
            arriving += g_r[step]
        if len(g_peak):
            _from_peaks(arriving.reshape(-1), g_peak, at, np.int32(step))
        u, flat, sent_flat = membrane[step].reshape(-1), arriving.reshape(-1), sent.reshape(-1)
        if c.rate:
            if len(g_membrane):
                zeros[1] += g_membrane[step].reshape(-1)
            _rate_backward(u, flat, g, sent_flat, c)
            np.dot(g_z[step + 1].T, sent, part)
        else:
            _spiking_backward(u, flags[step].reshape(-1), flags[step + 1].reshape(-1), flat, g, sent_flat, c)
            # R is a filter of spikes; its adjoint, on the few columns, saves keeping R
            slow[:] = c.a_decay * slow + g_z[step + 1]
            fast[:] = c.a_rise * fast + c.step_h * c.step_r * slow
            np.dot(fast.T, sent, part)
        g_out_of += part
        g_now = g.drive.reshape(n_trials, n_cells)
        np.dot(z[step].T, g_now, part)
        g_into += part
        np.dot(g_now, into_t, back)
        g_z[step] += back
        if len(g_drive):
            g_drive[step] = g_now
    return g_into, g_out_of


class Recurrence(torch.autograd.Function):
    """z, R, peaks, membrane, flags = apply(inputs, drive, into, out_of, constants, keep): see `forward`; float32 on the CPU.

    inputs (step, trial, input) are the first columns of z, `drive` (step, trial, cell) may be None; the first row of z is the
    state before the first step. keep says what else is wanted: "r", "peaks" (trial, cell), or nothing.
    """

    @staticmethod
    def forward(ctx, inputs, drive, into, out_of, c: Constants, keep: str):
        (n_steps, n_trials, n_inputs), (n_columns, n_cells) = inputs.shape, into.shape
        z = np.zeros((n_steps + 1, n_trials, n_columns), np.float32)
        z[:-1, :, :n_inputs] = inputs
        membrane = np.empty((n_steps, n_trials, n_cells), np.float32)
        flags = np.zeros((0 if c.rate else n_steps + 1, n_trials, n_cells), np.uint8)
        r = np.empty((n_steps if keep == "r" else 0, n_trials, n_cells), np.float32)
        peak = np.full(n_trials * n_cells if keep == "peaks" else 0, -np.inf, np.float32)
        at = np.zeros(len(peak), np.int32)
        currents = np.empty((0, n_trials, n_cells), np.float32) if drive is None else drive.detach().numpy()
        weights = [part.detach().contiguous().numpy() for part in (into, out_of)]
        forward(currents, z, tuple(weights), (membrane, flags, r, peak, at), c)
        ctx.kept, ctx.constants = (z, membrane, flags, at, tuple(np.ascontiguousarray(part.T) for part in weights)), c
        ctx.set_materialize_grads(False)
        outputs = [torch.from_numpy(part) for part in (z, r, peak.reshape(-1, n_cells), membrane, flags[1:])]
        ctx.mark_non_differentiable(*outputs[4 if c.rate else 3 :])
        return tuple(outputs)

    @staticmethod
    def backward(ctx, g_z, g_r, g_peak, g_membrane, _):
        z, membrane, flags, at, weights = ctx.kept
        g_z = np.zeros_like(z) if g_z is None else g_z.numpy().copy()
        g_drive = np.empty_like(membrane if ctx.needs_input_grad[1] else membrane[:0])
        g_r, g_membrane = (membrane[:0] if part is None else part.contiguous().numpy() for part in (g_r, g_membrane))
        g_peak = g_r[:0].reshape(-1) if g_peak is None else g_peak.contiguous().numpy().reshape(-1)
        g_kept = g_r, g_peak, g_membrane, g_drive
        g_into, g_out_of = backward(z, (membrane, flags, at), g_z, g_kept, weights, ctx.constants)
        to_drive = torch.from_numpy(g_drive) if ctx.needs_input_grad[1] else None
        return None, to_drive, torch.from_numpy(g_into), torch.from_numpy(g_out_of).T, None, None
