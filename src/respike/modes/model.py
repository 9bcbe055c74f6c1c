"""Networks whose recurrent matrix is a sum of modes, W = pin diag(l) pout^T: the equations (section 3 of the paper).

In step i = 0, 1, ... of a spiking network, with s, r of the step before:
    I <- A_INPUT I + Win x_i + W r
    v <- g (A_MEMBRANE v + (1 - A_MEMBRANE) I) (1 - s)        g = 1 unless the neuron fired in the last 5 steps
    h <- rise h + step_h s ;  r <- A_DECAY r + step_r h         (single filter: rise 0 and step_h 1)
    s <- 1 where v > 1
A neuron that fired is thus reset one step later, and its spike reaches the readout one step later.
Axes: step, trial, cell.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from respike.core.cells import spike
from respike.modes import encoding, kernel
from respike.modes.params import A_DECAY, A_INPUT, A_MEMBRANE, DT, REFRACTORY_STEPS, SLOPE, Filter, Leak, Size


class Activity(NamedTuple):
    """What a network did: filtered spikes or rates, membrane before reset, spikes (None in rate networks)."""

    r: Float[Tensor, "step trial cell"]
    before_reset: Float[Tensor, "step trial cell"]
    spikes: UInt8[Tensor, "step trial cell"] | None

    @property
    def v(self) -> Float[Tensor, "step trial cell"]:
        """Membrane: 0 in the step after a spike."""
        v = self.before_reset.clone()
        if self.spikes is not None:
            v[1:] *= 1 - self.spikes[:-1]
        return v


class Network(nn.Module):
    """First weights of a network: normal, mean 0; sd 1/sqrt of the number of inputs or modes, of the scores l 1/sqrt(N).

    The sd of the output weights is 1/sqrt(N), which the stored learning curves ask for, or with `output_init` "outputs"
    1/sqrt of the number of outputs, as in the published program. With `mode_init` "neurons" all modes have 1/sqrt(N) and the
    scores 1/sqrt(P), which the curves of contextual integration ask for.
    """

    def __init__(
        self,
        size: Size,
        generator: torch.Generator,
        output_init: str = "neurons",
        train_scores: bool = True,
        mode_init: str = "modes",
    ):
        super().__init__()

        def normal(sd: float, *shape: int) -> nn.Parameter:
            return nn.Parameter(sd * torch.randn(*shape, generator=generator))

        self.win = normal(1 / math.sqrt(size.inputs), size.neurons, size.inputs)
        n, p = 1 / math.sqrt(size.neurons), 1 / math.sqrt(size.modes)
        of_modes, of_scores = {"modes": (p, n), "neurons": (n, p)}[mode_init]
        self.pin = normal(of_modes, size.neurons, size.modes)
        self.pout = normal(of_modes, size.neurons, size.modes)
        self.scores = normal(of_scores, size.modes).requires_grad_(train_scores)
        if not train_scores:
            self.scores.data.fill_(1 / size.neurons)
        self.wout = normal(1 / math.sqrt(getattr(size, output_init)), size.outputs, size.neurons)


def run(
    network: Network, drive: Float[Tensor, "step trial cell"], cells: Filter | Leak, refractory: str = "float32_compat"
) -> Activity:
    """Activity for the input current `drive` = Win x; compiled on the CPU, plain elsewhere.

    cells: the synaptic filter of spiking cells, or the leak of tanh cells, v <- keep v + take (Win x + W tanh v), r = tanh v.
    refractory: "float32_compat" rounds times as the published program does (5 or 6 steps), "steps" counts (6 steps).
    """
    if drive.device.type != "cpu":
        if isinstance(cells, Leak):
            return run_rate_plainly(network, drive, cells)
        return run_spiking_plainly(network, drive, cells, refractory)
    constants = kernel.constants(cells, refractory == "steps")
    _, r, _, membrane, flags = _compiled(network, drive[..., :0], drive, constants, "r")
    return Activity(r, membrane, flags & int(kernel.SPIKED) if isinstance(cells, Filter) else None)


def _compiled(
    network: Network, inputs: Tensor, drive: Tensor | None, constants: kernel.Constants, keep: str = ""
) -> tuple[Tensor, ...]:
    """z (inputs, modes, outputs), R, peaks, membrane and flags of kernel.py; z has no outputs where there is a drive."""
    win, wout = (network.win, network.wout) if drive is None else (network.win[:, :0], network.wout[:0])
    into = torch.cat([win.T, (network.pin * network.scores).T, torch.zeros_like(wout)])
    out_of = torch.cat([torch.zeros_like(win), network.pout, wout.T], 1)
    return kernel.Recurrence.apply(inputs, drive, into, out_of, constants, keep)


def fast_sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Derivative that stands for the one of a spike, at the distance x to the threshold."""
    return 1 / (SLOPE * x.abs() + 1) ** 2


