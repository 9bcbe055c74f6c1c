"""Four IDX files in (MNIST, or the embedded stand-in), one checked array file out."""

from pathlib import Path

import numpy as np

from respike.core import files
from respike.core.sources import Source, find
from respike.modes import idx

OBTAIN = (
    "The four files of MNIST are free, without an account; `python -m respike modes.download --folder FOLDER` fetches them."
)
SOURCES = tuple(Source(name, "MNIST in IDX format, plain or .gz", OBTAIN) for name in idx.FILES)
SIDE = 28
MNIST_LABELS = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)  # digits 0-9 in MNIST's training set


def run(*, folder: Path, out: Path, standin: str = "") -> None:
    """Read the IDX files in `folder` and write images (image, pixel; bytes), labels and the name of the data set.

    `standin` is the data set's name when the files are not the user's. Raises FileNotFoundError or ValueError that names
    the file and what is wrong with it.
    """
    paths = [find(folder, source, "modes.digits_dir", also=(f"{source.name}.gz",)) for source in SOURCES]
    train_images, train_labels = read_pair(paths[0], paths[1])
    test_images, test_labels = read_pair(paths[2], paths[3])
    files.write_arrays(
        out,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        dataset=standin or name_of(train_labels, folder),
    )


def read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (image, pixel) and their labels; ValueError when they do not belong together."""
    images, labels = idx.read(images_path, 3), idx.read(labels_path, 1)
    if images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{images_path}: images of {images.shape[1]} x {images.shape[2]} pixels, expected {SIDE} x {SIDE}")
    if len(images) != len(labels):
        raise ValueError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: label {labels.max()} at position {int(labels.argmax())}, expected digits 0 to 9")
    return images.reshape(len(images), -1), labels


def name_of(train_labels: np.ndarray, folder: Path) -> str:
    """MNIST if the numbers of training labels are those of MNIST, else the name of the user's folder."""
    counts = tuple(np.bincount(train_labels, minlength=10).tolist())
    return "MNIST" if counts == MNIST_LABELS else f"digits in {folder.name}"
