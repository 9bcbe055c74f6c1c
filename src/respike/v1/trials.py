"""A recording as the network sees it: the movie, spikes with their history, targets."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from respike.v1.params import Network


class Trials(NamedTuple):
    """Trials of one movie, from the first step that has a full window and a full history."""

    movie: Float[Tensor, "frame row column"]
    recorded: Bool[Tensor, "trial history+step cell"]
    y: Float[Tensor, "trial step cell"]  # recorded spikes again, without the history, as numbers

    def pick(self, trials: np.ndarray | list[int]) -> "Trials":
        """These trials only."""
        index = torch.as_tensor(np.asarray(trials))
        return Trials(self.movie, self.recorded[index], self.y[index])

    def to(self, device: torch.device) -> "Trials":
        """The same on `device`."""
        return Trials(*(part.to(device) for part in self))


def cut(
    movie: Float[np.ndarray, "frame row column"], spikes: Bool[np.ndarray, "trial frame cell"], network: Network
) -> Trials:
    """Movie, history and targets of `spikes` under `movie`."""
    recorded = torch.from_numpy(np.ascontiguousarray(spikes[:, network.first_step - network.history :]))
    return Trials(seen(movie, network), recorded, recorded[:, network.history :].float())


def seen(movie: Float[np.ndarray, "frame row column"], network: Network) -> Float[Tensor, "frame row column"]:
    """The movie for the network; ValueError when it is so short that no step has a full history of steps."""
    if len(movie) <= network.first_step + network.history:
        raise ValueError(
            f"the movie has {len(movie)} frames; v1.network.movie_frames {network.movie_frames} and v1.network.history "
            f"{network.history} need more than {network.first_step + network.history}"
        )
    return torch.from_numpy(movie.astype(np.float32))
