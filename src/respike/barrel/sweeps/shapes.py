"""The objects that the whiskers touch: three families of shapes built of convex parts. Lengths in mm once scaled."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from respike.barrel.sweeps.whiskers import euler

TILES = (5, 9, 12)  # boxes in each ring of a helmet, top to rim
THICKNESS = 0.06  # half of it, of a helmet's tile
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)


@dataclass(frozen=True)
class Part:
    """A convex piece of an object in the object's frame: box or ellipsoid by half sizes, or a mesh by its vertices."""

    kind: str  # box | ellipsoid | mesh
    half: Float[np.ndarray, " 3"]
    position: Float[np.ndarray, " 3"]
    rotation: Float[np.ndarray, "3 3"]
    vertices: Float[np.ndarray, "vertex 3"] | None = None

    def corners(self) -> Float[np.ndarray, "corner 3"]:
        """Points whose hull holds the part."""
        local = CORNERS * self.half if self.vertices is None else self.vertices
        return self.position + local @ self.rotation.T

    def box(self) -> Float[np.ndarray, "8 3"]:
        """Corners of the box around the part."""
        middle = 0 if self.vertices is None else (self.vertices.max(0) + self.vertices.min(0)) / 2
        return self.position + (middle + CORNERS * self.half) @ self.rotation.T


Shape = tuple[Part, ...]


def _part(kind: str, half, position, rotation=None) -> Part:
    return Part(kind, np.array(half, float), np.array(position, float), np.eye(3) if rotation is None else rotation)


def corners(shape: Shape) -> Float[np.ndarray, "corner 3"]:
    """Corner points of all parts."""
    return np.concatenate([part.corners() for part in shape])


def scaled(shape: Shape, diagonal: float) -> Shape:
    """`shape` centred at its bounding box, whose diagonal becomes `diagonal`."""
    points = corners(shape)
    low, high = points.min(0), points.max(0)
    factor, middle = diagonal / np.linalg.norm(high - low), (low + high) / 2
    return tuple(
        replace(
            part,
            half=part.half * factor,
            position=(part.position - middle) * factor,
            vertices=None if part.vertices is None else part.vertices * factor,
        )
        for part in shape
    )


def draw(kind: int, rng: np.random.Generator) -> Shape:
    """A shape of the family of class `kind` (helmet, box or plane), about one unit in size."""
    return (_helmet, _box, _plane)[kind](rng)


def _helmet(rng: np.random.Generator) -> Shape:
    """Open dome: three rings of tiles on half an ellipsoid, often with a visor."""
    axes = np.array([1.0, rng.uniform(0.75, 1.1), rng.uniform(0.6, 1.0)])
    edges = np.linspace(0, np.pi / 2, len(TILES) + 1)
    parts = []
    for top, bottom, n in zip(edges, edges[1:], TILES, strict=False):
        parts += [_tile(axes, top, bottom, 2 * np.pi * (k + 0.5) / n, np.pi / n) for k in range(n)]
    if rng.random() < 0.7:
        parts.append(_part("box", (0.35, 0.5 * axes[1], 0.05), (1.2, 0, 0.05)))
    return tuple(parts)


def _tile(axes, top: float, bottom: float, around: float, half_angle: float) -> Part:
    """Flat box on the ellipsoid between two polar angles."""

    def point(down: float, angle: float) -> Float[np.ndarray, " 3"]:
        return axes * (np.sin(down) * np.cos(angle), np.sin(down) * np.sin(angle), np.cos(down))

    middle = (top + bottom) / 2
    centre, down = point(middle, around), point(bottom, around) - point(top, around)
    across = point(bottom, around + half_angle) - point(bottom, around - half_angle)
    outwards = np.cross(down, across)
    frame = [down / np.linalg.norm(down), np.cross(outwards, down), outwards / np.linalg.norm(outwards)]
    frame[1] = frame[1] / np.linalg.norm(frame[1])
    half = (np.linalg.norm(down) / 2, np.linalg.norm(across) / 2, THICKNESS)
    return _part("box", half, centre, np.column_stack(frame))


def _box(rng: np.random.Generator) -> Shape:
    """Microwave oven: a box, often with the handle of its door."""
    half = np.array([1.0, rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.9)])
    parts = [_part("box", half, (0, 0, 0))]
    if rng.random() < 0.6:
        parts.append(_part("box", (0.05, 0.06, 0.7 * half[2]), (0.7, half[1] + 0.12, 0)))
    return tuple(parts)


def _plane(rng: np.random.Generator) -> Shape:
    """Airliner: fuselage, swept wings, tail, often two engines."""
    radius, span = rng.uniform(0.09, 0.14), rng.uniform(0.7, 1.1)
    sweep, chord = rng.uniform(0, 0.5), rng.uniform(0.12, 0.2)
    parts = [_part("ellipsoid", (1, radius, radius), (0, 0, 0))]
    for side in (-1, 1):
        turn = euler(0, 0, side * sweep)
        parts.append(_part("box", (chord, span / 2, 0.03), turn @ (0, side * span / 2, 0), turn))
        parts.append(_part("box", (0.5 * chord, 0.16, 0.025), (-0.85, side * 0.18, 0.02)))
    parts.append(_part("box", (0.5 * chord, 0.025, 0.15), (-0.85, 0, 0.17)))
    if rng.random() < 0.7:
        parts += [
            _part("ellipsoid", (0.16, 0.06, 0.06), euler(0, 0, side * sweep) @ (0.1, side * 0.4 * span, -0.08))
            for side in (-1, 1)
        ]
    return tuple(parts)


def orientation(rng: np.random.Generator, max_tilt_deg: float) -> Float[np.ndarray, "3 3"]:
    """Upright pose tilted by at most `max_tilt_deg` about a random axis; from 180 on any pose, as in the published set."""
    if max_tilt_deg >= 180:
        return euler(*rng.uniform(0, 2 * np.pi, 3))
    axis = rng.standard_normal(3)
    axis /= np.linalg.norm(axis)
    angle = np.radians(rng.uniform(0, max_tilt_deg))
    cross = np.cross(np.eye(3), -axis)
    tilt = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return tilt @ euler(np.pi / 2, 0, 0)
