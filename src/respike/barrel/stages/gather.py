"""Join the shards of simulated sweeps into a training and a test file of the published layout."""

from pathlib import Path

import numpy as np

from respike.barrel import params, recording, samples
from respike.core import files, seeds


def run(*, shards: list[Path], settings: params.Sweeps, seed: int, train: Path, test: Path) -> None:
    """Both files, split at random with the same share of each class in both."""
    stored = [files.read_arrays(path, "number", "force", "torque") for path in shards]
    parts = [part for part in stored if len(part["number"])]  # of more shards than objects some are empty
    order = np.argsort(np.concatenate([part["number"] for part in parts]))
    force, torque = (np.concatenate([part[name] for part in parts])[order] for name in ("force", "torque"))
    label = np.arange(len(order)) % len(params.CLASSES)
    is_test = samples.held_out(label, settings.test_share, seeds.generator(seed, "barrel", "split"))
    about = {
        "seed": seed,
        "time_step_s": settings.time_step,
        "max_tilt_deg": settings.max_tilt_deg,
        "diagonal_mm": f"{settings.smallest_mm:g} to {settings.largest_mm:g}",
        "shapes": settings.meshes or "built in",
    }
    for path, chosen in ((train, ~is_test), (test, is_test)):
        recording.write(path, force[chosen], torque[chosen], label[chosen], **about)
