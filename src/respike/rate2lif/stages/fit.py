"""Train rate networks until they master their task.

In: settings. Out: an archive of the networks (.mat), their learning curves and their activity.
"""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from respike.core import files, seeds, training
from respike.rate2lif import activity as activities
from respike.rate2lif import archives, model
from respike.rate2lif import network as networks
from respike.rate2lif.adam import Adam
from respike.rate2lif.params import Training, scheduled
from respike.rate2lif.tasks import TASKS

STUDY = "rate2lif"
EVALUATED = 100  # trials on which the trained network is shown


def run(*, archive: Path, settings: Training, seed: int, device: str = "auto") -> None:
    """Train the networks that the name of the archive, <variant>_<first>-<last>.zip, asks for."""
    variant = archives.Chunk.named(archive.stem).variant

    def one(replica: int, _: Path, made: Path) -> None:
        train(made, settings, (seed, STUDY, "fit", variant, replica), device)

    archives.make(archive, asdict(settings) | {"seed": seed, "device": device}, one)


def train(made: Path, settings: Training, place: tuple[int | str, ...], device: str) -> None:
    """Train one network and write it, the table of its training and its activity into the folder `made`."""
    network = made / "network.mat"
    trainer = Trainer(scheduled(settings), place, device)
    identity = {**asdict(settings), "place": place}
    table = training.train(trainer.parts(), trainer.step, trainer.n_updates, network, identity, until=trainer.is_done)
    files.write_table(made / "history.parquet", table)
    trainer.write(network, made / "activity.npz", table["loss"].to_numpy())
    training.forget(network)


class Trainer:
    """A training under way: what `core.training.train` saves, and one step of it."""

    def __init__(self, settings: Training, place: tuple, device: str) -> None:
        self.settings, self.place, self.task = settings, place, TASKS[settings.task]
        start = model.initial(settings, self.task.n_inputs, seeds.generator(*place, "network"))
        self.module = model.RateNetwork(start, settings.dale).to(training.device(device))
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.adam = Adam(trained, settings.learning_rate)
        self.n_updates = settings.trials // settings.batch
        self.updates_per_check = max(1, settings.check_every // settings.batch)

    def parts(self) -> dict[str, training.Part]:
        """What a checkpoint holds."""
        return {"module": self.module, "adam": self.adam}

    def step(self, number: int) -> dict[str, float]:
        """One update, and a check of the stop rule after updates 2, 2 + updates_per_check, ... as published.

        A training of one update is checked after that one, so that every training has a check.
        """
        s = self.settings
        played = activities.play(self.module, self.task, seeds.generator(*self.place, "trials", number), s.batch)
        target = torch.from_numpy(played.trials.target).to(played.output.device)
        loss = model.loss(played.output, target, s.loss).mean()
        self.adam.clear()
        loss.backward()
        self.adam.step(number)
        seen = {"loss": loss.item(), "trials": (number + 1) * s.batch, "check_loss": np.nan, "check_accuracy": np.nan}
        if number % self.updates_per_check == 1 % self.updates_per_check or self.n_updates == 1:
            seen["check_loss"], seen["check_accuracy"] = self.check(number)
        return seen

    def check(self, number: int) -> tuple[float, float]:
        """Mean loss and share of correct trials on fresh trials."""
        with torch.no_grad():
            rng = seeds.generator(*self.place, "check", number)
            return activities.check(
                activities.play(self.module, self.task, rng, self.settings.check_trials), self.task, self.settings.loss
            )

    def is_done(self, row: dict[str, float]) -> bool:
        """The stop rule; false where nothing was checked."""
        s = self.settings
        good = row["check_loss"] < s.stop_loss and row["check_accuracy"] > s.stop_accuracy
        return good and row["trials"] > s.least_trials

    def write(self, path: Path, activity: Path, losses: np.ndarray) -> None:
        """The network's file and its activity on EVALUATED fresh trials."""
        trained, before = self.module.trained(), self.module.network
        untrained = model.RateNetwork(before, self.settings.dale).to(self.module.w.device)
        with torch.no_grad():
            played, first = (
                activities.play(module, self.task, seeds.generator(*self.place, "shown"), EVALUATED)
                for module in (self.module, untrained)
            )
        activities.write(activity, played, "network trained here")
        extra = activities.published_fields(played, self.task, self.settings.loss, trained) | {
            "taus_gaus0": before.taus_gaus[:, None],
            "x0": first.x[:, -1].cpu().double().numpy(),
            "r0": first.r[:, -1].cpu().double().numpy(),
            "losses": np.pad(losses, (0, self.n_updates - len(losses)))[None],
            "tr": len(losses) * self.settings.batch,
        }
        networks.write(path, replace(trained, extra=extra))
