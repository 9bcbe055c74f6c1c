"""HDF5 files of users: opened and read so that whatever is wrong is told with the name of the file and what to do."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h5py
import numpy as np

from respike.core import files
from respike.formats.arrays import check_announced

# Compressions that HDF5 knows by number only; all are in one package.
PLUGINS = {307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2"}
KINDS = {"f": "numbers", "i": "numbers", "u": "numbers", "b": "true or false", "S": "text", "O": "text", "V": "records"}


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, to be read. ValueError that names it when it is not whole or something in it cannot be read."""
    path = files.checked(path)
    try:
        if not h5py.is_hdf5(path):
            with path.open("rb") as file:
                raise ValueError(f"{path} is not an HDF5 file: it begins with {file.read(8)!r}")
        with h5py.File(path, "r") as file:
            yield file
    except Exception as error:  # h5py raises a different class for each way a file can be broken
        if str(path) in str(error) and not isinstance(error, OSError):  # already said by us
            raise
        raise ValueError(f"{path}: {_plainly(error, path)}") from error


def _plainly(error: Exception, path: Path) -> str:
    text = str(error)
    if "truncated" in text:
        whole = re.search(r"(?:stored_eof|eof).*?(\d+)\D*$", text)
        size = f" of {int(whole[1]):,}" if whole else ""
        return f"the file is cut off: it has {path.stat().st_size:,} bytes{size}; copy it again"
    if "lock" in text or "already open" in text:
        return "another program has the file open for writing; close that program, or copy the file and name the copy"
    if isinstance(error, PermissionError):
        return "the file may not be read; change its permissions"
    return f"the file is damaged or no plain HDF5 ({type(error).__name__}: {text[:200]}); copy it again"


def read(path: Path, file: h5py.Group, name: str, kinds: str = "fiu", ndim: tuple[int, ...] = ()) -> np.ndarray:
    """Values of the dataset `name`; text is decoded.

    ValueError that names file and field when it is missing, empty (null), of another kind or number of axes, or packed in
    a way that needs a package.
    """
    found = file.get(name)
    where = f"{path}: {f'{file.name}/{name}'.lstrip('/')}"
    if not isinstance(found, h5py.Dataset):
        raise ValueError(f"{where} is not there; {file.name} holds {sorted(file)}")
    return values(path, where, found, kinds, ndim)


def values(path: Path, where: str, found: h5py.Dataset, kinds: str = "fiu", ndim: tuple[int, ...] = ()) -> np.ndarray:
    """Values of a dataset, checked as in `read`; messages begin with `where`."""
    wanted = " or ".join(dict.fromkeys(KINDS[kind] for kind in kinds))
    if found.shape is None:
        raise ValueError(f"{where} holds nothing (a null dataset); expected {wanted}")
    if found.dtype.kind not in kinds or (ndim and found.ndim not in ndim):
        axes = f" with {' or '.join(map(str, ndim))} axes" if ndim else ""
        raise ValueError(f"{where} is {found.dtype} of shape {found.shape}; expected {wanted}{axes}")
    _check_filters(where, found)
    if not found.is_virtual and found.external is None:
        check_announced(path, where.removeprefix(f"{path}: "), found.nbytes, found.id.get_storage_size())
    content = found[()]
    if found.dtype.kind in "SO":
        content = np.array(
            [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in np.ravel(content)]
        ).reshape(np.shape(content))
    return content


def _check_filters(where: str, found: h5py.Dataset) -> None:
    """ValueError when the values are packed in a way that is not installed, and no package for it is."""
    plan = found.id.get_create_plist()
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                importlib.import_module("hdf5plugin")  # it makes its filters known
        if not h5py.h5z.filter_avail(code):
            known = PLUGINS.get(code, name.decode("utf-8", "replace") or "a filter")
            remedy = "`pip install hdf5plugin`" if code in PLUGINS else "install that filter of HDF5"
            raise ValueError(
                f"{where} is compressed with {known} (filter {code} of HDF5), which is not installed here; expected gzip, lzf "
                f"or none; {remedy}, or save the file again with gzip"
            )
