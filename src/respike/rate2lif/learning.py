"""How a rate network comes about: trained here until it masters its task, or taken from a file that others made."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from respike.core import seeds, training
from respike.core.adam import Adam
from respike.rate2lif import activity, fitted, model
from respike.rate2lif.activity import EVALUATED, Evaluated
from respike.rate2lif.model import ACTIVATIONS, RateNetwork
from respike.rate2lif.params import Stream, Training, scheduled
from respike.rate2lif.tasks import TASKS


def train(settings: Training, stream: Stream, device: str, output: Path) -> Evaluated:
    """Train a network; the unfinished training is kept beside `output` (see `core.training`)."""
    trainer = Trainer(scheduled(settings), stream, device)
    identity = {**asdict(settings), "stream": stream}
    parts = {"module": trainer.module, "adam": trainer.adam}
    table = training.train(parts, trainer.step, trainer.n_updates, output, identity, until=trainer.is_done)
    return trainer.evaluated(table)


class Trainer:
    """A training under way: its network, its optimiser, and one step of it."""

    def __init__(self, settings: Training, stream: Stream, device: str) -> None:
        self.settings, self.stream, self.task = settings, stream, TASKS[settings.task]
        start = model.initial(settings, self.task.n_inputs, seeds.generator(*stream, "network"))
        self.module = RateNetwork(start, settings.dale).to(training.device(device))
        trained = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self.adam = Adam(trained, settings.learning_rate)
        self.n_updates = settings.trials // settings.batch
        self.updates_per_check = max(1, settings.check_every // settings.batch)

    def step(self, number: int) -> dict[str, float]:
        """One update, and a check of the stop rule after updates 2, 2 + updates_per_check, ... as published.

        A training of one update is checked after that one, so that every training has a check.
        """
        s = self.settings
        batch = activity.play(self.module, self.task, seeds.generator(*self.stream, "trials", number), s.batch)
        target = torch.from_numpy(batch.trials.target).to(batch.output.device)
        loss = model.loss(batch.output, target, s.loss).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.step(number)
        row = {"loss": loss.item(), "trials": (number + 1) * s.batch, "check_loss": np.nan, "check_accuracy": np.nan}
        if number % self.updates_per_check == 1 % self.updates_per_check or self.n_updates == 1:
            row["check_loss"], row["check_accuracy"] = self.check(number)
        return row

    def check(self, number: int) -> tuple[float, float]:
        """Mean loss and share of correct trials on fresh trials."""
        with torch.no_grad():
            rng = seeds.generator(*self.stream, "check", number)
            fresh = activity.play(self.module, self.task, rng, self.settings.check_trials)
            return activity.check(fresh, self.task, self.settings.loss)

    def is_done(self, row: dict[str, float]) -> bool:
        """The stop rule; false where nothing was checked."""
        return self.settings.stops(row["check_loss"], row["check_accuracy"], row["trials"])

    def evaluated(self, history: pd.DataFrame) -> Evaluated:
        """The network as it is now, on EVALUATED fresh trials, with the fields of the published file."""
        trained, before = self.module.trained(), self.module.network
        untrained = RateNetwork(before, self.settings.dale).to(self.module.w.device)
        with torch.no_grad():
            last, first = (
                activity.play(module, self.task, seeds.generator(*self.stream, "shown"), EVALUATED)
                for module in (self.module, untrained)
            )
        losses = history["loss"].to_numpy()
        extra = activity.published_fields(last, self.task, self.settings.loss, trained) | {
            "taus_gaus0": before.taus_gaus[:, None],
            "x0": first.x[:, -1].cpu().double().numpy(),
            "r0": first.r[:, -1].cpu().double().numpy(),
            "losses": np.pad(losses, (0, self.n_updates - len(losses)))[None],
            "tr": len(losses) * self.settings.batch,
        }
        return Evaluated(replace(trained, extra=extra), self.task.name, history, last, "trained here")


def adopt(source: Path, variant: str, settings: Training, stream: Stream) -> Evaluated:
    """The network in a file, and its rate model on EVALUATED fresh trials of the task in `settings`.

    ValueError when the network has another number of inputs than the task, or an activation that is not known here.
    """
    network, task = fitted.read(source, settings.activation), TASKS[settings.task]
    if network.w_in.shape[1] != task.n_inputs:
        raise ValueError(
            f"{source}: field w_in has {network.w_in.shape[1]} columns, but task {task.name} has {task.n_inputs} inputs;"
            f" correct rate2lif.variants.{variant}.training.task in config.yaml"
        )
    if network.activation not in ACTIVATIONS:
        raise ValueError(f"{source}: field activation is {network.activation!r}, expected one of {list(ACTIVATIONS)}")
    with torch.no_grad():  # without Dale's law: weights in a file are rectified already
        shown = activity.play(RateNetwork(network, dale=False), task, seeds.generator(*stream), EVALUATED)
    loss, accuracy = activity.check(shown, task, settings.loss)
    trials = float(fitted.one(source, network.extra, "tr", np.nan))
    row = {"step": 0, "loss": loss, "trials": trials, "check_loss": loss, "check_accuracy": accuracy}
    return Evaluated(network, task.name, pd.DataFrame([row]), shown, f"network given ({source.name})")
