"""The spiking network of model.py fused into compiled loops, with a hand-written adjoint.

One pass over time with the batch inside; the recurrent product goes through the modes, never through an N x N matrix.
Kept for the adjoint are R, the membrane before reset and one byte of flags per neuron and step.
"""

from typing import NamedTuple

import numpy as np
import torch

from respike.core.compiled import njit
from respike.modes.params import A_DECAY, A_INPUT, A_MEMBRANE, A_RISE, DT, REFRACTORY_STEPS, SLOPE, Filter

compiled = njit(error_model="numpy")  # without checks of divisors, which would keep the loops scalar
SPIKED, FREE = np.uint8(1), np.uint8(2)  # flags of a neuron in a step: it fired; it was not refractory


class Constants(NamedTuple):
    """Numbers of the equations of model.py, in single precision."""

    a_input: np.float32
    a_membrane: np.float32
    b_membrane: np.float32  # 1 - A_MEMBRANE
    a_rise: np.float32
    a_decay: np.float32
    step_h: np.float32
    step_r: np.float32
    slope: np.float32  # of the surrogate derivative
    single: bool  # filter without rise
    by_count: bool  # refractory time in steps; else in seconds, rounded as in the published program


def constants(synapse: Filter, by_count: bool) -> Constants:
    """Constants of a network with the filter `synapse`."""
    coefficients = A_INPUT, A_MEMBRANE, 1 - A_MEMBRANE, A_RISE, A_DECAY, synapse.step_h, synapse.step_r, SLOPE
    return Constants(*map(np.float32, coefficients), synapse.single, by_count)


class State(NamedTuple):
    """Variables of all neurons of all trials that a step changes in place."""

    v: np.ndarray
    current: np.ndarray
    h: np.ndarray
    last: np.ndarray  # time of the last spike


class Adjoint(NamedTuple):
    """Gradients of the loss by the variables of all neurons of all trials, which a step backwards changes in place."""

    r: np.ndarray
    v: np.ndarray
    s: np.ndarray
    h: np.ndarray


@compiled
def _neurons_forward(u, before, flag, r_before, r, state, recurrent, clock, c):
    """One step of all neurons. `u` holds the drive on entry and the membrane before reset on return.

    `before` and `flag` are the flags of the step before and of this one; `clock` is the time now and the refractory time.
    """
    v, current, h, last = state.v, state.current, state.h, state.last
    now, wait = clock
    one = np.float32(1)
    for i in range(u.size):
        fired = np.float32(before[i] & SPIKED)
        current[i] = c.a_input * current[i] + u[i] + recurrent[i]
        free = np.float32(now > last[i] + wait)
        u[i] = free * (c.a_membrane * v[i] + c.b_membrane * current[i])
        h[i] = fired if c.single else c.a_rise * h[i] + c.step_h * fired
        r[i] = c.a_decay * r_before[i] + c.step_r * h[i]
        v[i] = u[i] * (one - fired)
        spike = np.float32(v[i] > one)
        # the sum is not simply `now`: in single precision it decides whether the refractory time lasts 5 or 6 steps
        last[i] = last[i] + (now - last[i]) * spike
        flag[i] = np.uint8(spike) + FREE * np.uint8(free)


@compiled
def forward(u, pin_l, pout, c):
    """Run the network on the drive `u` (step, trial, cell), which is overwritten by the membrane before reset.

    Returns R and flags (step, trial, cell), and mode activity Q = R pout (step, trial, mode), each with the state before
    the first step in front. pin_l is diag(l) pin^T, c the Constants.
    """
    n_steps, n_trials, n_cells = u.shape
    size = n_trials * n_cells
    r, flags = np.empty((n_steps + 1, size), np.float32), np.empty((n_steps + 1, size), np.uint8)
    r[0], flags[0] = 0, 0
    q = np.zeros((n_steps + 1, n_trials, pout.shape[1]), np.float32)
    tick = np.float64(1) if c.by_count else DT
    long_ago = np.full(size, np.float32(-1000 if c.by_count else -1), np.float32)
    state = State(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32), long_ago)
    recurrent = np.zeros((n_trials, n_cells), np.float32)
    for step in range(n_steps):
        np.dot(q[step], pin_l, recurrent)
        clock = np.float32(step * tick), np.float32(REFRACTORY_STEPS * tick)
        written = flags[step], flags[step + 1], r[step], r[step + 1]
        _neurons_forward(u[step].reshape(-1), *written, state, recurrent.reshape(-1), clock, c)
        np.dot(r[step + 1].reshape(n_trials, n_cells), pout, q[step + 1])
    return r.reshape(n_steps + 1, n_trials, n_cells), flags.reshape(n_steps + 1, n_trials, n_cells), q


