"""A fitted network as a file."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from respike.core import config, files
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network


class Fitted(NamedTuple):
    """A network with its best weights, and where it comes from."""

    model: SpikingNetwork
    dataset: str
    best_step: int  # gradient steps before the best weights
    replicate: int


def write(path: Path, model: SpikingNetwork, weights: dict[str, Tensor], **about: Any) -> None:
    """Checkpoint of `weights`, of all that is needed to build the network again, and of the fields of Fitted in `about`."""
    size = {"network": dataclasses.asdict(model.network), "n_recorded": model.n_recorded, "pixels": model.pixels}
    files.write_checkpoint(path, {"weights": weights, **size, **about})


def read(path: Path, device: torch.device) -> Fitted:
    """Network in a file of `write`, ready to run on `device`; ValueError when it is another file."""
    stored = files.read_checkpoint(path)
    try:
        network = config.build(Network, stored["network"])
        model = SpikingNetwork(network, stored["n_recorded"], stored["pixels"])
        model.load_state_dict(stored["weights"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: not a fit of v1 ({error}); make it again with v1.fit") from error
    return Fitted(model.to(device), stored["dataset"], stored["best_step"], stored["replicate"])
