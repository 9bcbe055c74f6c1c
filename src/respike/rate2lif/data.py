"""Take a network that was trained elsewhere, such as one of the authors' (OSF jd4b6). In: its .mat file. Out: as `fit`."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from respike.core import files, seeds
from respike.rate2lif import activity as activities
from respike.rate2lif import network as networks
from respike.rate2lif.model import ACTIVATIONS, RateNetwork
from respike.rate2lif.params import Training
from respike.rate2lif.tasks import TASKS

EVALUATED = 100  # trials on which the network is shown


def run(
    *, source: Path, network: Path, history: Path, activity: Path, settings: Training, variant: str, replica: int, seed: int
) -> None:
    """Check the network in `source`, run its rate model on fresh trials of its task, and write what a training would write."""
    torch.set_num_threads(1)
    given, task = networks.read(source), TASKS[settings.task]
    if given.w_in.shape[1] != task.n_inputs:
        raise ValueError(
            f"{source}: field w_in has {given.w_in.shape[1]} columns, but task {task.name} has {task.n_inputs} inputs;"
            f" correct rate2lif.variants.{variant}.task in config.yaml"
        )
    if given.activation not in ACTIVATIONS:
        raise ValueError(f"{source}: field activation is {given.activation!r}, expected one of {list(ACTIVATIONS)}")
    # weights in a file are rectified already
    with torch.no_grad():
        rng = seeds.generator(seed, "rate2lif", "data", variant, replica)
        played = activities.play(RateNetwork(given, dale=False), task, rng, EVALUATED)
    loss, accuracy = activities.check(played, task, settings.loss)
    networks.write(network, given)
    activities.write(activity, played, f"network given ({source.name})")
    row = {"step": 0, "loss": loss, "trials": trained_trials(given), "check_loss": loss, "check_accuracy": accuracy}
    files.write_table(history, pd.DataFrame([row]).assign(variant=variant, seed=replica))


def trained_trials(given: networks.Network) -> int:
    """Trials after which the training of a given network ended; 0 when its file does not say."""
    return int(np.ravel(given.extra.get("tr", 0))[0])
