"""Recording in, fitted network out: the weights that were best on the validation trials, and the log of the training."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from respike.core import files, seeds, training
from respike.v1 import fitted, losses, trials
from respike.v1.model import SpikingNetwork
from respike.v1.params import Network, Objective, Training, Variant


def run(
    *,
    recording: Path,
    out: list[Path],
    log_tables: list[Path],
    network: Network,
    variants: list[Variant],
    optimiser: Training,
    seed: int,
    replicate: int,
    device: str = "auto",
) -> None:
    """Fit `network`, changed as each of `variants` says, to the training trials.

    The checkpoints `out` and the tables `log_tables` stand in the order of `variants`.
    """
    record = trials.read(recording)
    settings = {"seed": seed, "replicate": replicate}
    for variant, path, log_table in zip(variants, out, log_tables, strict=True):
        changes = {"hidden": variant.hidden, "coupling": variant.coupling, "surrogate": variant.surrogate}
        changed = dataclasses.replace(network, **changes)
        fitting = Fitting(record, changed, variant.objective, optimiser, (seed, replicate), training.device(device))
        files.write_table(log_table, fit(fitting, path, settings))


def fit(fitting: "Fitting", out: Path, settings: dict[str, Any]) -> pd.DataFrame:
    """Train to the end, write the best weights and return the log."""
    model, best = fitting.model, fitting.best
    for part in (model.network, fitting.objective, fitting.settings):
        settings = settings | {f"{type(part).__name__}.{key}": value for key, value in dataclasses.asdict(part).items()}
    log = training.train(fitting.parts, fitting.step, fitting.settings.steps, out, settings)
    about = {"dataset": fitting.dataset, "best_step": best.step, "replicate": fitting.replicate}
    fitted.write(out, model, best.weights, **about)
    training.forget(out)
    return log


class ClippedAdam(training.Adam):
    """Adam as Keras has it: each tensor's gradient cut to `clip` on its own, epsilon beside the uncorrected moment."""

    def __init__(self, parameters: Any, settings: Training) -> None:
        super().__init__(parameters, settings.learning_rate, (settings.beta1, settings.beta2), fused=True)
        self.clip, self.epsilon = settings.clip, settings.epsilon

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                nn.utils.clip_grad_norm_([parameter], self.clip)
            taken = max((int(self.state[p]["step"]) for p in group["params"] if "step" in self.state[p]), default=0)
            # Keras: m / (sqrt(v) + epsilon); torch: m / (sqrt(v / (1 - beta2^t)) + eps), bias corrected elsewhere
            group["eps"] = self.epsilon / math.sqrt(1 - group["betas"][1] ** (taken + 1))
        super().step(closure)


class Best:
    """The weights that did best on the validation trials."""

    def __init__(self, model: nn.Module) -> None:
        self.loss, self.step, self.weights = math.inf, 0, _copy(model)

    def offer(self, loss: float, step: int, model: nn.Module) -> None:
        """Keep the weights of `model` when `loss` is the least so far."""
        if loss < self.loss:
            self.loss, self.step, self.weights = loss, step, _copy(model)

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loss, self.step, self.weights = state["loss"], state["step"], state["weights"]


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone().cpu().contiguous() for name, tensor in model.state_dict().items()}


class Fitting:
    """One training: data, network, optimiser, and the step that the loop calls."""

    def __init__(
        self,
        record: trials.Recording,
        network: Network,
        objective: Objective,
        settings: Training,
        seed: tuple[int, int],
        device: torch.device,
    ) -> None:
        self.objective, self.settings, self.device = objective, settings, device
        self.root, self.replicate = seed
        self.dataset = record.dataset
        self.train, self.validation = (
            trials.Trials(*[part.to(device) for part in trials.cut(record.movie, record.of(split), network)])
            for split in ("train", "validation")
        )
        self._check()
        self.model = SpikingNetwork(network, record.spikes.shape[2], record.movie.shape[1])
        self.model.initialise(torch.Generator().manual_seed(seeds.of(self.root, "v1", "fit", self.replicate, "weights")))
        self.model.to(device)
        self.optimiser, self.best = ClippedAdam(self.model.parameters(), settings), Best(self.model)
        self.parts = {"model": self.model, "optimiser": self.optimiser, "best": self.best}
        self.targets = losses.Targets(self.train.y, objective, network.history) if objective.target_stats == "all" else None

    def _check(self) -> None:
        n_train, batch = len(self.train.y), self.settings.batch
        if not 0 < batch <= n_train:
            raise ValueError(f"v1.training.batch = {batch}: expected 1 to the {n_train} training trials (v1.data.train)")
        for key, n_trials in (("v1.training.batch", batch), ("v1.data.validation", len(self.validation.y))):
            if self.objective.noise_correlation and n_trials < 2:
                raise ValueError(
                    f"{key} = {n_trials}: expected 2 or more for a noise covariance (objective.noise_correlation)"
                )

    def batch(self, step: int) -> list[int]:
        """Trials of a step: without replacement from a permutation, a new one when it is used up."""
        size, n_trials = self.settings.batch, len(self.train.y)
        epoch, place = divmod(step, n_trials // size)
        order = seeds.generator(self.root, "v1", "fit", self.replicate, "epoch", epoch).permutation(n_trials)
        return order[place * size : (place + 1) * size].tolist()

    def step(self, number: int) -> dict[str, float]:
        """One gradient step; the loss before it, and the loss on the validation trials from time to time."""
        found = self._terms(self.train.pick(self.batch(number)), self.targets, ("fit", self.replicate, "step", number))
        share = min(1.0, (number + 1) / self.objective.nc_ramp) if self.objective.nc_ramp else 1.0
        total = losses.total(self.objective, found, share)
        self.optimiser.zero_grad()
        total.backward()
        row = {"train": float(total.detach())} | {name: float(term.detach()) for name, term in found.items()}
        if not math.isfinite(row["train"]):
            raise ValueError(
                f"the loss of step {number} is {row['train']}; expected a number: lower v1.training.learning_rate"
            )
        self.optimiser.step()
        due = (number + 1) % self.settings.evaluate_every == 0 or number + 1 == self.settings.steps
        return row | {"validation": self.validate(number + 1) if due else math.nan}

    @torch.no_grad()
    def validate(self, step: int) -> float:
        """Loss on all validation trials, with the same random numbers each time; the best weights are kept."""
        found = self._terms(self.validation, None, ("fit", self.replicate, "validation"))
        loss = float(losses.total(self.objective, found))
        self.best.offer(loss, step, self.model)
        return loss

    def _terms(self, part: trials.Trials, targets: losses.Targets | None, place: tuple) -> dict[str, Tensor]:
        model, objective = self.model, self.objective
        targets = targets or losses.Targets(part.y, objective, model.network.history)
        size = (part.y.shape[1], model.n_cells)
        drive = model.drive(part.windows)
        forced = free = None
        if objective.likelihood:
            draw = self._uniforms((*place, "forced"), len(part.y), *size) if model.network.hidden else None
            forced = model.forced(drive, part.recorded, draw)
        if objective.runs_free:
            n_trials = objective.simulated_trials or len(part.y)
            free = model.free(drive, self._uniforms((*place, "free"), n_trials, *size))
        return losses.terms(objective, part.y, targets, forced, free)

    def _uniforms(self, place: tuple, *shape: int) -> Tensor:
        return fitted.uniforms(self.root, place, *shape).to(self.device)
