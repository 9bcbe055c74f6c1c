"""What the workflow rules of v1 are asked for: ways of fitting, their fits, and the study once more for other stand-ins."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from respike.core import config as configs
from respike.formats import choice
from respike.v1.params import Network, Preprocessing, Variant

FIGURES = ("movie", "rasters", "training", "psth", "correlation_matrices", "correlation_scatter", "couplings")
FIGURES += ("self_couplings", "methods", "pareto", "hidden_cells")
Config = Mapping[str, Any]  # the block `v1` of config.yaml, checked against the schema


def is_standin(config: Config) -> bool:
    """Whether the recording is the embedded one, whose couplings are known."""
    return config["data_dir"] == "standin"


def dataset(config: Config) -> str:
    """Name of the recording in tables and figures."""
    return config.get("standin_name", "stand-in") if is_standin(config) else config["dataset"]


def raw_files(config: Config) -> list[str]:
    """The user's files that `v1.data` may read; it says itself which are missing and where to get them."""
    path, movie = Path(config["data_dir"]), config["data"].get("session", {}).get("movie", "")
    if path.suffix in choice.ENDINGS:
        return [str(path), *([movie] if Path(movie).suffix in {".npy", ".mat"} else [])]
    found = (file for pattern in ("*", "*_movies/*", "data_and_scripts/*_movies/*") for file in path.glob(pattern))
    return sorted(str(file) for file in found if file.suffix in {".mat", ".npy"})


def variants(config: Config) -> dict[str, dict[str, Any]]:
    """Every way of fitting by name: v1.variants, and those of v1.pareto with another weight of the noise correlation.

    ValueError for settings that no network can have, and for a name in another key that v1.variants lacks.
    """
    given, every, study = config["variants"], dict(config["variants"]), config["hidden_study"]["variants"]
    for key, chosen in (("shown", config["shown"]), ("pareto", config["pareto"]), ("hidden_study.variants", study)):
        if unknown := sorted(set(chosen) - set(given)):
            raise ValueError(f"config: v1.{key} = {unknown}: expected names among v1.variants, {sorted(given)}")
    frame, width = (config[key]["bin_ms"] for key in ("standin", "data"))
    if is_standin(config) and frame != width:  # spikes would lie under other frames than those that caused them
        raise ValueError(f"config: v1.standin.bin_ms = {frame:g}: expected {width:g}, as v1.data.bin_ms")
    for name, weights in config["pareto"].items():
        for weight in weights:
            if (point := f"{name}@nc{weight:g}") in every:
                raise ValueError(f"config: v1.pareto.{name}: two weights are called {weight:g}; expected others")
            every[point] = {**given[name], "objective": {**given[name]["objective"], "noise_correlation": weight}}
    built = (Preprocessing, config["data"]), (Network, config["network"]), *((Variant, each) for each in every.values())
    for kind, values in built:
        configs.build(kind, values)
    return every


def fits(config: Config) -> list[str]:
    """Names of all fits, variant_replicate: each variant as often as v1.seeds says, each point of v1.pareto once."""
    return [f"{name}_{k}" for name in variants(config) for k in range(config["seeds"] if name in config["variants"] else 1)]


def hidden_studies(config: Config) -> dict[int, Config]:
    """The config of the study on a stand-in with another number of hidden cells, for each number in v1.hidden_study.

    Couplings are as strong there as in the study's own stand-in, whatever the number of cells (truth.couplings divides by
    its root). Each variant of v1.hidden_study is fitted as often as v1.seeds says. Nothing for recorded data.
    """
    study, every, standin = config["hidden_study"], variants(config), {**config["standin"], "least_correlation": 0.0}
    gain, visible, cells = standin["coupling_gain"], standin["visible"], standin["visible"] + standin["hidden"]
    chosen = {name: every[name] for name in study["variants"]}
    changed = {"variants": chosen, "shown": list(chosen), "pareto": {}, "hidden_study": {**study, "hidden": []}}
    others = {}
    for hidden in study["hidden"] if is_standin(config) else []:
        other = {**standin, "hidden": hidden, "coupling_gain": gain * math.sqrt((visible + hidden) / cells)}
        named = {"standin_name": f"stand-in with {hidden} hidden cells", "suffix": f"@hidden{hidden}"}
        others[hidden] = {**config, **changed, "standin": other, **named}
    return others


def names(config: Config) -> list[str]:
    """Names of all fits in tables, in the order of `fits`: variant_replicate, the variant with the suffix of a sub-study."""
    split = (fit.rsplit("_", 1) for fit in fits(config))
    return [f"{variant}{config.get('suffix', '')}_{replicate}" for variant, replicate in split]
