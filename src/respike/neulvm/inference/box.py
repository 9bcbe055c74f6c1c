"""Where the fit searches: bounds of each parameter, and how the free numbers map to a circuit.

Parameters, in this order: 1 / membrane time constant, coupling, rest, threshold, one per population each; with
`weights="full"` one coupling for every connection of the circuit instead of one per presynaptic population. Each is a free
number, or populations of a kind share theirs.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from respike.neulvm.model import Loss
from respike.neulvm.params import GROUPS, Circuit, Prior


@dataclass(frozen=True)
class Box:
    """Bounds of the parameters of a circuit. The optimiser sees the free numbers in units of the upper bounds."""

    template: Circuit  # sizes, connections and all constants that are not fitted
    low: Float[np.ndarray, " parameter"]
    high: Float[np.ndarray, " parameter"]
    parameters: tuple[str, ...]  # mem_rate_0, ..., coupling_0 (coupling_0_2 for a single connection), ...
    pattern: Float[np.ndarray, "coupling population population"]  # weights that one unit of each coupling makes
    free: Float[np.ndarray, "parameter free"]  # 1 where a parameter is this free number
    full: bool  # one coupling for every connection

    @property
    def names(self) -> list[str]:
        """Name of each free number: that of the first parameter that it is."""
        return [self.parameters[first] for first in self.free.argmax(0)]

    @property
    def bounds(self) -> Float[np.ndarray, "free 2"]:
        """Bounds in the optimiser's units."""
        return np.stack([self.low / self.high, np.ones(len(self.high))], axis=1)[self.free.argmax(0)]

    def vector(self, circuit: Circuit) -> Float[np.ndarray, " free"]:
        """The free numbers of a circuit in the optimiser's units; means over populations that share them."""
        return np.linalg.pinv(self.free) @ (np.array([value(circuit, name) for name in self.parameters]) / self.high)

    def at_bound(self, circuit: Circuit) -> list[str]:
        """Names of the free numbers that lie on a bound."""
        edge = np.isclose(self.vector(circuit)[:, None], self.bounds, rtol=1e-6).any(1)
        return [name for name, on in zip(self.names, edge, strict=True) if on]

    def inside(self, x: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """x moved to the nearest point of the box."""
        return np.clip(x, *self.bounds.T)

    def logits(self, theta: Float[np.ndarray, "*draw free"]) -> Float[np.ndarray, "*draw free"]:
        """Free numbers (not in the optimiser's units) as logits of where they lie between their bounds."""
        return np.log(theta - self.low) - np.log(self.high - theta)

    def of_logits(self, y: Float[np.ndarray, "*draw free"]) -> Float[np.ndarray, "*draw free"]:
        """Free numbers from their logits."""
        return self.low + (self.high - self.low) / (1 + np.exp(-y))

    def circuit(self, x: Float[np.ndarray, " free"]) -> Circuit:
        """Circuit with the free numbers x."""
        m, values = len(self.template.sizes), (self.free @ x) * self.high
        if not self.full:
            return self.template.with_vector(values)
        weights = np.tensordot(values[m : -2 * m], self.pattern, axes=1)
        single = replace(self.template, connectivity=tuple(tuple(row) for row in weights.tolist()))
        return single.with_vector(np.concatenate([values[:m], np.ones(m), values[-2 * m :]]))

    def gradient(self, loss: Loss) -> Float[np.ndarray, " free"]:
        """Slope of the total loss with respect to the free numbers in the optimiser's units."""
        m, couplings = len(self.template.sizes), (self.pattern * loss.grad_weights).sum(2).sum(1)
        slope = np.concatenate([loss.grad_vector[:m], couplings, loss.grad_vector[-2 * m :]])
        return (slope * self.high) @ self.free

    def draw(self, rng: np.random.Generator) -> Circuit:
        """Circuit with parameters drawn uniformly from the box."""
        shared = len(self.names) < len(self.parameters)
        return self.circuit(rng.uniform(*self.bounds.T) if shared else rng.uniform(self.low, self.high) / self.high)


def build(circuit: Circuit, prior: Prior, shared: bool = False) -> Box:
    """Box of a prior: each group has one pair of bounds for all populations, or one pair for each.

    `shared`: populations of a kind (`Circuit.kinds`) share their parameters, in the bounds of the first of them.
    """
    signs, full = np.sign(circuit.connectivity), prior.weights == "full" and not shared
    m, links = len(signs), np.argwhere(signs)
    single = {name: [(f"{name}_{k}", pair) for k, pair in enumerate(prior.pairs(name, m))] for name in GROUPS}
    pattern = np.eye(m)[:, :, None] * np.asarray(circuit.connectivity, dtype=float)
    if full:
        single["coupling"] = [(f"coupling_{a}_{b}", single["coupling"][a][1]) for a, b in links]
        pattern = np.zeros((len(links), m, m))
        pattern[np.arange(len(links)), *links.T] = signs[*links.T]
    names, pairs = zip(*(each for name in GROUPS for each in single[name]), strict=True)
    low, high = np.array(pairs, dtype=float).T
    if not shared:
        return Box(circuit, low, high, names, pattern, np.eye(len(names)), full)
    kinds = np.array(circuit.kinds)
    first = np.concatenate([group * m + kinds for group in range(len(GROUPS))])
    free = np.kron(np.eye(len(GROUPS)), kinds[:, None] == np.unique(kinds))
    return Box(circuit, low[first], high[first], names, pattern, free, full)


def value(circuit: Circuit, name: str) -> float:
    """The parameter of a circuit that has this name.

    >>> value(Circuit(), "rest_1"), value(Circuit(), "coupling_0_2")
    (14.4, 9.984)
    """
    group, *indices = re.split(r"_(?=\d)", name)
    numbers = np.abs(circuit.weights) if len(indices) > 1 else np.asarray(getattr(circuit, group))
    return float(numbers[tuple(map(int, indices))])
