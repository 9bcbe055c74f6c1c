"""Digits in the four IDX files of MNIST: a big-endian header (magic number, sizes), then bytes; plain or gzipped."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from jaxtyping import UInt8

from respike.core import files
from respike.formats import arrays, sources

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
OBTAIN = (
    "The four files of MNIST are free, without an account; `python -m respike modes.download --folder FOLDER` fetches them."
)
MAGIC = {3: 2051, 1: 2049}  # number of dimensions -> magic number of unsigned bytes
SIDE = 28
BRIGHT = 32  # images whose pixels all lie below are no bytes from 0 to 255
MNIST = "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16"  # SHA-256 of its four arrays


class Digits(NamedTuple):
    """Images as bytes, 0 is background, and the digit on each."""

    train_images: UInt8[np.ndarray, "image pixel"]
    train_labels: UInt8[np.ndarray, " image"]
    test_images: UInt8[np.ndarray, "image pixel"]
    test_labels: UInt8[np.ndarray, " image"]

    def name(self, folder: Path) -> str:
        """MNIST if that is what the arrays hold, else the name of the user's folder."""
        content = hashlib.sha256(b"".join(part.tobytes() for part in self)).hexdigest()
        return "MNIST" if content == MNIST else f"digits in {folder.name}"


def spellings(name: str) -> tuple[str, ...]:
    """Where the file `name` may stand in a user's folder: as published, as other sites spell it, as torchvision unpacks it."""
    dotted = name.replace("-idx", ".idx")
    return tuple(
        f"{folder}{stem}{end}" for folder in ("", "raw/", "MNIST/raw/") for stem in (name, dotted) for end in ("", ".gz")
    )


def read(folder: Path) -> Digits:
    """Digits in the user's folder, the config value modes.digits_dir.

    Raises FileNotFoundError or ValueError that names the file and what is missing or wrong.
    """
    paths = [
        sources.find(folder, sources.Source(name, "MNIST in IDX format, plain or .gz", OBTAIN), "modes.digits_dir", also)
        for name, *also in map(spellings, FILES)
    ]
    digits = Digits(*_pair(*paths[:2]), *_pair(*paths[2:]))
    n, again = len(digits.test_images), arrays.repeated(digits.test_images, digits.train_images)
    if 2 * again > n:
        found = f"{again} of {n} images stand in {paths[0].name} too"
        raise ValueError(f"{paths[2]}: {found}, expected others to test on in modes.digits_dir")
    return digits


def _pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (image, pixel) and their labels; ValueError when they do not belong together."""
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if images.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{images_path}: images of {images.shape[1]} x {images.shape[2]} pixels, expected {SIDE} x {SIDE}")
    if len(images) != len(labels):
        raise ValueError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: label {labels.max()} at position {int(labels.argmax())}, expected digits 0 to 9")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"{labels_path}: all {len(labels)} labels are {labels[0]}, expected two digits or more")
    if images.max() < BRIGHT or np.median(images) > 255 - BRIGHT:
        raise ValueError(
            f"{images_path}: pixels from {images.min()} to {images.max()}, half of them {np.median(images):g} or less; "
            "expected bytes from 0 to 255, bright strokes on a background of 0"
        )
    return images.reshape(len(images), -1), labels


def write_idx(path: Path, array: np.ndarray) -> None:
    """IDX file of bytes with 3 dimensions (images) or 1 (labels)."""
    header = np.array([MAGIC[array.ndim], *array.shape], dtype=">i4").tobytes()
    with files.whole(path) as temporary:
        temporary.write_bytes(header + np.ascontiguousarray(array, dtype=np.uint8).tobytes())


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """Bytes of an IDX file with 3 (images) or 1 (labels) dimensions, gzipped or not.

    Raises ValueError for a wrong magic number, a size that the header does not announce, or a broken archive.
    """
    head = 4 * (dimensions + 1)
    try:
        with _opened(files.checked(path)) as file:
            header = file.read(head)
            magic, *shape = np.frombuffer(header.ljust(head, b"\0"), dtype=">i4").tolist()
            size = math.prod(shape)
            arrays.check_announced(path, "the header", size, path.stat().st_size)
            content = file.read(max(size, 0) + 1) if magic == MAGIC[dimensions] else b""
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip archive ({error}); copy or download it again") from error
    if len(header) < head:
        raise ValueError(f"{path}: {len(header)} bytes, expected a header of {head} bytes; the file is cut off")
    if magic != MAGIC[dimensions]:
        expected = f"{MAGIC[dimensions]} for {'images' if dimensions == 3 else 'labels'}"
        raise ValueError(f"{path}: magic number {magic}, expected {expected}; is it another file?")
    if min(shape) < 1 or len(content) != size:
        found = f"more than {size}" if len(content) > size else len(content)
        raise ValueError(f"{path}: {found} bytes after the header, expected {'x'.join(map(str, shape))}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")
