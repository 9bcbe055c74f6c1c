"""Handwritten digits that ship with scikit-learn (1,797 of 8 x 8 pixels), in the frame of MNIST."""

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from respike.modes.digits import Digits

TEST_IMAGES = 360  # of 1,797


def digits() -> Digits:
    """1,437 training and 360 test images of 28 x 28 pixels (image, row, column), split by digit, the same each time."""
    small = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        np.stack([enlarge(image) for image in small.images]),
        small.target.astype(np.uint8),
        test_size=TEST_IMAGES,
        stratify=small.target,
        random_state=0,
    )
    return Digits(train_images, train_labels, test_images, test_labels)


def enlarge(image: np.ndarray) -> np.ndarray:
    """8 x 8 image of integers 0-16 as 28 x 28 bytes: a bilinear 20 x 20 box in an empty frame, the convention of MNIST."""
    box = ndimage.zoom(image / 16, 20 / 8, order=1, mode="nearest", grid_mode=True)
    return np.round(255 * np.clip(np.pad(box, 4), 0, 1)).astype(np.uint8)
