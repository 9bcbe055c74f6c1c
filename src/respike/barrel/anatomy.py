"""The populations of the column, who connects to whom, and the sampled synapses."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from respike.barrel import params
from respike.core import seeds

TABLE = Path(__file__).with_name("anatomy.csv")
Synapses = Bool[np.ndarray, "receiver sender"]  # true where there is one; autapses may be
SMALLEST_POPULATION = 3  # cells, when the network is scaled down


@dataclass(frozen=True)
class Anatomy:
    """Populations in the order in which they are updated, the thalamus first."""

    names: tuple[str, ...]
    layers: tuple[str, ...]
    excitatory: Bool[np.ndarray, " population"]
    sizes: Int[np.ndarray, " population"]
    probability: Float[np.ndarray, "receiver sender"]  # the thalamus receives nothing

    @property
    def bounds(self) -> Int[np.ndarray, " edge"]:
        """Population k holds the cells bounds[k] to bounds[k + 1] - 1."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    @property
    def n_cells(self) -> int:
        """All cells, the thalamic ones included."""
        return int(self.sizes.sum())

    @property
    def population(self) -> Int[np.ndarray, " cell"]:
        """Population of each cell."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def load() -> Anatomy:
    """The published anatomy: population, layer, kind (E or I), size, and the probability to reach each population."""
    table = pd.read_csv(TABLE, comment="#")
    names = tuple(table["population"])
    probability = np.zeros((len(names), len(names)))
    probability[1:] = table[list(names[1:])].to_numpy(float).T
    return Anatomy(names, tuple(table["layer"]), (table["kind"] == "E").to_numpy(), table["size"].to_numpy(), probability)


def rewired(anatomy: Anatomy, wiring: params.Wiring, rng: np.random.Generator) -> Anatomy:
    """The same cells under another rule of connection.

    anatomical: as it is. random: the probabilities change places among the projections of the thalamus and among those
    of the cortex. full: every pair. fixed: every pair with the probability that gives as many synapses as anatomical.
    """
    probability = anatomy.probability.copy()
    if wiring == "random":
        probability[1:, 0] = rng.permutation(probability[1:, 0])
        probability[1:, 1:] = rng.permutation(probability[1:, 1:].ravel()).reshape(probability[1:, 1:].shape)
    elif wiring == "full":
        probability[1:] = 1.0
    elif wiring == "fixed":
        pairs = np.outer(anatomy.sizes, anatomy.sizes)[1:]
        probability[1:] = (probability[1:] * pairs).sum() / pairs.sum()
    return replace(anatomy, probability=probability)


def column(divide_by: int, rule: params.Wiring, seed: int) -> tuple[Anatomy, Synapses]:
    """Column with 1 / `divide_by` of the cortical cells, at least 3 in each population, wired by `rule`; and its synapses.

    Each possible synapse is drawn independently, autapses included. Every projection has random numbers of its own.
    """
    whole = load()
    sizes = np.maximum(np.round(whole.sizes / divide_by).astype(int), np.minimum(SMALLEST_POPULATION, whole.sizes))
    sizes[0] = whole.sizes[0]
    anatomy = rewired(replace(whole, sizes=sizes), rule, seeds.generator(seed, "barrel", "wiring", rule))
    bounds, synapses = anatomy.bounds, np.zeros((anatomy.n_cells, anatomy.n_cells), dtype=bool)
    for post, pre in np.argwhere(anatomy.probability > 0):
        rng = seeds.generator(seed, "barrel", "wiring", int(post), int(pre))
        drawn = rng.random((anatomy.sizes[post], anatomy.sizes[pre])) < anatomy.probability[post, pre]
        synapses[bounds[post] : bounds[post + 1], bounds[pre] : bounds[pre + 1]] = drawn
    return anatomy, synapses
