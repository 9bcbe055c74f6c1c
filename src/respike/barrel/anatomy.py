"""The populations of the column, who connects to whom, and the sampled synapses."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from respike.core import seeds

TABLE = Path(__file__).with_name("anatomy.csv")
WIRINGS = ("anatomical", "random", "full", "fixed")
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
    def n_thalamic(self) -> int:
        return int(self.sizes[0])

    @property
    def population(self) -> Int[np.ndarray, " cell"]:
        """Population of each cell."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def signs(self) -> Float[np.ndarray, " cell"]:
        """+1 for excitatory, -1 for inhibitory cells."""
        return np.where(self.excitatory, 1.0, -1.0)[self.population]


@dataclass(frozen=True)
class Synapses:
    """Existing connections, sorted by receiver and then by sender; cells are numbered with the thalamus first."""

    receiver: Int[np.ndarray, " synapse"]
    sender: Int[np.ndarray, " synapse"]


def load(path: Path = TABLE) -> Anatomy:
    """Anatomy in the table `path`: population, layer, kind (E or I), size, and the probability to reach each population."""
    table = pd.read_csv(path, comment="#")
    names = tuple(table["population"])
    if list(table.columns) != ["population", "layer", "kind", "size", *names[1:]]:
        raise ValueError(
            f"{path}: columns {list(table.columns)}, expected population, layer, kind, size, {', '.join(names[1:])}"
        )
    if not set(table["kind"]) <= {"E", "I"} or table["size"].min() < 1:
        raise ValueError(
            f"{path}: kinds {sorted(set(table['kind']))}, smallest size {table['size'].min()}; expected E or I, at least 1"
        )
    probability = np.zeros((len(names), len(names)))
    probability[1:] = table[list(names[1:])].to_numpy(float).T
    for receiver, sender in np.argwhere(~((probability >= 0) & (probability <= 1))):
        raise ValueError(
            f"{path}: probability of {names[sender]} -> {names[receiver]} is {probability[receiver, sender]}, "
            "expected a number from 0 to 1"
        )
    return Anatomy(names, tuple(table["layer"]), (table["kind"] == "E").to_numpy(), table["size"].to_numpy(), probability)


def scaled(anatomy: Anatomy, divide_by: float) -> Anatomy:
    """The same column with 1 / `divide_by` of the cortical cells, at least 3 in each population; the thalamus stays."""
    if divide_by < 1:
        raise ValueError(f"barrel.network.divide_by is {divide_by}, expected 1 or more")
    small = np.maximum(np.round(anatomy.sizes / divide_by).astype(int), np.minimum(SMALLEST_POPULATION, anatomy.sizes))
    return replace(anatomy, sizes=np.concatenate([anatomy.sizes[:1], small[1:]]))


def rewired(anatomy: Anatomy, wiring: str, rng: np.random.Generator) -> Anatomy:
    """The same cells under another rule of connection.

    anatomical: as it is. random: the probabilities change places among the projections of the thalamus and among those
    of the cortex. full: every pair. fixed: every pair with the probability that gives as many synapses as anatomical.
    """
    if wiring == "anatomical":
        return anatomy
    probability = anatomy.probability.copy()
    if wiring == "random":
        probability[1:, 0] = rng.permutation(probability[1:, 0])
        probability[1:, 1:] = rng.permutation(probability[1:, 1:].ravel()).reshape(probability[1:, 1:].shape)
    elif wiring == "full":
        probability[1:] = 1.0
    elif wiring == "fixed":
        pairs = np.outer(anatomy.sizes, anatomy.sizes)[1:]
        probability[1:] = (probability[1:] * pairs).sum() / pairs.sum()
    else:
        raise ValueError(f"wiring {wiring!r}: expected one of {', '.join(WIRINGS)} (barrel.ablation.wirings in config.yaml)")
    return replace(anatomy, probability=probability)


def sample(anatomy: Anatomy, seed: int) -> Synapses:
    """Draw each possible synapse independently, autapses included. Every projection has random numbers of its own."""
    receivers, senders = [], []
    bounds = anatomy.bounds
    for post, pre in np.argwhere(anatomy.probability > 0):
        rng = seeds.generator(seed, "barrel", "wiring", int(post), int(pre))
        to, origin = np.nonzero(rng.random((anatomy.sizes[post], anatomy.sizes[pre])) < anatomy.probability[post, pre])
        receivers.append(to + bounds[post])
        senders.append(origin + bounds[pre])
    return ordered(np.concatenate(receivers), np.concatenate(senders))


def ordered(receiver: Int[np.ndarray, " synapse"], sender: Int[np.ndarray, " synapse"]) -> Synapses:
    """Synapses in the order in which the model keeps their weights."""
    order = np.lexsort((sender, receiver))
    return Synapses(receiver[order], sender[order])


def column(divide_by: float, rule: str, seed: int) -> tuple[Anatomy, Synapses]:
    """Column of the published anatomy, scaled and wired by `rule`, and its synapses drawn with `seed`."""
    anatomy = rewired(scaled(load(), divide_by), rule, seeds.generator(seed, "barrel", "wiring", rule))
    return anatomy, sample(anatomy, seed)
