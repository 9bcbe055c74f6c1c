"""Training one network: loss, updates, and the record of how accurate it was after each epoch."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from respike.barrel import anatomy, encoding, model, params
from respike.core import files, seeds, training

LOSSES = ("reference", "logits")


@dataclass(frozen=True)
class Samples:
    """Input of the network by frame, with labels; `number` names each sample in the whole set."""

    values: Float[np.ndarray, "sample frame channel"]
    label: Int[np.ndarray, " sample"]
    number: Int[np.ndarray, " sample"]
    form: str
    encoding: params.Encoding
    dataset: str

    def __len__(self) -> int:
        return len(self.label)

    def part(self, chosen: np.ndarray) -> "Samples":
        """The samples at the places `chosen`, or where it is true."""
        return replace(self, values=self.values[chosen], label=self.label[chosen], number=self.number[chosen])

    def inputs(self, seed: int, round_: int = 0) -> Float[np.ndarray, "sample step channel"]:
        """Input of each step: spikes drawn from `seed`, or the numbers themselves."""
        values = encoding.steps(self.values, self.encoding, self.form)
        return encoding.draw(values, self.number, seed, round_) if self.form == "spiking" else values


def load(path: Path, form: str, settings: params.Encoding) -> tuple[Samples, Bool[np.ndarray, " sample"]]:
    """All samples of an input file, and which of them are for the test."""
    stored = files.read_arrays(path, "values", "label", "is_test", "dataset")
    number = np.arange(len(stored["label"]))
    return Samples(stored["values"], stored["label"], number, form, settings, str(stored["dataset"])), stored["is_test"]


def loss(output: model.Output, label: Int[Tensor, " trial"], kind: str) -> Float[Tensor, ""]:
    """Cross entropy of the mean vote (`reference`: a second softmax, never below 0.5514) or of the mean logits (`logits`)."""
    if kind not in LOSSES:
        raise ValueError(f"barrel.training.loss is {kind!r}, expected one of {', '.join(LOSSES)}")
    n_steps = output.logits.shape[1]
    return cross_entropy(output.votes / n_steps if kind == "reference" else output.logits[:, 1:].mean(1), label)


def play(network: model.BarrelNetwork, samples: Samples, seed: int, batch: int = 128, round_: int = 0) -> list[model.Output]:
    """Outputs of the network for all samples in turn, `batch` at a time, without gradients."""
    outputs = []
    place = network.weight.device
    with torch.no_grad():
        for first in range(0, len(samples), batch):
            part = samples.part(np.arange(first, min(first + batch, len(samples))))
            x = torch.from_numpy(part.inputs(seed, round_)).to(place)
            outputs.append(network(x, _state(network, part, seed)))
    return outputs


def accuracy(network: model.BarrelNetwork, samples: Samples, seed: int, round_: int = 0) -> float:
    """Share of samples whose class has most votes."""
    votes = torch.cat([output.votes for output in play(network, samples, seed, round_=round_)]).cpu().numpy()
    return float((votes.argmax(1) == samples.label).mean())


def _state(network: model.BarrelNetwork, samples: Samples, seed: int) -> model.State:
    state = model.initial_state(seed, samples.number.tolist(), network.n_cells, network.baseline.item())
    return model.State(*(part.to(network.weight.device) for part in state))


class Best:
    """Weights of the epoch with the highest score, the first of equals; a part of the state that a resumed training keeps."""

    def __init__(self, network: model.BarrelNetwork) -> None:
        self.network, self.score, self.weights = network, -1.0, weights_of(network)

    def offer(self, score: float) -> None:
        if score > self.score:
            self.score, self.weights = score, weights_of(self.network)

    def state_dict(self) -> dict:
        return {"score": self.score, "weights": self.weights}

    def load_state_dict(self, state: dict) -> None:
        self.score, self.weights = state["score"], state["weights"]


def weights_of(network: model.BarrelNetwork) -> dict[str, Tensor]:
    """Copy of everything in the network, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


class Trainer:
    """One network with its optimiser: `epoch(n)` is the step that `core.training.train` repeats."""

    def __init__(
        self,
        network: model.BarrelNetwork,
        settings: params.Training,
        seed: int,
        train: Samples,
        validation: Samples,
        test: Samples,
    ) -> None:
        self.network, self.settings, self.seed = network, settings, seed
        self.train, self.validation, self.test = train, validation, test
        self.inputs = None if settings.redraw else torch.from_numpy(train.inputs(seed))
        self.optimiser = training.Adam(_rates(network, settings), lr=settings.learning_rate)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimiser, settings.decay_every, settings.decay)
        self.best = Best(network)

    @property
    def parts(self) -> dict[str, training.Part]:
        return {"network": self.network, "optimiser": self.optimiser, "schedule": self.schedule, "best": self.best}

    def epoch(self, number: int) -> dict[str, float]:
        """Go through the training samples once, in an order that depends on the epoch's number alone."""
        order = seeds.generator(self.seed, "barrel", "batch", number).permutation(len(self.train))
        inputs = self.inputs if self.inputs is not None else torch.from_numpy(self.train.inputs(self.seed, number + 1))
        losses, correct = [], 0
        for batch in np.array_split(order, np.ceil(len(order) / self.settings.batch)):
            value, right = self._update(inputs[batch], self.train.part(batch))
            losses.append(value * len(batch))
            correct += right
        self.schedule.step()
        row = {"loss": sum(losses) / len(order), "train": correct / len(order)}
        row["test"] = accuracy(self.network, self.test, self.seed)
        row["validation"] = accuracy(self.network, self.validation, self.seed) if len(self.validation) else np.nan
        self.best.offer(row["validation"] if len(self.validation) else number)
        return row

    def _update(self, x: Tensor, samples: Samples) -> tuple[float, int]:
        place = self.network.weight.device
        label = torch.from_numpy(samples.label).to(place)
        self.optimiser.zero_grad()
        output = self.network(x.to(place), _state(self.network, samples, self.seed), self.settings.checkpoint_steps)
        value = loss(output, label, self.settings.loss)
        value.backward()
        self.optimiser.step()
        self.network.project(self.settings.smallest_tau)
        if not np.isfinite(value.item()):
            raise ValueError(f"the loss became {value.item()}; lower barrel.training.learning_rate in config.yaml")
        return value.item(), int((output.votes.argmax(1) == label).sum())


