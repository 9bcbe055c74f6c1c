"""Whisker sweeps in files: the published HDF5 layout, written and read with every field checked."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from jaxtyping import Float, Int

from respike.barrel import params
from respike.core import files
from respike.formats import hdf5

STAND_IN = "synthetic sweeps"  # data set name of files that this program made
RECORDED = "recorded sweeps"  # of all others
ABOUT = {
    "dataset": STAND_IN,
    "content": "synthetic stand-in, not the published data",
    "classes": "53 helmet: dome of tiles with visor; 55 box: oven with handle; 113 plane: fuselage, wings, tail, engines",
    "limits": (
        "three families of procedural shapes instead of 273 ShapeNet meshes; one taper law instead of fitted springs; "
        "one gain for all forces. Trends can be compared with the paper, accuracies cannot"
    ),
    "axes": "sample, sweep, frame (10 Hz), whisker, link from the base, component (world frame)",
    "generator": "respike.barrel.generate 1",
}


class Sweeps(NamedTuple):
    """Forces and torques of some samples, and the class of each."""

    force: Float[np.ndarray, "sample sweep frame whisker unit 3"]
    torque: Float[np.ndarray, "sample sweep frame whisker unit 3"]
    label: Int[np.ndarray, " sample"]  # 0, 1, 2
    dataset: str


def write(path: Path, force, torque, label: Int[np.ndarray, " sample"], **attributes: str | int | float) -> None:
    """HDF5 file in the published layout; `label` are the classes 0, 1, 2."""
    with files.whole(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in (("force", force), ("torque", torque)):
            chunk = (1, *values.shape[1:])
            file.create_dataset(name, data=values.astype(np.float32), chunks=chunk, compression="gzip", compression_opts=4)
        file.create_dataset("label", data=np.array(params.LABELS, dtype=np.float32)[label])
        file.attrs.update({**ABOUT, **attributes})


def read(path: Path, key: str, frames: int = params.FRAMES) -> Sweeps:
    """Sweeps in the file `path`, which the config value `key` names.

    Raises FileNotFoundError or ValueError that says which field is wrong, and how.
    """
    where = f"The file is the config value {key}."
    try:
        with hdf5.opened(path) as file:
            missing = [name for name in ("force", "torque", "label") if not isinstance(file.get(name), h5py.Dataset)]
            if missing:
                raise ValueError(f"{path}: no dataset {', '.join(missing)}; the file holds {sorted(file)}")
            force, torque = (hdf5.read(path, file, name) for name in ("force", "torque"))
            label = hdf5.read(path, file, "label", kinds="fiuSO")
            dataset = file.attrs.get("dataset", RECORDED)
        sweeps = Sweeps(force, torque, _numbered(path, label), dataset if isinstance(dataset, str) else RECORDED)
        problem = _shapes(sweeps, frames) or _values(sweeps)
        if problem:
            raise ValueError(f"{path}: {problem}")
    except ValueError as error:
        raise ValueError(f"{error}. {where}") from error
    return sweeps._replace(label=np.searchsorted(params.LABELS, sweeps.label).astype(np.int64))


def _numbered(path: Path, label: np.ndarray) -> np.ndarray:
    """Labels as numbers: texts may be the names of the classes, or their numbers; ValueError for another one."""
    if label.dtype.kind != "U":
        return label
    known = {str(number): number for number in params.LABELS} | dict(zip(params.CLASSES, params.LABELS, strict=True))
    texts = [text.strip().strip("\0").lower().removesuffix(".0") for text in label.ravel().tolist()]
    strange = sorted(set(texts) - set(known))
    if strange:
        raise ValueError(f"{path}: label holds {strange[0]!r}, expected {_listed()}, as numbers or by name")
    return np.array([known[text] for text in texts], dtype=np.int64).reshape(label.shape)


def _shapes(sweeps: Sweeps, frames: int) -> str:
    tail = (frames, params.WHISKERS, params.UNITS, 3)
    for name, array in (("force", sweeps.force), ("torque", sweeps.torque)):
        if array.ndim != 6 or array.shape[2:] != tail or 0 in array.shape:
            return f"{name} has shape {array.shape}, expected (samples, sweeps, {', '.join(map(str, tail))})"
    if sweeps.torque.shape != sweeps.force.shape:
        return f"torque has shape {sweeps.torque.shape}, expected that of force, {sweeps.force.shape}"
    if sweeps.label.shape != (len(sweeps.force),):
        return f"label has shape {sweeps.label.shape}, expected ({len(sweeps.force)},), one per sample of force"
    return ""


def _values(sweeps: Sweeps) -> str:
    for name, array in (("force", sweeps.force), ("torque", sweeps.torque)):
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            return f"{name} holds {int(bad.sum())} values that are not finite (first at {index}: {array[index]})"
    unknown = sorted(set(np.unique(sweeps.label)) - set(params.LABELS))
    if unknown:
        return f"label holds {unknown[0]:g}, expected {_listed()}"
    absent = [f"{k} {name}" for k, name in zip(params.LABELS, params.CLASSES, strict=True) if k not in sweeps.label]
    if absent:
        return f"label holds no {' and no '.join(absent)}, expected at least one sample of each of {_listed()}"
    return ""


def _listed() -> str:
    return ", ".join(f"{number} ({name})" for number, name in zip(params.LABELS, params.CLASSES, strict=True))
