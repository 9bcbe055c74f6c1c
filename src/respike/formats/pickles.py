"""Pickles of NumPy arrays, of Python 2 or 3, read without ever running what a pickle may hold."""

import io
import pickle
from pathlib import Path
from typing import Any

from respike.core import files

# Everything that NumPy needs to rebuild an array, under its old and its new name; nothing of this opens, runs or imports.
ALLOWED = {("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer")}


class _OnlyArrays(pickle._Unpickler):  # the one in Python: the compiled one takes memory for whatever a damaged file says
    def find_class(self, module: str, name: str) -> Any:
        package, _, last = module.rpartition(".")
        if package in {"numpy.core", "numpy._core"} and (last, name) in ALLOWED:
            return super().find_class(f"numpy._core.{last}", name)
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 writes bytes
            return super().find_class(module, name)
        if module == "numpy" and name in {"ndarray", "dtype"}:
            return super().find_class(module, name)
        raise ValueError(f"it refers to {module}.{name}; only NumPy arrays are read and nothing was run")

    def persistent_load(self, _: Any) -> Any:
        raise ValueError("it refers to data outside the file")


def read(path: Path, key: str) -> dict[str, Any]:
    """Dict in a pickle, by names; ValueError that names the file and the config value `key`, which names it."""
    data = files.checked(path, key).read_bytes()
    try:  # Python 2 has no texts but bytes, and latin1 keeps those of an array as they are
        content = _OnlyArrays(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(
            f"{path} is not a pickle of NumPy arrays: {str(error)[:200] or type(error).__name__}; {key} names it; write it "
            "with pickle.dump of a dict of arrays, or as .npz"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dict of NumPy arrays ({key} names the file)")
    return {name.decode("latin1") if isinstance(name, bytes) else str(name): value for name, value in content.items()}
