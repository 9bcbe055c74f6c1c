"""NumPy's .npy and .npz files of users: never unpickled, and no memory is taken for what a damaged header announces."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from respike.core import files

SHRINKS = 1100  # times; no usual compression does more
SMALL = 10_000_000  # bytes that may be announced whatever is there


def check_announced(path: Path, field: str, announced: int, stored: int) -> None:
    """ValueError when `field` claims more bytes than what is stored can hold."""
    if announced > SHRINKS * stored + SMALL:
        raise ValueError(
            f"{path}: {field} announces {announced:,} bytes, and {stored:,} are there; expected a whole file; copy it again"
        )


def read_npy(path: Path) -> np.ndarray:
    """Array in a .npy file; ValueError that names the file and says what is wrong with it."""
    with files.checked(path).open("rb") as file:
        return _array(path, "the array", file, path.stat().st_size)


def read_npz(path: Path, needed: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Arrays in a .npz file by their names; ValueError that names file and array, also when one of `needed` is missing."""
    try:
        with zipfile.ZipFile(files.checked(path)) as packed:
            found = {}
            for entry in packed.infolist():
                name = entry.filename.removesuffix(".npy")
                check_announced(path, name, entry.file_size, entry.compress_size)
                with packed.open(entry) as file:
                    found[name] = _array(path, name, file, entry.file_size)
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is not a whole .npz file ({error}); write it with numpy.savez, or copy it again") from error
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive raises whatever its packing raises
        reason = str(error) or type(error).__name__
        raise ValueError(f"{path} is not a whole .npz file ({reason}); write it with numpy.savez, or copy it again") from error
    missing = [name for name in needed if name not in found]
    if missing:
        raise ValueError(f"{path} has no array {missing}; it has {sorted(found)}; expected {', '.join(needed)}")
    return found


def repeated(rows: np.ndarray, among: np.ndarray) -> int:
    """How many of `rows` are rows of another array too, byte by byte."""
    known = {row.tobytes() for row in among}
    return sum(row.tobytes() in known for row in rows.astype(among.dtype))


def _array(path: Path, name: str, file: BinaryIO, size: int) -> np.ndarray:
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are not read because they can run programs")
        count = 1
        for side in shape:
            count *= side
        content = size - file.tell()
        if min(shape, default=0) < 0 or count * dtype.itemsize != content:
            raise ValueError(f"its header announces {shape} values of {dtype}, and {content} bytes follow")
        values = np.frombuffer(bytearray(file.read(content)), dtype=dtype, count=count) if content else np.empty(shape, dtype)
        _check_texts(values)
        return values.reshape(shape, order="F" if fortran else "C")
    except Exception as error:  # NumPy raises a different class for each way a header can be broken
        raise ValueError(
            f"{path}: {name} cannot be read ({error or type(error).__name__}); expected an array of numbers, written with "
            "numpy.save or numpy.savez"
        ) from error


def _check_texts(values: np.ndarray) -> None:
    """ValueError for texts that hold what is no letter in any script: Python cannot even show them."""
    for part in [values[name] for name in values.dtype.names] if values.dtype.names else [values]:
        if part.dtype.kind == "U" and part.size:
            codes = np.ascontiguousarray(part).view(part.dtype.byteorder.replace("|", "=") + "u4")
            if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes < 0xE000)).any():
                raise ValueError("it holds damaged texts")


def write_npz(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Compressed .npz file for users; a file that is there is replaced."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    Path(path).write_bytes(buffer.getvalue())
