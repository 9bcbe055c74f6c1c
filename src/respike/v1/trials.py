"""A recording cut into what the network sees: windows of the movie, spikes with their history, targets."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from respike.core import files
from respike.v1 import recording
from respike.v1.params import Network


class Trials(NamedTuple):
    """Trials of one movie, from the first step that has a full window and a full history."""

    windows: Float[Tensor, "step window row column"]
    recorded: Bool[Tensor, "trial history+step cell"]
    y: Float[Tensor, "trial step cell"]  # recorded spikes again, without the history, as numbers

    def pick(self, trials: np.ndarray | list[int]) -> "Trials":
        """These trials only."""
        index = torch.as_tensor(np.asarray(trials))
        return Trials(self.windows, self.recorded[index], self.y[index])


class Recording(NamedTuple):
    """What `v1.data` wrote."""

    movie: Float[np.ndarray, "frame row column"]
    spikes: Bool[np.ndarray, "trial frame cell"]
    split: np.ndarray  # train, test or validation, per trial
    dataset: str
    bin_ms: float

    def of(self, split: str) -> Bool[np.ndarray, "trial frame cell"]:
        """Spikes of the trials of a split."""
        return self.spikes[self.split == split]


def read(path: Path) -> Recording:
    """Recording in the file of `v1.data`."""
    stored = files.read_arrays(path, "movie", "spikes", "split", "dataset", "bin_ms")
    return Recording(stored["movie"], stored["spikes"], stored["split"], str(stored["dataset"]), float(stored["bin_ms"]))


def movie_windows(movie: Float[np.ndarray, "frame row column"], network: Network) -> Float[Tensor, "step window row column"]:
    """Windows of a movie for every step that a run can have; ValueError when the movie is too short."""
    first = recording.first_step(network.movie_frames, network.history)
    if len(movie) <= first + network.history:
        raise ValueError(
            f"the movie has {len(movie)} frames; v1.network.movie_frames {network.movie_frames} and v1.network.history "
            f"{network.history} need more than {first + network.history}"
        )
    return torch.from_numpy(recording.windows(movie, network.movie_frames, first))


def cut(
    movie: Float[np.ndarray, "frame row column"], spikes: Bool[np.ndarray, "trial frame cell"], network: Network
) -> Trials:
    """Windows, history and targets of `spikes` under `movie`."""
    first = recording.first_step(network.movie_frames, network.history)
    windows = movie_windows(movie, network)
    recorded = torch.from_numpy(np.ascontiguousarray(spikes[:, first - network.history :]))
    return Trials(windows, recorded, recorded[:, network.history :].float())
