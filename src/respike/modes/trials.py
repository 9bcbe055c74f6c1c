"""Simulated trials of several replicas in one npz file: arrays `replica<number>_<name>` in <variant>_<first>-<last>.npz."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from respike.core import files

Trials = dict[str, np.ndarray]  # of one network, by the names in `simulation`


def write(path: Path, trials: Mapping[int, Trials]) -> None:
    """Write the trials of each replica."""
    arrays = {f"replica{number}_{name}": array for number, one in trials.items() for name, array in one.items()}
    files.write_arrays(path, **arrays)


def read(paths: Sequence[Path]) -> dict[str, Trials]:
    """Trials of every network in the files, by the network's name: digits_spike_N100_P3_replica0.

    Raises ValueError when a file holds anything else.
    """
    networks: dict[str, Trials] = defaultdict(dict)
    for path in map(Path, paths):
        variant = path.stem.rpartition("_")[0]
        for key, array in files.read_arrays(path).items():
            parts = re.fullmatch(r"(replica\d+)_(.+)", key)
            if not parts:
                raise ValueError(
                    f"{path} has an array {key!r}, expected replica<number>_<name>; delete it and run the workflow again"
                )
            networks[f"{variant}_{parts[1]}"][parts[2]] = array
    return dict(networks)
