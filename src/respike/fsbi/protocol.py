"""Weight change of a rule when one presynaptic and one postsynaptic spike are `lag` seconds apart (post minus pre)."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from respike.fsbi.mlp import change
from respike.fsbi.params import MLP_READOUT, POLY_TERMS

# State of the synapse and of the postsynaptic cell from low to high activity, as in the published panels
ACTIVITY = {
    "EE": {"w": (0.01, 0.1), "v": (-0.070, -0.050), "c_exc": (0, 0.3), "c_inh": (0, 0.3), "x_pre": (0, 5), "x_post": (0, 5)},
    "IE": {"w": (0, 10), "v": (-0.070, -0.050), "c_exc": (0, 1), "c_inh": (0, 0.3), "x_pre": (0, 10), "x_post": (0, 1)},
}


def poly(rule: Mapping[str, float], kind: str, lag: Float[np.ndarray, " lag"]) -> Float[np.ndarray, " lag"]:
    """Change in learning rates: alpha + beta + kappa exp(-|lag| / tau_post) for lag < 0, with gamma and tau_pre otherwise."""
    p = {term: rule[f"{kind}_{term}"] for term in POLY_TERMS}
    pre_first = p["gamma"] * np.exp(-np.abs(lag) / p["tau_pre"])
    post_first = p["kappa"] * np.exp(-np.abs(lag) / p["tau_post"])
    return p["alpha"] + p["beta"] + np.where(lag < 0, post_first, pre_first)


def mlp(
    rule: Mapping[str, float], kind: str, lag: Float[np.ndarray, " lag"], layers: np.ndarray, tau_fast: float, level: float
) -> Float[np.ndarray, " lag"]:
    """Sum of the changes at the two spikes; `level` from 0 to 1 sets the activity between the bounds of ACTIVITY.

    `layers` holds the weights of the two fixed layers, by rows; `tau_fast` (s) is that of the traces of the spikes.
    """
    state = {name: low + level * (high - low) for name, (low, high) in ACTIVITY[kind].items()}
    fast = np.exp(-np.abs(lag) / tau_fast)
    total = np.zeros(lag.shape)
    for side, x_pre, x_post in (
        ("pre", state["x_pre"], np.where(lag < 0, fast, 0)),
        ("post", np.where(lag >= 0, fast, 0), state["x_post"]),
    ):
        inputs = (x_pre, x_post, state["w"], state["v"], state["c_exc"], state["c_inh"])
        *readout, bias = (rule[f"{kind}_{side}_{name}"] for name in MLP_READOUT)
        total = total + change(np.stack(np.broadcast_arrays(*inputs), -1), layers, np.array(readout), bias)
    return rule[f"eta_{kind}"] * total
