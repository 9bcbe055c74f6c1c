"""A trained network as a file: its weights before and after training, and what else is needed to play it again."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

from respike.barrel import anatomy, model, params
from respike.core import files


class Fitted(NamedTuple):
    """States of a network as `BarrelNetwork.state_dict` gives them: synapses, time constants and baseline included."""

    initial: dict[str, Tensor]
    trained: dict[str, Tensor]  # at the epoch that the validation samples chose
    form: str  # of the input
    seed: int  # of its initial states and input spikes
    replicate: int  # its number among the trainings that differ in their random numbers alone
    dataset: str

    def network(self, which: Literal["initial", "trained"]) -> model.BarrelNetwork:
        """The network before or after training, on the CPU."""
        weights = self.initial if which == "initial" else self.trained
        column = replace(anatomy.load(), sizes=np.diff(weights["bounds"].numpy()))
        synapses = np.zeros((column.n_cells, column.n_cells), dtype=bool)
        synapses[weights["receiver"], weights["sender"]] = True
        network = model.BarrelNetwork(column, synapses, self.form, params.Network(), 0)
        network.load_state_dict({name: weights[name] for name in network.state_dict()})
        return network


def write(path: Path, fitted: Fitted) -> None:
    """Torch file of plain data."""
    files.write_checkpoint(path, fitted._asdict())


def read(path: Path) -> Fitted:
    """What `write` wrote into `path`; ValueError for any other file."""
    stored = files.read_checkpoint(path)
    if missing := [name for name in Fitted._fields if not isinstance(stored, dict) or name not in stored]:
        raise ValueError(f"{path} is not a network of barrel.fit: it lacks {', '.join(missing)}; train it again")
    return Fitted(*(stored[name] for name in Fitted._fields))