def _rates(network: model.BarrelNetwork, settings: params.Training) -> list[dict]:
    """Parameters in three groups: time constants learn faster."""
    slow = [parameter for name, parameter in network.named_parameters() if not name.startswith("tau")]
    factors = (settings.tau_adaptation_factor, settings.tau_membrane_factor)
    fast = zip((network.tau_adaptation, network.tau_membrane), factors, strict=True)
    return [{"params": slow}] + [{"params": [tau], "lr": settings.learning_rate * factor} for tau, factor in fast]


def held_out(samples: Samples, share: float, rng: np.random.Generator) -> Bool[np.ndarray, " sample"]:
    """True for `share` of each class, at least one sample unless `share` is 0."""
    chosen = np.zeros(len(samples), dtype=bool)
    for kind in np.unique(samples.label) if share else ():
        members = rng.permutation(np.flatnonzero(samples.label == kind))
        chosen[members[: max(1, round(share * len(members)))]] = True
    return chosen


def build(network: params.Network, form: str, wiring: str, seed: int, place: str) -> model.BarrelNetwork:
    """A new network on its device."""
    return model.BarrelNetwork(*anatomy.column(network.divide_by, wiring, seed), form, network, seed).to(
        training.device(place)
    )


def fit(
    out: Path, samples: Samples, is_test: np.ndarray, settings: params.Fit, seed: int, place: str, wiring: str = "anatomical"
) -> tuple[Trainer, pd.DataFrame]:
    """Train a new network on the samples that are not for the test; an unfinished training of `out` goes on.

    The caller writes `out` and then calls `core.training.forget(out)`.
    """
    rest = samples.part(~is_test)
    validation = held_out(rest, settings.training.validation_share, seeds.generator(seed, "barrel", "validation"))
    built = build(settings.network, samples.form, wiring, seed, place)
    trainer = Trainer(built, settings.training, seed, rest.part(~validation), rest.part(validation), samples.part(is_test))
    key = {"wiring": wiring, "settings": settings, "seed": seed, "test samples": samples.number[is_test].tolist()}
    history = training.train(trainer.parts, trainer.epoch, settings.training.epochs, out, key, report_every=1)
    return trainer, history


def fit_table(
    out: Path, samples: Samples, is_test: np.ndarray, settings: params.Fit, seed: int, place: str, **about
) -> pd.DataFrame:
    """History of a training whose weights are not kept, with the columns `about`; `out` only names its unfinished state."""
    _, history = fit(out, samples, is_test, settings, seed, place, about.get("wiring", "anatomical"))
    training.forget(out)
    return history.assign(seed=seed, dataset=samples.dataset, **about)


def folds(samples: Samples, settings: params.Folds, seed: int) -> list[tuple[int, int, Bool[np.ndarray, " sample"]]]:
    """Repeat, fold, and which samples are for the test; each class is spread evenly over the folds of a repeat."""
    smallest = np.bincount(samples.label, minlength=len(params.CLASSES)).min()
    if not 2 <= settings.folds <= smallest:
        raise ValueError(
            f"barrel.crossval.folds is {settings.folds}, expected 2 to {smallest}, the samples of the smallest class"
        )
    result = []
    for repeat in range(settings.repeats):
        rng = seeds.generator(seed, "barrel", "folds", repeat)
        fold = np.empty(len(samples), dtype=int)
        for kind in np.unique(samples.label):
            members = rng.permutation(np.flatnonzero(samples.label == kind))
            fold[members] = np.arange(len(members)) % settings.folds
        result += [(repeat, k, fold == k) for k in range(settings.folds)]
    return result


def read(path: Path) -> dict:
    """Content of a file that barrel.fit wrote; ValueError for any other file."""
    stored = files.read_checkpoint(path)
    missing = sorted({"form", "initial", "seed", "trained"} - set(stored if isinstance(stored, dict) else ()))
    if missing:
        raise ValueError(
            f"{path} is not a network of barrel.fit: it lacks {', '.join(missing)}; train it again (snakemake barrel)"
        )
    return stored


def restore(stored: dict, which: str) -> model.BarrelNetwork:
    """Network of a checkpoint; `which` is initial or trained."""
    weights = stored[which]
    column = replace(anatomy.load(), sizes=np.diff(weights["bounds"].numpy()))
    synapses = anatomy.Synapses(weights["receiver"].numpy(), weights["sender"].numpy())
    network = model.BarrelNetwork(column, synapses, stored["form"], params.Network(), 0)
    network.load_state_dict(weights)
    return network
