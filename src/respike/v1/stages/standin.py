"""A stand-in for the V1 recording, in the raw files of the real one, with the truth beside it."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files, seeds, statistics
from respike.v1 import recording, truth
from respike.v1.params import Standin

TAME = (0.01, 0.45)  # spikes per bin; networks with a cell outside are drawn again
ATTEMPTS = 300
EDGE_SECONDS = 0.001  # spikes stay this far from the edges of their bin, clear of rounding


def run(*, movie: Path, events: Path, ground_truth: Path, standin: Standin, seed: int) -> None:
    """Draw a network and its spikes; write `movie` and `events` as the data set has them, and the truth."""
    frames = truth.movie(seeds.generator(seed, "v1", "standin", "movie"), standin.pixels, standin.frames)
    network, spikes = tame_network(seed, standin, frames)
    cells = spike_times(
        seeds.generator(seed, "v1", "standin", "jitter"), spikes[:, :, : standin.visible], standin.bin_ms / 1e3
    )
    with files.whole(movie) as temporary:
        recording.write_mat(temporary, frames)
    with files.whole(events) as temporary:
        recording.write_events(temporary, cells)
    files.write_arrays(ground_truth, **network._asdict(), spikes=spikes, n_visible=standin.visible)


def tame_network(seed: int, standin: Standin, frames: np.ndarray) -> tuple[truth.Truth, Bool[np.ndarray, "trial step cell"]]:
    """The first drawn network in which no cell is silent or runs away and noise correlations are there to be found."""
    for attempt in range(ATTEMPTS):
        network = truth.network(seeds.generator(seed, "v1", "standin", "network", attempt), standin, frames)
        spikes = truth.sample(seeds.generator(seed, "v1", "standin", "spikes", attempt), network, standin.trials)
        rates = spikes.mean((0, 1))
        if TAME[0] < rates.min() and rates.max() < TAME[1]:
            pairs = statistics.lower_triangle(statistics.noise_correlation(spikes[:, :, : standin.visible]))
            if pairs.std() >= standin.least_correlation:
                return network, spikes
    raise ValueError(
        f"v1.standin: none of {ATTEMPTS} networks had all rates in {TAME} spikes per bin and noise correlations with a s.d. "
        f"of v1.standin.least_correlation = {standin.least_correlation}; expected a coupling_gain of about 1.6 and a "
        "hidden_gain of about 4 for 12 visible and 8 hidden cells, or a smaller least_correlation"
    )


def spike_times(
    rng: np.random.Generator, spikes: Bool[np.ndarray, "trial bin unit"], width: float
) -> list[list[Float[np.ndarray, " spike"]]]:
    """Times in s of each unit in each trial, anywhere inside the bin but its edges."""
    jitter = rng.uniform(EDGE_SECONDS, width - EDGE_SECONDS, spikes.shape)
    times = np.arange(spikes.shape[1])[None, :, None] * width + jitter
    return [[times[r, spikes[r, :, u], u] for u in range(spikes.shape[2])] for r in range(len(spikes))]
