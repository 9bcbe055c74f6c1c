"""The network step compiled for the CPU, forwards and backwards in time.

The same equations as `model.step` and `model.advance_plain`, which the tests compare with these. Arrays are (cell, trial):
the trials of one cell lie side by side, so that a synapse is one vector operation over trials. A cell's input is gathered
synapse by synapse: at 9 % filling this costs a tenth of the dense product. Spikes are bytes, a quarter of the memory to go
through; only those before the first step are graded, so that the step that sees them runs on floats.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from respike.barrel import params
from respike.compiled import njit

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; infinities and not-a-number keep their meaning
SLOPE_STEPS = 4  # for which the surrogate derivative is computed at once: few calls, and small enough for the cache


def surrogate(x: Float[Tensor, "*shape"], out: Tensor | None = None) -> Float[Tensor, "*shape"]:
    """Derivative that stands for the one of a spike: half a Gaussian density of sd 0.5 around the threshold.

    With `out` it is written there, which may be `x`: four times faster on arrays that do not fit the cache.
    """
    width = params.SURROGATE_WIDTH
    height = params.SURROGATE_SCALE / (width * math.sqrt(2 * math.pi))
    return torch.square(x, out=out).mul_(-0.5 / width**2).exp_().mul_(height)


class Column(NamedTuple):
    """What stays the same during a trial."""

    bounds: np.ndarray  # population p holds the cells bounds[p] to bounds[p + 1] - 1; population 0 is the thalamus
    start: np.ndarray  # synapses of cell n: start[n] to start[n + 1] - 1
    sender: np.ndarray  # of each synapse, in 32 bits
    weight: np.ndarray  # with sign
    alpha: np.ndarray  # exp(-1 / tau_m) of each cell
    rho: np.ndarray  # exp(-1 / tau_adp)
    baseline: np.float32
    adaptation: np.float32
    rows: np.ndarray  # cells that the readout sees
    readout: np.ndarray  # (class, row)


@njit(fastmath=FAST)
def gather(total, first, last, sender, weight, spikes):
    """total += sum over the synapses first..last-1 of weight times the sender's spikes."""
    for k in range(first, last - 3, 4):
        w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        s0, s1, s2, s3 = spikes[sender[k]], spikes[sender[k + 1]], spikes[sender[k + 2]], spikes[sender[k + 3]]
        for j in range(total.size):
            total[j] += w0 * s0[j] + w1 * s1[j] + (w2 * s2[j] + w3 * s3[j])
    for k in range(last - (last - first) % 4, last):
        w0, s0 = weight[k], spikes[sender[k]]
        for j in range(total.size):
            total[j] += w0 * s0[j]


@njit(fastmath=FAST)
def correlate(gradient, first, last, sender, by_current, spikes):
    """gradient of the weights first..last-1 += product of the receiver's gradient and the sender's spikes over trials."""
    for k in range(first, last - 3, 4):
        s0, s1, s2, s3 = spikes[sender[k]], spikes[sender[k + 1]], spikes[sender[k + 2]], spikes[sender[k + 3]]
        g0 = g1 = g2 = g3 = np.float32(0)
        for j in range(by_current.size):
            g = by_current[j]
            g0 += g * s0[j]
            g1 += g * s1[j]
            g2 += g * s2[j]
            g3 += g * s3[j]
        gradient[k] += g0
        gradient[k + 1] += g1
        gradient[k + 2] += g2
        gradient[k + 3] += g3
    for k in range(last - (last - first) % 4, last):
        s0, g0 = spikes[sender[k]], np.float32(0)
        for j in range(by_current.size):
            g0 += by_current[j] * s0[j]
        gradient[k] += g0


@njit(fastmath=FAST)
def read(evidence, rows, readout, spikes):
    """evidence (class, trial) of one step: the spikes of the cells `rows`, weighted by the readout."""
    for c in range(readout.shape[0]):
        total = evidence[c]
        total[:] = 0
        for k in range(rows.size):
            w, sn = readout[c, k], spikes[rows[k]]
            for j in range(total.size):
                total[j] += w * sn[j]


