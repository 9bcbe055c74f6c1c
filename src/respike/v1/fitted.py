"""A fitted network as a file, and the device it runs on."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from respike.core import config, files, seeds
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network


class Fitted(NamedTuple):
    """A network with its best weights, and where it comes from."""

    model: SpikingNetwork
    dataset: str
    best_step: int
    replicate: int


def write(path: Path, model: SpikingNetwork, weights: dict[str, Tensor], **about: Any) -> None:
    """Checkpoint of `weights` with all that is needed to build the network again."""
    size = {"network": dataclasses.asdict(model.network), "n_recorded": model.n_recorded, "pixels": model.pixels}
    files.write_checkpoint(path, {"weights": weights, **size, **about})


def read(path: Path, device: torch.device) -> Fitted:
    """Network in the checkpoint `path`, ready to run."""
    stored = files.read_checkpoint(path)
    try:
        network = config.build(Network, stored["network"])
        model = SpikingNetwork(network, stored["n_recorded"], stored["pixels"])
        model.load_state_dict(stored["weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: not a fit of v1 ({error}); make it again with v1.fit") from error
    return Fitted(model.to(device), stored["dataset"], stored["best_step"], stored["replicate"])


def uniforms(root: int, path: tuple[str | int, ...], *shape: int) -> Float[Tensor, "..."]:
    """Uniform random numbers of a place in the program."""
    return torch.from_numpy(seeds.generator(root, "v1", *path).random(shape, dtype=np.float32))
