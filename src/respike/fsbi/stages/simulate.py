"""Run plasticity rules: a table of rules in, one row of metrics per rule out: fsbi.simulate.

A row depends on its rule, its seed and the settings only, not on the chunk it is in. A chunk that was cut off goes on after
the rows it had finished (see core.partial).
"""

import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, partial
from respike.fsbi import built, command
from respike.fsbi.params import DT, N_SAMPLES, OUTCOMES, PLASTIC, SAMPLE_EVERY, THETA, Network, Simulation
from respike.fsbi.rules import PLACE, read
from respike.fsbi.summary import METRICS, Recording, SummarySettings, summarise

ADVICE = "(if the disk of the scratch folder is full, set TMPDIR to another folder)"
GRACE = 60.0  # s of wall time beyond twice the CPU limit before a binary that does not answer is ended


def run(
    *,
    rules: list[Path],
    first: int = 0,
    count: int | None = None,
    binary: Path,
    out: Path,
    settings: Simulation,
    hidden: Path | None = None,
    recordings: Path | None = None,
) -> None:
    """Simulate rows `first` to `first + count - 1` (all) of the files `rules` with the binary described by `binary`.

    `out` gets the rule, its metrics, outcome, stop time (s) and CPU time (s). `hidden` is a text file of the two fixed layers
    of the mlp rule; without one they are drawn. `recordings`, when given, is an npz file that gets spikes and weight samples:
    the fields of `Recording` as arrays `rule<index>_<field>`.
    """
    simulator = Simulator(binary, settings, hidden)
    table = read_rules(rules, simulator.network.rule, first, count)
    if recordings:
        rows = record(table, simulator, recordings)
    else:
        made_by = {"simulation": asdict(settings), "binary": simulator.key, "first": first, "count": count}
        rows = (partial.resume(out, made_by) or {"rows": []})["rows"]
        for rule in table[len(rows) :]:
            rows.append(result(rule, *simulator.record(rule), simulator))
            partial.save(out, made_by, {"rows": rows})
    columns = [*PLACE, *THETA[simulator.network.rule], *METRICS, "outcome", "stop_time", "cpu_s"]
    files.write_table(out, pd.DataFrame(rows, columns=columns).sort_values(["round", "index"], ignore_index=True))
    partial.forget(out)


def record(table: Sequence[Mapping], simulator: "Simulator", out: Path) -> list[dict]:
    """Rows of the rules in `table`, whose spikes and weight samples are written to `out`."""
    ran = [(rule, *simulator.record(rule)) for rule in table]
    named = [arrays(f"rule{int(rule['index'])}", recording) for rule, recording, _ in ran]
    files.write_arrays(out, **{name: array for one in named for name, array in one.items()})
    return [result(rule, recording, cpu, simulator) for rule, recording, cpu in ran]


def read_rules(paths: Sequence[Path], rule: str, first: int = 0, count: int | None = None) -> list[dict]:
    """Rows of the family `rule` as in `rules.read`; ValueError for a missing column or an entry that cannot be simulated."""
    table = read(paths, [*PLACE, *THETA[rule]], first, count).to_dict("records")
    for row in table:
        command.check_rule(rule, row, f"{', '.join(map(str, paths))}, rule {row['index']} of round {row['round']}")
    return table


def result(rule: Mapping, recording: Recording, cpu: float, simulator: "Simulator") -> dict:
    """Row of the result of one rule."""
    protocol = simulator.settings.protocol
    summary = summarise(recording, SummarySettings(w_max=simulator.settings.wiring.w_max))
    return {
        **{name: int(rule[name]) for name in PLACE},
        **{name: float(rule[name]) for name in THETA[simulator.network.rule]},
        **{name: summary[name] for name in METRICS},
        "outcome": recording.outcome,
        "stop_time": protocol.settle + protocol.record if recording.blow_up == -1 else recording.blow_up,
        "cpu_s": cpu,
    }


def arrays(prefix: str, recording: Recording) -> dict[str, object]:
    """The fields of a recording as arrays; one array per type of weights."""
    values = asdict(recording)
    weights = {f"weights_{kind}": samples for kind, samples in values.pop("weights").items()}
    return {f"{prefix}_{name}": value for name, value in {**values, **weights}.items()}


