"""A recording in, in any form that users have; frames, binary spikes, splits, and counts of what was lost out."""

from pathlib import Path

import numpy as np

from respike.core import files
from respike.v1 import loading, recorded
from respike.v1.params import Preprocessing
from respike.v1.recorded import Recording


def run(
    *,
    folder: Path,
    out: Path,
    preprocessing: Preprocessing,
    dataset: str,
    sources: list[Path] = [],  # noqa: B006  (never changed)
    key: str = "v1.data_dir",
) -> None:
    """Write the recording in `folder` to `out`, named `dataset`, cut to the frames and units that `preprocessing` keeps.

    `folder`, named by the config value `key`, holds the raw files of the data set or the arrays of the published program; or
    it is a session file, .nwb or .npz. `sources` are its files, wherever in it they stand: the record of `out` must know them.
    """
    movie, counts, split, numbers = loading.load(folder, preprocessing, key)
    n_frames = preprocessing.last_frames or len(movie)
    if n_frames > len(movie):
        raise ValueError(f"{folder}: the movie has {len(movie)} frames; v1.data.last_frames asks for {n_frames}")
    units = recorded.chosen_units(counts[:, :-1] > 0, numbers, preprocessing, folder)
    counts, late = counts[:, -1 - n_frames : -1, units], int(counts[:, -1, units].sum())
    spikes, frames = counts > 0, movie[-n_frames:].astype(np.float32)
    merged = int(counts.sum() - spikes.sum())
    written = Recording(frames, spikes, split, numbers[units], preprocessing.bin_ms, late, merged, dataset)
    files.write_arrays(out, **written._asdict())
