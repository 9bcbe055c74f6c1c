"""Probability that a rule meets a set of conditions, from the rules simulated so far: it thins the proposals."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from respike.core import files
from respike.fsbi import mean_field
from respike.fsbi.inference.targets import Interval, meets
from respike.fsbi.params import FINISHED

if TYPE_CHECKING:  # a second to import, and rules that are drawn only read a classifier
    from sklearn.neural_network import MLPClassifier

HIDDEN = 16  # units
PENALTY = 1.0  # L2; chosen on the surrogate, where it ranks rules best at 500 and at 2,000 rules
COMMITTEE = 5  # networks, averaged
QUIET = 2  # a class with fewer rules cannot be learned
FEATURES = {"theta": lambda theta: theta, "mean_field": mean_field.coefficients}  # what a committee sees of a rule


@dataclass(frozen=True)
class Classifier:
    """Committee of networks with one hidden layer. With no member, every rule is as good as any other."""

    mean: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    w_in: Float[np.ndarray, "member feature hidden"]
    b_in: Float[np.ndarray, "member hidden"]
    w_out: Float[np.ndarray, "member hidden"]
    b_out: Float[np.ndarray, " member"]
    threshold: float  # above 0: keep exactly the rules whose probability is at least this; 0: prefer the probable ones
    sees: str = "theta"  # key of FEATURES

    def probability(self, theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, " rule"]:
        """Mean over the committee."""
        if not len(self.b_out):
            return np.ones(len(theta))
        features = (FEATURES[self.sees](theta) - self.mean) / self.scale
        hidden = np.maximum(np.einsum("rf,mfh->mrh", features, self.w_in) + self.b_in[:, None], 0)
        score = np.einsum("mrh,mh->mr", hidden, self.w_out) + self.b_out[:, None]
        return (1 / (1 + np.exp(-score))).mean(0)

    def weight(self, theta: Float[np.ndarray, "rule parameter"]) -> Float[np.ndarray, " rule"]:
        """How much each proposal is preferred."""
        probability = self.probability(theta)
        return (probability >= self.threshold).astype(float) if self.threshold else probability


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
) -> Classifier:
    """Classifier of `good` rules; without members when there are too few of either kind to learn from.

    `sees` says what it sees of a rule (FEATURES).
    `lose` is the share of the good rules that may fall below the threshold; 0: no threshold.
    """
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    features = FEATURES[sees](theta)
    scaler = StandardScaler().fit(features)
    learnable = min(good.sum(), (~good).sum()) >= QUIET
    nets = [_network(scaler.transform(features), good, seed + number) for number in range(COMMITTEE * learnable)]
    empty = np.zeros((0, features.shape[1], HIDDEN))
    members = Classifier(
        mean=scaler.mean_,
        scale=scaler.scale_,
        w_in=np.stack([net.coefs_[0] for net in nets]) if nets else empty,
        b_in=np.stack([net.intercepts_[0] for net in nets]) if nets else empty[:, 0],
        w_out=np.stack([net.coefs_[1][:, 0] for net in nets]) if nets else empty[:, 0],
        b_out=np.array([net.intercepts_[1][0] for net in nets]),
        threshold=0.0,
        sees=sees,
    )
    if not nets or not lose:
        return members
    return replace(members, threshold=np.quantile(members.probability(theta[good]), lose))


def _network(features: np.ndarray, good: np.ndarray, seed: int) -> "MLPClassifier":
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415

    net = MLPClassifier((HIDDEN,), alpha=PENALTY, random_state=seed % 2**32, max_iter=200, learning_rate_init=3e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the penalty, not the number of steps, limits the fit
        return net.fit(features, good)


def write(path: Path, classifier: Classifier) -> None:
    """npz file of the classifier."""
    files.write_arrays(path, **vars(classifier))


def read(path: Path) -> Classifier:
    """Classifier kept in `path`."""
    stored = files.read_arrays(path, *Classifier.__dataclass_fields__)
    return Classifier(**{**stored, "threshold": float(stored["threshold"]), "sees": str(stored["sees"])})
