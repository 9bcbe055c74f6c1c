"""What one simulation leaves, and the file in which the recordings of a few rules are kept."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from respike.core import files
from respike.core.spikes import Spikes
from respike.fsbi.params import FINISHED


@dataclass(frozen=True)
class Recording:
    """Spikes and weight samples of one simulation. Times in s since its start."""

    e_times: Float[np.ndarray, " spike"]
    e_cells: Int[np.ndarray, " spike"]
    n_e: int  # recorded excitatory cells
    i_times: Float[np.ndarray, " spike"]
    i_cells: Int[np.ndarray, " spike"]
    n_i: int  # recorded inhibitory cells; 0: rate_i is nan
    start: float  # the recorded window is [start, stop)
    stop: float
    weight_times: Float[np.ndarray, " sample"] = field(default_factory=lambda: np.zeros(0))
    weights: Mapping[str, Float[np.ndarray, "sample synapse"]] = field(default_factory=dict)  # by type: EE, EI, IE, II
    blow_up: float = -1.0  # -1: finished, else the time (s) at which the simulation stopped
    outcome: str = FINISHED


def spikes(recording: Recording) -> Spikes:
    """Spikes of the recorded window, excitatory cells first; time starts with the window."""
    times = np.concatenate([recording.e_times, recording.i_times]) - recording.start
    cells = np.concatenate([recording.e_cells, recording.i_cells + recording.n_e]).astype(np.int64)
    duration = recording.stop - recording.start
    inside = (times >= 0) & (times <= duration)
    return Spikes(times[inside], cells[inside], recording.n_e + recording.n_i, duration)


def write(path: Path, recordings: Mapping[int, Recording]) -> None:
    """npz file of the recordings of rules, by their numbers: the fields as arrays `rule<number>_<field>`.

    The weights become one array for each type of synapse, `rule<number>_weights_<type>`.
    """
    arrays = {}
    for number, recording in recordings.items():
        fields = dict(vars(recording))
        weights = {f"weights_{kind}": samples for kind, samples in fields.pop("weights").items()}
        arrays |= {f"rule{number}_{name}": value for name, value in {**fields, **weights}.items()}
    files.write_arrays(path, **arrays)


def read(path: Path) -> dict[int, Recording]:
    """Recordings in the file `path`, by the numbers of their rules."""
    fields, weights = defaultdict(dict), defaultdict(dict)
    for key, array in files.read_arrays(path).items():
        number, name = re.fullmatch(r"rule(\d+)_(\w+)", key).groups()
        if name.startswith("weights_"):
            weights[int(number)][name.removeprefix("weights_")] = array
        else:
            fields[int(number)][name] = array if array.ndim else array.item()
    return {number: Recording(**fields[number], weights=weights[number]) for number in sorted(fields)}
