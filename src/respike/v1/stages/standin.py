"""A stand-in for the V1 recording, in the raw files of the real one, with the truth beside it."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files, seeds
from respike.formats import mat, matlab
from respike.v1 import truth
from respike.v1.params import Standin

EDGE_SECONDS = 0.001  # spikes stay this far from the edges of their bin, clear of rounding; a quarter of a short bin


def run(*, movie: Path, events: Path, ground_truth: Path, standin: Standin, seed: int) -> None:
    """Draw a network and its spikes; write `movie` and `events` as the data set has them, and the truth."""
    frames = truth.movie(seeds.generator(seed, "v1", "standin", "movie"), standin.pixels, standin.frames)
    drawn = truth.tame(seed, standin, frames)
    jitter = seeds.generator(seed, "v1", "standin", "jitter")
    cells = spike_times(jitter, drawn.spikes[:, :, : drawn.n_visible], standin.bin_ms / 1000)
    with files.whole(movie) as temporary:
        temporary.write_bytes(mat.content({"M": frames}))
    with files.whole(events) as temporary:
        matlab.write_cells(temporary, "data", "EVENTS", cells)
    files.write_arrays(ground_truth, **drawn._asdict())


def spike_times(
    rng: np.random.Generator, spikes: Bool[np.ndarray, "trial bin unit"], width: float
) -> list[list[Float[np.ndarray, " spike"]]]:
    """Times in s of each unit in each trial, anywhere inside the bin but its edges."""
    edge = min(EDGE_SECONDS, width / 4)
    jitter = rng.uniform(edge, width - edge, spikes.shape)
    times = np.arange(spikes.shape[1])[None, :, None] * width + jitter
    return [[times[r, spikes[r, :, u], u] for u in range(spikes.shape[2])] for r in range(len(spikes))]
