"""A recurrent network with known couplings, and the movie it watches: where the stand-in for the V1 recording comes from.

p_j(t) = sigmoid(drive_j(t) + bias_j + sum_i sum_k W[j, i, k] s_i(t - 1 - k)), hidden cells after the visible ones.
The recipe is ours. It gives rates of about 4 Hz and noise correlations that 80 trials measure well.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy import ndimage, special

from respike.core import files, seeds, statistics
from respike.v1.params import Standin

LAGS = 9  # bins through which a spike acts
DENSITY = 0.3  # share of pairs that are coupled
DRIVE_GAIN = 1.2
BIAS_MEAN, BIAS_SPREAD = -2.8, 0.5
TAME = (0.01, 0.45)  # spikes per bin; networks with a cell outside are drawn again
ATTEMPTS = 300


class Truth(NamedTuple):
    """The network behind a stand-in recording; hidden cells come after the visible ones."""

    couplings: Float[np.ndarray, "post pre lag"]  # logit units, lag 1 first
    bias: Float[np.ndarray, " cell"]
    drive: Float[np.ndarray, "step cell"]  # from the movie, logit units
    spikes: Bool[np.ndarray, "trial step cell"]  # drawn from the network
    n_visible: int


read = partial(files.read_tuple, Truth)  # from the npz file that `files.write_arrays` made of its fields


def movie(rng: np.random.Generator, pixels: int, frames: int) -> UInt8[np.ndarray, "row column frame"]:
    """Smooth noise, grey values 0 to 255."""
    noise = ndimage.gaussian_filter(rng.standard_normal((pixels, pixels, frames)), 1.5)
    noise = (noise - noise.mean()) / noise.std()
    return np.round(255 * special.expit(1.5 * noise)).astype(np.uint8)


def network(rng: np.random.Generator, standin: Standin, frames: UInt8[np.ndarray, "row column frame"]) -> Truth:
    """Random couplings, bias and receptive fields; no spikes yet."""
    n_cells = standin.visible + standin.hidden
    drive = DRIVE_GAIN * np.stack([receptive_field(rng, frames / 255) for _ in range(n_cells)], 1)
    bias = BIAS_MEAN + BIAS_SPREAD * rng.standard_normal(n_cells)
    weights = couplings(rng, standin)
    return Truth(weights, bias, drive, np.zeros((0, *drive.shape), dtype=bool), standin.visible)


def couplings(rng: np.random.Generator, standin: Standin) -> Float[np.ndarray, "post pre lag"]:
    """Sparse normal couplings that decay over 1 to 3 bins, and a cell's own refractoriness on the diagonal."""
    n_cells, lag = standin.visible + standin.hidden, np.arange(LAGS)
    strength = standin.coupling_gain / np.sqrt(DENSITY * n_cells) * rng.standard_normal((n_cells, n_cells))
    strength *= rng.random((n_cells, n_cells)) < DENSITY
    strength[:, standin.visible :] *= standin.hidden_gain
    decay = rng.uniform(1, 3, (n_cells, n_cells, 1))
    weights = strength[:, :, None] * np.exp(-lag / decay)
    weights[np.diag_indices(n_cells)] = -2 * np.exp(-lag) + 0.5 * np.exp(-lag / 4)
    return weights


def receptive_field(rng: np.random.Generator, frames: Float[np.ndarray, "row column frame"]) -> Float[np.ndarray, " frame"]:
    """Half-rectified response of a random Gabor filter with a causal temporal kernel; unit s.d. before, no mean after."""
    n_frames, lag = frames.shape[2], np.arange(10)
    response = np.tensordot(gabor(rng, frames.shape[0]), frames - frames.mean(), 2)
    response = np.convolve(response, np.exp(-lag / 2) * np.cos(lag / 2))[:n_frames]
    response = np.maximum(response / response.std(), 0)
    return response - response.mean()


def gabor(rng: np.random.Generator, pixels: int) -> Float[np.ndarray, "row column"]:
    """Grating under a Gaussian, with random centre, size, orientation, frequency and phase; lengths in frames."""
    row, column = np.meshgrid(*[(np.arange(pixels) + 0.5) / pixels] * 2, indexing="ij")
    centre = 0.5 + rng.uniform(-0.3, 0.3, 2)
    size, frequency = rng.uniform(0.08, 0.18), rng.uniform(2, 5)
    angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
    y, x = row - centre[0], column - centre[1]
    grating = np.cos(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return np.exp(-(x**2 + y**2) / (2 * size**2)) * grating


def sample(rng: np.random.Generator, truth: Truth, trials: int) -> Bool[np.ndarray, "trial step cell"]:
    """Spikes of all cells in `trials` repetitions of the movie, from silence."""
    n_steps, n_cells = truth.drive.shape
    weights = truth.couplings.transpose(2, 1, 0).reshape(LAGS * n_cells, n_cells)  # lag and pre, post
    past = np.zeros((trials, LAGS, n_cells))
    spikes = np.zeros((trials, n_steps, n_cells), dtype=bool)
    for t in range(n_steps):
        p = special.expit(truth.drive[t] + truth.bias + past.reshape(trials, -1) @ weights)
        spikes[:, t] = rng.random((trials, n_cells)) < p
        past = np.concatenate([spikes[:, t, None], past[:, :-1]], 1)
    return spikes


def logits(truth: Truth) -> Float[np.ndarray, "trial step cell"]:
    """Log odds of a spike in each bin of the drawn trials, given all spikes before it."""
    spikes = truth.spikes
    log_odds = np.broadcast_to(truth.drive + truth.bias, spikes.shape).copy()
    for k in range(LAGS):
        log_odds[:, k + 1 :] += spikes[:, : -k - 1] @ truth.couplings[:, :, k].T
    return log_odds


def tame(seed: int, standin: Standin, frames: UInt8[np.ndarray, "row column frame"]) -> Truth:
    """The first drawn network in which no cell is silent or runs away and noise correlations are there to be found.

    ValueError when none of ATTEMPTS networks is like that.
    """
    for attempt in range(ATTEMPTS):
        drawn = network(seeds.generator(seed, "v1", "standin", "network", attempt), standin, frames)
        spikes = sample(seeds.generator(seed, "v1", "standin", "spikes", attempt), drawn, standin.trials)
        rates = spikes.mean((0, 1))
        if TAME[0] < rates.min() and rates.max() < TAME[1]:
            pairs = statistics.lower_triangle(statistics.noise_correlation(spikes[:, :, : standin.visible]))
            if pairs.std() >= standin.least_correlation:
                return drawn._replace(spikes=spikes)
    raise ValueError(
        f"v1.standin: none of {ATTEMPTS} networks had all rates in {TAME} spikes per bin and noise correlations with a s.d. "
        f"of v1.standin.least_correlation = {standin.least_correlation}; expected a coupling_gain of about 1.6 and a "
        "hidden_gain of about 4 for 12 visible and 8 hidden cells, or a smaller least_correlation"
    )
