"""Raw files in, one recording out: frames, binary spikes, splits, and counts of what was lost."""

from pathlib import Path

from respike.v1 import recorded
from respike.v1.params import Preprocessing


def run(*, folder: Path, out: Path, preprocessing: Preprocessing, dataset: str, key: str = "v1.data_dir") -> None:
    """Write the recording in `folder` to `out`, named `dataset`; `key` is the config value that names the folder."""
    recorded.write(out, recorded.prepare(folder, preprocessing, dataset, key))
