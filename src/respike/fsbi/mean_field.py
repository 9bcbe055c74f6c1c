"""What a poly rule does on average: <dw/dt> / eta = alpha r_pre + beta r_post + lambda r_pre r_post (paper, figure 3)."""

import numpy as np
import pandas as pd
from jaxtyping import Float

from respike.fsbi.params import THETA, TYPES


def slope(rules: pd.DataFrame, kind: str) -> Float[np.ndarray, " rule"]:
    """lambda = kappa tau_post + gamma tau_pre of one type of synapse, in s."""
    late, early = rules[f"{kind}_kappa"] * rules[f"{kind}_tau_post"], rules[f"{kind}_gamma"] * rules[f"{kind}_tau_pre"]
    return (late + early).to_numpy(float)


def coefficients(theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, "rule coefficient"]:
    """alpha, beta and lambda of each type of synapse: 12 numbers for the 24 of a poly rule."""
    rules = pd.DataFrame(theta, columns=list(THETA["poly"][:-1]))
    columns = [(rules[f"{kind}_alpha"], rules[f"{kind}_beta"], slope(rules, kind)) for kind in TYPES]
    return np.stack([column for three in columns for column in three], 1)
