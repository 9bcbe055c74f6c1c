"""The mesoscopic model of neulvm written plainly in torch: the judge of the compiled kernel.

Same loss as `model.loss`; gradients by automatic differentiation. All populations and batches advance together, bin by bin.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from respike.neulvm import kernel, model
from respike.neulvm.model import Trial
from respike.neulvm.params import GROUPS, Circuit, Fit, Scheme, bins

PUBLISHED = Fit(scheme="compat", e_step="adam", iterations=20, e_steps=200)


class Plain(NamedTuple):
    """Loss of the spikes and of the latent activity; expected activity; log P(spike) and log P(no spike)."""

    spikes: Tensor
    latent: Tensor
    expected: Tensor  # batch, fit bin, population
    log_spike: Tensor  # batch, fit bin, neuron
    log_silence: Tensor


def parameters(circuit: Circuit, device: str = "cpu") -> dict[str, Tensor]:
    """The four fitted groups as tensors."""
    return {name: torch.tensor(getattr(circuit, name), dtype=torch.float64, device=device) for name in GROUPS}


def loss(values: dict[str, Tensor], circuit: Circuit, trial: Trial, latent: Tensor, scheme: Scheme) -> Plain:
    """Loss at the parameters `values` (other constants from `circuit`) and the latent activity (batch, bin, population)."""
    dt, history = trial.dt, trial.history
    like = {"dtype": latent.dtype, "device": latent.device}
    sizes = torch.tensor(circuit.sizes, **like)
    weights = values["coupling"][:, None] * torch.tensor(circuit.connectivity, **like)
    early = torch.tensor(trial.early_rates, **like)
    past = torch.cat([(early * dt)[:, None].expand(-1, history, -1), latent[:, history:]], 1)
    h = values["rest"] + early @ weights / values["mem_rate"]
    decay = 1 - values["mem_rate"] * dt if scheme == "compat" else torch.exp(-values["mem_rate"] * dt)
    gain = torch.full_like(decay, dt) if scheme == "compat" else (1 - decay) / values["mem_rate"]
    pull = values["mem_rate"] * values["rest"] + circuit.input_gain * torch.tensor(trial.drive, **like)
    drive = gain * (pull + _traces(circuit, trial, past, early) @ weights)
    expected = _population(values, circuit, trial, past, h, decay, drive, scheme)
    log_spike, log_silence = _recorded(values, circuit, trial, h, decay, drive, scheme)
    variance = expected / sizes + kernel.LEAST_RATE * dt / sizes
    log_norm = math.log(2 * (3.14 if scheme == "compat" else math.pi)) / 2
    nll = (past[:, history:] - expected) ** 2 / (2 * variance) + torch.log(variance) / 2 + log_norm
    fired = torch.tensor(trial.spikes[:, history:] > 0, device=latent.device)
    of_spikes = -torch.where(fired, log_spike, log_silence).sum() / math.prod(trial.shape)
    return Plain(of_spikes, nll.mean(), expected, log_spike, log_silence)


def _traces(circuit: Circuit, trial: Trial, past: Tensor, early: Tensor) -> Tensor:
    """Synaptic activity (batch, fit bin, population), Hz."""
    keep = torch.exp(-torch.tensor(circuit.syn_rate, dtype=past.dtype, device=past.device) * trial.dt)
    lag, trace, out = bins(circuit.delay, trial.dt), early, []
    for c in range(trial.shape[1]):
        if c > lag:
            trace = keep * trace + (1 - keep) * past[:, trial.history + c - lag - 1] / trial.dt
        out.append(trace)
    return torch.stack(out, 1)


def _population(values, circuit: Circuit, trial: Trial, past: Tensor, h, decay, drive: Tensor, scheme: Scheme) -> Tensor:
    """Expected activity (batch, fit bin, population): cohorts by age, shifted in each bin."""
    dt, history = trial.dt, trial.history
    held = (torch.arange(history, device=past.device) < bins(circuit.refractory, dt))[None, :, None]
    v, survival = _start(h, values["mem_rate"], values["threshold"], history, dt, circuit.refractory, scheme)
    zero, out = torch.zeros_like(v[:, :1]), []
    for c in range(trial.shape[1]):
        v = torch.where(held, 0.0, decay * v + drive[:, c, None])
        x = torch.where(held, kernel.SILENT * dt, dt * torch.exp(v - values["threshold"]))
        p = torch.where(x < kernel.SWITCH, x, -torch.expm1(-x)) if scheme == "compat" else -torch.expm1(-x)
        present = survival * past[:, c : c + history].flip(1)
        weight = (1 - survival) * present
        total = weight.sum(1)
        old = p[:, -1] * (scheme == "exact")
        mean = torch.where(total > kernel.FEW, (weight * p).sum(1) / total.clamp(min=kernel.FEW), old)
        out.append(((present * p).sum(1) + mean * (1 - present.sum(1))).clamp(0, 1))
        v = torch.cat([zero, v[:, :-1]], 1)
        survival = torch.cat([zero + 1, (survival * torch.exp(-x))[:, :-1]], 1)
    return torch.stack(out, 1)


def _recorded(values, circuit: Circuit, trial: Trial, h, decay, drive: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """log P(spike) and log P(no spike) of the recorded neurons (batch, fit bin, neuron)."""
    dt, device = trial.dt, drive.device
    owner = torch.tensor(trial.population, device=device)
    fired = torch.tensor(trial.spikes[:, trial.history :] > 0, device=device)
    age, free = model.neuron_start(trial.last_spike, trial, circuit.refractory, scheme == "compat")
    age, free = torch.tensor(age, device=device), torch.tensor(free, dtype=drive.dtype, device=device)
    v = torch.where(free > 0, -h[:, owner] * torch.expm1(-values["mem_rate"][owner] * free), 0.0)
    log_spike, log_silence = [], []
    for c in range(trial.shape[1]):
        resting = age < bins(circuit.refractory, dt)
        v = torch.where(resting, 0.0, decay[owner] * v + drive[:, c, owner])
        log_x = v - values["threshold"][owner] + math.log(dt)
        x = torch.where(resting, kernel.SILENT * dt, torch.exp(log_x))
        linear = resting | (x < kernel.SWITCH) if scheme == "compat" else resting
        log_spike.append(torch.where(linear, log_x, torch.log(-torch.expm1(-x))))
        log_silence.append(-x)
        v = torch.where(fired[:, c], 0.0, v)
        age = torch.where(fired[:, c], 0, age + 1)
    return torch.stack(log_spike, 1), torch.stack(log_silence, 1)


def _start(h: Tensor, alpha: Tensor, threshold: Tensor, history: int, dt: float, refractory: float, scheme: Scheme):
    """Potential and survival of the cohorts (batch, age, population) at constant input."""
    step = model.QUADRATURE if scheme == "compat" else dt
    per = round(dt / step)
    held = refractory - 1e-12 if scheme == "compat" else 0.0
    grid = torch.arange(history * per + 1, dtype=h.dtype, device=h.device) * step
    if scheme == "exact":
        grid = (grid - bins(refractory, dt) * dt).clamp(min=0)
    v = torch.where((grid >= held)[None, :, None], -h[:, None] * torch.expm1(-alpha * grid[None, :, None]), 0.0)
    hazard = torch.where(v != 0, torch.exp(v - threshold), 0.0 if scheme == "compat" else kernel.SILENT)
    summed = torch.cumsum(hazard * step, 1)
    if scheme == "compat":
        survival = torch.exp(-summed[:, : history * per : per])
        empty = torch.arange(history, device=h.device)[None, :, None] == 0  # published quirk
        return v[:, : history * per : per], torch.where(empty, 0.0, survival)
    started = torch.cat([torch.zeros_like(summed[:, :1]), summed[:, 1:-1]], 1)
    return v[:, :-1], torch.exp(-started)


def as_tensor(latent: np.ndarray, place: str = "cpu") -> Tensor:
    """Latent activity as a tensor whose gradient can be asked for."""
    return torch.tensor(latent, dtype=torch.float64, device=place, requires_grad=True)
