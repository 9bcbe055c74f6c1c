"""The network step compiled for the CPU, forwards and backwards in time.

The same equations as `model.step` and `model.advance_plain`, which the tests compare with these. A cell that fires adds its
weights to the currents of its receivers, so the way forwards, and the gradients of weights on the way back, cost by the
spikes: a few of a hundred cells fire in a step. Gradients by spikes are not sparse: there, as for all that a cell does by
itself, arrays are (cell, trial), and a synapse is one vector operation over trials. Spikes are bytes, a quarter of the memory
to go through; only those before the first step are graded, so that the step that sees them runs on floats.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from respike.barrel import params
from respike.compiled import njit

FAST = {"contract", "reassoc", "nsz"}  # sums may be vectorised; not-a-number keeps its meaning, an infinite input becomes it
WIDTH = 32  # trials are filled up to a multiple of it by silent ones: what is left over would be done one by one
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
    start: np.ndarray  # synapses of sender n, by receiver: start[n] to start[n + 1] - 1
    later: np.ndarray  # the first of them onto a later population, whose cells see a new spike in the same step
    receiver: np.ndarray  # of each synapse, in 16 bits where these suffice: what a spike costs is reading its synapses
    weight: np.ndarray  # with sign
    alpha: np.ndarray  # exp(-1 / tau_m) of each cell
    rho: np.ndarray  # exp(-1 / tau_adp)
    baseline: np.float32
    adaptation: np.float32


@njit(fastmath=FAST)
def send(current, spikes, cells, ends, column):
    """Add what spikes (cell, trial) of the cells `cells` (first, last + 1) send to current (trial, cell).

    They go through the synapses start[n] to ends[n] - 1 of each cell n.
    """
    start, receiver, weight = column.start, column.receiver, column.weight
    for n in range(cells[0], cells[1]):
        for j in range(spikes.shape[1]):
            s, received = spikes[n, j], current[j]
            if s != 0:
                for k in range(start[n], ends[n]):
                    received[receiver[k]] += weight[k] * s


@njit(fastmath=FAST)
def gather(total, first, last, receiver, weight, by_current):
    """total (trial) += sum over the synapses first..last-1 of weight times the gradient by the receiver's current."""
    for k in range(first, last - 3, 4):
        w0, w1, w2, w3 = weight[k], weight[k + 1], weight[k + 2], weight[k + 3]
        g0, g1 = by_current[receiver[k]], by_current[receiver[k + 1]]
        g2, g3 = by_current[receiver[k + 2]], by_current[receiver[k + 3]]
        for j in range(total.size):
            total[j] += w0 * g0[j] + w1 * g1[j] + (w2 * g2[j] + w3 * g3[j])
    for k in range(last - (last - first) % 4, last):
        w0, g0 = weight[k], by_current[receiver[k]]
        for j in range(total.size):
            total[j] += w0 * g0[j]


@njit(fastmath=FAST)
def collect(by_s, by_weight, by_current, spikes, cells, ends, column):
    """The way back of `send`: add the gradients by spikes and by weights to by_s (cell, trial) and by_weight.

    Those by the currents, by_current, come twice: as (cell, trial) and as (trial, cell).
    """
    start, receiver, weight = column.start, column.receiver, column.weight
    for n in range(cells[0], cells[1]):
        gather(by_s[n], start[n], ends[n], receiver, weight, by_current[0])
        for j in range(spikes.shape[1]):
            s, received = spikes[n, j], by_current[1][j]
            if s != 0:
                for k in range(start[n], ends[n]):
                    by_weight[k] += received[receiver[k]] * s


@njit(fastmath=FAST)
def step(v, b, s, current, constants):
    """`model.step` of one cell in all trials, in place; `constants` are alpha, rho, baseline and adaptation."""
    one, (alpha, rho, baseline, adaptation) = np.float32(1), constants
    for j in range(v.size):
        b[j] = rho * b[j] + (one - rho) * s[j]
        threshold = baseline + adaptation * b[j]
        v[j] = alpha * v[j] + (one - alpha) * current[j] - threshold * s[j]
        s[j] = v[j] - threshold > np.float32(0)


