"""Objects that users bring: Wavefront files (.obj) whose groups are closed convex parts."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError

from respike.barrel import params
from respike.barrel.sweeps.shapes import Part, Shape

NOT_CONVEX = 1e-3  # of the volume of a part's convex hull: how much its faces may enclose more or less than that
SPLIT = "expected closed convex parts, split the mesh (v-hacd) and write one group per part"


def choose(files: list[Path], kind: int, index: int) -> Path:
    """The .obj file of object number `index` of a class: of the `files` those in a folder of its name."""
    own = [file for file in files if file.parent.name == params.CLASSES[kind]]
    if index >= len(own):
        raise FileNotFoundError(
            f"{params.CLASSES[kind]}: {len(own)} .obj files in this folder of barrel.sweeps.meshes, expected objects_per_class"
        )
    return own[index]


def read(path: Path) -> Shape:
    """Object in the Wavefront file `path`, one part per group or object (lines g or o); ValueError for unfit parts."""
    vertices, groups, group = [], {}, "unnamed"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word, *rest = line.split() or [""]
        try:
            if word in ("v", "f") and len(rest) < 3:
                raise ValueError(f"{len(rest)}, not three")
            if word == "v":
                vertices.append([float(value) for value in rest[:3]])
            elif word == "f":
                corners = [int(value.split("/")[0]) for value in rest]
                groups.setdefault(group, []).append([i - 1 if i > 0 else len(vertices) + i for i in corners])
            elif word in ("g", "o"):
                group = " ".join(rest) or "unnamed"
        except ValueError as error:
            raise ValueError(f"{path}: line {number} is {line.strip()!r}, expected numbers after {word} ({error})") from error
    if not groups:
        raise ValueError(f"{path}: no face (line starting with f); expected closed convex parts, one per group")
    points = np.array(vertices, dtype=float)
    return tuple(_part(f"{path}: part {name!r}", points, faces) for name, faces in groups.items())


def _part(name: str, vertices: Float[np.ndarray, "vertex 3"], faces: list[list[int]]) -> Part:
    used = sorted({i for face in faces for i in face})
    if used[-1] >= len(vertices) or used[0] < 0 or not np.isfinite(vertices[used]).all():
        raise ValueError(f"{name} names a vertex that is not there or not three finite numbers")
    centre = vertices[used].mean(0)
    points = vertices - centre
    try:
        hull = ConvexHull(points[used])
    except QhullError as error:
        raise ValueError(f"{name} is flat; {SPLIT}") from error
    triangles = [[[face[0], *pair] for pair in zip(face[1:], face[2:], strict=False)] for face in faces]
    volume = sum(abs(np.linalg.det(points[face]).sum()) / 6 for face in triangles if face)
    if abs(volume / hull.volume - 1) > NOT_CONVEX:
        raise ValueError(f"{name} is not closed and convex: its faces enclose {volume / hull.volume:.3f} of its hull; {SPLIT}")
    return Part("mesh", points[used], centre)
