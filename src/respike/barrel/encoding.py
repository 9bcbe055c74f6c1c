"""Forces and torques as input of the network: spike probabilities, or normalised components."""

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.barrel import params
from respike.core import seeds

TINY = 1e-12  # smallest norm that is divided by


def probability(values: Float[np.ndarray, "*axes 3"], kind: str) -> Float[np.ndarray, "*axes"]:
    """Spike probability m / (m + e^c) of the modulus m of `values`; `kind` is force or torque. Never quite 0."""
    modulus = np.sqrt(np.sum(values.astype(np.float64) ** 2, axis=-1))
    modulus[modulus == 0] = params.SMALLEST
    return (modulus / (modulus + np.exp(params.HALF_POINT[kind]))).astype(np.float32)


def by_sweeps(values: Float[np.ndarray, "sample sweep frame whisker unit 3"]) -> np.ndarray:
    """Each number divided by its norm over the sweeps of the sample, as the published program does.

    Raises ValueError for one sweep, where every result would be 1 or -1.
    """
    if values.shape[1] == 1:
        raise ValueError(
            "normalise: reference divides by the norm over the 12 sweeps of a sample, but the file holds 1 sweep per sample; "
            "set barrel.real.encoding.normalise to zscore, or barrel.sweeps.sweeps to 12"
        )
    norm = np.sqrt(np.sum(values.astype(np.float64) ** 2, axis=1, keepdims=True))
    return (values / np.maximum(norm, TINY)).astype(np.float32)


def zscore(values: Float[np.ndarray, "sample frame whisker unit 3"], train: Bool[np.ndarray, " sample"]) -> np.ndarray:
    """Each channel minus its mean over its sd, both over the frames of the training samples."""
    mean = values[train].mean((0, 1), dtype=np.float64)
    deviation = values[train].std((0, 1), dtype=np.float64)
    return ((values - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def real(
    force: np.ndarray, torque: np.ndarray, train: Bool[np.ndarray, " sample"], normalise: params.Normalisation
) -> np.ndarray:
    """Real-valued input of the first sweep, (sample, frame, 558): per whisker and unit three forces, then three torques."""
    if normalise == "reference":
        parts = [by_sweeps(values)[:, 0] for values in (force, torque)]
    else:
        parts = [zscore(values[:, 0], train) for values in (force, torque)]
    joined = np.concatenate(parts, axis=-1)
    return joined.reshape(*joined.shape[:2], -1)


def spiking(force: np.ndarray, torque: np.ndarray) -> Float[np.ndarray, "sample frame 186"]:
    """Spike probabilities of the first sweep: 93 channels of force, then 93 of torque, whisker major."""
    parts = [probability(values[:, 0], kind) for values, kind in ((force, "force"), (torque, "torque"))]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=-1)


def deprived(probabilities: Float[np.ndarray, "sample frame 186"], whiskers: Int[np.ndarray, " removed"]) -> np.ndarray:
    """Probabilities without the forces and torques of some whiskers: what an unmoved whisker gives."""
    silent = np.stack([probability(np.zeros((1, 3)), kind) for kind in ("force", "torque")])
    by_whisker = probabilities.reshape(*probabilities.shape[:2], 2, params.WHISKERS, params.UNITS).copy()
    by_whisker[:, :, :, whiskers] = silent[:, :, None]
    return by_whisker.reshape(probabilities.shape)


def removals(draws: int, rng: np.random.Generator) -> list[Int[np.ndarray, " removed"]]:
    """Sets of whiskers to remove, from none to all; 2 to 8 are drawn `draws` times without replacement from all 31."""
    several = range(2, params.MOST_REMOVED + 1)
    drawn = [np.sort(rng.choice(params.WHISKERS, k, replace=False)) for k in several for _ in range(draws)]
    return [np.array([], dtype=int), *np.arange(params.WHISKERS)[:, None], *drawn, np.arange(params.WHISKERS)]


def draw(
    probabilities: Float[np.ndarray, "sample step channel"], numbers: Int[np.ndarray, " sample"], seed: int, round_: int = 0
):
    """Spikes (0.0 or 1.0) of each step. Those of a sample depend on its number, not on the samples beside it."""
    spikes = np.empty(probabilities.shape, dtype=np.float32)
    for k, number in enumerate(numbers):
        rng = seeds.generator(seed, "barrel", "spikes", int(number), round_)
        spikes[k] = rng.random(probabilities.shape[1:], dtype=np.float32) < probabilities[k]
    return spikes
