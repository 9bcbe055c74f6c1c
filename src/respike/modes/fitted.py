"""A fitted network: weights, the settings it was trained with, and the loss of each batch; how it runs; its file."""

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from respike.core import files, training
from respike.modes import model
from respike.modes.model import Activity, Network
from respike.modes.params import RATE_CELLS, Cell, Filter, Leak, Size, Task, Training, spike_filter


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
        activity = model.run(self.network, drive, self.cells, self.settings.refractory)
        return activity, activity.v if self._reads_v else activity.r

    def outputs(self, inputs: Float[Tensor, "step trial input"]) -> Float[Tensor, "step trial output"]:
        """Output at every step: `model.read_steps` of what `run` gives for training."""
        if self._reads_v or inputs.device.type != "cpu":
            return model.read_steps(self.network, self.run(model.drive_of(self.network, inputs))[1])
        return model.train_steps(self.network, inputs, self.cells, self.settings.refractory)

    def logits(self, drive: Float[Tensor, "step trial cell"]) -> Float[Tensor, "trial output"]:
        """Output for the peaks: `model.read_peaks` of what `run` gives for training."""
        if self._reads_v or drive.device.type != "cpu":
            return model.read_peaks(self.network, self.run(drive)[1])
        return model.train_peaks(self.network, drive, self.cells, self.settings.refractory)

    @property
    def cells(self) -> Filter | Leak:
        """Synaptic filter of a spiking network, leak of a rate network."""
        rate = self.cell == "rate"
        return RATE_CELLS[self.settings.rate_cells] if rate else spike_filter(self.task, self.settings.filter)

    @property
    def _reads_v(self) -> bool:
        return self.cell == "rate" and self.settings.rate_readout == "potential"


def write(path: Path, fitted: Fitted) -> None:
    """Torch file of a fitted network."""
    facts = {"task": fitted.task, "cell": fitted.cell, "replica": fitted.replica, "settings": asdict(fitted.settings)}
    files.write_checkpoint(path, {**facts, "weights": training.weights_of(fitted.network), "loss": fitted.loss})


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
