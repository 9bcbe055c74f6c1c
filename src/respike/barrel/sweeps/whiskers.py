"""Geometry of the 31 whiskers of the left side of a rat's face, in mm and rad.

The equations give length, curvature, base point and direction of each whisker from its row and column (Zhuang et al.,
NeurIPS 2017, after Towal et al. 2011). Frames are those of the published simulator: the files hold forces in them.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

ROWS = {"A": range(5), "B": range(6), "C": range(7), "D": range(7), "E": range(1, 7)}
NAMES = tuple(f"{row}{digit}" for row, digits in ROWS.items() for digit in digits)  # order of the whisker axis in the files
UNIT_LENGTH = 2.08  # mm, a link of the published simulation

RADII = (9.5304, 5.5393, 6.9745)  # ellipsoid of the base points
TURN = (-19.5401, -2.5211, 106.5100)  # Euler angles of the ellipsoid, degrees
CENTRE = (1.9128, -7.6549, -5.4439)


class Whisker(NamedTuple):
    """One whisker: a parabola y = -curvature z^2 in the frame `rotation` at `base`."""

    name: str
    base: Float[np.ndarray, " 3"]  # mm
    rotation: Rotation
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
    """The published equations. The simulator's axes are in reverse order, and x is mirrored on the left side."""
    row, column = "ABCDE".index(name[0]) + 1, int(name[1]) + 1
    around, down = np.radians([15.2953 * column - 144.2220, 18.2237 * row + 34.7558])
    direction = np.array([np.cos(around) * np.sin(down), np.sin(around) * np.sin(down), np.cos(down)])
    x, y, z = CENTRE + Rotation.from_euler("xyz", TURN, degrees=True).apply(direction / np.linalg.norm(direction / RADII))
    theta = np.radians(10.6475 * column + 37.3178)
    zeta = np.radians(18.7700 * column - 11.3485 * row - 4.9844)
    # the published program writes the same factor for row and column, unlike the equation it comes from; psi is not used
    phi = np.radians(1.0988 * column - 18.0334 * row + 50.6005)
    pitch, yaw, roll = np.pi / 2 - zeta, -np.arctan(np.tan(phi) * np.cos(theta - np.pi / 2)), 3 * np.pi / 2 - theta
    return Whisker(
        name,
        base=np.array([z, y, -x]),
        rotation=Rotation.from_euler("zyx", (-pitch, -yaw, -roll)),
        length=52.1110 - 7.9312 * column + 2.2224 * row,
        curvature=float(np.exp(1 / (-0.02052 * column - 0.2045))),
    )


def links(whisker: Whisker, spacing: float, n_links: int) -> Float[np.ndarray, "node 2"]:
    """Ends (y, z) of `n_links` straight links of length `spacing`, laid end to end along the parabola from the base."""
    k, z = whisker.curvature, [0.0]
    for _ in range(n_links):
        z.append(brentq(lambda end: np.hypot(end - z[-1], k * (end**2 - z[-1] ** 2)) - spacing, z[-1], z[-1] + spacing))
    return np.column_stack([-k * np.square(z), z])


def centreline(whisker: Whisker, spacing: float, n_links: int) -> Float[np.ndarray, "node 3"]:
    """Ends of `n_links` straight links of length `spacing`, laid end to end along the parabola from the base."""
    return whisker.base + whisker.rotation.apply(np.insert(links(whisker, spacing, n_links), 0, 0, axis=1))


@cache
def array_centre() -> Float[np.ndarray, " 3"]:
    """Mean of the centres of all links of 2.08 mm."""
    lines = [centreline(whisker, UNIT_LENGTH, whisker.n_units) for whisker in whiskers()]
    return np.concatenate([(line[1:] + line[:-1]) / 2 for line in lines]).mean(0)
