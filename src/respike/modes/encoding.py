"""Poisson encoding of images in compiled loops, and the drive of the spiking pixels with its adjoint."""

import numpy as np
import torch

from respike.compiled import njit

compiled = njit(error_model="numpy")


@compiled
def _lit(images):
    """Pixels that are not black, image by image: start of each image, their numbers, and of 2^16 chances those that fire."""
    first = np.zeros(len(images) + 1, np.int64)
    pixel, threshold = np.empty(images.size + 1, np.uint16), np.empty(images.size + 1, np.uint32)
    n = 0
    for b in range(len(images)):
        for k in range(images.shape[1]):
            grey = images[b, k]
            pixel[n], threshold[n] = k, np.uint32(grey) * np.uint32(257) + np.uint32(grey == 255)
            n += grey > 0
        first[b + 1] = n
    return first, pixel[:n].copy(), threshold[:n].copy()


@compiled
def _encode(threshold, first, pixel, chance):
    """Pixels that spike, row by row (a row is a step and a trial): start of each row, and their numbers.

    The lit pixels of trial b are first[b] to first[b + 1]. A pixel that is silent is overwritten by the next: no branch.
    """
    n_steps, n_trials = len(chance), len(first) - 1
    start = np.zeros(n_steps * n_trials + 1, np.int64)
    index = np.empty(chance.size + 1, np.uint16)
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
    first, pixel, threshold = _lit(np.ascontiguousarray(images))
    chance = rng.integers(0, 1 << 16, size=(n_steps, len(pixel)), dtype=np.uint16)
    return _encode(threshold, first, pixel, chance)


@compiled
def _gather(start, index, weights, drive):
    """Sums of rows of `weights`, four rows at a time, in the order of `index`."""
    for row in range(drive.shape[0]):
        target = drive[row]
        target[:] = 0
        k, last = start[row], start[row + 1]
        while k + 4 <= last:
            one, two, three, four = weights[index[k]], weights[index[k + 1]], weights[index[k + 2]], weights[index[k + 3]]
            for i in range(target.size):
                target[i] = target[i] + one[i] + two[i] + three[i] + four[i]
            k += 4
        for rest in range(k, last):
            one = weights[index[rest]]
            for i in range(target.size):
                target[i] += one[i]


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
