"""MATLAB files of users: a variable of an older file, and a cell array of vectors in a file of version 7.3 (which is HDF5)."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse
from jaxtyping import Float

from respike.core import files
from respike.formats import hdf5
from respike.formats.arrays import check_announced


def variables(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Variables (none named: all) of a file of version 7 or older, sparse ones made full; ValueError that names the file."""
    try:
        size = files.checked(path).stat().st_size
        for name, shape, _ in scipy.io.whosmat(path):
            check_announced(path, name, int(np.prod(shape, dtype=float)), size)
        found = scipy.io.loadmat(path, variable_names=names or None, spmatrix=False)
    except FileNotFoundError:
        raise
    except NotImplementedError as error:
        raise ValueError(f"{path}: a MATLAB v7.3 file; expected v7 or older (in MATLAB: save(file, ..., '-v7'))") from error
    except Exception as error:  # scipy raises a different class for each way a file can be broken
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: not a MATLAB file that can be read ({type(error).__name__}); copy it again") from error
    plain = {}
    for name, value in found.items():
        if scipy.sparse.issparse(value):
            check_announced(path, name, 8 * value.shape[0] * value.shape[1], size)
        if not name.startswith("__"):
            plain[name] = value.toarray() if scipy.sparse.issparse(value) else value
    return plain


def variable(path: Path, name: str) -> np.ndarray:
    """One variable of a file of version 7 or older; ValueError when it is not there."""
    found = variables(path, name)
    if name not in found:
        raise ValueError(f"{path}: no variable {name!r}; it has {[other for other, *_ in scipy.io.whosmat(path)]}")
    return found[name]


def read_cells(path: Path, group: str, name: str, axes: tuple[str, str], about: str) -> list[list[np.ndarray]]:
    """Vectors in the cell array `name` of the struct `group`, as HDF5 has them: its second axis first.

    `axes` names the two axes as MATLAB has them and `about` what a vector holds, for messages. Raises ValueError.
    """
    if not h5py.is_hdf5(files.checked(path)):
        with path.open("rb") as file:
            old = file.read(10).startswith(b"MATLAB 5")
        state = "a MATLAB file older than v7.3" if old else "not an HDF5 file"
        raise ValueError(f"{path}: {state}; expected MATLAB v7.3 (in MATLAB: save(file, '{group}', '-v7.3'))")
    field = f"{group}/{name}"
    with hdf5.opened(path) as file:
        outer = file.get(group)
        cells = outer.get(name) if isinstance(outer, h5py.Group) else None
        if not isinstance(cells, h5py.Dataset):
            content = f"{group} has {sorted(outer)}" if isinstance(outer, h5py.Group) else f"the file has {sorted(file)}"
            raise ValueError(f"{path}: no field {field}; {content}")
        if h5py.check_ref_dtype(cells.dtype) is None or cells.shape is None or cells.ndim != 2:
            expected = f"a cell array {' x '.join(axes)}"
            raise ValueError(f"{path}: {field} is {cells.dtype} of shape {cells.shape}; expected {expected}")
        check_announced(path, field, cells.nbytes, cells.id.get_storage_size())
        names = ", ".join(axes)
        return [
            [
                _vector(path, f"{path}: {field}{{{second + 1}, {first + 1}}} ({names})", file, reference, about)
                for second, reference in enumerate(row)
            ]
            for first, row in enumerate(cells[()])
        ]


def _vector(path: Path, where: str, file: h5py.File, reference: h5py.Reference, about: str) -> np.ndarray:
    """Numbers in a cell. What is empty in any spelling, of MATLAB's or of other programs, is a vector of no numbers."""
    if not reference:
        raise ValueError(f"{where} points nowhere; expected {about}")
    cell = file[reference]
    if not isinstance(cell, h5py.Dataset):
        raise ValueError(f"{where} is a {type(cell).__name__}; expected {about}")
    if cell.shape is None or 0 in cell.shape or cell.attrs.get("MATLAB_empty", 0):
        return np.empty(0)
    if cell.dtype.kind not in "fui" or (cell.ndim > 1 and max(cell.shape) != cell.size):
        raise ValueError(f"{where} is {cell.dtype} of shape {cell.shape}; expected {about}")
    return hdf5.values(path, where, cell).astype(float).ravel()


def write_cells(path: Path, group: str, name: str, cells: Sequence[Sequence[Float[np.ndarray, " value"]]]) -> None:
    """File of version 7.3 with such a cell array, from vectors [first][second] in the order of `read_cells`."""
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        array = file.create_dataset(f"{group}/{name}", (len(cells), len(cells[0])), dtype=h5py.ref_dtype)
        for first, row in enumerate(cells):
            for second, values in enumerate(row):
                array[first, second] = _write_vector(references, f"{first}_{second}", values).ref
        array.attrs["MATLAB_class"] = np.bytes_("cell")
        file[group].attrs["MATLAB_class"] = np.bytes_("struct")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def _write_vector(group: h5py.Group, name: str, values: Float[np.ndarray, " value"]) -> h5py.Dataset:
    empty = not len(values)
    content = np.zeros(2, dtype=np.uint64) if empty else np.asarray(values, dtype=float)[None]
    cell = group.create_dataset(name, data=content)
    cell.attrs["MATLAB_class"] = np.bytes_("double")
    if empty:
        cell.attrs["MATLAB_empty"] = np.uint8(1)
    return cell