class Simulator:
    """A binary and the constants it is run with; `hidden` as in `run`."""

    def __init__(self, binary: Path, settings: Simulation, hidden: Path | None = None) -> None:
        manifest = json.loads(files.checked(binary).read_text())
        self.network = Network(**manifest["network"])
        self.settings = settings
        self.key = manifest["key"]
        self.places = manifest["results"]
        self.folder = (Path(binary).resolve().parent / manifest["folder"]).resolve()
        again = f"delete {binary} and run the rule fsbi_build again"
        if not (self.folder / "main").is_file():
            raise FileNotFoundError(f"{self.folder}/main does not exist; {again}")
        if built.manifest(self.folder) is None:
            raise files.CorruptFile(f"{self.folder}/main is not the binary that was built; {again}")
        self.hidden = command.hidden_layers(settings.wiring, hidden) if self.network.rule == "mlp" else None

    def record(self, rule: Mapping, **more: float) -> tuple[Recording, float]:
        """What one simulation of `rule` leaves, and its CPU seconds; `more` are further values for the command line."""
        values = command.arguments(self.network, self.settings, rule, int(rule["seed"])) | more
        with tempfile.TemporaryDirectory(prefix="fsbi-") as scratch:
            before = cpu_of_children()
            ended = self.launch(Path(scratch), values)
            cpu = cpu_of_children() - before
            return (self.read(Path(scratch)) if ended else self.stopped_from_outside()), cpu

    def launch(self, scratch: Path, values: Mapping[str, object]) -> bool:
        """Run the binary so that it leaves its results in `scratch`; False when it had to be ended."""
        if self.hidden is not None:
            self.hidden.astype(np.float32).tofile(scratch / "hidden")
            values = {**values, "hidden.weight": scratch / "hidden"}
        return launch(self.folder, scratch, values, self.settings.protocol.wall_limit)

    def recorded_cells(self, name: str) -> int:
        """How many cells of E or I are recorded."""
        protocol, network = self.settings.protocol, self.network
        return min(protocol.n_recorded_e, network.n_e) if name == "E" else min(protocol.n_recorded_i, network.n_i)

    def stopped_from_outside(self) -> Recording:
        """What is known of a run that did not answer."""
        nothing, start = np.zeros(0), self.settings.protocol.settle
        n_e, n_i = self.recorded_cells("E"), self.recorded_cells("I")
        return Recording(nothing, nothing, n_e, nothing, nothing, n_i, start, start, blow_up=np.nan, outcome="wall_limit")

    def read(self, scratch: Path) -> Recording:
        """Spikes and weight samples of the recorded window, as the binary left them in `scratch`."""
        start = self.settings.protocol.settle
        outcome = OUTCOMES[int(self.array(scratch, "control.outcome")[0])]
        kinds = PLASTIC[self.network.rule]
        inside = self.array(scratch, f"weights_{kinds[0]}.t") > start - SAMPLE_EVERY / 2
        weights = {kind: self.array(scratch, f"weights_{kind}.w").reshape(-1, N_SAMPLES)[inside] for kind in kinds}
        return Recording(
            *self.spikes(scratch, "E"),
            *self.spikes(scratch, "I"),
            start,
            start + self.settings.protocol.record,
            weight_times=self.array(scratch, f"weights_{kinds[0]}.t")[inside],
            weights={kind: samples.astype(float) for kind, samples in weights.items()},
            blow_up=-1.0 if outcome == "finished" else float(self.array(scratch, "control.stop_step")[0]) * DT,
            outcome=outcome,
        )

    def spikes(self, scratch: Path, name: str) -> tuple[np.ndarray, np.ndarray, int]:
        """Times (s) and cells of the recorded spikes of E or I, and how many cells were recorded."""
        cells, times = (self.array(scratch, f"spikes_{name}.{part}") for part in ("i", "t"))
        expected, n = self.array(scratch, f"spikes_{name}.N")[0], self.recorded_cells(name)
        if not len(cells) == len(times) == expected:
            raise OSError(f"{scratch} holds {len(cells)} cells and {len(times)} times of {expected} spikes {ADVICE}")
        inside = (cells < n) & (times > self.settings.protocol.settle - DT / 2)
        return times[inside], cells[inside].astype(np.int64), n

    def array(self, scratch: Path, name: str) -> np.ndarray:
        """One array that the binary left."""
        path = scratch / self.places[name]["file"]
        if not path.is_file():
            raise OSError(f"the simulation left no {name} in {scratch} {ADVICE}")
        return np.fromfile(path, self.places[name]["dtype"])


def launch(folder: Path, scratch: Path, values: Mapping[str, object], limit: float) -> bool:
    """Run the binary in `folder`; False when it had to be ended, OSError when it failed."""
    given = [f"{name}={value}" for name, value in values.items()]
    try:
        done = subprocess.run(
            [folder / "main", "--results_dir", f"{scratch}/", *given],
            check=False,
            cwd=folder,
            env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * limit + GRACE,
        )
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
