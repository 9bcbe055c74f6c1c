"""The rate model at work: its outputs and rates on fresh trials. A training ends with it, a given network starts with it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from respike.core import files
from respike.rate2lif import model, tasks
from respike.rate2lif.model import RateNetwork
from respike.rate2lif.network import Network
from respike.rate2lif.tasks import Task, Trials


class Played(NamedTuple):
    """Trials and what the rate model made of them, on its device."""

    trials: Trials
    x: torch.Tensor
    r: torch.Tensor
    output: torch.Tensor


def play(module: RateNetwork, task: Task, rng: np.random.Generator, n_trials: int) -> Played:
    """Draw trials and noise and run the rate model on them."""
    device = module.w.device
    trials = tasks.draw(task, rng, n_trials)
    noise = rng.standard_normal((task.n_steps, n_trials, module.network.n_cells), dtype=np.float32)
    return Played(trials, *module(torch.from_numpy(trials.inputs).to(device), torch.from_numpy(noise).to(device)))


def check(played: Played, task: Task, kind: str) -> tuple[float, float]:
    """Mean loss and share of correct trials."""
    target = torch.from_numpy(played.trials.target).to(played.output.device)
    seen = tasks.responses(played.output.detach().cpu().numpy(), task.rate_window, task.end)
    correct = tasks.is_correct(seen, played.trials.wanted, quiet_both_ways=True)
    return model.loss(played.output, target, kind).mean().item(), float(correct.mean())


def write(path: str | Path, played: Played, origin: str) -> None:
    """npz file of the trials, outputs, mean rates (trial, cell) and the mean course of each kind of trial (group, step, cell).

    `origin` says where the network comes from.
    """
    r, group = played.r.detach().cpu().numpy(), np.array(played.trials.group)
    groups = sorted(set(played.trials.group))
    files.write_arrays(
        path,
        origin=np.array(origin),
        inputs=played.trials.inputs,
        target=played.trials.target,
        wanted=played.trials.wanted,
        group=group,
        output=played.output.detach().cpu().numpy(),
        mean_rate=r.mean(0),
        groups=np.array(groups),
        course=np.stack([r[:, group == name].mean(1) for name in groups]),
    )


def published_fields(played: Played, task: Task, kind: str, network: Network) -> dict[str, np.ndarray]:
    """Fields of the published file that describe the last check: outputs, labels, and one trial in full."""
    loss, correct = check(played, task, kind)
    numbers = {name: getattr(played, name).detach().cpu().double().numpy() for name in ("x", "r", "output")}
    labels = played.trials.wanted
    return {
        "eval_perf_mean": np.array([[correct]]),
        "eval_loss_mean": np.array([[loss]]),
        "eval_os": numbers["output"].T,
        "eval_labels": labels[:, None].astype(float),
        "u": played.trials.inputs[:, -1].T.astype(float),
        "target": played.trials.target[None, :, -1].astype(float),
        "x": numbers["x"][:, -1],
        "r": numbers["r"][:, -1],
        "o": numbers["output"][None, :, -1],
        "w_in0": network.w_in,
    }
