"""The IDX files of MNIST: a big-endian header (magic number, sizes), then bytes; plain or gzipped."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from respike.core import files

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MAGIC = {3: 2051, 1: 2049}  # number of dimensions -> magic number of unsigned bytes


def write(path: Path, array: np.ndarray) -> None:
    """IDX file of bytes with 3 dimensions (images) or 1 (labels)."""
    header = np.array([MAGIC[array.ndim], *array.shape], dtype=">i4").tobytes()
    with files.whole(path) as temporary:
        temporary.write_bytes(header + np.ascontiguousarray(array, dtype=np.uint8).tobytes())


def read(path: Path, dimensions: int) -> np.ndarray:
    """Bytes of an IDX file with 3 (images) or 1 (labels) dimensions, gzipped or not.

    Raises ValueError for a wrong magic number, a size that the header does not announce, or a broken archive.
    """
    content = _content(files.checked(path))
    head = 4 * (dimensions + 1)
    if len(content) < head:
        raise ValueError(f"{path}: {len(content)} bytes, expected a header of {head} bytes; the file is cut off")
    magic, *shape = np.frombuffer(content[:head], dtype=">i4").tolist()
    if magic != MAGIC[dimensions]:
        kind = "images" if dimensions == 3 else "labels"
        raise ValueError(f"{path}: magic number {magic}, expected {MAGIC[dimensions]} for {kind}; is it another file?")
    if min(shape) < 1 or len(content) - head != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{path}: {len(content) - head} bytes after the header, expected {'x'.join(map(str, shape))}")
    return np.frombuffer(content[head:], dtype=np.uint8).reshape(shape)


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip archive ({error}); copy or download it again") from error
