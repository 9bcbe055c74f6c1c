"""The rate model at work: its outputs and rates on fresh trials. A training ends with it, a given network starts with it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from respike.core import files
from respike.rate2lif import fitted, model, tasks
from respike.rate2lif.model import RateNetwork
from respike.rate2lif.network import Network
from respike.rate2lif.tasks import TASKS, Task, Trials

EVALUATED = 100  # trials on which a network is shown


class Activity(NamedTuple):
    """Trials, and the rate model's x, r (step, trial, cell) and output (step, trial), on its device."""

    trials: Trials
    x: torch.Tensor
    r: torch.Tensor
    output: torch.Tensor


class Evaluated(NamedTuple):
    """A network that is ready to be converted, with the table of its training and its activity on fresh trials of its task."""

    network: Network
    task: str
    history: pd.DataFrame
    activity: Activity
    origin: str  # where the network comes from, in words


def play(module: RateNetwork, task: Task, rng: np.random.Generator, n_trials: int) -> Activity:
    """Draw trials and noise and run the rate model on them."""
    device = module.w.device
    trials = tasks.draw(task, rng, n_trials)
    noise = rng.standard_normal((task.n_steps, n_trials, module.network.n_cells), dtype=np.float32)
    return Activity(trials, *module(torch.from_numpy(trials.inputs).to(device), torch.from_numpy(noise).to(device)))


def check(activity: Activity, task: Task, kind: str) -> tuple[float, float]:
    """Mean loss and share of correct trials."""
    target = torch.from_numpy(activity.trials.target).to(activity.output.device)
    responses = tasks.responses(activity.output.detach().cpu().numpy(), task.rate_window, task.end)
    correct = tasks.is_correct(responses, activity.trials.wanted, quiet_both_ways=True)
    return model.loss(activity.output, target, kind).mean().item(), float(correct.mean())


def write(folder: Path, evaluated: Evaluated) -> None:
    """network.mat, history.parquet, and activity.npz with the trials, outputs, mean rates (trial, cell) and the mean course of
    each kind of trial (group, step, cell).
    """
    activity = evaluated.activity
    r, group = activity.r.detach().cpu().numpy(), np.array(activity.trials.group)
    groups = sorted(set(activity.trials.group))
    fitted.write(folder / "network.mat", evaluated.network)
    files.write_table(folder / "history.parquet", evaluated.history)
    files.write_arrays(
        folder / "activity.npz",
        task=np.array(evaluated.task),
        origin=np.array(evaluated.origin),
        inputs=activity.trials.inputs,
        target=activity.trials.target,
        wanted=activity.trials.wanted,
        group=group,
        output=activity.output.detach().cpu().numpy(),
        mean_rate=r.mean(0),
        groups=np.array(groups),
        course=np.stack([r[:, group == name].mean(1) for name in groups]),
    )


def read_trials(path: Path, count: int) -> tuple[Task, Trials]:
    """Task and first `count` trials in an activity file."""
    kept = files.read_arrays(path, "task", "inputs", "target", "wanted", "group")
    wanted, group = kept["wanted"][:count], kept["group"][:count].tolist()
    return TASKS[str(kept["task"])], Trials(kept["inputs"][:, :count], kept["target"][:, :count], wanted, group)


def published_fields(activity: Activity, task: Task, kind: str, network: Network) -> dict[str, np.ndarray]:
    """Fields of the published file that describe the last check: outputs, labels, and one trial in full."""
    loss, correct = check(activity, task, kind)
    x, r, output = (tensor.detach().cpu().double().numpy() for tensor in (activity.x, activity.r, activity.output))
    trials = activity.trials
    return {
        "eval_perf_mean": np.array([[correct]]),
        "eval_loss_mean": np.array([[loss]]),
        "eval_os": output.T,
        "eval_labels": trials.wanted[:, None].astype(float),
        "u": trials.inputs[:, -1].T.astype(float),
        "target": trials.target[None, :, -1].astype(float),
        "x": x[:, -1],
        "r": r[:, -1],
        "o": output[None, :, -1],
        "w_in0": network.w_in,
    }
