"""Where the fit searches: bounds of each parameter, and how the free numbers map to a circuit.

Free numbers, in this order: 1 / membrane time constant, coupling, rest, threshold, one per population each; with
`weights="full"` one coupling for every connection of the circuit instead of one per presynaptic population.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from respike.neulvm.model import Loss
from respike.neulvm.params import GROUPS, Circuit, Prior


@dataclass(frozen=True)
class Box:
    """Bounds of the free numbers, which the optimiser sees in units of the upper bounds."""

    low: Float[np.ndarray, " free"]
    high: Float[np.ndarray, " free"]
    full: bool

    @property
    def bounds(self) -> Float[np.ndarray, "free 2"]:
        """Bounds in the optimiser's units."""
        return np.stack([self.low / self.high, np.ones(len(self.high))], axis=1)

    def names(self, circuit: Circuit) -> list[str]:
        """Name of each free number: mem_rate_0, coupling_0 (coupling_0_2 for a single connection), ..."""
        cells = range(len(circuit.sizes))
        couplings = [f"coupling_{a}_{m}" for a, m in _connections(circuit)] if self.full else [f"coupling_{a}" for a in cells]
        named = {name: [f"{name}_{m}" for m in cells] for name in GROUPS}
        return [name for group in GROUPS for name in (couplings if group == "coupling" else named[group])]

    def vector(self, circuit: Circuit) -> Float[np.ndarray, " free"]:
        """The free numbers of a circuit in the optimiser's units."""
        groups = [np.asarray(getattr(circuit, name), dtype=float) for name in GROUPS]
        if self.full:
            groups[1] = np.array([abs(circuit.weights[a, m]) for a, m in _connections(circuit)])
        return np.concatenate(groups) / self.high

    def at_bound(self, circuit: Circuit) -> list[str]:
        """Names of the free numbers that lie on a bound."""
        edge = np.isclose(self.vector(circuit)[:, None], self.bounds, rtol=1e-6).any(1)
        return [name for name, on in zip(self.names(circuit), edge, strict=True) if on]

    def pattern(self, circuit: Circuit) -> Float[np.ndarray, "coupling population population"]:
        """Weights that one unit of each free coupling makes."""
        signs = np.asarray(circuit.connectivity, dtype=float)
        if not self.full:
            return np.eye(len(signs))[:, :, None] * signs
        ones = np.zeros((len(_connections(circuit)), *signs.shape))
        for k, (a, m) in enumerate(_connections(circuit)):
            ones[k, a, m] = np.sign(signs[a, m])
        return ones

    def inside(self, x: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        """x moved to the nearest point of the box (rounding only: a start outside is refused before)."""
        return np.clip(x, self.low / self.high, 1.0)

    def logits(self, theta: Float[np.ndarray, "*draw free"]) -> Float[np.ndarray, "*draw free"]:
        """Free numbers (not in the optimiser's units) as logits of where they lie between their bounds."""
        return np.log(theta - self.low) - np.log(self.high - theta)

    def of_logits(self, y: Float[np.ndarray, "*draw free"]) -> Float[np.ndarray, "*draw free"]:
        """Free numbers from their logits."""
        return self.low + (self.high - self.low) / (1 + np.exp(-y))

    def circuit(self, circuit: Circuit, x: Float[np.ndarray, " free"]) -> Circuit:
        """`circuit` with the free numbers x."""
        m, values = len(circuit.sizes), x * self.high
        if not self.full:
            return circuit.with_vector(values)
        weights = np.zeros((m, m))
        for (a, b), value in zip(_connections(circuit), values[m : -2 * m], strict=True):
            weights[a, b] = np.sign(circuit.connectivity[a][b]) * value
        ones = np.concatenate([values[:m], np.ones(m), values[-2 * m :]])
        return replace(circuit, connectivity=tuple(tuple(row) for row in weights.tolist())).with_vector(ones)

    def gradient(self, circuit: Circuit, loss: Loss) -> Float[np.ndarray, " free"]:
        """Slope of the total loss with respect to the free numbers in the optimiser's units."""
        if not self.full:
            return loss.grad_vector * self.high
        m = len(circuit.sizes)
        couplings = [np.sign(circuit.connectivity[a][b]) * loss.grad_weights[a, b] for a, b in _connections(circuit)]
        return np.concatenate([loss.grad_vector[:m], couplings, loss.grad_vector[-2 * m :]]) * self.high

    def draw(self, circuit: Circuit, rng: np.random.Generator) -> Circuit:
        """`circuit` with parameters drawn uniformly from the box."""
        return self.circuit(circuit, rng.uniform(self.low, self.high) / self.high)


def _connections(circuit: Circuit) -> list[tuple[int, int]]:
    return [(a, m) for a, row in enumerate(circuit.connectivity) for m, value in enumerate(row) if value]


@dataclass(frozen=True)
class Shared(Box):
    """Box in which populations of a kind have the same parameters, those of the kind's first; one coupling for each row."""

    kinds: tuple[int, ...] = ()

    @property
    def _places(self) -> Float[np.ndarray, "place free"]:
        """Which free number each parameter of a population is."""
        kinds = np.asarray(self.kinds)
        return np.kron(np.eye(len(GROUPS)), kinds[:, None] == np.unique(kinds))

    @property
    def bounds(self) -> Float[np.ndarray, "free 2"]:
        return super().bounds[self._places.argmax(0)]

    def names(self, circuit: Circuit) -> list[str]:
        return [super(Shared, self).names(circuit)[place] for place in self._places.argmax(0)]

    def vector(self, circuit: Circuit) -> Float[np.ndarray, " free"]:
        return np.linalg.pinv(self._places) @ super().vector(circuit)

    def inside(self, x: Float[np.ndarray, " free"]) -> Float[np.ndarray, " free"]:
        return np.clip(x, *self.bounds.T)

    def circuit(self, circuit: Circuit, x: Float[np.ndarray, " free"]) -> Circuit:
        return super().circuit(circuit, self._places @ x)

    def gradient(self, circuit: Circuit, loss: Loss) -> Float[np.ndarray, " free"]:
        return super().gradient(circuit, loss) @ self._places

    def draw(self, circuit: Circuit, rng: np.random.Generator) -> Circuit:
        return self.circuit(circuit, rng.uniform(*self.bounds.T))


def build(circuit: Circuit, prior: Prior, shared: bool = False) -> Box:
    """Box of a prior: each group has one pair of bounds for all populations, or one pair for each.

    `shared`: populations of a kind (`Circuit.kinds`) share their parameters, in the bounds of the first of them.
    """
    m, full = len(circuit.sizes), prior.weights == "full" and not shared
    pairs = []
    for name in GROUPS:
        bounds = prior.pairs(name, m)
        pairs += [bounds[a] for a, _ in _connections(circuit)] if full and name == "coupling" else bounds
    low, high = np.array(pairs, dtype=float).T
    if not shared:
        return Box(low, high, full)
    first = np.concatenate([group * m + np.array(circuit.kinds) for group in range(len(GROUPS))])
    return Shared(low[first], high[first], full, circuit.kinds)


def around(truth: Circuit, low: float, high: float) -> Prior:
    """The published prior: each parameter between `low` and `high` times its true value."""
    pairs = {name: tuple((low * value, high * value) for value in getattr(truth, name)) for name in GROUPS}
    return Prior(**pairs)


def parts(name: str) -> tuple[str, list[int]]:
    """Group and populations of the name of a free number.

    >>> parts("mem_rate_1"), parts("coupling_0_2")
    (('mem_rate', [1]), ('coupling', [0, 2]))
    """
    group, *indices = re.split(r"_(?=\d)", name)
    return group, [int(index) for index in indices]


def value(circuit: Circuit, name: str) -> float:
    """The free number of a circuit that has this name."""
    group, indices = parts(name)
    if group != "coupling":
        return float(getattr(circuit, group)[indices[0]])
    row = np.abs(circuit.weights[indices[0]])
    return float(row[indices[1]] if len(indices) > 1 else row.max())


def check_start(circuit: Circuit, box: Box) -> None:
    """ValueError when a start lies outside the box."""
    values = box.vector(circuit) * box.high
    for name, here, low, high in zip(box.names(circuit), values, box.low, box.high, strict=True):
        if not low <= here <= high:
            raise ValueError(
                f"neulvm start: {name} = {here:g} lies outside its bounds {low:g} to {high:g}; "
                f"widen neulvm.prior.{parts(name)[0]} or change neulvm.fit.start in config.yaml"
            )
