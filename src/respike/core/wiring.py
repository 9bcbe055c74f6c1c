"""Random connections. A matrix is (receiver, sender): w[i, j] is the synapse from cell j to cell i."""

import numpy as np
from jaxtyping import Bool


def mask(
    rng: np.random.Generator, n_post: int, n_pre: int, probability: float, autapses: bool = True
) -> Bool[np.ndarray, "post pre"]:
    """True where a synapse stands, each independently with `probability`; without `autapses` the diagonal stays empty.

    Raises ValueError for a probability outside [0, 1].
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"connection probability {probability}: expected a number from 0 to 1")
    drawn = rng.random((n_post, n_pre)) < probability
    if not autapses:
        np.fill_diagonal(drawn, False)
    return drawn
