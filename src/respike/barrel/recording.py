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
    try:
        with hdf5.opened(path) as file:
            force, torque = (hdf5.read(path, file, name) for name in ("force", "torque"))
            label = hdf5.read(path, file, "label", kinds="fiuSO")
            dataset = file.attrs.get("dataset", RECORDED)
        shape = (*force.shape[:2], frames, params.WHISKERS, params.UNITS, 3)
        _check_values(f"{path}: force", force, shape)
        _check_values(f"{path}: torque", torque, shape)
        classes = _classes(f"{path}: label", label, len(force))
    except ValueError as error:
        raise ValueError(f"{error}. The file is the config value {key}.") from error
    return Sweeps(force, torque, classes, dataset if isinstance(dataset, str) else RECORDED)


def _check_values(name: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
    if values.shape != shape or 0 in shape:
        axes = "at least one sample and one sweep of each, frames, whiskers, links, components"
        raise ValueError(f"{name} has shape {values.shape}, expected {shape}: {axes}")
    if (bad := ~np.isfinite(values)).any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} holds {int(bad.sum())} values that are not finite (first at {index}: {values[index]})")
    if np.ptp(values) == 0:
        raise ValueError(f"{name} is {values.flat[0]} everywhere, expected what whiskers feel")


def _classes(name: str, label: np.ndarray, n: int) -> Int[np.ndarray, " sample"]:
    """Classes 0, 1, 2 of labels that are their published numbers, or their names or numbers as text."""
    expected = ", ".join(f"{number} ({kind})" for number, kind in zip(params.LABELS, params.CLASSES, strict=True))
    if label.shape != (n,):
        raise ValueError(f"{name} has shape {label.shape}, expected ({n},), one per sample of force")
    texts = [text if isinstance(text, str) else f"{text:g}" for text in label.tolist()]
    texts = [text.strip().strip("\0").lower().removesuffix(".0") for text in texts]
    known = {text: k for k, each in enumerate(zip(params.CLASSES, map(str, params.LABELS), strict=True)) for text in each}
    if unknown := sorted(set(texts) - set(known)):
        raise ValueError(f"{name} holds {unknown[0]!r}, expected {expected}, as numbers or by name")
    classes = np.array([known[text] for text in texts])
    if absent := [kind for k, kind in enumerate(params.CLASSES) if k not in classes]:
        raise ValueError(f"{name} holds no {' and no '.join(absent)}, expected at least one sample of each of {expected}")
    return classes
