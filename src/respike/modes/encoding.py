"""Poisson encoding of images, and the drive of the spiking pixels."""

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from respike.compiled import njit


@njit(error_model="numpy")
def _encode(threshold, first, pixel, chance):
    """Pixels that spike, row by row (a row is a step and a trial): start of each row, and their numbers.

    The lit pixels of trial b are first[b] to first[b + 1]. A pixel that is silent is overwritten by the next: no branch.
    """
    n_steps, n_trials = len(chance), len(first) - 1
    start = np.zeros(n_steps * n_trials + 1, np.int32)
    index = np.empty(chance.size + 1, np.int32)
    n = 0
    for step in range(n_steps):
        for b in range(n_trials):
            for k in range(first[b], first[b + 1]):
                index[n] = pixel[k]
                n += chance[step, k] < threshold[k]
            start[step * n_trials + b + 1] = n
    return start, index[:n].copy()


def encode(images: np.ndarray, n_steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Poisson encoding of images (trial, pixel; uint8): in each step a pixel spikes with probability pixel / 255.

    Returns the start of each row (step, trial) and the spiking pixels, for `EncodedDrive`. Sixteen random bits decide, so
    the probability is exact to 2e-5; black pixels draw none.
    """
    lit, n_pixels = np.flatnonzero(images > 0), images.shape[1]
    grey = images.reshape(-1)[lit].astype(np.uint32)
    threshold = 257 * grey + (grey == 255)  # of 2^16 chances those that fire
    pixel, first = (lit % n_pixels).astype(np.int32), np.searchsorted(lit, n_pixels * np.arange(len(images) + 1))
    chance = rng.integers(0, 1 << 16, size=(n_steps, len(lit)), dtype=np.uint16)
    return _encode(threshold, first, pixel, chance)


def gather(values: Float[Tensor, "value cell"], start: Tensor, index: Tensor) -> Float[Tensor, "row cell"]:
    """Of each row the sum of the `values` with the numbers index[start[row]] to index[start[row + 1] - 1]."""
    return nn.functional.embedding_bag(index, values, start, mode="sum", include_last_offset=True)


class EncodedDrive(torch.autograd.Function):
    """Drive (row, cell) of encoded images: the sum of the input weights (cell, pixel) of the spiking pixels.

    The adjoint is the same sum over the rows in which a pixel spikes. That of PyTorch sorts the spikes: five times the time.
    """

    @staticmethod
    def forward(ctx, weights, start, index):
        ctx.spikes = sparse.csr_array(
            (np.ones(len(index), bool), index.numpy(), start.numpy()), (len(start) - 1, weights.shape[1])
        )
        return gather(weights.T.contiguous(), start, index)

    @staticmethod
    def backward(ctx, g_drive):
        by_pixel = ctx.spikes.tocsc()
        return gather(g_drive, torch.from_numpy(by_pixel.indptr), torch.from_numpy(by_pixel.indices)).T, None, None