@compiled
def _neurons_backward(u, before, flag, g_out, g_modes, g, g_drive_after, g_drive, c):
    """Adjoint of one step of all neurons; g_out and g_modes are what reaches R from the readout and through the modes."""
    g_r, g_v, g_s, g_h = g.r, g.v, g.s, g.h
    one = np.float32(1)
    for i in range(u.size):
        not_reset = one - np.float32(before[i] & SPIKED)
        open_gate = np.float32(flag[i] >> np.uint8(1)) * not_reset
        g_r[i] = c.a_decay * g_r[i] + g_modes[i] + g_out[i]
        steepness = c.slope * abs(u[i] * not_reset - one) + one
        into_v = g_v[i] + g_s[i] / (steepness * steepness)
        g_drive[i] = c.a_input * g_drive_after[i] + c.b_membrane * open_gate * into_v
        g_v[i] = c.a_membrane * open_gate * into_v
        g_h[i] = c.step_r * g_r[i] if c.single else c.a_rise * g_h[i] + c.step_r * g_r[i]
        g_s[i] = (one if c.single else c.step_h) * g_h[i] - u[i] * into_v


@compiled
def backward(u, flags, g_out, pin_l, pout, c):
    """Adjoint of `forward`: gradient of the drive (step, trial, cell) and of Q before each step (step, trial, mode).

    `g_out` is the gradient of R (step, trial, cell) from the readout.
    """
    n_steps, n_trials, n_cells = u.shape
    size = n_trials * n_cells
    g_drive = np.zeros((n_steps + 1, n_trials, n_cells), np.float32)
    g_q = np.zeros((n_steps + 1, n_trials, pout.shape[1]), np.float32)
    g = Adjoint(np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32))
    g_modes = np.zeros((n_trials, n_cells), np.float32)
    pin_l_t, pout_t = np.ascontiguousarray(pin_l.T), np.ascontiguousarray(pout.T)
    for step in range(n_steps - 1, -1, -1):
        kept = u[step].reshape(-1), flags[step].reshape(-1), flags[step + 1].reshape(-1)
        arriving = g_out[step].reshape(-1), g_modes.reshape(-1)
        _neurons_backward(*kept, *arriving, g, g_drive[step + 1].reshape(-1), g_drive[step].reshape(-1), c)
        np.dot(g_drive[step], pin_l_t, g_q[step])
        np.dot(g_q[step], pout_t, g_modes)
    return g_drive[:-1], g_q[:-1]


class SpikingNetwork(torch.autograd.Function):
    """R, flags, membrane = apply(drive, pin, l, pout, constants): see model.run_spiking; on the CPU in float32."""

    @staticmethod
    def forward(ctx, drive, pin, scores, pout, c: Constants):
        u = drive.detach().numpy().copy() if drive.requires_grad else drive.numpy()
        pin_l = np.ascontiguousarray((pin * scores).detach().numpy().T)
        pout_array = np.ascontiguousarray(pout.detach().numpy())
        r, flags, q = forward(u, pin_l, pout_array, c)
        ctx.kept = u, flags, r, q, pin_l, pout_array, c
        ctx.save_for_backward(pin, scores)
        r, flags, membrane = torch.from_numpy(r[1:]), torch.from_numpy(flags[1:]), torch.from_numpy(u)
        ctx.mark_non_differentiable(flags, membrane)
        return r, flags, membrane

    @staticmethod
    def backward(ctx, g_r, *_):
        u, flags, r, q, pin_l, pout, c = ctx.kept
        pin, scores = ctx.saved_tensors
        g_drive, g_q = backward(u, flags, np.ascontiguousarray(g_r.numpy()), pin_l, pout, c)
        n_cells, n_modes = pout.shape
        g_drive, g_q = torch.from_numpy(g_drive), torch.from_numpy(g_q)
        g_pin_l = g_drive.reshape(-1, n_cells).T @ torch.from_numpy(q[:-1]).reshape(-1, n_modes)
        g_pout = torch.from_numpy(r[:-1]).reshape(-1, n_cells).T @ g_q.reshape(-1, n_modes)
        return g_drive, g_pin_l * scores, (g_pin_l * pin).sum(0), g_pout, None