@njit(fastmath=FAST)
def forwards(drive, now, sent, column, trace):
    """Run the network over drive (step, thalamic cell, trial); fills `trace`, v, b, s of (step, cell, trial).

    The state `now` (v, b, s) of (cell, trial), where s may be bytes, and `sent` (trial, cell), the currents that cells have
    not seen yet, are changed in place.
    """
    bounds, (v, b, s), (all_v, all_b, all_s), current = column.bounds, now, trace, np.empty(len(sent), np.float32)
    for t in range(len(drive)):
        for p in range(bounds.size - 1):
            for n in range(bounds[p], bounds[p + 1]):
                for j in range(current.size):
                    current[j], sent[j, n] = sent[j, n], 0
                if p == 0:
                    current += drive[t, n]
                step(v[n], b[n], s[n], current, (column.alpha[n], column.rho[n], column.baseline, column.adaptation))
            send(sent, s, (bounds[p], bounds[p + 1]), column.start[1:], column)
        all_v[t], all_b[t], all_s[t] = v, b, s


@njit(fastmath=FAST)
def step_backwards(by, by_current, here, slope, old, constants):
    """Gradients of `step`: `by` the new v, b, s become those by the old ones, by_current is filled.

    `here` holds the new potential and adaptation, `old` the state before, `constants` alpha, rho, baseline and adaptation.
    Gives the gradients by alpha and rho. The current is not kept: it follows from the potentials. There are several loops
    because the compiler gives up vectors where it would have to tell too many arrays apart.
    """
    one, (gv, gb, gs), (v, b), (old_v, old_b, old_s) = np.float32(1), by, here, old
    alpha, rho, baseline, adaptation = constants
    share, total_a, total_r = one / (one - alpha), np.float32(0), np.float32(0)
    for j in range(gv.size):
        gs[j] *= slope[j]  # by the distance from the threshold
        gv[j] += gs[j]
    for j in range(gv.size):
        gb[j] -= adaptation * (gs[j] + gv[j] * old_s[j])
        total_r += gb[j] * (old_b[j] - old_s[j])
    for j in range(gv.size):
        threshold = baseline + adaptation * b[j]
        current = (v[j] - alpha * old_v[j] + threshold * old_s[j]) * share
        total_a += gv[j] * (old_v[j] - current)
        gs[j] = (one - rho) * gb[j] - threshold * gv[j]
    for j in range(gv.size):
        by_current[j] = (one - alpha) * gv[j]
        gv[j] *= alpha
    for j in range(gv.size):
        gb[j] *= rho
    return total_a, total_r


@njit(fastmath=FAST)
def backwards(by_read, slope, old, trace, by, by_current, column, by_drive, total):
    """Gradients of `forwards` over the same steps, last step first.

    by_read (step, cell, trial) are those by the spikes, of what is read from them; `old` the states (v, b, s) before each
    step, `trace` those after it. `by`, gradients by the last state, ends as those by the first, but for what first spikes
    send: that is for `collect`, up to `later`. by_current, as `collect` wants it, is that of the step after these. Fills
    by_drive and adds to `total`, by weight, alpha and rho.
    """
    bounds, (by_weight, by_alpha, by_rho) = column.bounds, total
    (by_v, by_b, by_s), (across, along), (v, b, s), (old_v, old_b, old_s) = by, by_current, trace, old
    for t in range(len(by_drive) - 1, -1, -1):
        by_s += by_read[t]
        for p in range(bounds.size - 2, -1, -1):
            # spikes of p reach later populations in this step, and by_current is of this step there; others in the next one
            collect(by_s, by_weight, by_current, s[t], (bounds[p], bounds[p + 1]), column.start[1:], column)
            for n in range(bounds[p], bounds[p + 1]):
                states = (v[t, n], b[t, n]), slope[t, n], (old_v[t, n], old_b[t, n], old_s[t, n])
                constants = (column.alpha[n], column.rho[n], column.baseline, column.adaptation)
                total_a, total_r = step_backwards((by_v[n], by_b[n], by_s[n]), across[n], *states, constants)
                by_alpha[n] += total_a
                by_rho[n] += total_r
                along[:, n] = across[n]
        by_drive[t] = across[: bounds[1]]


