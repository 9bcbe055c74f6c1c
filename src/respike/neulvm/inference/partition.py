"""Which recorded neurons belong together, when nobody says: clusters of similar, slowly changing rates."""

import numpy as np
from jaxtyping import Int
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.metrics import confusion_matrix

SMOOTHING = 0.1  # s
STARTS = 20


def find(
    spikes: Int[np.ndarray, "bin neuron"], n_populations: int, dt: float, rng: np.random.Generator
) -> Int[np.ndarray, " neuron"]:
    """Group of each neuron, by k-means on its correlations with all others and on its mean rate."""
    rates = gaussian_filter1d(spikes.astype(float), SMOOTHING / dt, axis=0) / dt
    correlation = np.atleast_2d(np.corrcoef(rates.T))  # of one neuron it is a number
    np.fill_diagonal(correlation, 0.0)
    mean = rates.mean(0)
    features = np.column_stack([correlation, (mean - mean.mean()) / max(mean.std(), 1e-9) * correlation.std()])
    return KMeans(n_populations, n_init=STARTS, random_state=int(rng.integers(2**32))).fit_predict(features)


def accuracy(group: Int[np.ndarray, " neuron"], truth: Int[np.ndarray, " neuron"]) -> float:
    """Share of neurons in the right group, under the best naming of the groups."""
    together = confusion_matrix(truth, group)
    return float(together[linear_sum_assignment(together, maximize=True)].sum() / len(group))
