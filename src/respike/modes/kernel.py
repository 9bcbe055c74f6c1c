"""The spiking network of model.py fused into compiled loops, with a hand-written adjoint.

One pass over time with the batch inside; the recurrent product goes through the modes, never through an N x N matrix.
Kept for the adjoint are R, the membrane before reset and one byte of flags per neuron and step.
"""

import numpy as np
import torch

from respike.core.compiled import njit
from respike.modes.params import (
    A_DECAY,
    A_INPUT,
    A_MEMBRANE,
    A_RISE,
    DT,
    REFRACTORY_STEPS,
    SLOPE,
    Filter,
)

compiled = njit(cache=True, error_model="numpy")  # without checks of divisors, which would keep the loops scalar
SPIKED, FREE = np.uint8(1), np.uint8(2)  # flags of a neuron in a step: it fired; it was not refractory


@compiled
def _neurons_forward(u, before, flag, r_old, r_new, v, current, h, last, recurrent, now, wait, single, step_h, step_r):
    """One step of all neurons. u holds the drive on entry and the membrane before reset on return."""
    a_s, a_m, a_d, a_r = np.float32(A_INPUT), np.float32(A_MEMBRANE), np.float32(A_DECAY), np.float32(A_RISE)
    b_m, one = np.float32(1 - A_MEMBRANE), np.float32(1)
    for i in range(u.size):
        fired = np.float32(before[i] & SPIKED)
        current[i] = a_s * current[i] + u[i] + recurrent[i]
        free = np.float32(now > last[i] + wait)
        u[i] = free * (a_m * v[i] + b_m * current[i])
        h[i] = fired if single else a_r * h[i] + step_h * fired
        r_new[i] = a_d * r_old[i] + step_r * h[i]
        v[i] = u[i] * (one - fired)
        spike = np.float32(v[i] > one)
        # the sum is not simply `now`: in single precision it decides whether the refractory time lasts 5 or 6 steps
        last[i] = last[i] + (now - last[i]) * spike
        flag[i] = np.uint8(spike) + FREE * np.uint8(free)


