"""The spike of a cell, as several studies differentiate it."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, derivative):
        ctx.save_for_backward(x)
        ctx.derivative = derivative
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * ctx.derivative(x), None


def spike(x: Float[Tensor, "*shape"], derivative: Callable[[Tensor], Tensor]) -> Float[Tensor, "*shape"]:
    """1 where x, the distance to the threshold, is positive, else 0; its derivative is taken to be `derivative`(x)."""
    return _Spike.apply(x, derivative)