class _Advance(torch.autograd.Function):
    """Evidence (step, class, trial), the last state v, b, s, and all spikes (step, cell, trial), with gradients.

    As `model.advance_plain`, of network, drive, v, b, s, weight, alpha, rho and readout.
    """

    @staticmethod
    def forward(ctx, network, drive, v, b, s, weight, alpha, rho, readout):
        drive, *before = (filled(part.detach()) for part in (drive, v, b, s))
        trace = [torch.empty(len(drive), *before[0].shape, dtype=kind) for kind in (torch.float32, torch.float32, torch.uint8)]
        now, sent = [part.clone() for part in before], np.zeros(before[0].T.shape, np.float32)
        column = _column(network, weight, alpha, rho)
        send(sent, now[2].numpy(), (0, network.n_cells), column.later, column)
        for steps in (slice(0, 1), slice(1, None)):
            forwards(drive[steps].numpy(), _numpy(*now), sent, column, _numpy(*(part[steps] for part in trace)))
            now[2] = now[2].to(torch.uint8)
        evidence = torch.stack([readout @ spikes[network.rows].float() for spikes in trace[2]])
        ctx.network, ctx.n_trials = network, v.shape[1]
        ctx.save_for_backward(*before, *trace, weight, alpha, rho, readout)
        evidence, *now, spikes = (part[..., : v.shape[1]] for part in (evidence, *now[:2], now[2].to(s.dtype), trace[2]))
        ctx.mark_non_differentiable(spikes)
        ctx.set_materialize_grads(True)
        return evidence, *now, spikes

    @staticmethod
    def backward(ctx, by_evidence, *by_last):
        (*kept, weight, alpha, rho, readout), network = ctx.saved_tensors, ctx.network
        before, trace, (all_v, all_b, all_s) = kept[:3], kept[3:], kept[3:]
        by_evidence, *by_state = (filled(part) for part in (by_evidence, *by_last[:3]))
        by_drive = torch.empty(len(all_v), network.n_thalamic, all_v.shape[2])
        by_weight, by_alpha, by_rho, by_readout = totals = [torch.zeros_like(part) for part in (weight, alpha, rho, readout)]
        column, (buffer, read) = _column(network, weight, alpha, rho), torch.zeros(2, *all_v[:SLOPE_STEPS].shape)
        by_current = tuple(np.zeros(shape, np.float32) for shape in (all_v[0].shape, all_v[0].T.shape))
        for first in reversed(range(0, len(all_v), SLOPE_STEPS)):
            block = slice(first, first + SLOPE_STEPS)
            old = [part[first - 1 : first - 1 + SLOPE_STEPS] for part in trace]
            if first == 0:  # graded spikes before the first step: floats
                old = [torch.cat([part[None], then[: SLOPE_STEPS - 1]]) for part, then in zip(before, trace, strict=True)]
            x = torch.add(all_v[block], all_b[block], alpha=-network.adaptation.item(), out=buffer[: len(all_v[block])])
            slope = surrogate(x.sub_(network.baseline), out=x)
            by_read = read[: len(x)].index_copy_(1, network.rows, readout.T @ by_evidence[block])
            by_readout += torch.einsum("tcj,tkj->ck", by_evidence[block], all_s[block][:, network.rows].float())
            states = _numpy(*old), _numpy(*(part[block] for part in trace)), _numpy(*by_state)
            arrays = by_drive[block].numpy(), _numpy(by_weight, by_alpha, by_rho)
            backwards(*_numpy(by_read, slope), *states, by_current, column, *arrays)
        first_spikes = before[2].numpy(), (0, network.n_cells), column.later
        collect(by_state[2].numpy(), by_weight.numpy(), by_current, *first_spikes, column)
        totals[0] = torch.empty_like(weight).index_copy_(0, network.by_sender, by_weight)
        return None, *(part[..., : ctx.n_trials] for part in (by_drive, *by_state)), *totals


advance = _Advance.apply


def filled(part: Tensor) -> Tensor:
    """A copy of `part` with its last axis, the trials, filled up with zeros to a multiple of WIDTH."""
    return torch.nn.functional.pad(part, (0, -part.shape[-1] % WIDTH)).clone(memory_format=torch.contiguous_format)


def _column(network, weight: Tensor, alpha: Tensor, rho: Tensor) -> Column:
    """The column as the loops want it, its synapses in the order of `by_sender`."""
    number = np.result_type(np.uint16, np.min_scalar_type(network.n_cells))  # unsigned: negative ones count from the end
    wired = _numpy(network.bounds, network.start, network.later), network.receiver[network.by_sender].numpy().astype(number)
    scalars = np.float32(network.baseline.item()), np.float32(network.adaptation.item())
    return Column(*wired[0], wired[1], *_numpy(weight[network.by_sender], alpha, rho), *scalars)


def _numpy(*tensors: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
