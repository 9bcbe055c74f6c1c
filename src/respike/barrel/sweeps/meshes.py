"""Objects that users bring: Wavefront files (.obj) whose groups are closed convex parts."""

from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError

from respike.barrel import params
from respike.barrel.sweeps.shapes import Part, Shape

NOT_CONVEX = 1e-3  # of the size of a part: how deep a face may lie under the part's convex hull
SPLIT = "expected closed convex parts, split the mesh (v-hacd) and write one group per part"

Faces = list[list[int]]  # numbers of the vertices of each face


def files(folder: Path) -> dict[int, list[Path]]:
    """The .obj files of each class in folder/helmet, folder/box, folder/plane, by name."""
    by_class = {k: sorted((folder / name).glob("*.obj")) for k, name in enumerate(params.CLASSES)}
    for k, name in enumerate(params.CLASSES):
        if not by_class[k]:
            raise FileNotFoundError(
                f"{folder / name}: no .obj file; expected one folder of meshes per class ({', '.join(params.CLASSES)}) "
                "in the folder that barrel.sweeps.meshes names"
            )
    return by_class


def read(path: Path) -> Shape:
    """Object in the Wavefront file `path`, one part per group or object (lines g or o); ValueError for unfit parts."""
    vertices, groups = _groups(path)
    return tuple(_part(f"{path}: part {name!r}", vertices, faces) for name, faces in groups.items())


def _groups(path: Path) -> tuple[Float[np.ndarray, "vertex 3"], dict[str, Faces]]:
    vertices, groups, group = [], {}, "unnamed"
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        word, *rest = line.split() or [""]
        try:
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
    return np.array(vertices, dtype=float), groups


def _part(name: str, vertices: Float[np.ndarray, "vertex 3"], faces: Faces) -> Part:
    used = sorted({i for face in faces for i in face})
    if used[-1] >= len(vertices) or used[0] < 0 or vertices.shape[1:] != (3,) or not np.isfinite(vertices[used]).all():
        raise ValueError(f"{name} names a vertex that is not there or not three finite numbers")
    edges = Counter(tuple(sorted(edge)) for face in faces for edge in zip(face, face[1:] + face[:1], strict=True))
    odd = [edge for edge, n in edges.items() if n != 2]
    if odd:
        a, b = odd[0]
        raise ValueError(
            f"{name} is not closed: {len(odd)} edges do not lie between two faces (first: vertices {a + 1}, {b + 1}); {SPLIT}"
        )
    points = vertices[used]
    try:
        planes = ConvexHull(points).equations
    except QhullError as error:
        raise ValueError(f"{name} is flat; {SPLIT}") from error
    middles = np.array([vertices[face].mean(0) for face in faces])
    depth = -(middles @ planes[:, :3].T + planes[:, 3]).max(1).min() / np.ptp(points, axis=0).max()
    if depth > NOT_CONVEX:
        raise ValueError(f"{name} is not convex: a face lies {depth:.3f} of its size under the convex hull; {SPLIT}")
    centre = points.mean(0)
    return Part("mesh", np.ptp(points, axis=0) / 2, centre, np.eye(3), points - centre)
