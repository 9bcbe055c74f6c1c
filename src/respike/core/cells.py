"""One time step of the cells that several studies share: pure functions of input, state and parameters."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def decay(dt: float, tau: float) -> float:
    """Factor by which an exponential with time constant `tau` shrinks in `dt` (same unit)."""
    return math.exp(-dt / tau)


class _FastSigmoidStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (ctx.slope * x.abs() + 1) ** 2, None


class _TriangleStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, height):
        ctx.save_for_backward(x)
        ctx.height = height
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * ctx.height * torch.clamp(1 - x.abs(), min=0), None


def fast_sigmoid_step(x: Float[Tensor, "*shape"], slope: float = 25.0) -> Float[Tensor, "*shape"]:
    """1 where x > 0, else 0; its derivative is taken to be 1 / (slope |x| + 1)^2."""
    return _FastSigmoidStep.apply(x, slope)


def triangle_step(x: Float[Tensor, "*shape"], height: float = 0.3) -> Float[Tensor, "*shape"]:
    """1 where x > 0, else 0; its derivative is taken to be height * max(0, 1 - |x|)."""
    return _TriangleStep.apply(x, height)


def lif_step(
    v: Float[Tensor, "trial cell"],  # membrane, in units of the threshold
    drive: Float[Tensor, "trial cell"],  # input current, same unit
    leak: float,  # exp(-dt / tau)
    slope: float = 25.0,
) -> tuple[Float[Tensor, "trial cell"], Float[Tensor, "trial cell"]]:
    """Leak, integrate, fire, subtract the threshold. Returns (spikes, v)."""
    v = leak * v + (1 - leak) * drive
    z = fast_sigmoid_step(v - 1, slope)
    return z, v - z


def trace(x: Float[Tensor, "*shape"], spikes: Float[Tensor, "*shape"], leak: float) -> Float[Tensor, "*shape"]:
    """Exponential trace of spikes: decays by `leak` = exp(-dt / tau), then each spike adds 1."""
    return leak * x + spikes
