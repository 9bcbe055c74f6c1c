"""One training: data, network, optimiser, and the gradient step that `core.training` repeats."""

import dataclasses
import math

import torch
from torch import Tensor

from respike.core import seeds, training
from respike.core.adam import Adam
from respike.v1 import losses, model, trials
from respike.v1.params import Network, Training, Variant
from respike.v1.recorded import Recording


class Fitting:
    """A network in training: `step(n)` is gradient step n. ValueError for a batch that does not suit the data or the loss."""

    def __init__(
        self,
        record: Recording,
        network: Network,
        variant: Variant,
        settings: Training,
        seed: tuple[int, int],  # root seed and number of the replicate
        device: torch.device,
    ) -> None:
        network = dataclasses.replace(network, hidden=variant.hidden, coupling=variant.coupling, surrogate=variant.surrogate)
        self.objective, self.settings = variant.objective, settings
        self.root, self.replicate = seed
        self.train, self.validation = (
            trials.cut(record.movie, record.of(split), network).to(device) for split in ("train", "validation")
        )
        self._check()
        self.model = model.SpikingNetwork(network, record.spikes.shape[2], record.movie.shape[1])
        self.model.initialise(torch.Generator().manual_seed(seeds.of(self.root, "v1", "fit", self.replicate, "weights")))
        self.model.to(device)
        betas = (settings.beta1, settings.beta2)
        self.optimiser = Adam(
            self.model.parameters(), settings.learning_rate, betas, settings.epsilon, settings.clip, fused=True
        )
        self.best = training.Best(self.model)
        every = self.objective.target_stats == "all"
        self.targets = losses.Targets(self.train.y, self.objective, network.history) if every else None

    def _check(self) -> None:
        n_train, batch = len(self.train.y), self.settings.batch
        if not 0 < batch <= n_train:
            raise ValueError(f"v1.training.batch = {batch}: expected 1 to the {n_train} training trials (v1.data.train)")
        for key, size in (("v1.training.batch", batch), ("v1.data.validation", len(self.validation.y))):
            if self.objective.noise_correlation and size < 2:
                raise ValueError(f"{key} = {size}: expected 2 or more for a noise covariance (objective.noise_correlation)")

    @property
    def parts(self) -> dict[str, training.Part]:
        """What a saved training holds."""
        return {"model": self.model, "optimiser": self.optimiser, "best": self.best}

    def batch(self, step: int) -> list[int]:
        """Trials of a step: without replacement from a permutation, a new one when it is used up."""
        size, n_trials = self.settings.batch, len(self.train.y)
        epoch, within = divmod(step, n_trials // size)
        order = seeds.generator(self.root, "v1", "fit", self.replicate, "epoch", epoch).permutation(n_trials)
        return order[within * size : (within + 1) * size].tolist()

    def step(self, number: int) -> dict[str, float]:
        """One gradient step; the loss before it, and the loss on the validation trials from time to time.

        ValueError when the loss is no number.
        """
        values = self._terms(self.train.pick(self.batch(number)), self.targets, ("fit", self.replicate, "step", number))
        share = min(1.0, (number + 1) / self.objective.nc_ramp) if self.objective.nc_ramp else 1.0
        total = losses.total(self.objective, values, share)
        self.optimiser.zero_grad()
        total.backward()
        row = {"train": float(total.detach())} | {name: float(term.detach()) for name, term in values.items()}
        if not math.isfinite(row["train"]):
            raise ValueError(f"loss of step {number} is {row['train']}; expected a number: lower v1.training.learning_rate")
        self.optimiser.step(number)
        due = (number + 1) % self.settings.evaluate_every == 0 or number + 1 == self.settings.steps
        return row | {"validation": self.validate(number + 1) if due else math.nan}

    @torch.no_grad()
    def validate(self, step: int) -> float:
        """Loss on all validation trials, with the same random numbers each time; the best weights are kept."""
        values = self._terms(self.validation, None, ("fit", self.replicate, "validation"))
        loss = float(losses.total(self.objective, values))
        self.best.offer(-loss, step)
        return loss

    def _terms(self, part: trials.Trials, targets: losses.Targets | None, stream: tuple[str | int, ...]) -> dict[str, Tensor]:
        """Terms of the loss on the trials of `part` with random numbers of `stream`; without `targets` those of `part`."""
        objective, shape = self.objective, (part.y.shape[1], self.model.n_cells)
        drive = self.model.drive(part.movie)
        forced = free = None
        if objective.likelihood:
            draw = model.uniforms(self.root, (*stream, "forced"), len(part.y), *shape) if self.model.network.hidden else None
            forced = self.model.forced(drive, part.recorded, draw)
        if objective.runs_free:
            n_trials = objective.simulated_trials or len(part.y)
            free = self.model.free(drive, model.uniforms(self.root, (*stream, "free"), n_trials, *shape))
        targets = targets or losses.Targets(part.y, objective, self.model.network.history)
        return losses.terms(objective, part.y, targets, forced, free)
