"""Theta in units of the prior's standard deviation, and its principal components."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.fsbi.params import boxes
from respike.fsbi.rules import parameters


def whiten(table: pd.DataFrame, family: str) -> Float[np.ndarray, "rule parameter"]:
    """Theta without the input rate, minus the prior's mean, divided by its standard deviation (b - a) / sqrt(12)."""
    low, high = np.array(boxes(family)).T
    return (parameters(table, family) - (low + high) / 2) / ((high - low) / np.sqrt(12))


def components(sample: Float[np.ndarray, "rule parameter"]) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the sample (one a row) and the share of the variance that each explains, largest first.

    With fewer rules than parameters the last shares are 0.
    """
    centred = sample - sample.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = np.zeros(sample.shape[1])
    share[: len(singular)] = singular**2 / np.sum(singular**2)
    return axes, share
