"""Take a network that was trained elsewhere, such as one of the authors' (OSF jd4b6), in place of a training."""

from pathlib import Path

import torch

from respike.rate2lif import activity, archives, learning
from respike.rate2lif.params import Training


def run(*, source: Path, out: Path, variant: str, first: int, last: int, settings: Training, seed: int) -> None:
    """Write for the network in the .mat file `source` what `fit` writes for each of the replicas `first` to `last`."""
    torch.set_num_threads(1)
    for name, folder in archives.fill(out, archives.replicas(variant, first, last)):
        activity.write(folder, learning.adopt(source, variant, settings, (seed, "rate2lif", "data", *name)))
