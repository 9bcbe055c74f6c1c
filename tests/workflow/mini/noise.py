"""What simulate and metrics share."""

import numpy as np

from respike.core import seeds

SCALE = 1.0


def row(seed: int, number: int, n_round: int) -> np.ndarray:
    """Values of one row; they depend on nothing but the row's place."""
    return SCALE * seeds.generator(seed, "mini", n_round, number).normal(size=50)
