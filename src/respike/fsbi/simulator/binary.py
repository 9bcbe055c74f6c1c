"""A compiled network: the folder in which it lies, how a rule is run by it, and what a run leaves.

The folder holds `main`, and `main.sha256`, which says which bytes it has.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from respike.core import files
from respike.fsbi.mlp import fixed_layers
from respike.fsbi.params import (
    DT,
    METRICS,
    N_SAMPLES,
    OUTCOMES,
    PLASTIC,
    SAMPLE_EVERY,
    THETA,
    Network,
    Simulation,
    recorded_cells,
)
from respike.fsbi.recording import Recording
from respike.fsbi.rules import IDENTITY
from respike.fsbi.simulator import command
from respike.fsbi.summary import summarise

ADVICE = "(if the disk of the scratch folder is full, set TMPDIR to another folder)"
KINDS = {"t": np.float64, "w": np.float32}  # of numbers that a binary leaves: times, weights; the others are int32
GRACE = 60.0  # s of wall time beyond twice the CPU limit before a binary that does not answer is ended


def seal(home: Path) -> None:
    """Write down which bytes the binary has that was compiled into `home`."""
    (home / "main.sha256").write_text(files.digest(home / "main"))


def is_whole(home: Path) -> bool:
    """Whether the binary in `home` is there, and as it was sealed."""
    seal = home / "main.sha256"
    return seal.is_file() and (home / "main").is_file() and seal.read_bytes() == files.digest(home / "main").encode()


def built_again(description: Path, home: Path) -> bool:
    """Whether the binary is whole once the command that wrote `description` ran anew; workflows copy the description alone."""
    record = files.read_record(description) or {}
    if str(description) in (words := record.get("arguments", [])):  # else it was written from another folder
        subprocess.run([sys.executable, "-m", "respike", record["stage"], *words], check=False)
    return is_whole(home)


class Simulator:
    """A binary and the constants it is run with.

    `description` is the JSON file that `build` wrote, `hidden` a text file of the two fixed layers of the mlp rule; without
    one they are drawn. A binary that is missing or was changed is built again; CorruptFile when that does not help.
    """

    def __init__(self, description: Path, settings: Simulation, hidden: Path | None = None) -> None:
        facts = json.loads(files.checked(description).read_text())
        self.network = Network(**facts["network"])
        self.settings = settings
        self.key = facts["key"]
        self.folder = (Path(description).resolve().parent / facts["folder"]).resolve()
        if not (is_whole(self.folder) or built_again(description, self.folder)):
            why = f"{self.folder}/main does not exist, or is not the binary that was built"
            raise files.CorruptFile(f"{why}; delete {description} and run the workflow rule fsbi_build again")
        self.hidden = fixed_layers(settings.wiring, hidden) if self.network.family == "mlp" else None

    def row(self, rule: Mapping, recording: Recording, cpu: float) -> dict[str, Any]:
        """Row of a table of simulated rules: the rule, its metrics, outcome, stop time (s) and CPU time (s)."""
        protocol, finished = self.settings.protocol, recording.blow_up == -1
        return {
            **{name: int(rule[name]) for name in IDENTITY},
            **{name: float(rule[name]) for name in THETA[self.network.family]},
            **summarise(recording, self.settings.wiring.w_max),
            "outcome": recording.outcome,
            "stop_time": protocol.settle + protocol.record if finished else recording.blow_up,
            "cpu_s": cpu,
        }

    def columns(self) -> list[str]:
        """Names in a row, in their order."""
        return [*IDENTITY, *THETA[self.network.family], *METRICS, "outcome", "stop_time", "cpu_s"]

    def record(self, rule: Mapping, **more: float) -> tuple[Recording, float]:
        """What one simulation of `rule` leaves, and its CPU seconds; `more` are further values for the command line."""
        values = command.arguments(self.network, self.settings, rule, int(rule["seed"])) | more
        with tempfile.TemporaryDirectory(prefix="fsbi-") as folder:
            scratch = Path(folder)
            if self.hidden is not None:
                self.hidden.astype(np.float32).tofile(scratch / "hidden")
                values |= {"hidden.weight": scratch / "hidden"}
            before = cpu_of_children()
            answered = launch(self.folder, scratch, values, self.settings.protocol.wall_limit)
            cpu = cpu_of_children() - before
            return (self.read(scratch) if answered else self.stopped_from_outside()), cpu

    def stopped_from_outside(self) -> Recording:
        """What is known of a run that did not answer."""
        none, start = np.zeros(0), self.settings.protocol.settle
        n_e, n_i = recorded_cells(self.network, self.settings.protocol)
        return Recording(none, none, n_e, none, none, n_i, start, start, blow_up=np.nan, outcome="wall_limit")

    def read(self, scratch: Path) -> Recording:
        """Spikes and weight samples of the recorded window, as the binary left them in `scratch`."""
        start = self.settings.protocol.settle
        outcome = OUTCOMES[int(self.array(scratch, "control.outcome")[0])]
        kinds = PLASTIC[self.network.family]
        times = self.array(scratch, f"weights_{kinds[0]}.t")
        inside = times > start - SAMPLE_EVERY / 2
        weights = {kind: self.array(scratch, f"weights_{kind}.w").reshape(-1, N_SAMPLES)[inside] for kind in kinds}
        return Recording(
            *self.spikes(scratch, "E"),
            *self.spikes(scratch, "I"),
            start,
            start + self.settings.protocol.record,
            weight_times=times[inside],
            weights={kind: samples.astype(float) for kind, samples in weights.items()},
            blow_up=-1.0 if outcome == "finished" else float(self.array(scratch, "control.stop_step")[0]) * DT,
            outcome=outcome,
        )

    def spikes(self, scratch: Path, name: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Times (s) and cells of the recorded spikes of E or I, and how many cells were recorded."""
        cells, times = (self.array(scratch, f"spikes_{name}.{part}") for part in ("i", "t"))
        n = recorded_cells(self.network, self.settings.protocol)[name == "I"]
        inside = (cells < n) & (times > self.settings.protocol.settle - DT / 2)
        return times[inside], cells[inside].astype(np.int64), n

    def array(self, scratch: Path, name: str) -> np.ndarray:
        """One array that the binary left; OSError when it is missing."""
        if not (scratch / name).is_file():
            raise OSError(f"the simulation left no {name} in {scratch} {ADVICE}")
        return np.fromfile(scratch / name, KINDS.get(name.rpartition(".")[2], np.int32))


def launch(folder: Path, scratch: Path, values: Mapping[str, object], limit: float) -> bool:
    """Run the binary in `folder`; False when it had to be ended, OSError when it failed."""
    command = [folder / "main", "--results_dir", f"{scratch}/", *(f"{name}={value}" for name, value in values.items())]
    how = {"env": {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "timeout": 2 * limit + GRACE}
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        done = subprocess.run(command, check=False, cwd=folder, **how, **said)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode or done.stdout:
        said = done.stdout[-500:].strip() or "nothing"
        raise OSError(f"{folder}/main ended with status {done.returncode} and said: {said} {ADVICE}")
    return True


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
