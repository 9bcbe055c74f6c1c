"""Take a network that was trained elsewhere, such as one of the authors' (OSF jd4b6). In: its .mat file. Out: as `fit`."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from respike.core import files, seeds
from respike.rate2lif import activity as activities
from respike.rate2lif import archives
from respike.rate2lif import network as networks
from respike.rate2lif.model import ACTIVATIONS, RateNetwork
from respike.rate2lif.params import Training
from respike.rate2lif.tasks import TASKS

EVALUATED = 100  # trials on which the network is shown


def run(*, source: Path, archive: Path, settings: Training, seed: int) -> None:
    """Make of the network in `source` what the training of each network of the archive would have made."""
    torch.set_num_threads(1)
    variant = archives.Chunk.named(archive.stem).variant

    def one(replica: int, _: Path, made: Path) -> None:
        take(made, source, settings, (seed, "rate2lif", "data", variant, replica))

    archives.make(archive, {"file": files.digest(files.checked(source)), "task": settings.task, "seed": seed}, one)


def take(made: Path, source: Path, settings: Training, place: tuple[int | str, ...]) -> None:
    """Check the network in `source`, run its rate model on fresh trials of its task, and write into the folder `made`."""
    given, task = networks.read(source), TASKS[settings.task]
    if given.w_in.shape[1] != task.n_inputs:
        raise ValueError(
            f"{source}: field w_in has {given.w_in.shape[1]} columns, but task {task.name} has {task.n_inputs} inputs;"
            f" correct rate2lif.variants.{place[3]}.training.task in config.yaml"
        )
    if given.activation not in ACTIVATIONS:
        raise ValueError(f"{source}: field activation is {given.activation!r}, expected one of {list(ACTIVATIONS)}")
    # weights in a file are rectified already
    with torch.no_grad():
        rng = seeds.generator(*place)
        played = activities.play(RateNetwork(given, dale=False), task, rng, EVALUATED)
    loss, accuracy = activities.check(played, task, settings.loss)
    networks.write(made / "network.mat", given)
    activities.write(made / "activity.npz", played, f"network given ({source.name})")
    row = {"step": 0, "loss": loss, "trials": trained_trials(given), "check_loss": loss, "check_accuracy": accuracy}
    files.write_table(made / "history.parquet", pd.DataFrame([row]))


def trained_trials(given: networks.Network) -> int:
    """Trials after which the training of a given network ended; 0 when its file does not say."""
    return int(np.ravel(given.extra.get("tr", 0))[0])
