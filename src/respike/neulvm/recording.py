"""The published file format: a pickle of one dict of NumPy arrays, read without ever running what a pickle may hold.

A_t_pop         (time, population) float   population rates in Hz; truth, for evaluation; may be missing
sampled_spikes  (population, time, cell) bool
I_ext           (time, population) float   external drive, potential/s
"""

import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from respike.core import files

# Everything that NumPy needs to rebuild an array, under its old and its new name; nothing of this opens, runs or imports.
ALLOWED = {("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer")}


class Recording(NamedTuple):
    """Spikes in fine time steps, the drive, and the truth where it is known."""

    rates: Float[np.ndarray, "step population"] | None
    spikes: Bool[np.ndarray, "population step cell"]
    drive: Float[np.ndarray, "step population"]


class _OnlyArrays(pickle.Unpickler):
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


def read(path: Path, sizes: tuple[int, ...]) -> Recording:
    """Content of a file in the published format, checked against the sizes of the populations.

    Raises ValueError that names file, field, what was found and what was expected.
    """
    data = files.checked(path).read_bytes()
    try:
        content = _OnlyArrays(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(
            f"{path} is not a pickle of NumPy arrays: {error or type(error).__name__}; neulvm.data.recording names it"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected a dict with sampled_spikes, I_ext and A_t_pop")
    missing = {"sampled_spikes", "I_ext"} - set(content)
    if missing:
        raise ValueError(f"{path} has no {sorted(missing)}; it has {sorted(map(str, content))}")
    spikes = _array(path, content, "sampled_spikes", ("population", "time", "cell"), len(sizes), 0)
    rates = _array(path, content, "A_t_pop", ("time", "population"), len(sizes), 1) if "A_t_pop" in content else None
    drive = _array(path, content, "I_ext", ("time", "population"), len(sizes), 1)
    for name, array in (("A_t_pop", rates), ("I_ext", drive)):
        if array is not None and len(array) != spikes.shape[1]:
            raise ValueError(
                f"{path}: {name} has {len(array)} time steps, sampled_spikes has {spikes.shape[1]}; they must be equal"
            )
    if not np.isin(spikes, (0, 1)).all():
        raise ValueError(f"{path}: sampled_spikes holds values other than 0 and 1; expected bool")
    if rates is not None and (rates < 0).any():
        raise ValueError(f"{path}: A_t_pop holds {rates.min():g}; rates in Hz cannot be negative")
    return Recording(rates, spikes.astype(bool), drive)


def _array(
    path: Path, content: dict, name: str, axes: tuple[str, ...], n_populations: int, population_axis: int
) -> np.ndarray:
    array = np.asarray(content[name])
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name} holds {array.dtype} values, expected numbers")
    if array.ndim != len(axes) or array.shape[population_axis] != n_populations:
        raise ValueError(
            f"{path}: {name} has shape {array.shape}, expected ({', '.join(axes)}) with {n_populations} populations, "
            "as many as neulvm.circuit.sizes in config.yaml has"
        )
    bad = np.argwhere(~np.isfinite(array)) if array.dtype.kind == "f" else []
    if len(bad):
        raise ValueError(
            f"{path}: {name}{bad[0].tolist()} is {array[tuple(bad[0])]}, expected finite numbers ({len(bad)} are not)"
        )
    return array


def write(path: Path, recording: Recording, dt: float, probabilities: np.ndarray) -> None:
    """Pickle of the same dict as the published files."""
    content = {
        "A_t_pop": recording.rates,
        "sampled_spikes": recording.spikes,
        "I_ext": recording.drive,
        "ts_P": np.arange(len(recording.drive)) * dt,
        "sampled_spikeprobs": probabilities,
    }
    with files.whole(path) as temporary:
        temporary.write_bytes(pickle.dumps(content, protocol=4))
