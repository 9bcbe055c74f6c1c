"""An object on its way through the whiskers: drawn as in the published generator (Zhuang et al., NeurIPS 2017)."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from respike.barrel import params
from respike.barrel.sweeps import meshes, shapes
from respike.barrel.sweeps.whiskers import array_centre, whiskers
from respike.core import seeds

START, START_SPREAD = (13.0, -8.0), (10.0, 4.0, 10.0)  # mm: y, and z below the array's centre; half widths of x, y, z
AIM = -4.0  # mm, below the array's centre
SPEED = (7.0, 14.0)  # mm / s
OFFSETS = (0.0, -20.0, 20.0)  # mm, sideways, of the three groups of four sweeps
CLEARANCE, CLEARANCE_WIDTH = 5.0, 10.0  # mm below a whisker's base, and sideways, where the object must not be
LID = 9  # points along each side of the upper face of the bounding box that are looked at


class Object(NamedTuple):
    """An object in one sweep: a shape in its pose, where its centre starts, and its velocity."""

    shape: shapes.Shape
    rotation: Rotation
    position: Float[np.ndarray, " 3"]  # mm
    velocity: Float[np.ndarray, " 3"]  # mm / s


def draw(kind: int, index: int, sweep: int, seed: int, settings: params.Sweeps, files: Sequence[Path] = ()) -> Object:
    """Object number `index` of class `kind` in sweep 0 to 11: three sideways offsets times four turns about its own axis.

    With meshes the shape is number `index` of the class among their `files`.
    """
    rng = seeds.generator(seed, "barrel", "object", kind, index)
    built_in = shapes.FAMILIES[kind](rng)
    shape = meshes.read(meshes.choose(files, kind, index)) if settings.meshes else built_in
    shape = shapes.scaled(shape, rng.uniform(settings.smallest_mm, settings.largest_mm))
    rotation = orientation(rng, settings.max_tilt_deg) * Rotation.from_euler("z", sweep % 4 * np.pi / 2)
    centre = array_centre() + (OFFSETS[sweep // 4], 0, 0)
    start = np.array([centre[0], START[0], centre[2] + START[1]]) + rng.uniform(-1, 1, 3) * START_SPREAD
    way = centre + (0, 0, AIM) - start
    direction = way / np.linalg.norm(way)
    points = rotation.apply(shapes.corners(shape))
    position = start - direction * (points @ direction).max()
    position[2] -= _excess_height(position, points, direction)
    return Object(shape, rotation, position, rng.uniform(*SPEED) * direction)


def orientation(rng: np.random.Generator, max_tilt_deg: float) -> Rotation:
    """Upright pose tilted by at most `max_tilt_deg` about a random axis; from 180 on any pose, as in the published set."""
    if max_tilt_deg >= 180:
        return Rotation.from_euler("xyz", rng.uniform(0, 2 * np.pi, 3))
    axis = rng.standard_normal(3)
    angle = np.radians(rng.uniform(0, max_tilt_deg))
    return Rotation.from_rotvec(-angle * axis / np.linalg.norm(axis)) * Rotation.from_euler("x", np.pi / 2)


def _excess_height(position, points, direction) -> float:
    """How far the bounding box must go down so that it passes below the bases of the whiskers, mm."""
    low, high = position + points.min(0), position + points.max(0)
    across = np.linspace(low[:2], high[:2], LID)
    box = np.array([[x, y, high[2]] for x in across[:, 0] for y in across[:, 1]])
    bases = np.array([whisker.base for whisker in whiskers()])
    travelled = (bases[:, None, 1] - box[None, :, 1]) / direction[1]
    passing = box + travelled[..., None] * direction
    near = np.abs(passing[..., 0] - bases[:, None, 0]) < CLEARANCE_WIDTH
    above = passing[..., 2] - (bases[:, None, 2] - CLEARANCE)
    return float(max(0, np.where(near, above, 0).max()))
