"""Fitted network and any movie in, spikes out: one command, no workflow needed."""

from pathlib import Path

import torch

from respike.core import files, training
from respike.formats import movies
from respike.v1 import fitted, simulation, trials


@torch.no_grad()
def run(*, fit: Path, movie: Path, out: Path, trials_wanted: int, seed: int, device: str = "auto") -> None:
    """Write `out` with spikes and probabilities (trial, step, cell) of free runs of `fit` under `movie`.

    `movie` is a .npy file (row, column, frame) or a .mat file with the variable M.
    """
    if trials_wanted < 1:
        raise ValueError(f"--trials-wanted {trials_wanted}: expected 1 or more")
    network = fitted.read(fit, training.device(device))
    model = network.model
    frames = movies.resize(movies.read(movie), model.pixels).transpose(2, 0, 1)
    drive = model.drive(trials.seen(frames, model.network).to(model.bias.device))
    runs = simulation.free_runs(model, drive, trials_wanted, seed, ("forecast",), n_probabilities=trials_wanted)
    about = {"n_recorded": model.n_recorded, "first_frame": model.network.first_step, "fitted_to": network.dataset}
    files.write_arrays(out, **dict(zip(("spikes", "probabilities"), runs, strict=True)), **about)
