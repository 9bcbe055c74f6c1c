"""What the workflow rules of modes ask: which variants of networks there are, and their trials in chunks of replicas."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from respike.core import chunks
from respike.core.tasks import windows
from respike.modes import digits
from respike.modes.params import Variant

FIGURES = ("1", "2a", "2b", "2c", "2d", "2e", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "4c", "4d", "5")
STANDIN = "scikit-learn digits"
SHOWN_MODES = 3  # the paper's example


def variants(config: Mapping[str, Any]) -> dict[Variant, int]:
    """Every variant of the config and how many replicas it has.

    Raises ValueError when one has more modes than neurons and that is not allowed, or is to switch at no time.
    """
    replicas: dict[Variant, int] = {}
    for entry in config["networks"]:
        if entry["task"] == "switch":
            _check_switch(**{name: config["switch"][name] for name in ("steps", "switch_steps")})
        for neurons, modes in product(entry["neurons"], entry["modes"]):
            variant = Variant(entry["task"], entry["cell"], neurons, modes)
            variant.check_rank(config["redundant_modes"])
            replicas[variant] = max(entry["replicas"], replicas.get(variant, 0))
    return replicas


def _check_switch(steps: int, switch_steps: int) -> None:
    last = steps - windows(steps)[1]
    if not 0 < switch_steps <= last:
        raise ValueError(
            f"modes.switch.switch_steps = {switch_steps}; expected 1 to {last}, the steps of the response in the "
            f"modes.switch.steps = {steps} of a trial, for modes.networks with task: switch"
        )


def fits(folder: str, first: str, last: str, **variant: str) -> list[str]:
    """Files in `folder` of the fitted replicas `first` to `last` of a variant, whose parts are given as text."""
    name = Variant(**variant)
    return [f"{folder}/{name}_replica{replica}.pt" for replica in range(int(first), int(last) + 1)]


def simulations(config: Mapping[str, Any], folder: str) -> list[str]:
    """Files of trials in `folder`, in chunks of replicas that one job simulates."""
    return [path for variant, replicas in variants(config).items() for path in _chunks(variant, replicas, config, folder)]


def _chunks(variant: Variant, replicas: int, config: Mapping[str, Any], folder: str) -> Iterator[str]:
    finished = chunks.finished(folder, "npz").get(str(variant), [])
    return (f"{folder}/{variant}_{first}-{last}.npz" for first, last in chunks.ranges(finished, replicas, config["chunk"]))


def shown(config: Mapping[str, Any], folder: str) -> list[str]:
    """Of each task the first trials of a spiking network, the one whose number of modes is nearest to the paper's example."""
    replicas = variants(config)
    nearest = sorted(replicas, key=lambda variant: (abs(variant.modes - SHOWN_MODES), variant))
    tasks = dict.fromkeys(variant.task for variant in replicas if variant.cell == "spike")
    examples = [next(variant for variant in nearest if variant[:2] == (task, "spike")) for task in tasks]
    return [next(_chunks(variant, replicas[variant], config, folder)) for variant in examples]


def digit_source(config: Mapping[str, Any], standin: str) -> dict[str, str]:
    """Folder of the digits and, unless they are the user's, the name of their data set: settings of `modes.data`."""
    folder = config["digits_dir"]
    return {"folder": standin, "standin": STANDIN} if folder is None else {"folder": folder}


def digit_files(config: Mapping[str, Any], standin: str) -> list[str]:
    """Files that `modes.data` reads: those that the user's folder holds (the stage says what is missing), or the stand-in."""
    folder = config["digits_dir"]
    if folder is None:
        return [f"{standin}/{name}" for name in digits.FILES]
    paths = (Path(folder) / spelling for name in digits.FILES for spelling in digits.spellings(name))
    return [str(path) for path in paths if path.is_file()]
