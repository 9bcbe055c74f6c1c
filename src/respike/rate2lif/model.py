"""The rate network and its gradient. Time in steps of 5 ms; axes in the order step, trial, cell.

    x_t = (1 - 1/tau) x_{t-1} + (1/tau) (W r_{t-1} + W_in u_{t-1}) + eta_t,    r = phi(x),    o_t = w_out r_t + b_out

`Recurrence` is this recursion with its adjoint written out: no graph of single steps, the same numbers as autograd and
five times faster (tests/test_rate2lif.py compares the two).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from respike.rate2lif.network import Network
from respike.rate2lif.params import CLIP, GAMMA, OUTPUT_START, RATE_NOISE, RATE_START, Training


class Activation(NamedTuple):
    """Rate of a cell and its derivative. `rate(x, r)` writes into r; the derivative takes both."""

    rate: Callable[[Tensor, Tensor], Tensor]
    slope: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS = {
    "sigmoid": Activation(lambda x, r: torch.sigmoid(x, out=r), lambda x, r: r * (1 - r)),
    "clipped_relu": Activation(lambda x, r: torch.clamp(x, 0, CLIP, out=r), lambda x, r: ((x > 0) & (x < CLIP)).to(x.dtype)),
    "softplus": Activation(
        lambda x, r: torch.clamp(torch.nn.functional.softplus(x), max=CLIP, out=r), lambda x, r: torch.sigmoid(x) * (r < CLIP)
    ),
}


class Recurrence(torch.autograd.Function):
    """x (step, trial, cell) of x_t = leak x_{t-1} + W phi(x_{t-1}) + e_t, with x_0 = e_0."""

    @staticmethod
    def forward(ctx, weights, leak, e, activation):
        x, r = e.clone(), torch.empty_like(e)
        rate, sent = activation.rate, weights.T.contiguous()
        xs, rs = x.unbind(), r.unbind()
        rate(xs[0], rs[0])
        for t in range(1, len(xs)):
            xs[t].addmm_(rs[t - 1], sent).addcmul_(leak, xs[t - 1])
            rate(xs[t], rs[t])
        ctx.save_for_backward(weights, leak, x, r)
        ctx.activation = activation
        ctx.mark_non_differentiable(x)
        ctx.set_materialize_grads(False)
        return x, r

    @staticmethod
    def backward(ctx, _, grad_r):
        weights, leak, x, r = ctx.saved_tensors
        slope = ctx.activation.slope(x, r)
        g = grad_r * slope
        received = torch.empty_like(g[0])
        steps, slopes = g.unbind(), slope.unbind()
        for t in range(len(steps) - 1, 0, -1):
            torch.mm(steps[t], weights, out=received)
            steps[t - 1].addcmul_(received, slopes[t - 1]).addcmul_(leak, steps[t])
        return g[1:].flatten(0, 1).T @ r[:-1].flatten(0, 1), (g[1:] * x[:-1]).sum((0, 1)), g, None


class RateNetwork(torch.nn.Module):
    """The trained parameters are w, w_out, b_out and, unless there is a single decay constant, taus_gaus."""

    def __init__(self, network: Network, dale: bool) -> None:
        super().__init__()
        self.network, self.dale = network, dale
        self.activation = ACTIVATIONS[network.activation]
        self.w = torch.nn.Parameter(_tensor(network.w))
        self.w_out = torch.nn.Parameter(_tensor(network.w_out))
        self.b_out = torch.nn.Parameter(_tensor(network.b_out))
        self.taus_gaus = torch.nn.Parameter(_tensor(network.taus_gaus), requires_grad=len(network.taus) > 1)
        for name in ("w_in", "signs", "mask"):
            self.register_buffer(name, _tensor(getattr(network, name)))

    def taus(self) -> Float[Tensor, " cell"]:
        """Decay constant of each cell, steps."""
        low, high = self.network.taus[0], self.network.taus[-1]
        return torch.sigmoid(self.taus_gaus) * (high - low) + low

    def recurrent(self) -> Float[Tensor, "cell cell"]:
        """Signed weights: a negative one counts as absent under Dale's law."""
        return (torch.relu(self.w) if self.dale else self.w) * self.signs * self.mask

    def forward(
        self, inputs: Float[Tensor, "step trial channel"], noise: Float[Tensor, "step trial cell"]
    ) -> tuple[Float[Tensor, "step trial cell"], Float[Tensor, "step trial cell"], Float[Tensor, "step-1 trial"]]:
        """x, r and the output from the second step on. `noise` is standard normal; its first step sets x_0."""
        rate = 1 / self.taus()
        e = RATE_NOISE * noise
        e = torch.cat([RATE_START * noise[:1], e[1:] + rate * (inputs[:-1] @ self.w_in.T)])
        x, r = Recurrence.apply(rate[:, None] * self.recurrent(), 1 - rate, e, self.activation)
        return x, r, r[1:] @ self.w_out + self.b_out

    def trained(self) -> Network:
        """The network as the file keeps it: the weights rectified under Dale's law."""
        w = torch.relu(self.w) if self.dale else self.w
        numbers = {name: getattr(self, name).detach().cpu().double().numpy() for name in ("w_out", "taus_gaus")}
        return replace(self.network, w=w.detach().cpu().double().numpy(), b_out=self.b_out.item(), **numbers)


def _tensor(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def initial(settings: Training, n_inputs: int, rng: np.random.Generator) -> Network:
    """A network before training. ValueError when there are fewer inhibitory cells than `sst_cells`."""
    n = settings.cells
    inhibitory = rng.random(n) < settings.p_inhibitory if settings.dale else np.zeros(n, dtype=bool)
    if settings.sst_cells > inhibitory.sum():
        raise ValueError(
            f"sst_cells = {settings.sst_cells}, but only {inhibitory.sum()} of {n} cells are inhibitory"
            f" (p_inhibitory {settings.p_inhibitory}, dale {settings.dale}); take more cells or fewer SST cells in config.yaml"
        )
    w = _initial_weights(settings, rng)
    mask = np.ones((n, n))
    mask[np.ix_(np.flatnonzero(inhibitory)[: settings.sst_cells], inhibitory)] = 0
    return Network(
        w=w,
        w0=w,
        w_in=rng.standard_normal((n, n_inputs)),
        w_out=OUTPUT_START * rng.standard_normal(n),
        b_out=0.0,
        signs=np.where(inhibitory, -1.0, 1.0),
        mask=mask,
        inhibitory=inhibitory,
        taus=settings.taus,
        taus_gaus=rng.standard_normal(n),
        activation=settings.activation,
        sst_cells=settings.sst_cells,
    )


def _initial_weights(settings: Training, rng: np.random.Generator) -> Float[np.ndarray, "cell cell"]:
    n, p = settings.cells, settings.p_recurrent
    if settings.weights == "gamma":
        values = rng.gamma(*GAMMA, size=(n, n))
    else:
        values = rng.standard_normal((n, n)) * settings.gain / np.sqrt(n * p)
    values = np.abs(values) if settings.dale else values
    return np.where(rng.random((n, n)) < p, values, 0.0)


def loss(output: Float[Tensor, "step-1 trial"], target: Float[Tensor, "step trial"], kind: str) -> Float[Tensor, " trial"]:
    """Error of each trial. As published, the output of step t + 1 is compared with the target of step t."""
    error = output - target[:-1]
    return error.abs().sum(0) if kind == "l1" else error.square().sum(0).sqrt()
