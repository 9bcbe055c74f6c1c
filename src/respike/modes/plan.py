"""What the workflow rules of modes ask: which variants of networks there are, and their trials in chunks of replicas."""

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from respike.core import chunks
from respike.core.tasks import windows
from respike.modes import analysis, digits
from respike.modes.params import Variant

FIGURES = ("1", "2a", "2b", "2c", "2d", "2e", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "4c", "4d", "5")
STANDIN = "scikit-learn digits"
SWITCH = ("steps", "switch_steps", "switch_probability")  # settings that must go together
SHOWN_MODES = 3  # the paper's example


def variants(config: Mapping[str, Any]) -> dict[Variant, int]:
    """Every variant of the config and how many replicas it has.

    Raises ValueError when one has more modes than neurons and that is not allowed, or switches where it should not.
    """
    replicas: dict[Variant, int] = {}
    for entry in config["networks"]:
        _check_switch(entry["task"], **{name: config[entry["task"]][name] for name in SWITCH})
        for neurons, modes in product(entry["neurons"], entry["modes"]):
            variant = Variant(entry["task"], entry["cell"], neurons, modes)
            variant.check_rank(config["redundant_modes"])
            replicas[variant] = max(entry["replicas"], replicas.get(variant, 0))
    return replicas


def _check_switch(task: str, steps: int, switch_steps: int, switch_probability: float) -> None:
    of_task = f"for modes.networks with task: {task}"
    if (switch_probability > 0) != (task == "switch"):
        expected = "more than 0" if task == "switch" else "0: trials that switch are a task of their own, switch"
        raise ValueError(f"modes.{task}.switch_probability = {switch_probability:g} {of_task}; expected {expected}")
    least, last = analysis.decision_steps(steps), steps - windows(steps)[1]
    if task == "switch" and not least <= switch_steps <= last:
        raise ValueError(
            f"modes.switch.switch_steps = {switch_steps}; expected {least} to {last}, from the last fifth of a trial, which "
            f"decides, to the whole response in the modes.switch.steps = {steps} of a trial, {of_task}"
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