@njit(fastmath=FAST)
def forwards(drive, now, column, trace, evidence):
    """Run the network over drive (step, thalamic cell, trial); the state `now` (v, b, s) is changed in place; s may be bytes.

    Fills `trace`, v, b, s of (step, cell, trial), and evidence (step, class, trial).
    """
    bounds, start, sender, weight, alpha, rho, baseline, adaptation, rows, readout = column
    (v, b, s), (all_v, all_b, all_s), one, n_thalamic = now, trace, np.float32(1), bounds[1]
    current = np.empty_like(v)
    for t in range(len(drive)):
        current[:n_thalamic], current[n_thalamic:] = drive[t], 0
        for p in range(bounds.size - 1):
            for n in range(bounds[p], bounds[p + 1]):
                gather(current[n], start[n], start[n + 1], sender, weight, s)
            for n in range(bounds[p], bounds[p + 1]):
                a, r = alpha[n], rho[n]
                for j in range(v.shape[1]):
                    b[n, j] = r * b[n, j] + (one - r) * s[n, j]
                    threshold = baseline + adaptation * b[n, j]
                    v[n, j] = a * v[n, j] + (one - a) * current[n, j] - threshold * s[n, j]
                    s[n, j] = v[n, j] - threshold > np.float32(0)
        all_v[t], all_b[t], all_s[t] = v, b, s
        read(evidence[t], rows, readout, s)


@njit(fastmath=FAST)
def cell_backwards(by, by_current, here, slope, old, constants):
    """Gradients of one step of a cell: `by` its new v, b, s become by the old ones, by_current receives that by the current.

    `here` holds the new potential and adaptation, `old` the state before, `constants` alpha, rho, baseline and adaptation.
    Gives the gradients by alpha and rho. The current is not kept: it follows from the potentials.
    """
    one = np.float32(1)
    gv, gb, gs = by
    (v, b), (old_v, old_b, old_s) = here, old
    alpha, rho, baseline, adaptation = constants
    share = one / (one - alpha)
    total_a = total_r = np.float32(0)
    for j in range(gv.size):
        threshold = baseline + adaptation * b[j]
        current = (v[j] - alpha * old_v[j] + threshold * old_s[j]) * share
        by_x = gs[j] * slope[j]
        by_potential = by_x + gv[j]
        by_adapted = gb[j] - adaptation * (by_x + by_potential * old_s[j])
        by_current[j] = (one - alpha) * by_potential
        total_a += by_potential * (old_v[j] - current)
        total_r += by_adapted * (old_b[j] - old_s[j])
        gs[j] = (one - rho) * by_adapted - threshold * by_potential
        gv[j] = alpha * by_potential
        gb[j] = rho * by_adapted
    return total_a, total_r


@njit(fastmath=FAST)
def readout_backwards(by_evidence, rows, readout, spikes, by_s, by_readout):
    """Add the gradients of one step's evidence by the spikes that it reads and by the readout."""
    for c in range(readout.shape[0]):
        g = by_evidence[c]
        for k in range(rows.size):
            w, gs, sn = readout[c, k], by_s[rows[k]], spikes[rows[k]]
            total = np.float32(0)
            for j in range(g.size):
                gs[j] += w * g[j]
                total += g[j] * sn[j]
            by_readout[c, k] += total


@njit(fastmath=FAST)
def backwards(by_evidence, slope, old, trace, now, by, column, senders, by_drive, total):
    """Gradients of `forwards` over the same steps, last step first.

    `old` are the states (v, b, s) before each step, `trace` those after it; `now` holds the last spikes, floats or bytes like
    those of `old`; `by` holds the gradients by the last state and ends as those by the first; by_drive and `total`, by weight,
    alpha, rho and readout, are filled and added to. `senders` are the synapses once more, by receiving population and then
    sender: where those of each sender to each population start, receivers, weights. Currents follow from the potentials.
    """
    bounds, start, sender, _, alpha, rho, baseline, adaptation, rows, readout = column
    back_start, back_receiver, back_weight = senders
    (by_v, by_b, by_s), (by_weight, by_alpha, by_rho, by_readout) = by, total
    n_cells, by_current = len(now), np.empty_like(by_v)
    for t in range(len(by_drive) - 1, -1, -1):
        readout_backwards(by_evidence[t], rows, readout, now, by_s, by_readout)
        for p in range(bounds.size - 2, -1, -1):
            for n in range(bounds[p], bounds[p + 1]):
                now[n] = old[2][t, n]
                states = (trace[0][t, n], trace[1][t, n]), slope[t, n], (old[0][t, n], old[1][t, n], now[n])
                constants = (alpha[n], rho[n], baseline, adaptation)
                total_a, total_r = cell_backwards((by_v[n], by_b[n], by_s[n]), by_current[n], *states, constants)
                by_alpha[n] += total_a
                by_rho[n] += total_r
            # here `now` holds what population p saw: new spikes of earlier populations, old ones of itself and later ones
            for n in range(bounds[p], bounds[p + 1]):
                correlate(by_weight, start[n], start[n + 1], sender, by_current[n], now)
            for n in range(n_cells):
                k = p * n_cells + n
                gather(by_s[n], back_start[k], back_start[k + 1], back_receiver, back_weight, by_current)
        by_drive[t] = by_current[: bounds[1]]


