"""Other classifiers on the same input: logistic regression, random forest, recurrent and convolutional networks."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from respike.barrel import learning, params
from respike.core import files, seeds, training

BINS = 11  # of the frames: the mean of each channel in 11 bins is what the classifiers see
HIDDEN, EPOCHS, BATCH, LEARNING_RATE = 64, 40, 32, 2e-3  # of the networks


def run(*, inputs: Path, form: str, out: Path, folds: params.Folds, seed: int) -> None:
    """Accuracy of each classifier on the test samples of the data (repeat -1) and on every fold."""
    samples, is_test = learning.load(inputs, form, params.Encoding())
    features = binned(samples.values)
    splits = [(-1, 0, is_test), *learning.folds(samples, folds, seed)]
    rows = [
        {"classifier": name, "repeat": repeat, "fold": fold, "n_test": int(test.sum()), "accuracy": accuracy}
        for repeat, fold, test in splits
        for name, accuracy in compare(features, samples.label, test, seeds.of(seed, "barrel", "baselines", repeat + 1, fold))
    ]
    files.write_table(out, pd.DataFrame(rows).assign(form=form, seed=seed, dataset=samples.dataset))


def binned(values: np.ndarray) -> np.ndarray:
    """Mean of each channel in 11 bins of frames: (sample, bin, channel)."""
    return np.stack([part.mean(1) for part in np.array_split(values, BINS, axis=1)], axis=1)


def compare(features: np.ndarray, label: np.ndarray, test: np.ndarray, seed: int) -> list[tuple[str, float]]:
    """Name and test accuracy of every classifier."""
    flat = features.reshape(len(features), -1)
    seed %= 2**31
    simple = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
        "random forest": RandomForestClassifier(300, random_state=seed),
    }
    scores = [
        (name, float(model.fit(flat[~test], label[~test]).score(flat[test], label[test]))) for name, model in simple.items()
    ]
    mean, deviation = features[~test].mean((0, 1)), features[~test].std((0, 1))
    standard = torch.from_numpy(((features - mean) / np.where(deviation > 0, deviation, 1)).astype(np.float32))
    for name in ("GRU", "LSTM", "conv net"):
        scores.append((name, network_accuracy(name, standard, torch.from_numpy(label), torch.from_numpy(test), seed)))
    return scores


class Recurrent(nn.Module):
    """GRU or LSTM whose mean output is read linearly."""

    def __init__(self, kind: type[nn.RNNBase], n_channels: int) -> None:
        super().__init__()
        self.cells = kind(n_channels, HIDDEN, batch_first=True)
        self.read = nn.Linear(HIDDEN, len(params.CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.read(self.cells(x)[0].mean(1))


class Convolutional(nn.Sequential):
    """Two convolutions over time, the mean over time read linearly."""

    def __init__(self, n_channels: int) -> None:
        first, second = (nn.Conv1d(n, HIDDEN, 3, padding=1) for n in (n_channels, HIDDEN))
        pool = nn.AdaptiveAvgPool1d(1)
        super().__init__(first, nn.ReLU(), second, nn.ReLU(), pool, nn.Flatten(), nn.Linear(HIDDEN, len(params.CLASSES)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.transpose(1, 2))


def network_accuracy(name: str, x: torch.Tensor, label: torch.Tensor, test: torch.Tensor, seed: int) -> float:
    """Test accuracy after the last epoch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        n = x.shape[2]
        network = Convolutional(n) if name == "conv net" else Recurrent(nn.GRU if name == "GRU" else nn.LSTM, n)
    optimiser = training.Adam(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    train = np.flatnonzero(~test.numpy())
    for epoch in range(EPOCHS):
        order = seeds.generator(seed, "epoch", epoch).permutation(train)
        for batch in np.array_split(order, np.ceil(len(order) / BATCH)):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[batch]), label[batch]).backward()
            optimiser.step()
    with torch.no_grad():
        return float((network(x[test]).argmax(1) == label[test]).float().mean())
