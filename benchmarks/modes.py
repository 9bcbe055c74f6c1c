"""Workloads of modes: one Adam step with the full adjoint, beside the published program's on a quiet machine."""

import numpy as np
import torch

from benchmarks.workload import Workload
from respike.core.tasks import contextual
from respike.modes import model
from respike.modes.params import RATE_CELLS, Size, spike_filter

DIGITS = spike_filter("digits", "double")
PUBLISHED = "published program, same work"


def adam_step(network, loss_of):
    """Function that takes one step: loss, adjoint, clipping, Adam."""
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)

    def step():
        optimiser.zero_grad()
        loss_of().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 20)
        optimiser.step()

    return step


def digits_step(neurons=100, modes=3, batch=256, steps=50, cells=DIGITS):
    """One step on `batch` images whose pixels have the lit share and grey levels of MNIST (19 % lit)."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images = (rng.integers(1, 256, (batch, 784)) * (rng.random((batch, 784)) < 0.19)).astype(np.uint8)
    labels = torch.from_numpy(rng.integers(10, size=batch))
    network = model.Network(Size(784, neurons, modes, 10), torch.Generator().manual_seed(0))

    def loss_of():
        drive = model.encoded_drive(network, images, steps, rng)
        return model.digit_loss(model.train_peaks(network, drive, cells), labels, "reference")

    return adam_step(network, loss_of)


def contextual_step(neurons=100, modes=3, batch=100, steps=500, run=model.train_steps):
    """One step on `batch` trials of contextual integration."""
    torch.set_num_threads(1)
    trials = contextual(np.random.default_rng(0), steps, batch)
    inputs, target = torch.from_numpy(trials.inputs), torch.from_numpy(trials.target)
    network = model.Network(Size(4, neurons, modes, 1), torch.Generator().manual_seed(0))

    def loss_of():
        return model.step_loss(run(network, inputs, spike_filter("contextual", "double"))[..., 0], target)

    return adam_step(network, loss_of)


def plain_steps(network, inputs, synapse):
    """The outputs by plain torch operations."""
    return model.read_steps(network, model.run_spiking_plainly(network, model.drive_of(network, inputs), synapse).r)


def workloads() -> list[Workload]:
    """Digits and contextual steps; the last row compares the compiled network with plain torch operations."""
    return [
        Workload("modes: digits step (N=100, P=3, B=256, T=50)", digits_step(), PUBLISHED, yardstick_cpu_s=0.165),
        Workload("modes: digits step, rate cells", digits_step(cells=RATE_CELLS["leaky"])),
        Workload("modes: contextual step (N=100, P=3, B=300, T=500)", contextual_step(batch=300)),
        Workload("modes: contextual step (N=100, P=3, B=100, T=500)", contextual_step(), PUBLISHED, yardstick_cpu_s=0.31),
        Workload(
            "modes: contextual step, compiled",
            contextual_step(),
            "the same in plain torch operations",
            yardstick_run=contextual_step(run=plain_steps),
        ),
    ]
