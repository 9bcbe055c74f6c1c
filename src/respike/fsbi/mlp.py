"""The mlp rule: two fixed layers of sigmoids that all rules share, and a readout that is the rule. Twin in C++: mlp.h."""

import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.core import seeds
from respike.fsbi.params import MLP_SCALE, N_HIDDEN, Wiring

SIZES = (N_HIDDEN[0] * len(MLP_SCALE), N_HIDDEN[1] * N_HIDDEN[0])  # weights of the two layers


def change(
    inputs: Float[np.ndarray, "*event 6"], layers: Float[np.ndarray, " weight"], readout: Float[np.ndarray, " 4"], bias: float
) -> Float[np.ndarray, "*event"]:
    """Change of a weight at one spike, before the learning rate: L . sigmoid(W2 sigmoid(W1 u)) + b.

    `inputs` are x_pre, x_post, w, <V> (V), C_exc and C_inh, u the same times MLP_SCALE; `layers` are W1 and W2, by rows.
    """
    first = layers[: SIZES[0]].reshape(N_HIDDEN[0], len(MLP_SCALE))
    second = layers[SIZES[0] :].reshape(N_HIDDEN[1], N_HIDDEN[0])
    u = inputs * MLP_SCALE
    return _sigmoid(_sigmoid(u @ first.T) @ second.T) @ readout + bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def fixed_layers(wiring: Wiring, file: Path | None = None) -> Float[np.ndarray, " weight"]:
    """Weights of the two fixed layers, by rows: from the user's `file`, or drawn.

    The draw is the usual one of a linear layer, uniform within 1/sqrt(inputs). Raises FileNotFoundError, and ValueError for
    a file that does not hold 500 or 504 finite numbers (of 504 the first 4 are time constants, which are settings here).
    """
    if file is None:
        generator = seeds.generator(wiring.hidden_seed, "fsbi", "hidden")
        bounds = (len(MLP_SCALE) ** -0.5, N_HIDDEN[0] ** -0.5)
        return np.concatenate([generator.uniform(-b, b, n) for b, n in zip(bounds, SIZES, strict=True)])
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist; correct fsbi.mlp.hidden_file in config.yaml, or say null")
    n = sum(SIZES)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        text = " ".join(line.partition("#")[0] for line in lines)
        numbers = np.array(re.sub(r"[\[\](),;]", " ", text).split(), dtype=float)
    except ValueError as error:
        raise ValueError(f"{file}: {error}; expected {n} numbers") from error
    if numbers.size not in {n, n + 4} or not np.isfinite(numbers).all():
        raise ValueError(f"{file}: {numbers.size} numbers, expected {n} (or {n + 4}), all finite")
    return numbers[-n:]
