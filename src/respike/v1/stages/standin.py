"""A stand-in for the V1 recording, in the raw files of the real one, with the truth beside it."""

from pathlib import Path

from respike.core import files, seeds
from respike.v1 import recording, truth
from respike.v1.params import Standin


def run(*, movie: Path, events: Path, ground_truth: Path, standin: Standin, seed: int) -> None:
    """Draw a network and its spikes; write `movie` and `events` as the data set has them, and the truth."""
    frames = truth.movie(seeds.generator(seed, "v1", "standin", "movie"), standin.pixels, standin.frames)
    known = truth.tame(seed, standin, frames)
    jitter = seeds.generator(seed, "v1", "standin", "jitter")
    cells = truth.spike_times(jitter, known.spikes[:, :, : known.n_visible], standin.bin_ms / 1000)
    with files.whole(movie) as temporary:
        recording.write_mat(temporary, frames)
    with files.whole(events) as temporary:
        recording.write_events(temporary, cells)
    truth.write(ground_truth, known)