@compiled
def forward(u, pin_l, pout, single, step_h, step_r, by_count):
    """Run the network on the drive `u` (step, trial, cell), which is overwritten by the membrane before reset.

    Returns R and flags (step, trial, cell), and mode activity Q = R pout (step, trial, mode), each with the state before
    the first step in front. pin_l is diag(l) pin^T.
    """
    n_steps, n_trials, n_cells = u.shape
    size = n_trials * n_cells
    r, flags = np.empty((n_steps + 1, size), np.float32), np.empty((n_steps + 1, size), np.uint8)
    r[0], flags[0] = 0, 0
    q = np.zeros((n_steps + 1, n_trials, pout.shape[1]), np.float32)
    v, current, h = np.zeros(size, np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    recurrent = np.zeros((n_trials, n_cells), np.float32)
    tick = np.float64(1) if by_count else DT
    last = np.full(size, np.float32(-1000 if by_count else -1), np.float32)
    for step in range(n_steps):
        np.dot(q[step], pin_l, recurrent)
        times = np.float32(step * tick), np.float32(REFRACTORY_STEPS * tick)
        state = flags[step], flags[step + 1], r[step], r[step + 1], v, current, h, last, recurrent.reshape(-1)
        _neurons_forward(u[step].reshape(-1), *state, *times, single, step_h, step_r)
        np.dot(r[step + 1].reshape(n_trials, n_cells), pout, q[step + 1])
    return r.reshape(n_steps + 1, n_trials, n_cells), flags.reshape(n_steps + 1, n_trials, n_cells), q


@compiled
def _neurons_backward(u, before, flag, g_out, g_modes, g_r, g_v, g_s, g_h, g_i_after, g_i, single, step_h, step_r):
    """Adjoint of one step of all neurons; g_out and g_modes are what reaches R from the readout and through the modes."""
    a_s, a_m, a_d, a_r = np.float32(A_INPUT), np.float32(A_MEMBRANE), np.float32(A_DECAY), np.float32(A_RISE)
    b_m, one, slope = np.float32(1 - A_MEMBRANE), np.float32(1), np.float32(SLOPE)
    for i in range(u.size):
        not_reset = one - np.float32(before[i] & SPIKED)
        open_gate = np.float32(flag[i] >> np.uint8(1)) * not_reset
        g_r[i] = a_d * g_r[i] + g_modes[i] + g_out[i]
        steepness = slope * abs(u[i] * not_reset - one) + one
        into_v = g_v[i] + g_s[i] / (steepness * steepness)
        g_i[i] = a_s * g_i_after[i] + b_m * open_gate * into_v
        g_v[i] = a_m * open_gate * into_v
        g_h[i] = step_r * g_r[i] if single else a_r * g_h[i] + step_r * g_r[i]
        g_s[i] = (one if single else step_h) * g_h[i] - u[i] * into_v


@compiled
def backward(u, flags, g_out, pin_l, pout, single, step_h, step_r):
    """Adjoint of `forward`: gradient of the drive (step, trial, cell) and of Q before each step (step, trial, mode).

    `g_out` is the gradient of R (step, trial, cell) from the readout.
    """
    n_steps, n_trials, n_cells = u.shape
    size = n_trials * n_cells
    g_drive = np.zeros((n_steps + 1, n_trials, n_cells), np.float32)
    g_q = np.zeros((n_steps + 1, n_trials, pout.shape[1]), np.float32)
    g_r, g_v, g_s, g_h = (
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
    )
    g_modes = np.zeros((n_trials, n_cells), np.float32)
    pin_l_t, pout_t = np.ascontiguousarray(pin_l.T), np.ascontiguousarray(pout.T)
    for step in range(n_steps - 1, -1, -1):
        state = g_r, g_v, g_s, g_h, g_drive[step + 1].reshape(-1), g_drive[step].reshape(-1)
        kept = u[step].reshape(-1), flags[step].reshape(-1), flags[step + 1].reshape(-1)
        _neurons_backward(*kept, g_out[step].reshape(-1), g_modes.reshape(-1), *state, single, step_h, step_r)
        np.dot(g_drive[step], pin_l_t, g_q[step])
        np.dot(g_q[step], pout_t, g_modes)
    return g_drive[:-1], g_q[:-1]


class SpikingNetwork(torch.autograd.Function):
    """R, flags, membrane = apply(drive, pin, l, pout, filter, by_count): see model.run_spiking; on the CPU in float32."""

    @staticmethod
    def forward(ctx, drive, pin, scores, pout, synapse: Filter, by_count: bool):
        u = drive.detach().numpy().copy() if drive.requires_grad else drive.numpy()
        pin_l = np.ascontiguousarray((pin * scores).detach().numpy().T)
        pout_array = np.ascontiguousarray(pout.detach().numpy())
        constants = synapse.single, np.float32(synapse.step_h), np.float32(synapse.step_r)
        r, flags, q = forward(u, pin_l, pout_array, *constants, by_count)
        ctx.kept = u, flags, r, q, pin_l, pout_array, constants
        ctx.save_for_backward(pin, scores)
        r, flags, membrane = torch.from_numpy(r[1:]), torch.from_numpy(flags[1:]), torch.from_numpy(u)
        ctx.mark_non_differentiable(flags, membrane)
        return r, flags, membrane

    @staticmethod
    def backward(ctx, g_r, *_):
        u, flags, r, q, pin_l, pout, constants = ctx.kept
        pin, scores = ctx.saved_tensors
        g_drive, g_q = backward(u, flags, np.ascontiguousarray(g_r.numpy()), pin_l, pout, *constants)
        n_cells, n_modes = pout.shape
        g_drive, g_q = torch.from_numpy(g_drive), torch.from_numpy(g_q)
        g_pin_l = g_drive.reshape(-1, n_cells).T @ torch.from_numpy(q[:-1]).reshape(-1, n_modes)
        g_pout = torch.from_numpy(r[:-1]).reshape(-1, n_cells).T @ g_q.reshape(-1, n_modes)
        return g_drive, g_pin_l * scores, (g_pin_l * pin).sum(0), g_pout, None, None


@compiled
def _encode(threshold, trial, pixel, chance, n_trials, n_steps):
    """Pixels that spike, row by row (a row is a step and a trial): start of each row, and their numbers."""
    start = np.zeros(n_steps * n_trials + 1, np.int64)
    index = np.empty(chance.size, np.uint16)
    n = 0
    for step in range(n_steps):
        row = step * n_trials
        for k in range(pixel.size):
            while row - step * n_trials <= trial[k]:
                start[row] = n
                row += 1
            if chance[step, k] < threshold[k]:
                index[n] = pixel[k]
                n += 1
        while row < (step + 1) * n_trials:
            start[row] = n
            row += 1
    start[-1] = n
    return start, index[:n].copy()


def encode(images: np.ndarray, n_steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Poisson encoding of images (trial, pixel; uint8): in each step a pixel spikes with probability pixel / 255.

    Returns the start of each row (step, trial) and the spiking pixels, for `EncodedDrive`. Sixteen random bits decide, so
    the probability is exact to 2e-5; black pixels draw none.
    """
    trial, pixel = np.nonzero(images)
    threshold = images[trial, pixel].astype(np.uint32) * 257 + (images[trial, pixel] == 255)
    chance = rng.integers(0, 1 << 16, size=(n_steps, len(pixel)), dtype=np.uint16)
    return _encode(threshold, trial, pixel.astype(np.uint16), chance, len(images), n_steps)


@compiled
def _gather(start, index, weights, drive):
    for row in range(drive.shape[0]):
        drive[row] = 0
        for k in range(start[row], start[row + 1]):
            source = weights[index[k]]
            for i in range(source.size):
                drive[row, i] += source[i]


@compiled
def _scatter(start, index, g_drive, g_weights):
    for row in range(g_drive.shape[0]):
        source = g_drive[row]
        for k in range(start[row], start[row + 1]):
            target = g_weights[index[k]]
            for i in range(source.size):
                target[i] += source[i]


class EncodedDrive(torch.autograd.Function):
    """Drive (step, trial, cell) of encoded images: the sum of the input weights (cell, pixel) of the spiking pixels."""

    @staticmethod
    def forward(ctx, weights, start, index, n_trials):
        drive = np.empty((len(start) - 1, weights.shape[0]), np.float32)
        _gather(start, index, np.ascontiguousarray(weights.detach().numpy().T), drive)
        ctx.kept = start, index, weights.shape
        return torch.from_numpy(drive).view(-1, n_trials, weights.shape[0])

    @staticmethod
    def backward(ctx, g_drive):
        start, index, (n_cells, n_pixels) = ctx.kept
        g_weights = np.zeros((n_pixels, n_cells), np.float32)
        _scatter(start, index, np.ascontiguousarray(g_drive.numpy()).reshape(-1, n_cells), g_weights)
        return torch.from_numpy(g_weights).T, None, None, None
