"""The samples of a study: input by frame, labels, and how they are divided into training, validation and test."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.barrel import encoding, params
from respike.core import files, seeds


@dataclass(frozen=True)
class Samples:
    """Input of the network by frame, with labels; `number` names each sample in the whole set."""

    values: Float[np.ndarray, "sample frame channel"]
    label: Int[np.ndarray, " sample"]
    number: Int[np.ndarray, " sample"]
    form: str
    encoding: params.Encoding
    dataset: str

    def __len__(self) -> int:
        return len(self.label)

    def part(self, chosen: np.ndarray) -> "Samples":
        """The samples with the indices `chosen`, or where it is true."""
        return replace(self, values=self.values[chosen], label=self.label[chosen], number=self.number[chosen])

    def inputs(self, seed: int, round_: int = 0) -> Float[np.ndarray, "sample step channel"]:
        """Input of each step: every so many frames, as numbers or as spikes that are drawn several times from each."""
        values = self.values[:, :: self.encoding.frame_stride]
        if self.form == "real":
            return values
        return encoding.draw(values.repeat(self.encoding.repeats, axis=1), self.number, seed, round_)


def read(path: Path, form: str, settings: params.Encoding) -> tuple[Samples, Bool[np.ndarray, " sample"]]:
    """All samples of an input file, and which of them are for the test."""
    stored = files.read_arrays(path, "values", "label", "is_test", "dataset")
    number = np.arange(len(stored["label"]))
    return Samples(stored["values"], stored["label"], number, form, settings, str(stored["dataset"])), stored["is_test"]


def held_out(label: Int[np.ndarray, " sample"], share: float, rng: np.random.Generator) -> Bool[np.ndarray, " sample"]:
    """True for `share` of each class, drawn at random; at least one sample unless `share` is 0."""
    chosen = np.zeros(len(label), dtype=bool)
    for kind in np.unique(label) if share else ():
        members = rng.permutation(np.flatnonzero(label == kind))
        chosen[members[: max(1, round(share * len(members)))]] = True
    return chosen


def in_fold(label: Int[np.ndarray, " sample"], fold: params.Fold, seed: int) -> Bool[np.ndarray, " sample"]:
    """True for the test samples of one fold; each class is spread evenly over the folds of a repeat.

    Raises ValueError when a class has fewer samples than there are folds.
    """
    smallest = np.bincount(label, minlength=len(params.CLASSES)).min()
    if not 2 <= fold.of <= smallest:
        raise ValueError(f"barrel.crossval.folds is {fold.of}, expected 2 to {smallest}, the samples of the smallest class")
    rng = seeds.generator(seed, "barrel", "folds", fold.repeat)
    folds = np.empty(len(label), dtype=int)
    for kind in np.unique(label):
        members = rng.permutation(np.flatnonzero(label == kind))
        folds[members] = np.arange(len(members)) % fold.of
    return folds == fold.number
