"""Fitted network and any movie in, spikes out: one command, no workflow needed."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from respike.core import files, training
from respike.v1 import fitted, recorded, recording, simulation, trials


@torch.no_grad()
def run(*, fit: Path, movie: Path, out: Path, trials_wanted: int, seed: int, device: str = "auto") -> None:
    """Write `out` with spikes and probabilities (trial, step, cell) of free runs of `fit` under `movie`.

    `movie` is a .npy file (row, column, frame) or a .mat file with the variable M.
    """
    if trials_wanted < 1:
        raise ValueError(f"--trials-wanted {trials_wanted}: expected 1 or more")
    network = fitted.read(fit, training.device(device))
    model = network.model
    frames = recorded.resize(read_movie(movie), model.pixels).transpose(2, 0, 1)
    drive = model.drive(trials.movie_windows(frames, model.network).to(model.bias.device))
    runs = simulation.free_runs(model, drive, trials_wanted, seed, ("forecast",), n_probabilities=trials_wanted)
    about = {"n_recorded": model.n_recorded, "first_frame": trials.first_step(model.network), "fitted_to": network.dataset}
    files.write_arrays(out, **dict(zip(("spikes", "probabilities"), runs, strict=True)), **about)


def read_movie(path: Path) -> Float[np.ndarray, "row column frame"]:
    """Frames in a .mat file (variable M) or a .npy file, grey values 0 to 1; ValueError that says what is wrong with them."""
    if path.suffix == ".mat":
        return recording.read_movie(files.checked(path))
    try:
        frames = np.load(files.checked(path), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers ({error}); expected row x column x frame") from error
    return recording.checked_frames(path, "the array", frames)
