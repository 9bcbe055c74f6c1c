"""Metastable clusters: a single inhibitory population whose cells fire in K synchronous groups, one after the other."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.neulvm import clusters as science
from respike.neulvm.params import Cluster


def run(*, out: Path, clusters: dict[str, Cluster], seed: int) -> None:
    """Simulate each case and write activity, spectrogram and number of clusters over time."""
    arrays = {}
    for name, cluster in clusters.items():
        activity = science.simulate(cluster, seeds.generator(seed, "neulvm", "clusters", name))
        parts = {"activity": activity, **science.number(activity, cluster.dt), "dt": cluster.dt}
        arrays |= {f"{name}.{part}": values for part, values in parts.items()}
    files.write_arrays(out, names=np.array(list(clusters)), **arrays)
