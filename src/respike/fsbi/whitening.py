"""Theta in units of the prior's standard deviation, and its principal components."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.fsbi.params import THETA, box


def whiten(table: pd.DataFrame, rule: str) -> Float[np.ndarray, "rule parameter"]:
    """Theta without the input rate, minus the prior's mean, divided by its standard deviation (b - a) / sqrt(12)."""
    names = list(THETA[rule][:-1])
    low, high = np.array([box(name) for name in names]).T
    return (table[names].to_numpy(float) - (low + high) / 2) / ((high - low) / np.sqrt(12))


def components(sample: Float[np.ndarray, "rule parameter"]) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the sample (one a row) and the share of the variance that each explains, largest first.

    With fewer rules than parameters the last shares are 0.
    """
    centred = sample - sample.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = np.zeros(sample.shape[1])
    share[: len(singular)] = singular**2 / np.sum(singular**2)
    return axes, share
