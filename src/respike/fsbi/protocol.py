"""Weight change of a rule when one presynaptic and one postsynaptic spike are `lag` seconds apart (post minus pre)."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from respike.fsbi.params import MLP_READOUT, MLP_SCALE, N_HIDDEN

TAU_FAST = 0.010  # s, of the mlp rule's fast traces
# State of the synapse and of the postsynaptic cell from low to high activity, as in the published panels
ACTIVITY = {
    "EE": {"w": (0.01, 0.1), "v": (-0.070, -0.050), "c_exc": (0, 0.3), "c_inh": (0, 0.3), "x_pre": (0, 5), "x_post": (0, 5)},
    "IE": {"w": (0, 10), "v": (-0.070, -0.050), "c_exc": (0, 1), "c_inh": (0, 0.3), "x_pre": (0, 10), "x_post": (0, 1)},
}


def poly(rule: Mapping[str, float], kind: str, lag: Float[np.ndarray, " lag"]) -> Float[np.ndarray, " lag"]:
    """Change in learning rates: alpha + beta + kappa exp(-|lag| / tau_post) for lag < 0, with gamma and tau_pre otherwise."""
    p = {term: rule[f"{kind}_{term}"] for term in ("alpha", "beta", "gamma", "kappa", "tau_pre", "tau_post")}
    pre_first = p["gamma"] * np.exp(-np.abs(lag) / p["tau_pre"])
    post_first = p["kappa"] * np.exp(-np.abs(lag) / p["tau_post"])
    return p["alpha"] + p["beta"] + np.where(lag < 0, post_first, pre_first)


def mlp(
    rule: Mapping[str, float], kind: str, lag: Float[np.ndarray, " lag"], hidden: Float[np.ndarray, " weight"], level: float
) -> Float[np.ndarray, " lag"]:
    """Sum of the changes at the two spikes; `level` from 0 to 1 sets the activity between the bounds of ACTIVITY.

    `hidden` holds the weights of the two fixed layers, by rows.
    """
    state = {name: low + level * (high - low) for name, (low, high) in ACTIVITY[kind].items()}
    fast = np.exp(-np.abs(lag) / TAU_FAST)
    at_pre = mlp_change(state["x_pre"], np.where(lag < 0, fast, 0), state, rule, f"{kind}_pre", hidden)
    at_post = mlp_change(np.where(lag >= 0, fast, 0), state["x_post"], state, rule, f"{kind}_post", hidden)
    return rule[f"eta_{kind}"] * (at_pre + at_post)


def mlp_change(
    x_pre, x_post, state: Mapping[str, float], rule: Mapping[str, float], side: str, hidden: np.ndarray
) -> np.ndarray:
    """Output of the rule's network at one spike, before the learning rate."""
    shape = np.broadcast_shapes(np.shape(x_pre), np.shape(x_post))
    values = (x_pre, x_post, state["w"], state["v"], state["c_exc"], state["c_inh"])
    u = np.stack([np.broadcast_to(value, shape) for value in values], -1) * MLP_SCALE
    n_first = N_HIDDEN[0] * len(MLP_SCALE)
    first = hidden[:n_first].reshape(N_HIDDEN[0], len(MLP_SCALE))
    second = hidden[n_first:].reshape(N_HIDDEN[1], N_HIDDEN[0])
    out = sigmoid(sigmoid(u @ first.T) @ second.T)
    *readout, bias = (rule[f"{side}_{name}"] for name in MLP_READOUT)
    return out @ np.array(readout) + bias


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))
