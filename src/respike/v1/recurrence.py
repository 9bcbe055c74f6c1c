"""The time loop of the network and its gradient, compiled: work grows with the number of spikes, not of couplings.

A spike of cell i in bin t adds the row `weights[i]` to the voltages of the next D bins, which lie side by side in memory.
The gradient runs the same road backwards and stops wherever the surrogate derivative is zero.
`run_plain` says the same in ordinary torch, for other devices and as the judge of the compiled version.
Axes: trial, step, cell. Cells 0 .. N-1 of `recorded` act through their recorded spikes, the others through their own.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from respike.compiled import njit
from respike.core import cells

FAST = {"reassoc", "contract", "nsz"}  # sums may be reordered; infinities and nan keep their meaning


class Surrogate(NamedTuple):
    """Derivative that stands for the derivative of a spike with respect to the voltage."""

    kind: str  # triangle | sigmoid
    threshold: float
    dampening: float
    temperature: float

    def slope(self, voltage: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """d spike / d voltage, with u = (voltage - threshold) / threshold.

        triangle: dampening max(0, 1 - |u|) / threshold; sigmoid: the derivative of the probability sigmoid(temperature u).
        """
        scaled = (voltage - self.threshold) / self.threshold
        if self.kind == "triangle":
            return (1 - scaled.abs_()).clamp_(min=0).mul_(self.dampening / self.threshold)
        p = torch.sigmoid(self.temperature * scaled)
        return p * (1 - p) * (self.temperature / self.threshold)


@njit(fastmath=FAST, inline="always")
def _reach(t, history, n_steps, n_cells):
    """Which part of a row of couplings falls into the trial after a spike in bin t (which may lie before the trial)."""
    return max(0, -(t + 1)) * n_cells, min(history, n_steps - 1 - t) * n_cells


@njit(fastmath=FAST)
def _add(target, part):
    for m in range(len(part)):
        target[m] += part[m]


@njit(fastmath=FAST)
def _dot(x, y):
    total = np.float32(0)
    for m in range(len(x)):
        total += x[m] * y[m]
    return total


@njit(fastmath=FAST)
def _forward(voltage, spikes, weights, level, recorded):
    n_trials, n_steps, n_cells = voltage.shape
    history, n_recorded = weights.shape[1] // n_cells, recorded.shape[2]
    for b in range(n_trials):
        flat = voltage[b].reshape(-1)
        for t in range(-history if n_recorded else 0, n_steps):
            first, last = _reach(t, history, n_steps, n_cells)
            target = flat[(t + 1) * n_cells + first : (t + 1) * n_cells + last]
            for i in range(n_recorded):
                if recorded[b, history + t, i]:
                    _add(target, weights[i, first:last])
            if t >= 0 and len(level):
                for i in range(n_cells):
                    if voltage[b, t, i] > level[b, t, i]:
                        spikes[b, t, i] = 1
                        if i >= n_recorded:
                            _add(target, weights[i, first:last])


@njit(fastmath=FAST)
def _backward(gradient, from_spikes, slope, weights, n_recorded):
    """Add the paths through the spikes to `gradient`, which holds d loss / d voltage without them."""
    n_trials, n_steps, n_cells = gradient.shape
    history = weights.shape[1] // n_cells
    for b in range(n_trials):
        flat = gradient[b].reshape(-1)
        for t in range(n_steps - 1, -1, -1):
            first, last = _reach(t, history, n_steps, n_cells)
            later = flat[(t + 1) * n_cells : (t + 1) * n_cells + last]
            for i in range(n_cells):
                if slope[b, t, i] > 0:
                    total = from_spikes[b, t, i]
                    if i >= n_recorded:
                        total += _dot(weights[i, :last], later)
                    gradient[b, t, i] += slope[b, t, i] * total


@njit(fastmath=FAST)
def _weight_gradient(result, gradient, spikes, recorded):
    n_trials, n_steps, n_cells = gradient.shape
    history, n_recorded = result.shape[1] // n_cells, recorded.shape[2]
    for b in range(n_trials):
        flat = gradient[b].reshape(-1)
        for t in range(-history if n_recorded else 0, n_steps - 1):
            first, last = _reach(t, history, n_steps, n_cells)
            later = flat[(t + 1) * n_cells + first : (t + 1) * n_cells + last]
            for i in range(n_cells):
                if recorded[b, history + t, i] if i < n_recorded else (t >= 0 and spikes[b, t, i]):
                    _add(result[i, first:last], later)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, weights, level, recorded, surrogate):
        n_trials, n_cells = len(recorded), drive.shape[1]
        voltage = drive.repeat(n_trials, 1, 1)  # a copy also of a single trial
        spikes = torch.zeros_like(voltage)
        rows = weights.reshape(n_cells, -1)
        levels = np.empty((0, 0, 0), np.float32) if level is None else level.numpy()
        _forward(voltage.numpy(), spikes.numpy(), rows.numpy(), levels, recorded.numpy())
        ctx.save_for_backward(voltage, spikes, weights, recorded)
        ctx.surrogate = surrogate
        ctx.set_materialize_grads(False)
        return voltage, spikes

    @staticmethod
    def backward(ctx, to_voltage, to_spikes):
        voltage, spikes, weights, recorded = ctx.saved_tensors
        n_cells, n_recorded = voltage.shape[2], recorded.shape[2]
        gradient = torch.zeros_like(voltage) if to_voltage is None else to_voltage.clone(memory_format=torch.contiguous_format)
        if n_recorded < n_cells or to_spikes is not None:
            slope = ctx.surrogate.slope(voltage)
            direct = torch.zeros_like(voltage) if to_spikes is None else to_spikes.contiguous()
            _backward(gradient.numpy(), direct.numpy(), slope.numpy(), weights.reshape(n_cells, -1).numpy(), n_recorded)
        to_weights = torch.zeros_like(weights)
        _weight_gradient(to_weights.view(n_cells, -1).numpy(), gradient.numpy(), spikes.numpy(), recorded.numpy())
        return gradient.sum(0), to_weights, None, None, None


def run_plain(drive, weights, level, recorded, surrogate):
    """As `run`, step by step with torch's own gradient; on every device, and slow."""
    n_recorded, history = recorded.shape[2], weights.shape[1]
    forced = recorded.to(drive.dtype)
    silent = drive.new_zeros(len(recorded), drive.shape[1] - n_recorded)
    past = [torch.cat([forced[:, t], silent], 1) for t in range(history)]
    voltages, spikes = [], []
    for t, now in enumerate(drive):
        lagged = torch.stack(past[: -history - 1 : -1], 1)  # lag 1 first: trial, lag, cell
        voltage = now + torch.einsum("bki,ikj->bj", lagged, weights)
        slope = functools.partial(lambda v, _: surrogate.slope(v), voltage.detach())
        spike = torch.zeros_like(voltage) if level is None else cells.spike(voltage - level[:, t], slope)
        past.append(torch.cat([forced[:, history + t], spike[:, n_recorded:]], 1))
        voltages.append(voltage)
        spikes.append(spike)
    return torch.stack(voltages, 1), torch.stack(spikes, 1)


def run(
    drive: Float[Tensor, "step cell"],  # input and bias, the same in all trials
    weights: Float[Tensor, "pre lag post"],  # lag 1 first
    level: Float[Tensor, "trial step cell"] | None,  # a cell fires when its voltage is above; none: nobody fires
    recorded: Bool[Tensor, "trial history+step visible"],  # recorded spikes, D bins before the start included
    surrogate: Surrogate,
) -> tuple[Float[Tensor, "trial step cell"], Float[Tensor, "trial step cell"]]:
    """Voltages and spikes of all trials.

    v_j(t) = drive_j(t) + sum_i sum_k weights[i, k, j] s_i(t - 1 - k), with s the recorded spikes where there are any and
    the cell's own otherwise. With no recorded cell the network runs freely from silence.
    """
    if drive.device.type == "cpu" and drive.dtype == torch.float32:
        return _Compiled.apply(drive, weights.contiguous(), level, recorded, surrogate)
    return run_plain(drive, weights, level, recorded, surrogate)
