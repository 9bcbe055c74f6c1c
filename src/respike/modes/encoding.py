"""Poisson encoding of images in compiled loops, and the drive of the spiking pixels with its adjoint."""

import numpy as np
import torch

from respike.core.compiled import njit

compiled = njit(error_model="numpy")


@compiled
def _encode(threshold, trial, pixel, chance, n_trials, n_steps):
    """Pixels that spike, row by row (a row is a step and a trial): start of each row, and their numbers."""
    start = np.zeros(n_steps * n_trials + 1, np.int64)
    index = np.empty(chance.size, np.uint16)
    n = 0
    for step in range(n_steps):
        row = step * n_trials
        for k in range(pixel.size):
            while row - step * n_trials <= trial[k]:
                start[row] = n
                row += 1
            if chance[step, k] < threshold[k]:
                index[n] = pixel[k]
                n += 1
        while row < (step + 1) * n_trials:
            start[row] = n
            row += 1
    start[-1] = n
    return start, index[:n].copy()


def encode(images: np.ndarray, n_steps: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Poisson encoding of images (trial, pixel; uint8): in each step a pixel spikes with probability pixel / 255.

    Returns the start of each row (step, trial) and the spiking pixels, for `EncodedDrive`. Sixteen random bits decide, so
    the probability is exact to 2e-5; black pixels draw none.
    """
    trial, pixel = np.nonzero(images)
    threshold = images[trial, pixel].astype(np.uint32) * 257 + (images[trial, pixel] == 255)
    chance = rng.integers(0, 1 << 16, size=(n_steps, len(pixel)), dtype=np.uint16)
    return _encode(threshold, trial, pixel.astype(np.uint16), chance, len(images), n_steps)


@compiled
def _gather(start, index, weights, drive):
    for row in range(drive.shape[0]):
        drive[row] = 0
        for k in range(start[row], start[row + 1]):
            source = weights[index[k]]
            for i in range(source.size):
                drive[row, i] += source[i]


@compiled
def _scatter(start, index, g_drive, g_weights):
    for row in range(g_drive.shape[0]):
        source = g_drive[row]
        for k in range(start[row], start[row + 1]):
            target = g_weights[index[k]]
            for i in range(source.size):
                target[i] += source[i]


class EncodedDrive(torch.autograd.Function):
    """Drive (step, trial, cell) of encoded images: the sum of the input weights (cell, pixel) of the spiking pixels."""

    @staticmethod
    def forward(ctx, weights, start, index, n_trials):
        drive = np.empty((len(start) - 1, weights.shape[0]), np.float32)
        _gather(start, index, np.ascontiguousarray(weights.detach().numpy().T), drive)
        ctx.kept = start, index, weights.shape
        return torch.from_numpy(drive).view(-1, n_trials, weights.shape[0])

    @staticmethod
    def backward(ctx, g_drive):
        start, index, (n_cells, n_pixels) = ctx.kept
        g_weights = np.zeros((n_pixels, n_cells), np.float32)
        _scatter(start, index, np.ascontiguousarray(g_drive.numpy()).reshape(-1, n_cells), g_weights)
        return torch.from_numpy(g_weights).T, None, None, None
