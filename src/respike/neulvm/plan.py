"""What the workflow rules of neulvm are asked for: the recording, the models that run freely, and settings that can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from respike.core.config import build
from respike.neulvm.params import (
    Choice,
    Circuit,
    Cluster,
    Data,
    Free,
    Posterior,
    Prior,
    Refine,
    Sweep,
    Window,
    age_bins,
    window_bins,
)

FIGURES = (
    "inferred", "losses", "free", "parameters", "dwell", "clusters", "pulses", "posterior", "likelihood", "bins",
    "diagnostics", "combinations",
)  # fmt: skip
FITTED = ("best", "refined", "chosen", "posterior")  # models that are made of the spikes


class Recording(NamedTuple):
    """What is fitted. Only of an embedded recording are the circuit and the activity known."""

    path: str
    dataset: str
    embedded: bool

    @property
    def runs(self) -> tuple[str, ...]:
        """Models that are simulated freely."""
        return ("network", "true", *FITTED) if self.embedded else FITTED

    @property
    def known(self) -> tuple[str, ...]:
        """Schemes that are also fitted to the true activity."""
        return ("exact", "compat") if self.embedded else ()


def recording(config: Mapping[str, Any], folder: str) -> Recording:
    """The user's recording, or the one that is embedded in `folder`."""
    path = config["data"]["recording"]
    if path == "embedded":
        return Recording(f"{folder}/recording.pickle", "embedded winner-take-all network", True)
    return Recording(path, Path(path).name, False)


def settings(config: Mapping[str, Any], *blocks: str) -> dict[str, Any]:
    """Blocks of the config by their names, and the seed: settings of a stage."""
    return {**{block: config[block] for block in blocks}, "seed": config["run"]["seed"]}


def check(config: Mapping[str, Any]) -> None:
    """ValueError, with key, value and what was expected, for a config that the study cannot run with."""
    circuit, window = build(Circuit, config["circuit"]), build(Window, config["window"])
    prior, sweep = build(Prior, config["prior"]), build(Sweep, config["binning"])
    window_bins(window, circuit)
    for block, kind in (("refine", Refine), ("posterior", Posterior), ("choose", Choice)):
        age_bins(f"neulvm.{block}.history", build(kind, config[block]).history, window.dt, circuit)
    for dt in (*sweep.exact, *sweep.compat):
        age_bins("neulvm.binning.history", sweep.history, dt, circuit)
    for group in ("mem_rate", "coupling", "rest", "threshold"):
        prior.pairs(group, len(circuit.sizes))
    build(Free, config["free"]).check(len(circuit.sizes))
    for case in config["clusters"].values():
        build(Cluster, case)
    if config["data"]["recording"] == "embedded":
        build(Data, config["data"]).check(circuit, window)
