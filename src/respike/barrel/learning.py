"""Training one network: loss, updates, and the record of how accurate it was after each epoch."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from respike.barrel import anatomy, model, params
from respike.barrel.samples import Samples, held_out
from respike.core import seeds, training


def loss(output: model.Output, label: Int[Tensor, " trial"], kind: params.Loss) -> Float[Tensor, ""]:
    """Cross entropy of the mean vote (`reference`: a second softmax, never below 0.5514) or of the mean logits (`logits`)."""
    return cross_entropy(output.votes / output.logits.shape[1] if kind == "reference" else output.logits[:, 1:].mean(1), label)


@torch.no_grad()
def play(network: model.BarrelNetwork, samples: Samples, seed: int, batch: int = 128, round_: int = 0) -> model.Output:
    """Output of the network for all samples, `batch` at a time, without gradients."""
    parts = [samples.part(slice(first, first + batch)) for first in range(0, len(samples), batch)]
    outputs = [network(part.inputs(seed, round_), network.initial_state(seed, part.number)) for part in parts]
    votes, logits, spikes = zip(*outputs, strict=True)
    return model.Output(torch.cat(votes), torch.cat(logits), torch.cat(spikes, dim=2))


def accuracy(network: model.BarrelNetwork, samples: Samples, seed: int, round_: int = 0) -> float:
    """Share of samples whose class has most votes."""
    votes = play(network, samples, seed, round_=round_).votes.cpu().numpy()
    return float((votes.argmax(1) == samples.label).mean())


class Trainer:
    """One network with its optimiser: `epoch(n)` is the step that `core.training.train` repeats."""

    def __init__(
        self, network: model.BarrelNetwork, settings: params.Training, seed: int, samples: tuple[Samples, Samples, Samples]
    ) -> None:
        self.network, self.settings, self.seed = network, settings, seed
        self.train, self.validation, self.test = samples
        self.inputs = None if settings.redraw else self.train.inputs(seed)
        rate = settings.learning_rate  # time constants learn faster
        taus = ((network.tau_adaptation, settings.tau_adaptation_factor), (network.tau_membrane, settings.tau_membrane_factor))
        groups = [{"params": [part for name, part in network.named_parameters() if not name.startswith("tau")]}]
        groups += [{"params": [tau], "lr": rate * factor} for tau, factor in taus]
        self.optimiser = training.Adam(groups, lr=rate)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimiser, settings.decay_every, settings.decay)
        self.best = training.Best(network)
        self.parts = {"network": network, "optimiser": self.optimiser, "schedule": self.schedule, "best": self.best}

    def epoch(self, number: int) -> dict[str, float]:
        """Go through the training samples once, in an order that depends on the epoch's number alone."""
        order = seeds.generator(self.seed, "barrel", "batch", number).permutation(len(self.train))
        inputs = self.inputs if self.inputs is not None else self.train.inputs(self.seed, number + 1)
        batches = np.array_split(order, np.ceil(len(order) / self.settings.batch))
        losses, right, norms = np.array([self._update(inputs[batch], self.train.part(batch)) for batch in batches]).T
        self.schedule.step()
        mean = np.average(losses, weights=[len(batch) for batch in batches])
        row = {"loss": float(mean), "train": float(right.sum()) / len(order), "gradient": float(norms.max())}
        row["test"] = accuracy(self.network, self.test, self.seed)
        row["validation"] = accuracy(self.network, self.validation, self.seed) if len(self.validation) else np.nan
        self.best.offer(row["validation"] if len(self.validation) else number, number)
        return row

    def _update(self, x: np.ndarray, samples: Samples) -> tuple[float, int, float]:
        """One step of the optimiser: loss, number of right answers and norm of the gradient before it."""
        label = torch.from_numpy(samples.label).to(self.network.weight.device)
        self.optimiser.zero_grad()
        output = self.network(x, self.network.initial_state(self.seed, samples.number), self.settings.checkpoint_steps)
        value = loss(output, label, self.settings.loss)
        value.backward()
        norm = nn.utils.get_total_norm([part.grad for part in self.network.parameters()]).item()
        self.optimiser.step()
        self.network.project(self.settings.smallest_tau)
        if not np.isfinite(value.item()):
            raise ValueError(f"the loss is {value.item()}; lower barrel.{samples.form}.training.learning_rate in config.yaml")
        return value.item(), int((output.votes.argmax(1) == label).sum()), norm


def replicate_seed(root: int, replicate: int) -> int:
    """Seed of all random numbers of a training: no two replicates share it, whatever the root seeds of their runs."""
    return seeds.of(root, "barrel", "replicate", replicate)


def build(network: params.Network, form: params.Form, wiring: params.Wiring, seed: int, device: str) -> model.BarrelNetwork:
    """A new network on its device."""
    column = anatomy.column(network.divide_by, wiring, seed)
    return model.BarrelNetwork(*column, form, network, seed).to(training.device(device))


def fit(
    out: Path, samples: Samples, is_test: Bool[np.ndarray, " sample"], settings: params.Fit, seed: int, device: str,
    wiring: params.Wiring = "anatomical",
) -> tuple[Trainer, pd.DataFrame]:  # fmt: skip
    """Train a new network on the samples that are not for the test; a row of the table per epoch.

    An unfinished training of `out` goes on. The caller writes `out` and then calls `core.partial.forget(out)`.
    """
    rest = samples.part(~is_test)
    validation = held_out(rest.label, settings.training.validation_share, seeds.generator(seed, "barrel", "validation"))
    if validation.all():
        raise ValueError(
            f"no sample is left to train on: lower barrel.{samples.form}.training.validation_share, "
            f"{settings.training.validation_share}, or barrel.sweeps.test_share, or give more samples in a file of yours"
        )
    parts = rest.part(~validation), rest.part(validation), samples.part(is_test)
    trainer = Trainer(build(settings.network, samples.form, wiring, seed, device), settings.training, seed, parts)
    key = {"wiring": wiring, "settings": settings, "seed": seed, "test samples": samples.number[is_test].tolist()}
    course = training.train(trainer.parts, trainer.epoch, settings.training.epochs, out, key, report_every=1)
    return trainer, course.assign(n_train=len(trainer.train), n_test=len(trainer.test), dataset=samples.dataset)