def run_spiking_plainly(
    network: Network, drive: Float[Tensor, "step trial cell"], synapse: Filter, refractory: str = "float32_compat"
) -> Activity:
    """Activity of the spiking network in plain torch operations, on any device."""
    current = v = s = r = h = torch.zeros_like(drive[0])
    scale = DT if refractory == "float32_compat" else 1.0
    last = torch.full_like(v, -1.0 if refractory == "float32_compat" else -1000.0)
    steps = []
    for step, x in enumerate(drive.unbind()):
        free = (step * scale > last + REFRACTORY_STEPS * scale).to(v.dtype)
        current = A_INPUT * current + x + recurrent(network, r)
        before_reset = free * (A_MEMBRANE * v + (1 - A_MEMBRANE) * current)
        v = before_reset * (1 - s)
        h = synapse.rise * h + synapse.step_h * s
        r = A_DECAY * r + synapse.step_r * h
        s = spike(v - 1, fast_sigmoid)
        last = last + (step * scale - last) * s.detach()
        steps.append((r, before_reset, s.detach().to(torch.uint8)))
    return Activity(*(torch.stack(part) for part in zip(*steps, strict=True)))


def run_rate_plainly(network: Network, drive: Float[Tensor, "step trial cell"], leak: Leak) -> Activity:
    """Activity of the rate network in plain torch operations, on any device."""
    v = r = torch.zeros_like(drive[0])
    steps = []
    for x in drive.unbind():
        v = leak.keep * v + leak.take * (x + recurrent(network, r))
        r = torch.tanh(v)
        steps.append((r, v))
    r, v = (torch.stack(part) for part in zip(*steps, strict=True))
    return Activity(r, v, None)


def recurrent(network: Network, r: Float[Tensor, "trial cell"]) -> Float[Tensor, "trial cell"]:
    """W r through the modes: two thin products instead of an N x N matrix."""
    return (r @ network.pout * network.scores) @ network.pin.T


def drive_of(network: Network, inputs: Float[Tensor, "step trial input"]) -> Float[Tensor, "step trial cell"]:
    """Input current Win x of every step at once."""
    return inputs @ network.win.T


def encoded_drive(
    network: Network, images: UInt8[np.ndarray, "trial pixel"], n_steps: int, rng: np.random.Generator
) -> Float[Tensor, "step trial cell"]:
    """Input current of Poisson-encoded images, drawn from `rng`."""
    start, index = (torch.from_numpy(part).to(network.win.device) for part in encoding.encode(images, n_steps, rng))
    if network.win.device.type == "cpu":
        drive = encoding.EncodedDrive.apply(network.win, start, index)
    else:
        drive = encoding.gather(network.win.T.contiguous(), start, index)
    return drive.view(n_steps, len(images), -1)


def read_steps(network: Network, activity: Float[Tensor, "step trial cell"]) -> Float[Tensor, "step trial output"]:
    """Output at every step, y_i = Wout r_i (contextual task)."""
    return activity @ network.wout.T


def read_peaks(network: Network, activity: Float[Tensor, "step trial cell"]) -> Float[Tensor, "trial output"]:
    """Logits from each neuron's largest activity over the trial, Wout max_i r_i (digits)."""
    return activity.max(0).values @ network.wout.T


def train_steps(
    network: Network, inputs: Float[Tensor, "step trial input"], cells: Filter | Leak, refractory: str = "float32_compat"
) -> Float[Tensor, "step trial output"]:
    """`read_steps` of the R of `run`, on the CPU alone, with less kept for the gradient."""
    z = _compiled(network, inputs, None, kernel.constants(cells, refractory == "steps"))[0]
    return z[1:, :, -len(network.wout) :]


def train_peaks(
    network: Network, drive: Float[Tensor, "step trial cell"], cells: Filter | Leak, refractory: str = "float32_compat"
) -> Float[Tensor, "trial output"]:
    """`read_peaks` of the R of `run`, on the CPU alone, with less kept for the gradient."""
    peaks = _compiled(network, drive[..., :0], drive, kernel.constants(cells, refractory == "steps"), "peaks")[2]
    return peaks @ network.wout.T


def step_loss(output: Float[Tensor, "step trial"], target: Float[Tensor, "step trial"]) -> Tensor:
    """Loss of the contextual task: square root of the summed squared error over steps and trials."""
    return torch.sqrt(((output - target) ** 2).sum())


def digit_loss(logits: Float[Tensor, "trial class"], labels: Tensor, loss: str) -> Tensor:
    """Cross-entropy. loss "reference" takes the softmax twice, as published (chance 2.3026, floor 1.4612); "logits" once."""
    return nn.functional.cross_entropy(torch.softmax(logits, 1) if loss == "reference" else logits, labels)
