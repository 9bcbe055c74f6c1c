"""What becomes of a rule, learned from those simulated so far, for proposals: is it good, and is it what was asked for."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from respike.core import files
from respike.fsbi import mean_field
from respike.fsbi.inference.targets import Interval, meets, scaled
from respike.fsbi.params import FINISHED

HIDDEN = 16  # units
PENALTY = {"good": 1.0, "metrics": 10.0}  # L2; chosen on the surrogate, where they rank and predict best at 200 to 2,000 rules
COMMITTEE = 5  # networks, averaged
QUIET = 2  # a class with fewer rules cannot be learned
FEATURES = {"theta": lambda theta: theta, "mean_field": mean_field.coefficients}  # what a committee sees of a rule
LOWEST = -200.0  # log of a weight: a bad candidate is better than none


@dataclass(frozen=True)
class Committee:
    """Networks with one hidden layer."""

    mean: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    w_in: Float[np.ndarray, "member feature hidden"]
    b_in: Float[np.ndarray, "member hidden"]
    w_out: Float[np.ndarray, "member hidden output"]
    b_out: Float[np.ndarray, "member output"]
    sees: str  # key of FEATURES

    def outputs(self, theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, "member rule output"]:
        """What each member says."""
        features = (FEATURES[self.sees](theta) - self.mean) / self.scale
        hidden = np.maximum(np.einsum("rf,mfh->mrh", features, self.w_in) + self.b_in[:, None], 0)
        return np.einsum("mrh,mho->mro", hidden, self.w_out) + self.b_out[:, None]


@dataclass(frozen=True)
class Classifier(Committee):
    """Which rules are good."""

    threshold: float = 0.0  # above 0: keep exactly the rules whose probability is at least this; 0: prefer the probable ones

    def probability(self, theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, " rule"]:
        """Mean over the committee."""
        return (1 / (1 + np.exp(-self.outputs(theta)[..., 0]))).mean(0)

    def weight(self, theta: Float[np.ndarray, "rule parameter"], asked: Mapping[str, float], sharpness: float) -> np.ndarray:
        """How much each candidate is preferred, whatever is asked for."""
        probability = self.probability(theta)
        return (probability >= self.threshold).astype(float) if self.threshold else probability**sharpness


@dataclass(frozen=True)
class Predictor(Committee):
    """Which metrics a rule that finishes will have, as logarithms where they are positive (targets.scaled)."""

    metrics: tuple[str, ...]
    spread: Float[np.ndarray, " metric"]  # root mean square error for rules that a member has not seen

    def predict(self, theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, "rule metric"]:
        """Mean over the committee."""
        return self.outputs(theta).mean(0)

    def weight(self, theta: Float[np.ndarray, "rule parameter"], asked: Mapping[str, float], sharpness: float) -> np.ndarray:
        """Likelihood of the metrics that were asked for, up to a factor, to that power."""
        miss = (self.predict(theta) - scaled(pd.DataFrame([asked]), self.metrics, True)) / self.spread
        return np.exp(np.maximum(-sharpness * (miss**2).sum(1) / 2, LOWEST))


def labels(table: pd.DataFrame, thin: str, conditions: Mapping[str, Interval]) -> Bool[np.ndarray, " rule"]:
    """Which rows count as good: `finite`, the simulation finished; `none`, all; otherwise those that meet the conditions."""
    if thin == "finite":
        return (table["outcome"] == FINISHED).to_numpy()
    return np.ones(len(table), dtype=bool) if thin == "none" else meets(table, conditions)


def train(
    theta: Float[np.ndarray, "rule parameter"],
    good: Bool[np.ndarray, " rule"],
    seed: int,
    lose: float = 0.0,
    sees: str = "theta",
) -> Classifier | None:
    """Classifier of `good` rules; None when there are too few of either kind to learn from.

    `sees` says what it sees of a rule (FEATURES).
    `lose` is the share of the good rules that may fall below the threshold; 0: no threshold.
    """
    if min(good.sum(), (~good).sum()) < QUIET:
        return None
    members = Classifier(**_members(theta, [np.ones(len(good), dtype=bool)] * COMMITTEE, good, seed, sees))
    return replace(members, threshold=np.quantile(members.probability(theta[good]), lose)) if lose else members


def predictor(
    table: pd.DataFrame, theta: Float[np.ndarray, "rule parameter"], metrics: Sequence[str], seed: int, sees: str = "theta"
) -> Predictor | None:
    """Learns the `metrics` of the rules of `table`, all of which have them; each member leaves out another fifth of these.

    None when there is nothing to learn from, or nothing is asked for.
    """
    if len(table) < COMMITTEE or not metrics:
        return None
    values = scaled(table, metrics, True)
    mean, scale = values.mean(0), values.std(0) + 1e-9
    parts = np.arange(len(values)) % COMMITTEE
    fitted = _members(theta, [parts != part for part in range(COMMITTEE)], (values - mean) / scale, seed, sees)
    fitted |= {"w_out": fitted["w_out"] * scale, "b_out": fitted["b_out"] * scale + mean}
    apart = Committee(**fitted).outputs(theta)[parts, np.arange(len(values))]
    return Predictor(**fitted, metrics=tuple(metrics), spread=np.sqrt(((apart - values) ** 2).mean(0)))


def _members(theta: np.ndarray, parts: list[np.ndarray], taught: np.ndarray, seed: int, sees: str) -> dict[str, Any]:
    """Fields of a committee with one network for each of the `parts`, which say what rows of `theta` it learns from."""
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    scaler = StandardScaler().fit(FEATURES[sees](theta))
    seen = scaler.transform(FEATURES[sees](theta))
    nets = [_network(seen[part], taught[part], seed + number) for number, part in enumerate(parts)]
    layers = {"w_in": ("coefs_", 0), "b_in": ("intercepts_", 0), "w_out": ("coefs_", 1), "b_out": ("intercepts_", 1)}
    stacked = {name: np.stack([getattr(net, part)[layer] for net in nets]) for name, (part, layer) in layers.items()}
    return {"mean": scaler.mean_, "scale": scaler.scale_, **stacked, "sees": sees}


def _network(features: np.ndarray, taught: np.ndarray, seed: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: PLC0415

    kind, penalty = (MLPClassifier, PENALTY["good"]) if taught.dtype == bool else (MLPRegressor, PENALTY["metrics"])
    net = kind(hidden_layer_sizes=(HIDDEN,), alpha=penalty, random_state=seed % 2**32, max_iter=200, learning_rate_init=3e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the penalty, not the number of steps, limits the fit
        return net.fit(features, np.squeeze(taught))


def write(path: Path, committee: Classifier | Predictor | None) -> None:
    """npz file of a committee; empty when there is none."""
    files.write_arrays(path, **(vars(committee) if committee else {}))


def read(path: Path) -> Classifier | Predictor | None:
    """Committee kept in `path`."""
    stored = files.read_arrays(path)
    if not stored:
        return None
    stored["sees"] = str(stored["sees"])
    if "threshold" in stored:
        return Classifier(**{**stored, "threshold": float(stored["threshold"])})
    return Predictor(**{**stored, "metrics": tuple(map(str, stored["metrics"]))})
