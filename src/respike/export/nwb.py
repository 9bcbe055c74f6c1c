"""Spikes of the networks of a study as Neurodata Without Borders files, for pynwb, pynapple, Neo and whatever reads NWB.

Written with h5py alone, as version 2.7.0 of the standard says. NWB has one clock for a session: there the trials follow each
other without a pause, as the table of trials says. The column `spike_times_in_trial` of the units holds the times as they came
out of the network, to the bit.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import h5py
import numpy as np
from jaxtyping import Float, Int

from respike.core import files, spikes
from respike.core.spikes import Network

VERSION = "2.7.0"
START = "1970-01-01T00:00:00+00:00"  # of a session: the standard wants a date, and a simulation has none
TEXT = h5py.string_dtype()


def write(study: str, target: Path) -> str:
    """Spikes of the networks of STUDY, which was run here, as NWB files in the folder TARGET: one file for each network.

    Reads results/<study>/spikes.npz. Raises FileNotFoundError when it is not there.
    """
    source = Path("results", study, "spikes.npz")
    if not source.is_file():
        made = sorted(path.parent.name for path in Path("results").glob("*/spikes.npz"))
        raise FileNotFoundError(
            f"{source} does not exist; expected a study that was run, one of {', '.join(made) or 'none so far'}; "
            f"make it by `python -m respike run {source}`"
        )
    networks = spikes.read_networks(source)
    for number, network in enumerate(networks):
        name = re.sub(r"[^\w.+-]+", "_", f"{network.study}_{number}_{network.name}")
        with files.whole(Path(target) / f"{name}.nwb") as temporary:
            write_network(temporary, network, _made_by(source))
    return f"{len(networks)} files in {target}"


def _made_by(source: Path) -> dict:
    """What is known of how the spikes were made."""
    record = files.read_record(source) or {}
    return {
        "file": str(source),
        **{key: record[key] for key in ("sha256", "stage", "code", "arguments", "versions") if key in record},
    }


def trial_starts(network: Network) -> Float[np.ndarray, " trial"]:
    """When each trial begins on the clock of the file (s)."""
    return np.arange(network.spikes.n_trials) * network.spikes.duration


def in_order(network: Network) -> Int[np.ndarray, " spike"]:
    """Numbers of the spikes in the order of the file: by cell and time."""
    own = network.spikes
    return np.lexsort((own.trial, trial_starts(network)[own.trial] + own.times, own.cells))


def write_network(path: Path, network: Network, made_by: dict) -> None:
    """NWB file of one network: its spikes, its trials, and in the notes what made it."""
    own, starts = network.spikes, trial_starts(network)
    facts = {"study": network.study, "network": network.name, "data set": network.dataset, "recorded": network.recorded}
    facts |= {"time_step_s": network.step, "n_cells": own.n_cells, "n_trials": own.n_trials, "trial_s": own.duration}
    kind = "recording" if network.recorded else "simulation"
    with h5py.File(path, "w") as file:
        root = _Writer(file, str(uuid5(NAMESPACE_URL, json.dumps([facts, made_by], sort_keys=True))))
        root.about("/", "core", "NWBFile", nwb_version=VERSION)
        for name in ("acquisition", "analysis", "processing", "stimulus/presentation", "stimulus/templates", "general"):
            file.create_group(name)
        _text(file, "identifier", root.name)
        _text(file, "session_description", f"{network.study}: {network.name} ({kind}, {network.dataset})")
        file.create_dataset("file_create_date", data=[START], dtype=TEXT, maxshape=(None,))
        for name in ("session_start_time", "timestamps_reference_time"):
            _text(file, name, START)
        _text(file, "general/experiment_description", f"respike, study {network.study}")
        _text(file, "general/notes", json.dumps({**facts, "made by": made_by}, indent=1, sort_keys=True))
        root.table("intervals/trials", "core", "TimeIntervals", own.n_trials, "trials, one after the other")
        root.column("intervals/trials", "start_time", starts, "start of the trial, s")
        root.column("intervals/trials", "stop_time", starts + own.duration, "end of the trial, s")
        _write_units(root, network, starts)


def _write_units(root: "_Writer", network: Network, starts: Float[np.ndarray, " trial"]) -> None:
    own, order = network.spikes, in_order(network)
    times, trials = own.times[order], own.trial[order]
    ends = np.cumsum(np.bincount(own.cells, minlength=own.n_cells))
    seen = np.tile([0.0, starts[-1] + own.duration], (own.n_cells, 1))  # one interval: Neo cannot take several
    root.table("units", "core", "Units", own.n_cells, "cells of the network")
    root.column("units", "spike_times", starts[trials] + times, "spike times of each cell, s", ends)
    root.column("units", "obs_intervals", seen, "when each cell was seen, s", np.arange(own.n_cells) + 1)
    root.column("units", "spike_times_in_trial", times, "the same from the start of each spike's trial, s", ends)
    root.column("units", "spike_trials", trials.astype(np.int64), "number of each spike's trial, from 0", ends)


def _text(group: h5py.Group, name: str, text: str) -> None:
    group.create_dataset(name, data=text, dtype=TEXT)


class _Writer:
    """A file and the name from which those of its objects are made."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self.file, self.name = file, name

    def about(self, path: str, namespace: str, kind: str, **attributes: str | Sequence[str]) -> None:
        """Attributes by which the object at `path` is known."""
        own = {"namespace": namespace, "neurodata_type": kind, "object_id": str(uuid5(NAMESPACE_URL, f"{self.name}{path}"))}
        for key, value in {**own, **attributes}.items():
            self.file[path].attrs.create(key, value, dtype=TEXT)

    def table(self, path: str, namespace: str, kind: str, n: int, description: str) -> None:
        """A table of `n` rows without columns."""
        self.file.create_group(path)
        self.about(path, namespace, kind, description=description)
        self.file[path].attrs.create("colnames", np.array([], dtype=object), dtype=TEXT)
        self.file[path].create_dataset("id", data=np.arange(n))
        self.about(f"{path}/id", "hdmf-common", "ElementIdentifiers")

    def column(self, path: str, name: str, values: np.ndarray, description: str, ends: np.ndarray | None = None) -> None:
        """A column of a table, with several values in a row where `ends` says up to which value each row goes."""
        table = self.file[path]
        names = [*table.attrs["colnames"], name]
        table.attrs.create("colnames", np.array(names, dtype=object), dtype=TEXT)
        table.create_dataset(name, data=values)
        self.about(f"{path}/{name}", "hdmf-common", "VectorData", description=description)
        if ends is not None:
            index = table.create_dataset(f"{name}_index", data=ends.astype(np.uint64))
            self.about(f"{path}/{name}_index", "hdmf-common", "VectorIndex", description=f"index of {name}")
            index.attrs.create("target", table[name].ref, dtype=h5py.ref_dtype)
