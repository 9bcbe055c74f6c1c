"""What the workflow rules of barrel are asked for: sweep files, trainings, and the settings that each stage reads."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from respike.barrel import params
from respike.core.config import build

FIGURES = (
    *("array", "encoding", "initialisation", "raster", "selectivity", "time_constants", "time_constants_all"),
    *("rates", "degrees", "deprivation", "ablation", "training"),
)
Config = Mapping[str, Any]


def check(config: Config) -> None:
    """ValueError for a config of which no data set can be made."""
    sweeps, recorded = build(params.Sweeps, config["sweeps"]), any(config["recording"].values())
    if recorded:
        return
    if config["real"]["encoding"]["normalise"] == "reference" and sweeps.sweeps == 1:
        raise ValueError(f"barrel.sweeps.sweeps is 1, expected {params.SWEEPS} with barrel.real.encoding.normalise: reference")
    folds, objects = config["crossval"]["folds"], sweeps.objects_per_class
    if folds > objects:
        raise ValueError(f"barrel.crossval.folds is {folds}, expected at most barrel.sweeps.objects_per_class, {objects}")
    for kind in params.CLASSES if sweeps.meshes else ():  # a mesh that is used twice is trained on and tested
        if 0 < (n := len(list(Path(sweeps.meshes, kind).glob("*.obj")))) < objects:
            raise ValueError(f"barrel.sweeps.objects_per_class is {objects}, expected at most {n}, the .obj files of {kind}")


def sweep_files(recording: Mapping[str, str | None], folder: str) -> dict[str, str]:
    """Paths of the training and the test file: the user's, or simulated ones in `folder`; ValueError when one is named."""
    named = {name: path for name, path in recording.items() if path}
    if len(named) == 1:
        raise ValueError(f"config: barrel.recording is {dict(recording)}; name both files, train and test, or none")
    return named or {name: f"{folder}/{name}.h5" for name in ("train", "test")}


def mesh_files(folder: str) -> list[str]:
    """The user's .obj files, in a folder for each class, which the simulation reads; none without a folder."""
    return [file for name in params.CLASSES if folder for file in sorted(map(str, Path(folder, name).glob("*.obj")))]


def simulation(sweeps: Config) -> dict[str, Any]:
    """Settings that a simulated sweep depends on: not how the sweeps are divided afterwards."""
    return {key: value for key, value in sweeps.items() if key != "test_share"}


def coding(config: Config, form: str) -> dict[str, Any]:
    """Settings of the encoding that the networks of one form of the input read; `barrel.data` reads the normalisation."""
    read = {"spiking": ("frame_stride", "repeats"), "real": ("frame_stride",)}[form]
    return {key: config[form]["encoding"][key] for key in read}


def training(config: Config, form: str) -> dict[str, Any]:
    """Settings of the trainings on one form of the input, as `params.Fit` reads them."""
    return {"network": config[form]["network"], "training": config[form]["training"], "encoding": coding(config, form)}


def scan(config: Config) -> dict[str, Any]:
    """Settings of the scan of initial values: how the network is trained, and from which points, is none of them."""
    fixed = {key: value for key, value in config["spiking"]["network"].items() if key not in {"initial_weight", "baseline"}}
    grid = {key: config["scan"][key] for key in ("weights", "baselines", "samples")}
    return {"coding": coding(config, "spiking"), "network": fixed, **grid}


def purposes(config: Config) -> dict[str, dict[str, dict[str, Any]]]:
    """Trainings by what they are for and by name: variants as `params.Variant` reads them.

    The networks of `histories` are kept. Those wired as the anatomy says are the same, and more. Each repeat of the
    cross-validation has random numbers of its own. `starts`, some at each, begin at points of the scan from low to high CV.
    """
    crossval, ablation, grid = (config[key] for key in ("crossval", "ablation", "scan"))
    of = crossval["folds"]
    pairs = [(form, number) for form in ("spiking", "real") for number in range(config["seeds"][form])]
    fits = {f"{form}_{number}": {"form": form, "replicate": number} for form, number in pairs}
    folds = {
        f"fold_{form}_{k}_{number}": {"form": form, "replicate": k, "fold": {"repeat": k, "number": number, "of": of}}
        for form, k, number in product(crossval["forms"], range(crossval["repeats"]), range(of))
    }
    wirings = {}
    for wiring, number in product(ablation["wirings"], range(ablation["networks"])):
        kept = f"spiking_{number}" if wiring == "anatomical" else ""
        name = kept if kept in fits else f"wiring_{wiring}_{number}"
        wirings[name] = fits.get(name, {"form": "spiking", "wiring": wiring, "replicate": number})
    n = min(grid["trained"], len(grid["weights"]) * len(grid["baselines"]))
    starts = {
        f"start_{rank}_{number}": {"form": "spiking", "replicate": number, "start": {"rank": rank, "of": n}}
        for rank, number in product(range(n), range(grid["networks"]))
    }
    return {"histories": fits, "folds": folds, "wirings": wirings, "starts": starts}


def trainings(config: Config) -> dict[str, dict[str, Any]]:
    """All trainings by name."""
    return {name: variant for part in purposes(config).values() for name, variant in part.items()}


def histories(config: Config, folder: str) -> dict[str, list[str]]:
    """Files with the courses of all trainings, by what they are for."""
    parts = purposes(config)
    return {
        key: [f"{folder}/{'fits' if name in parts['histories'] else 'courses'}/{name}.parquet" for name in part]
        for key, part in parts.items()
    }
