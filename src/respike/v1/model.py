"""The network: a convolutional view of the movie in front of recurrent, stochastic spiking cells.

u = (v - threshold) / threshold;  p = sigmoid(temperature u);  a cell spikes when p > uniform, which is to say
v > threshold (1 + logit(uniform) / temperature). Axes: trial, step, cell; recorded cells first, hidden cells after them.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from respike.core import seeds
from respike.v1 import recurrence
from respike.v1.fourier import Convolution, Images
from respike.v1.params import Network

CHUNK = 128  # steps of the front end at once: what is made on the way stays in the cache


class Pass(NamedTuple):
    """One pass through all steps of a batch of trials."""

    voltage: Float[Tensor, "trial step cell"]
    logits: Float[Tensor, "trial step cell"]  # temperature u
    spikes: Float[Tensor, "trial step cell"]  # as drawn, also where recorded ones act in their stead

    @property
    def probabilities(self) -> Float[Tensor, "trial step cell"]:
        """Chance of a spike in each bin."""
        return torch.sigmoid(self.logits)


class FrontEnd(nn.Module):
    """Convolutions, max-pooling and ReLU: a movie in, a flat vector (row, column, filter) per full window of frames out."""

    def __init__(self, network: Network, pixels: int) -> None:
        super().__init__()
        channels = (network.movie_frames, *network.filters)
        sizes = list(itertools.accumulate(network.strides, lambda size, stride: math.ceil(size / stride), initial=pixels))
        self.layers = nn.ModuleList(map(Convolution, sizes[:-1], channels[:-1], channels[1:], network.kernels))
        self.pools = tuple(zip(network.pools, network.strides, strict=True))
        self.n_features = sizes[-1] ** 2 * channels[-1]
        self.to(memory_format=torch.channels_last)  # the order in which `initialise` draws the weights

    def forward(self, movie: Float[Tensor, "frame row column"]) -> Float[Tensor, "step feature"]:
        kernels, pieces, more = [layer.kernels() for layer in self.layers], [], self.layers[0].in_channels - 1
        for start in range(0, len(movie) - more, CHUNK):
            x = movie[start : start + CHUNK + more].permute(1, 2, 0)[:, :, None]
            for k, layer in enumerate(self.layers):
                spectra = layer.spectra(x)
                if k == 0:
                    spectra = spectra.unfold(-1, x.shape[3] - more, 1).flatten(2, 3)  # the frames of a window are channels
                x = (pool(layer.images(kernels[k] @ spectra), *self.pools[k]) + layer.bias[:, None]).relu_()
            pieces.append(x.flatten(0, 2))
        return torch.cat(pieces, 1).T


def pool(x: Images, side: int, stride: int) -> Images:
    """Largest value of each window; ceil(size / stride) outputs, as many as TensorFlow's 'same'.

    TensorFlow pads so many pixels that all windows are full, the odd one at the end.
    """
    padding = max((math.ceil(len(x) / stride) - 1) * stride + side - len(x), 0) // 2
    flat = x.view(1, *x.shape[:2], -1).permute(0, 3, 1, 2)  # one image of channel*step channels, these side by side in memory
    if stride == 1 and side % 2 == 0:  # other strides do without the odd pixel: their last window may be incomplete
        flat = functional.pad(flat, (0, 1, 0, 1), value=-math.inf)
    largest = functional.max_pool2d(flat, side, stride, padding, ceil_mode=True)
    return largest.permute(0, 2, 3, 1).reshape(*largest.shape[2:], *x.shape[2:])


class SpikingNetwork(nn.Module):
    """Recorded and hidden cells with couplings over D bins, driven by the movie."""

    def __init__(self, network: Network, n_recorded: int, pixels: int) -> None:
        super().__init__()
        self.network, self.n_recorded, self.pixels = network, n_recorded, pixels
        self.n_cells = n_recorded + network.hidden
        self.front_end = FrontEnd(network, pixels)
        self.w_in = nn.Parameter(torch.zeros(self.front_end.n_features, self.n_cells))
        self.w_rec = nn.Parameter(torch.zeros(self.n_cells, self.n_cells, network.history))  # post, pre, oldest bin first
        self.bias = nn.Parameter(torch.zeros(self.n_cells))
        self.surrogate = recurrence.Surrogate(network.surrogate, network.threshold, network.dampening, network.temperature)
        allowed = {"full": torch.ones, "self": torch.eye, "none": torch.zeros}[network.coupling]
        size = (self.n_cells,) if network.coupling == "self" else (self.n_cells, self.n_cells)
        self.register_buffer("allowed", allowed(*size)[:, :, None], persistent=False)

    @property
    def couplings(self) -> Float[Tensor, "post pre lag"]:
        """Couplings that exist, oldest bin first, in the unit of the voltage."""
        return self.w_rec * self.allowed

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights: Glorot uniform kernels, normal couplings cut at two standard deviations, no bias."""
        for layer in self.front_end.layers:
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
        for weights, fan_in in ((self.w_in, len(self.w_in)), (self.w_rec, self.n_cells * self.network.history)):
            spread = 1 / math.sqrt(fan_in)
            nn.init.trunc_normal_(weights, std=spread, a=-2 * spread, b=2 * spread, generator=generator)
        nn.init.zeros_(self.bias)

    def drive(self, movie: Float[Tensor, "frame row column"]) -> Float[Tensor, "step cell"]:
        """Input of each cell from the movie, and its bias; the same in all trials. A step for each full window of frames."""
        return self.front_end(movie) @ self.w_in + self.bias

    def free(self, drive: Float[Tensor, "step cell"], uniforms: Float[Tensor, "trial step cell"]) -> Pass:
        """Run on the network's own spikes, from silence."""
        nobody = torch.zeros(len(uniforms), self.network.history + len(drive), 0, dtype=torch.bool, device=drive.device)
        return self._run(drive, uniforms, nobody)

    def forced(
        self,
        drive: Float[Tensor, "step cell"],
        recorded: Bool[Tensor, "trial history+step visible"],
        uniforms: Float[Tensor, "trial step cell"] | None = None,
    ) -> Pass:
        """Recorded cells act through their recorded spikes, hidden cells through their own (which need `uniforms`)."""
        if uniforms is None and self.network.hidden:
            raise ValueError("a network with hidden cells draws their spikes: uniforms needed")
        return self._run(drive, uniforms, recorded)

    def _run(self, drive: Tensor, uniforms: Tensor | None, recorded: Tensor) -> Pass:
        threshold, temperature = self.network.threshold, self.network.temperature
        level = None if uniforms is None else threshold * (1 + torch.logit(uniforms.to(drive.device)) / temperature)
        weights = self.couplings.permute(1, 2, 0).flip(1)
        voltage, spikes = recurrence.run(drive, weights, level, recorded, self.surrogate)
        scaled = (voltage - threshold) / threshold
        return Pass(voltage, temperature * scaled if temperature != 1 else scaled, spikes)


def uniforms(root: int, stream: tuple[str | int, ...], *shape: int) -> Float[Tensor, "..."]:
    """Uniform random numbers of one stream of the root seed, for the spikes of a pass; the same on every device."""
    return torch.from_numpy(seeds.generator(root, "v1", *stream).random(shape, dtype=np.float32))
