"""Surrogate steps, LIF step and traces against hand values and closed forms."""

import math

import pytest
import torch

from respike.core import cells


def test_steps_are_strict_and_their_derivatives_are_the_formulas():
    x = torch.tensor([-1.0, -0.1, 0.0, 0.2, 2.0], requires_grad=True)
    spikes = cells.fast_sigmoid_step(x, 25.0)
    assert spikes.tolist() == [0, 0, 0, 1, 1]
    spikes.sum().backward()
    assert x.grad.tolist() == pytest.approx([1 / (25 * abs(v) + 1) ** 2 for v in x.tolist()])
    x.grad = None
    cells.triangle_step(x, 0.3).sum().backward()
    assert x.grad.tolist() == pytest.approx([0, 0.27, 0.3, 0.24, 0])


def test_lif_step_by_hand():
    spikes, v = cells.lif_step(torch.tensor([[0.5, 1.5]]), torch.tensor([[0.0, 1.0]]), 0.9)
    assert spikes.tolist() == [[0, 1]]
    assert v[0].tolist() == pytest.approx([0.45, 0.45])


def test_a_driven_lif_cell_below_threshold_relaxes_exponentially():
    leak, v = cells.decay(0.001, 0.02), torch.zeros(1, 1)
    for _ in range(30):
        _, v = cells.lif_step(v, torch.full((1, 1), 0.8), leak)
    assert v.item() == pytest.approx(0.8 * (1 - math.exp(-30 / 20)), rel=1e-5)


def test_trace_of_a_regular_train_reaches_its_limit():
    x = torch.zeros(1)
    for _ in range(500):
        x = cells.trace(x, torch.ones(1), 0.9)
    assert x.item() == pytest.approx(1 / (1 - 0.9), rel=1e-5)