class _Advance(torch.autograd.Function):
    """Evidence (step, class, trial), the last state v, b, s, and all spikes (step, cell, trial), with gradients.

    As `model.advance_plain`, of network, drive, v, b, s, weight, alpha, rho and readout.
    """

    @staticmethod
    def forward(ctx, network, drive, v, b, s, *trained):
        trace = [torch.empty(len(drive), *v.shape, dtype=kind) for kind in (torch.float32, torch.float32, torch.uint8)]
        evidence = torch.empty(len(drive), len(trained[-1]), v.shape[1])
        now = [part.detach().clone(memory_format=torch.contiguous_format) for part in (v, b, s)]
        column = _column(network, *trained)
        for steps in (slice(0, 1), slice(1, None)):
            arrays = drive[steps].numpy(), _numpy(*now), column, _numpy(*(part[steps] for part in trace))
            forwards(*arrays, evidence[steps].numpy())
            now[2] = now[2].to(torch.uint8)
        ctx.network = network
        ctx.save_for_backward(v, b, s, *trained, *trace)
        ctx.mark_non_differentiable(trace[-1])
        ctx.set_materialize_grads(True)
        return evidence, *now[:2], now[2].to(s.dtype), trace[-1]

    @staticmethod
    def backward(ctx, by_evidence, *by_last):
        network = ctx.network
        *before, weight, alpha, rho, readout, all_v, all_b, all_s = ctx.saved_tensors
        trace, trained = (all_v, all_b, all_s), (weight, alpha, rho, readout)
        by_state = [part.clone(memory_format=torch.contiguous_format) for part in by_last[:3]]
        by_drive = torch.empty(len(all_v), network.n_thalamic, all_v.shape[2])
        totals = [torch.zeros_like(part) for part in trained]
        column = _column(network, *trained)
        senders = _numpy(network.back_start, network.receiver[network.back].int(), weight[network.back])
        now, buffer = all_s[-1].clone(), torch.empty_like(all_v[:SLOPE_STEPS])
        for first in reversed(range(0, len(all_v), SLOPE_STEPS)):
            block = slice(first, first + SLOPE_STEPS)
            old = [part[first - 1 : first - 1 + SLOPE_STEPS] for part in trace]
            if first == 0:  # graded spikes before the first step: floats
                old = [torch.cat([part[None], then[: SLOPE_STEPS - 1]]) for part, then in zip(before, trace, strict=True)]
                now = now.float()
            x = torch.add(all_v[block], all_b[block], alpha=-network.adaptation.item(), out=buffer[: len(all_v[block])])
            slope = surrogate(x.sub_(network.baseline), out=x)
            states = _numpy(*old), _numpy(all_v[block], all_b[block]), now.numpy(), _numpy(*by_state)
            backwards(*_numpy(by_evidence[block], slope), *states, column, senders, by_drive[block].numpy(), _numpy(*totals))
        return None, by_drive, *by_state, *totals


advance = _Advance.apply


def _column(network, weight: Tensor, alpha: Tensor, rho: Tensor, readout: Tensor) -> Column:
    scalars = (np.float32(network.baseline.item()), np.float32(network.adaptation.item()))
    wired = _numpy(network.bounds, network.start, network.sender.int(), weight, alpha, rho)
    return Column(*wired, *scalars, *_numpy(network.rows, readout))


def _numpy(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
