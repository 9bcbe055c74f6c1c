"""Handwritten digits that ship with scikit-learn, written as the four files of MNIST: real handwriting, embedded."""

from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from respike.modes import idx

NAME = "scikit-learn digits"
TEST_IMAGES = 360  # of 1,797


def run(*, folder: Path) -> None:
    """Write the four IDX files into `folder`: 1,437 training and 360 test images of 28 x 28 pixels, the same each time."""
    digits = load_digits()
    parts = train_test_split(
        np.stack([enlarge(image) for image in digits.images]),
        digits.target.astype(np.uint8),
        test_size=TEST_IMAGES,
        stratify=digits.target,
        random_state=0,
    )
    train_images, test_images, train_labels, test_labels = parts
    for name, array in zip(idx.FILES, (train_images, train_labels, test_images, test_labels), strict=True):
        idx.write(folder / name, array)


def enlarge(image: np.ndarray) -> np.ndarray:
    """8 x 8 image of integers 0-16 as 28 x 28 bytes: a bilinear 20 x 20 box in an empty frame, the convention of MNIST."""
    box = ndimage.zoom(image / 16, 20 / 8, order=1, mode="nearest", grid_mode=True)
    return np.round(255 * np.clip(np.pad(box, 4), 0, 1)).astype(np.uint8)
