"""Other classifiers on the input of the networks: logistic regression, random forest, recurrent and convolutional networks."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from respike.barrel import params
from respike.core import seeds, training

BINS = 11  # of the steps, or as many as there are: the mean of each channel in each is what the classifiers see
HIDDEN, EPOCHS, BATCH, LEARNING_RATE = 64, 40, 32, 2e-3  # of the networks
NETWORKS = ("GRU", "LSTM", "conv net")


def binned(values: Float[np.ndarray, "sample step channel"]) -> Float[np.ndarray, "sample bin channel"]:
    """Mean of each channel in 11 bins of steps, each step by itself where there are fewer."""
    return np.stack([part.mean(1) for part in np.array_split(values, min(BINS, values.shape[1]), axis=1)], axis=1)


def accuracies(
    features: Float[np.ndarray, "sample bin channel"],
    label: Int[np.ndarray, " sample"],
    test: Bool[np.ndarray, " sample"],
    seed: int,
) -> Iterator[tuple[str, float]]:
    """Name and test accuracy of every classifier, trained on the samples that are not for the test."""
    flat, seed = features.reshape(len(features), -1), seed % 2**31
    simple = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
        "random forest": RandomForestClassifier(300, random_state=seed),
    }
    for name, classifier in simple.items():
        yield name, float(classifier.fit(flat[~test], label[~test]).score(flat[test], label[test]))
    mean, deviation = features[~test].mean((0, 1)), features[~test].std((0, 1))
    standard = torch.from_numpy(((features - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32))
    for name in NETWORKS:
        yield name, _network_accuracy(name, standard, torch.from_numpy(label), test, seed)


class _MeanOutput(nn.Module):
    """Mean over time of the output of a recurrent layer."""

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return x[0].mean(1)


def _network(name: str, n_channels: int) -> nn.Sequential:
    """Recurrent layer for input (sample, bin, channel), or two convolutions for (sample, channel, bin); mean read linearly."""
    if name == "conv net":
        first, second = (nn.Conv1d(n, HIDDEN, 3, padding=1) for n in (n_channels, HIDDEN))
        layers = (first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    else:
        layers = (getattr(nn, name)(n_channels, HIDDEN, batch_first=True), _MeanOutput())
    return nn.Sequential(*layers, nn.Linear(HIDDEN, len(params.CLASSES)))


def _network_accuracy(name: str, x: Tensor, label: Tensor, test: Bool[np.ndarray, " sample"], seed: int) -> float:
    """Test accuracy after the last epoch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(name, x.shape[2])
    x = x.transpose(1, 2) if name == "conv net" else x
    optimiser = training.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    train = np.flatnonzero(~test)
    for epoch in range(EPOCHS):
        order = seeds.generator(seed, "epoch", epoch).permutation(train)
        for batch in np.array_split(order, np.ceil(len(order) / BATCH)):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), label[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        return float((network(x[test]).argmax(1) == label[test]).float().mean())
