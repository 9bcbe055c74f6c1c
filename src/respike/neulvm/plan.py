"""What the workflow rules of neulvm are asked for: the recording, the models that run freely, and settings that can be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from respike.core.config import build
from respike.neulvm import params
from respike.neulvm.params import Circuit, age_bins, network_steps, window_bins

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
        network = "winner-take-all network" if build(Circuit, derived(config)["circuit"]) == Circuit() else "network"
        drive = "" if config["data"]["drive"] == "none" else f", {config['data']['drive']} drive"
        return Recording(f"{folder}/recording.pickle", f"embedded {network}{drive}", True)
    return Recording(path, Path(path).name, False)


def derived(config: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks of the config with a value for each population: one number serves all, what is left out follows from the signs.

    What is complete stays as it is. Raises ValueError for what follows from nothing.
    """
    given, free, data = config["circuit"], config["free"], config["data"]
    listed = [len(value) for value in given.values() if isinstance(value, list)]
    m = len(given["sizes"]) if isinstance(given["sizes"], list) else max(listed, default=len(Circuit().sizes))
    usual = {name: getattr(Circuit(), name) for name in ("sizes", "connectivity")}
    for name, example in (("sizes", [400, 100]), ("connectivity", [1, -1])):
        if given[name] is None and m != len(usual[name]):
            raise ValueError(
                f"config: neulvm.circuit.{name} is left out; expected it for {m} populations, for instance {example} for an "
                "excitatory and an inhibitory one"
            )
    rows = given["connectivity"] or usual["connectivity"]
    signs = [list(row) if isinstance(row, list | tuple) else [row] * m for row in rows]
    inhibits = [sum(row) < 0 for row in signs]
    follows = {"sizes": usual["sizes"], "coupling": [19.968 if yes else 9.984 for yes in inhibits]}
    follows |= {"syn_rate": [500 / 3 if yes else 1000 / 3 for yes in inhibits]}
    follows |= {"typical_rates": Circuit().typical_rates if m == len(Circuit().sizes) else [10.0] * m}
    circuit = {name: _each(follows[name] if value is None else value, m) for name, value in given.items() if name in follows}
    circuit |= {name: _each(given[name], m) for name in ("mem_rate", "rest", "threshold")}
    coupling = config["prior"]["coupling"] or [[10.0, 50.0] if yes else [3.0, 25.0] for yes in inhibits]
    target = min(1, m - 1) if free["pulse_target"] is None else free["pulse_target"]
    chosen = data.get("populations", "")
    own = {"column": chosen, "groups": []} if isinstance(chosen, str) else {"column": "", "groups": chosen}
    return {
        "circuit": {**given, **circuit, "connectivity": [[float(value) for value in row] for row in signs]},
        "prior": {**config["prior"], "coupling": coupling},
        "free": {**free, "pulse_target": target},
        "data": {**own, **{name: value for name, value in data.items() if name != "populations"}},
    }


def _each(value: Any, m: int) -> list[Any]:
    """A list for the populations; one number serves all."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * m if len(values) == 1 else values


def settings(config: Mapping[str, Any], *blocks: str) -> dict[str, Any]:
    """Blocks of the config by their names, and the seed: settings of a stage."""
    return {**{block: config[block] for block in blocks}, "seed": config["run"]["seed"]}


def check(config: Mapping[str, Any]) -> None:
    """ValueError, with key, value and what was expected, for a config that the study cannot run with."""
    config = {**config, **derived(config)}
    circuit, window = build(Circuit, config["circuit"]), build(params.Window, config["window"])
    prior, sweep = build(params.Prior, config["prior"]), build(params.Sweep, config["binning"])
    window_bins(window, circuit)
    for block, kind in (("refine", params.Refine), ("posterior", params.Posterior), ("choose", params.Choice)):
        age_bins(f"neulvm.{block}.history", build(kind, config[block]).history, window.dt, circuit)
    for dt in (*sweep.exact, *sweep.compat):
        age_bins("neulvm.binning.history", sweep.history, dt, circuit)
    for group in params.GROUPS:
        prior.pairs(group, len(circuit.sizes))
    inhibits = [sum(row) < 0 for row in circuit.connectivity if sum(row)]
    if inhibits != sorted(inhibits):
        raise ValueError(
            f"neulvm.circuit.connectivity = {[list(row) for row in circuit.connectivity]}: a population that excites comes "
            "after one that inhibits; expected those that excite first, in neulvm.circuit.sizes and all lists that follow it"
        )
    build(params.Free, config["free"]).check(circuit, window.dt)
    for case in config["clusters"].values():
        build(params.Cluster, case)
    if config["data"]["recording"] == "embedded":
        build(params.Data, config["data"]).check(circuit, window)
        network_steps(window.dt)
        for group in params.GROUPS:
            if min(getattr(circuit, group)) <= 0:
                found = f"neulvm.circuit.{group} = {list(getattr(circuit, group))}"
                raise ValueError(
                    f"{found}; expected numbers above 0: the fit to the true activity (known) searches around them"
                )
