"""A fitted network: weights, the settings it was trained with, and the loss of each batch; how it runs; its file."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from respike.core import files
from respike.modes import model
from respike.modes.model import Activity, Network
from respike.modes.params import Cell, Size, Task, Training, spike_filter


class Fitted(NamedTuple):
    """A network, what it was trained for, and how."""

    network: Network
    task: Task
    cell: Cell
    replica: int
    settings: Training
    loss: Float[Tensor, " batch"]

    def run(self, drive: Float[Tensor, "step trial cell"]) -> tuple[Activity, Float[Tensor, "step trial cell"]]:
        """Activity for the input current `drive`, and what the output weights read of it.

        That is filtered spikes, rates, or the potential of a rate network, as the settings say.
        """
        if self.cell == "spike":
            synapse = spike_filter(self.task, self.settings.filter)
            activity = model.run_spiking(self.network, drive, synapse, self.settings.refractory)
            return activity, activity.r
        activity = model.run_rate(self.network, drive)
        return activity, activity.v if self.settings.rate_readout == "potential" else activity.r

    @property
    def weights(self) -> dict[str, Tensor]:
        """Weights by name, on the CPU."""
        return {name: weight.cpu() for name, weight in self.network.state_dict().items()}


def write(path: Path, fitted: Fitted) -> None:
    """Torch file of a fitted network."""
    facts = {"task": fitted.task, "cell": fitted.cell, "replica": fitted.replica, "settings": asdict(fitted.settings)}
    files.write_checkpoint(path, {**facts, "weights": fitted.weights, "loss": fitted.loss})


def read(path: Path, device: torch.device | str = "cpu") -> Fitted:
    """Fitted network in `path`; ValueError when parts are missing or misshaped, CorruptFile when the file is damaged."""
    stored = files.read_checkpoint(path)
    try:
        weights, settings = stored["weights"], Training(**stored["settings"])
        (neurons, inputs), modes, outputs = weights["win"].shape, len(weights["scores"]), len(weights["wout"])
        network = Network(Size(inputs, neurons, modes, outputs), torch.Generator())
        network.load_state_dict(weights)
        facts = (stored[name] for name in ("task", "cell", "replica"))
        return Fitted(network.to(device), *facts, settings, stored["loss"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path} is not a trained network of modes ({error}); delete it and run the workflow again"
        ) from error
