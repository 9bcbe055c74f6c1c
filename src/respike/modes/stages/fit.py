"""Train one network: digits or settings of a task in, fitted network out."""

from pathlib import Path

from respike.core import files, partial, training
from respike.modes import fitted, learning
from respike.modes.params import Cell, Task, Training, Variant


def run(
    *,
    digits: Path | None,
    out: Path,
    task: Task,
    cell: Cell,
    neurons: int,
    modes: int,
    replica: int,
    seed: int,
    settings: Training,
    redundant_modes: bool = False,
    device: str = "cpu",
) -> None:
    """Train the network number `replica` of its variant and write its weights and the loss of each batch.

    ValueError for more modes than neurons unless that is meant, and for digits where the task has none or the other way round.
    """
    variant = Variant(task, cell, neurons, modes)
    variant.check_rank(redundant_modes)
    if (task == "digits") != bool(digits):
        expected = "the file of modes.data" if task == "digits" else "nothing, it draws its own stimuli"
        raise ValueError(f"digits = {str(digits or '')!r} for task {task}; expected {expected}")
    stored = files.read_arrays(digits, "train_images", "train_labels") if digits else None
    images = (stored["train_images"], stored["train_labels"]) if stored else None
    fitted.write(out, learning.train(variant, replica, settings, images, seed, out, training.device(device)))
    partial.forget(out)
