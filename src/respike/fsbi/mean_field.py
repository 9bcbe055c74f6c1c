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


def axes(table: pd.DataFrame, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, str]]:
    """The two coefficients that balance at a fixed point of the rates, the rate (Hz) of the receiving cells, and their names.

    For one type of synapse, or for `alpha, beta`: these two of EE. The rows of figure 3.
    """
    rate, rate_i = table["rate"].to_numpy(float), table["rate_i"].to_numpy(float)
    if kind == "alpha, beta":
        return table["EE_alpha"].to_numpy(), table["EE_beta"].to_numpy(), rate, ("alpha EE", "beta EE")
    alpha, beta = table[f"{kind}_alpha"].to_numpy(), table[f"{kind}_beta"].to_numpy()
    sender, receiver = (rate if kind[0] == "E" else rate_i), (rate if kind[1] == "E" else rate_i)
    if kind[0] == kind[1]:
        return -(alpha + beta), slope(table, kind), receiver, (f"-(alpha + beta) {kind}", f"lambda {kind}")
    name = "r_E" if kind[0] == "E" else "r_I"
    names = f"-alpha {name}, {kind}", f"beta + {name} lambda, {kind}"
    return -alpha * sender, beta + sender * slope(table, kind), receiver, names
