"""TensorFlow's Adam against its equation, written out for one number, and against closed forms."""

import math

import numpy as np
import pytest
import torch

from respike.core.adam import Adam

GRADIENTS = (1e-7, -3e-7, 2e-6, 5e-8)  # as small as epsilon, so that its place counts


def updated(gradients, epsilon=1e-8, **options):
    """Positions of one parameter, from 0, after each of `gradients`."""
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    adam, positions = Adam([parameter], 0.01, epsilon=epsilon, **options), []
    for number, gradient in enumerate(gradients):
        parameter.grad = torch.full((1,), gradient, dtype=torch.float64)
        adam.step(number)
        positions.append(float(parameter.detach()))
    return np.array(positions)


def by_hand(gradients, epsilon, before_correction=True):
    m = v = position = 0.0
    positions = []
    for t, gradient in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        first, second = 1 - 0.9**t, 1 - 0.999**t
        if before_correction:
            position -= 0.01 * math.sqrt(second) / first * m / (math.sqrt(v) + epsilon)
        else:
            position -= 0.01 * (m / first) / (math.sqrt(v / second) + epsilon)
        positions.append(position)
    return np.array(positions)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-7])
def test_updates_by_hand(fused, epsilon):
    found = updated(GRADIENTS, epsilon, fused=fused)
    np.testing.assert_allclose(found, by_hand(GRADIENTS, epsilon), rtol=1e-12)
    assert np.abs(found / by_hand(GRADIENTS, epsilon, before_correction=False) - 1).max() > 0.1  # PyTorch's order is another


@pytest.mark.parametrize("fused", [False, True])
def test_a_constant_gradient_moves_by_the_learning_rate(fused):
    """With m = g (1 - beta1^t) and v = g^2 (1 - beta2^t) every step is the learning rate, whatever the gradient."""
    found = updated([-30.0] * 50, fused=fused)
    np.testing.assert_allclose(found, 0.01 * np.arange(1, 51), rtol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_each_gradient_is_clipped_on_its_own(fused):
    """Norms 5 and 0.5 under a clip of 1: the first is divided by 5, the second stays; a common norm would change both."""
    start = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    adam = Adam(start, 0.1, betas=(0.0, 0.0), epsilon=1.0, clip=1.0, fused=fused)  # without memory: - 0.1 g / (|g| + 1)
    start[0].grad, start[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
    adam.step(0)
    for parameter, gradient in zip(start, ([0.6, 0.8], [0.3, 0.4]), strict=True):
        expected = [-0.1 * g / (g + 1) for g in gradient]
        np.testing.assert_allclose(parameter.detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_a_restored_optimiser_goes_on_to_the_bit(fused):
    def run(restore):
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
        adam = Adam([weight], 0.1, fused=fused)
        for number in range(6):
            if restore and number == 3:
                adam, held = Adam([weight], 0.1, fused=fused), adam.state_dict()
                adam.load_state_dict(held)
            adam.zero_grad()
            (weight**4).sum().backward()
            adam.step(number)
        return weight.detach()

    assert torch.equal(run(True), run(False))
