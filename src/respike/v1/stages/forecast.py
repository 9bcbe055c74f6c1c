"""Fitted network and any movie in, spikes out: one command, no workflow needed."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from respike.core import files, training
from respike.v1 import fitted, recording, trials

CHUNK = 40  # trials at once; the results do not depend on it


@torch.no_grad()
def run(*, fit: Path, movie: Path, out: Path, trials_wanted: int, seed: int, device: str = "auto") -> None:
    """Write `out` with spikes and probabilities (trial, step, cell) of free runs of `fit` under `movie`.

    `movie` is a .npy file (row, column, frame) or a .mat file with the variable M.
    """
    if trials_wanted < 1:
        raise ValueError(f"--trials-wanted {trials_wanted}: expected 1 or more")
    network = fitted.read(fit, training.device(device))
    model = network.model
    frames = recording.resize(read_frames(movie), model.pixels).transpose(2, 0, 1)
    windows = trials.movie_windows(frames, model.network).to(model.bias.device)
    drive = model.drive(windows)
    spikes, probabilities = [], []
    for start in range(0, trials_wanted, CHUNK):
        numbers = range(start, min(start + CHUNK, trials_wanted))
        draw = torch.stack([fitted.uniforms(seed, ("forecast", r), *drive.shape) for r in numbers]).to(drive.device)
        ran = model.free(drive, draw)
        spikes.append(ran.spikes.cpu().numpy() > 0)
        probabilities.append(ran.probabilities.cpu().numpy())
    files.write_arrays(
        out,
        spikes=np.concatenate(spikes),
        probabilities=np.concatenate(probabilities),
        n_recorded=model.n_recorded,
        first_frame=len(frames) - len(drive),
        fitted_to=network.dataset,
    )


def read_frames(path: Path) -> Float[np.ndarray, "row column frame"]:
    """Grey values 0 to 1 of the movie in `path`; ValueError that says what is wrong with it."""
    if path.suffix == ".mat":
        return recording.read_movie(files.checked(path))
    try:
        frames = np.load(files.checked(path), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers ({error}); expected row x column x frame") from error
    return recording.checked_frames(path, "the array", frames)
