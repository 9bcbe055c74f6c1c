"""Geometry of the 31 whiskers of the left side of a rat's face, in mm and rad.

The equations give length, curvature, base point and direction of each whisker from its row and column (Zhuang et al.,
NeurIPS 2017, after Towal et al. 2011). Frames are those of the published simulator: the files hold forces in them.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

ROWS = {"A": range(5), "B": range(6), "C": range(7), "D": range(7), "E": range(1, 7)}
NAMES = tuple(f"{row}{digit}" for row, digits in ROWS.items() for digit in digits)  # order of the whisker axis in the files
UNIT_LENGTH = 2.08  # mm, a link of the published simulation

RADII = (9.5304, 5.5393, 6.9745)  # ellipsoid of the base points
TURN = (-19.5401, -2.5211, 106.5100)  # Euler angles of the ellipsoid, degrees
CENTRE = (1.9128, -7.6549, -5.4439)


@dataclass(frozen=True)
class Whisker:
    """One whisker: a parabola y = -curvature z^2 in the frame `rotation` at `base`."""

    name: str
    base: Float[np.ndarray, " 3"]  # mm
    rotation: Float[np.ndarray, "3 3"]  # columns are the local axes
    length: float  # mm
    curvature: float  # 1 / mm

    @property
    def n_units(self) -> int:
        """Links of the published simulation."""
        return int(np.ceil(self.length / UNIT_LENGTH))


@cache
def whiskers() -> tuple[Whisker, ...]:
    """All whiskers in the order of the files."""
    return tuple(_whisker(name) for name in NAMES)


def _whisker(name: str) -> Whisker:
    row, column = "ABCDE".index(name[0]) + 1, int(name[1]) + 1
    return Whisker(
        name=name,
        base=_base(row, column),
        rotation=euler(*_angles(row, column))[::-1, ::-1],  # the simulator's axes are in reverse order
        length=52.1110 - 7.9312 * column + 2.2224 * row,
        curvature=float(np.exp(1 / (-0.02052 * column - 0.2045))),
    )


def _base(row: int, column: int) -> Float[np.ndarray, " 3"]:
    around = np.radians(15.2953 * column - 144.2220)
    down = np.radians(18.2237 * row + 34.7558)
    direction = np.array([np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)])
    point = direction / np.sqrt(np.sum((direction / RADII) ** 2))
    x, y, z = euler(*np.radians(TURN)) @ point + CENTRE
    return np.array([z, y, -x])  # left side: x is mirrored; the simulator's axes are in reverse order


def _angles(row: int, column: int) -> tuple[float, float, float]:
    """Pitch, yaw and roll, rad."""
    theta = 10.6475 * column + 37.3178
    zeta = 18.7700 * column - 11.3485 * row - 4.9844
    phi = 1.0988 * column - 18.0334 * row + 50.6005
    # the published program writes the same factor for row and column, unlike the equation it comes from; psi is not used
    pitch, roll = np.radians(90 - zeta), np.radians(270 - theta)
    yaw = -np.arctan(np.tan(np.radians(phi)) * np.cos(np.pi - roll))
    return float(pitch), float(yaw), float(roll)


def euler(x: float, y: float, z: float) -> Float[np.ndarray, "3 3"]:
    """Rotation about the x, then the y, then the z axis."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def centreline(whisker: Whisker, spacing: float, n_links: int) -> Float[np.ndarray, "node 3"]:
    """Ends of `n_links` straight links of length `spacing`, laid end to end along the parabola from the base."""
    nodes = [np.zeros(2)]
    for _ in range(n_links):
        nodes.append(_next(nodes[-1], spacing, whisker.curvature))
    y, z = np.array(nodes).T
    return whisker.base + np.column_stack([np.zeros_like(y), y, z]) @ whisker.rotation.T


def _next(node: Float[np.ndarray, " 2"], spacing: float, curvature: float) -> Float[np.ndarray, " 2"]:
    """Point (y, z) of the parabola at the distance `spacing` from `node`, further out; by Newton's method."""
    y0, z0 = node
    z = z0 + spacing / np.sqrt(1 + (2 * curvature * z0) ** 2)
    for _ in range(20):
        y = -curvature * z * z
        error = (z - z0) ** 2 + (y - y0) ** 2 - spacing**2
        z -= error / (2 * (z - z0) + 2 * (y - y0) * (-2 * curvature * z))
    return np.array([-curvature * z * z, z])


@cache
def array_centre() -> Float[np.ndarray, " 3"]:
    """Mean of the centres of all links of 2.08 mm."""
    lines = [centreline(whisker, UNIT_LENGTH, whisker.n_units) for whisker in whiskers()]
    return np.concatenate([(line[1:] + line[:-1]) / 2 for line in lines]).mean(0)
