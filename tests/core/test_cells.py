"""The spike against hand values."""

import torch

from respike.core import cells


def test_spike_is_strict_and_has_the_given_derivative():
    x = torch.tensor([-1.0, -0.1, 0.0, 0.2, 2.0], requires_grad=True)
    spikes = cells.spike(x, lambda v: 0.5 * v + 3)
    assert spikes.tolist() == [0, 0, 0, 1, 1]
    (2 * spikes).sum().backward()
    torch.testing.assert_close(x.grad, x.detach() + 6)
