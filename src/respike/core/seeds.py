"""Random numbers: one root seed in the config, one independent stream per (study, stage, row)."""

from zlib import crc32

import numpy as np


def sequence(root: int, *path: str | int) -> np.random.SeedSequence:
    """Seed sequence of the stream `path`, for instance (7, "modes", "fit", 3). Equal paths give equal streams."""
    key = tuple(crc32(part.encode()) if isinstance(part, str) else int(part) for part in path)
    return np.random.SeedSequence(root, spawn_key=key)


def of(root: int, *path: str | int) -> int:
    """63-bit integer seed of the stream `path`, for programs that want a number.

    >>> of(0, "modes", "fit") == of(0, "modes", "fit")
    True
    >>> of(0, "modes", "fit") == of(1, "modes", "fit")
    False
    """
    return int(sequence(root, *path).generate_state(1, np.uint64)[0] >> np.uint64(1))


def generator(root: int, *path: str | int) -> np.random.Generator:
    """Random number generator of the stream `path`.

    Training asks for a new one at each step, `generator(seed, "batch", step)`, so that a resumed
    run draws what an undisturbed one would have drawn.
    """
    return np.random.default_rng(sequence(root, *path))
