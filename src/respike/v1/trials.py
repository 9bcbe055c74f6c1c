"""A recording cut into what the network sees: windows of the movie, spikes with their history, targets."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

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

    def to(self, device: torch.device) -> "Trials":
        """The same on `device`."""
        return Trials(*(part.to(device) for part in self))


def cut(
    movie: Float[np.ndarray, "frame row column"], spikes: Bool[np.ndarray, "trial frame cell"], network: Network
) -> Trials:
    """Windows, history and targets of `spikes` under `movie`."""
    first = first_step(network)
    recorded = torch.from_numpy(np.ascontiguousarray(spikes[:, first - network.history :]))
    return Trials(movie_windows(movie, network), recorded, recorded[:, network.history :].float())


def movie_windows(movie: Float[np.ndarray, "frame row column"], network: Network) -> Float[Tensor, "step window row column"]:
    """The frames up to and including each step, oldest first, for every step that a run can have.

    ValueError when the movie is so short that no step has a full history of steps.
    """
    first, n_frames = first_step(network), network.movie_frames
    if len(movie) <= first + network.history:
        raise ValueError(
            f"the movie has {len(movie)} frames; v1.network.movie_frames {n_frames} and v1.network.history "
            f"{network.history} need more than {first + network.history}"
        )
    views = np.lib.stride_tricks.sliding_window_view(movie.astype(np.float32), n_frames, 0)  # start, row, column, frame
    ordered = np.ascontiguousarray(views[first - n_frames + 1 :])  # in memory as the front end reads them
    return torch.from_numpy(ordered).permute(0, 3, 1, 2)


def first_step(network: Network) -> int:
    """First bin with a full window of the movie and a full history of spikes behind it."""
    return max(network.movie_frames - 1, network.history)
