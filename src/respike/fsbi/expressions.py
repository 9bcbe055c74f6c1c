"""Functions that the equations call, each in numpy (for tests) and in C++ (for the binary)."""

from pathlib import Path

import brian2
import numpy as np
from jaxtyping import Float

from respike.fsbi.params import MLP_SCALE, N_HIDDEN

CPP = Path(__file__).parent / "codegen"
MLP_HEADER = CPP / "mlp.h"
BOUNDED = """
static inline float bounded(const float x, const float low, const float high)
{
    const float above = x < low ? low : x;
    return above > high ? high : above;
}
"""


@brian2.implementation("cpp", BOUNDED)
@brian2.check_units(x=1, low=1, high=1, result=1)
def bounded(x, low, high):
    """`x` clipped to [low, high]; nan stays nan."""
    return np.clip(x, low, high)


hidden = np.zeros(N_HIDDEN[0] * (6 + N_HIDDEN[1]))  # weights of the two layers for the numpy version, set by `set_hidden`


def set_hidden(weights: Float[np.ndarray, " weight"]) -> None:
    """Weights of the fixed layers (layer 1 by rows, then layer 2 by rows) that the numpy version of `mlp` uses."""
    hidden[:] = weights


@brian2.implementation("cpp", MLP_HEADER.read_text(encoding="utf-8"))
@brian2.check_units(
    **dict.fromkeys(("x_pre", "x_post", "w", "v", "c_exc", "c_inh", "r0", "r1", "r2", "r3", "bias"), 1), result=1
)
def mlp(x_pre, x_post, w, v, c_exc, c_inh, r0, r1, r2, r3, bias):
    """Change of weight of the mlp rule: two fixed layers of sigmoids, then a readout that belongs to the rule."""
    n_in, n_first = len(MLP_SCALE), N_HIDDEN[0]
    first, second = hidden[: n_first * n_in].reshape(n_first, n_in), hidden[n_first * n_in :].reshape(N_HIDDEN[1], n_first)
    raw = np.broadcast_arrays(x_pre, x_post, w, v, c_exc, c_inh)
    inputs = np.stack([scale * np.asarray(x, float) for scale, x in zip(MLP_SCALE, raw, strict=True)])
    units = sigmoid(np.tensordot(second, sigmoid(np.tensordot(first, inputs, 1)), 1))
    return np.tensordot(np.stack([r0, r1, r2, r3]).astype(float), units, 1) + bias


def sigmoid(x):
    """Logistic function."""
    return 1 / (1 + np.exp(-x))
