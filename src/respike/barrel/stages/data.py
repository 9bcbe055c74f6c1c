"""Whisker sweeps in, the input of the network out: what each frame and channel gives, with labels and split."""

from pathlib import Path

import numpy as np

from respike.barrel import encoding, params, recording
from respike.core import files
from respike.formats import arrays


def run(*, train: Path, test: Path, form: params.Form, normalise: params.Normalisation | None, out: Path) -> None:
    """Values of the first sweep, (sample, frame, channel): spike probabilities or normalised numbers."""
    parts = [
        recording.read(train, "barrel.recording.train (empty: sweeps are simulated)"),
        recording.read(test, "barrel.recording.test (empty: sweeps are simulated)"),
    ]
    if parts[0].force.shape[1] != parts[1].force.shape[1]:
        numbers = [part.force.shape[1] for part in parts]
        raise ValueError(f"{train} holds {numbers[0]} sweeps per sample and {test} {numbers[1]}, expected the same number")
    n, again = len(parts[1].force), arrays.repeated(parts[1].force, parts[0].force)
    if 2 * again > n:
        expected = "others in barrel.recording.test, or simulated objects (barrel.sweeps) large enough to touch whiskers"
        raise ValueError(f"{test}: {again} of {n} samples stand in {train} too, expected {expected}")
    force, torque, label = (np.concatenate(both) for both in list(zip(*parts, strict=True))[:3])
    is_test = np.arange(len(label)) >= len(parts[0].label)
    dataset = " and ".join(dict.fromkeys(part.dataset for part in parts))
    values = encoding.real(force, torque, ~is_test, normalise) if form == "real" else encoding.spiking(force, torque)
    files.write_arrays(out, values=values, label=label, is_test=is_test, dataset=np.array(dataset))
