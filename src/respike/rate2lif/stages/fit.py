"""Train rate networks until they master their task."""

from pathlib import Path

from respike.core import partial
from respike.rate2lif import activity, archives, learning
from respike.rate2lif.params import Training


def run(*, out: Path, variant: str, first: int, last: int, settings: Training, seed: int, device: str = "auto") -> None:
    """Write an archive of the replicas `first` to `last`: each network (.mat), its learning curve and its activity."""
    for name, folder in archives.fill(out, archives.replicas(variant, first, last)):
        activity.write(folder, learning.train(settings, (seed, "rate2lif", "fit", *name), device, out))
        partial.forget(out)
