"""Max-pooling followed by ReLU, with 'same' padding: ceil(size / stride) outputs, an odd surplus to the right and bottom.

On a CPU both are one compiled sweep over channels-last images, which keeps no copy of what it rectifies.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from respike.core.compiled import njit

NONE = np.uint8(255)  # no value of the window was above 0


def before(size: int, side: int, stride: int) -> tuple[int, int]:
    """Padding before and after `size` pixels."""
    total = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
    return total // 2, total - total // 2


@njit
def _forward(x, out, winner, side, stride, top, left):
    n_images, height, width, n_channels = x.shape
    for f in range(n_images):
        for r in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[f, r, c] = 0
                winner[f, r, c] = NONE
                for i in range(max(0, top - r * stride), min(side, height + top - r * stride)):
                    for j in range(max(0, left - c * stride), min(side, width + left - c * stride)):
                        y, z, here = r * stride + i - top, c * stride + j - left, np.uint8(i * side + j)
                        for k in range(n_channels):
                            above = x[f, y, z, k] > out[f, r, c, k]
                            out[f, r, c, k] = x[f, y, z, k] if above else out[f, r, c, k]
                            winner[f, r, c, k] = here if above else winner[f, r, c, k]


@njit
def _backward(gradient, winner, result, side, stride, top, left):
    n_images, height, width, n_channels = result.shape
    for f in range(n_images):
        result[f] = 0
        for r in range(gradient.shape[1]):
            for c in range(gradient.shape[2]):
                for i in range(max(0, top - r * stride), min(side, height + top - r * stride)):
                    for j in range(max(0, left - c * stride), min(side, width + left - c * stride)):
                        y, z, here = r * stride + i - top, c * stride + j - left, np.uint8(i * side + j)
                        for k in range(n_channels):
                            chosen = winner[f, r, c, k] == here
                            result[f, y, z, k] += gradient[f, r, c, k] if chosen else np.float32(0)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, side, stride):
        images = x.permute(0, 2, 3, 1).contiguous()
        n_images, height, width, n_channels = images.shape
        out = images.new_empty(n_images, math.ceil(height / stride), math.ceil(width / stride), n_channels)
        winner = torch.empty(out.shape, dtype=torch.uint8)
        ctx.window = (side, stride, before(height, side, stride)[0], before(width, side, stride)[0])
        ctx.shape = images.shape
        _forward(images.numpy(), out.numpy(), winner.numpy(), *ctx.window)
        ctx.save_for_backward(winner)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient):
        (winner,) = ctx.saved_tensors
        result = gradient.new_empty(ctx.shape)
        _backward(gradient.permute(0, 2, 3, 1).contiguous().numpy(), winner.numpy(), result.numpy(), *ctx.window)
        return result.permute(0, 3, 1, 2), None, None


def run_plain(
    x: Float[Tensor, "image channel row column"], side: int, stride: int
) -> Float[Tensor, "image channel row column"]:
    """As `run`, in ordinary torch."""
    height, width = x.shape[2:]
    padding = (*before(width, side, stride), *before(height, side, stride))
    return torch.relu(functional.max_pool2d(functional.pad(x, padding, value=-math.inf), side, stride))


def run(x: Float[Tensor, "image channel row column"], side: int, stride: int) -> Float[Tensor, "image channel row column"]:
    """max(0, largest value of each window)."""
    if x.device.type == "cpu" and x.dtype == torch.float32 and side * side < NONE:
        return _Compiled.apply(x, side, stride)
    return run_plain(x, side, stride)
