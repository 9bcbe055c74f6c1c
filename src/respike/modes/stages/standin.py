"""Handwritten digits that ship with scikit-learn, written as the four files of MNIST: real handwriting, embedded."""

from pathlib import Path

from respike.modes import digits, embedded


def run(*, folder: Path) -> None:
    """Write the four IDX files into `folder`: 1,437 training and 360 test images of 28 x 28 pixels, the same each time."""
    for name, array in zip(digits.FILES, embedded.digits(), strict=True):
        digits.write_idx(folder / name, array)
