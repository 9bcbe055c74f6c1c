"""The objects that the whiskers touch: three families of shapes built of convex parts. Lengths in mm once scaled."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

TILES = (5, 9, 12)  # boxes in each ring of a helmet, top to rim
THICKNESS = 0.06  # half of it, of a helmet's tile
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
NOT_TURNED = Rotation.identity()


class Part(NamedTuple):
    """A convex piece of an object: a box, an ellipsoid or a mesh, by its vertices or those of the box around it."""

    kind: str  # box | ellipsoid | mesh
    vertices: Float[np.ndarray, "vertex 3"]  # in the frame that has this position and rotation in the object's
    position: Float[np.ndarray, " 3"]
    rotation: Rotation = NOT_TURNED

    def corners(self) -> Float[np.ndarray, "corner 3"]:
        """Points whose hull holds the part."""
        return self.position + self.rotation.apply(self.vertices)

    def box(self) -> "Part":
        """The box around the part."""
        low, high = self.vertices.min(0), self.vertices.max(0)
        return self._replace(kind="box", vertices=(low + high) / 2 + CORNERS * (high - low) / 2)


Shape = tuple[Part, ...]


def _part(half, position, rotation: Rotation = NOT_TURNED, kind: str = "box") -> Part:
    return Part(kind, CORNERS * half, np.array(position, float), rotation)


def corners(shape: Shape) -> Float[np.ndarray, "corner 3"]:
    """Corner points of all parts."""
    return np.concatenate([part.corners() for part in shape])


def scaled(shape: Shape, diagonal: float) -> Shape:
    """`shape` centred at its bounding box, whose diagonal becomes `diagonal`."""
    points = corners(shape)
    low, high = points.min(0), points.max(0)
    factor, middle = diagonal / np.linalg.norm(high - low), (low + high) / 2
    return tuple(part._replace(vertices=part.vertices * factor, position=(part.position - middle) * factor) for part in shape)


def _helmet(rng: np.random.Generator) -> Shape:
    """Open dome: three rings of tiles on half an ellipsoid, often with a visor."""
    axes = np.array([1.0, rng.uniform(0.75, 1.1), rng.uniform(0.6, 1.0)])
    edges = np.linspace(0, np.pi / 2, len(TILES) + 1)
    parts = []
    for top, bottom, n in zip(edges, edges[1:], TILES, strict=False):
        parts += [_tile(axes, top, bottom, 2 * np.pi * (k + 0.5) / n, np.pi / n) for k in range(n)]
    if rng.random() < 0.7:
        parts.append(_part((0.35, 0.5 * axes[1], 0.05), (1.2, 0, 0.05)))
    return tuple(parts)


def _tile(axes, top: float, bottom: float, around: float, half_angle: float) -> Part:
    """Flat box on the ellipsoid between two polar angles."""

    def point(down: float, angle: float) -> Float[np.ndarray, " 3"]:
        return axes * (np.sin(down) * np.cos(angle), np.sin(down) * np.sin(angle), np.cos(down))

    down = point(bottom, around) - point(top, around)
    across = point(bottom, around + half_angle) - point(bottom, around - half_angle)
    x, z = (axis / np.linalg.norm(axis) for axis in (down, np.cross(down, across)))
    half = (np.linalg.norm(down) / 2, np.linalg.norm(across) / 2, THICKNESS)
    return _part(half, point((top + bottom) / 2, around), Rotation.from_matrix(np.column_stack([x, np.cross(z, x), z])))


def _box(rng: np.random.Generator) -> Shape:
    """Microwave oven: a box, often with the handle of its door."""
    half = np.array([1.0, rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.9)])
    handle = _part((0.05, 0.06, 0.7 * half[2]), (0.7, half[1] + 0.12, 0))
    return (_part(half, (0, 0, 0)), *((handle,) if rng.random() < 0.6 else ()))


def _plane(rng: np.random.Generator) -> Shape:
    """Airliner: fuselage, swept wings, tail, often two engines."""
    radius, span = rng.uniform(0.09, 0.14), rng.uniform(0.7, 1.1)
    sweep, chord = rng.uniform(0, 0.5), rng.uniform(0.12, 0.2)
    parts, engines = [_part((1, radius, radius), (0, 0, 0), kind="ellipsoid")], []
    for side in (-1, 1):
        turn = Rotation.from_euler("z", side * sweep)
        parts.append(_part((chord, span / 2, 0.03), turn.apply((0, side * span / 2, 0)), turn))
        parts.append(_part((0.5 * chord, 0.16, 0.025), (-0.85, side * 0.18, 0.02)))
        engines.append(_part((0.16, 0.06, 0.06), turn.apply((0.1, side * 0.4 * span, -0.08)), kind="ellipsoid"))
    parts.append(_part((0.5 * chord, 0.025, 0.15), (-0.85, 0, 0.17)))
    return (*parts, *(engines if rng.random() < 0.7 else ()))


FAMILIES = (_helmet, _box, _plane)  # of shapes about one unit in size, by class
