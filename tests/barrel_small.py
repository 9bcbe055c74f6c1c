"""Small networks and samples for the tests of barrel."""

from pathlib import Path

import numpy as np

from respike.barrel import fitted, learning, params
from respike.barrel.samples import Samples
from respike.core import training

ROOT = Path(__file__).resolve().parents[1]
SMALL = params.Network(divide_by=60, initial_weight=0.8)
CODING = params.Encoding(frame_stride=22, repeats=3)


def network(form="spiking", seed=0, settings=SMALL):
    return learning.build(settings, form, "anatomical", seed, "cpu")


def samples(rng, n=9, form="spiking"):
    """Samples whose class can be read from which third of the channels is strong."""
    label = np.arange(n) % 3
    channels = 2 * params.CHANNELS if form == "spiking" else params.REAL_CHANNELS
    values = 0.2 * rng.random((n, params.FRAMES, channels)).astype(np.float32)
    for k in range(n):
        values[k, :, label[k] * channels // 3 : (label[k] + 1) * channels // 3] += 0.6
    return Samples(values, label, np.arange(n), form, CODING, "test")


def kept(trainer) -> fitted.Fitted:
    weights = training.weights_of(trainer.network)
    return fitted.Fitted(weights, weights, "spiking", 0, 0, "test")
