"""Pictures of the whisker array: its shape, an object of each class, one sweep's readings, and a short animation."""

from pathlib import Path

import numpy as np
from matplotlib import animation
from matplotlib import pyplot as plt
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from respike.barrel import params, recording, shapes, sweeps
from respike.barrel.whiskers import UNIT_LENGTH, centreline, whiskers
from respike.core import files, style

FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))  # of a box, by corner
EXAMPLE = 1  # object of each class that is shown
SHOWN = (0, 13, 21, 29)  # whiskers whose readings are shown
MOVIE_FRAMES = range(0, params.FRAMES, 5)


def run(*, folder: Path, settings: params.Sweeps, seed: int) -> None:
    """array.pdf, array.png and sweep.gif in `folder`."""
    things = [sweeps.place(sweeps.draw_object(kind, EXAMPLE, seed, settings), 0) for kind in range(len(params.CLASSES))]
    figure = plt.figure(figsize=(2 * style.WIDTH, 6.2))
    grid = figure.add_gridspec(3, 3, height_ratios=(1.6, 1, 1))
    readings = [sweeps.simulate(thing, settings.time_step) for thing in things]
    for k, (thing, (force, torque), name) in enumerate(zip(things, readings, params.CLASSES, strict=True)):
        axes = figure.add_subplot(grid[0, k], projection="3d")
        scene(axes, thing, params.FRAMES // 2 / params.FRAME_RATE)
        axes.set_title(f"{name} after 5.5 s")
        for row, (values, label) in enumerate(((force, "force"), (torque, "torque"))):
            axes = figure.add_subplot(grid[1 + row, k])
            traces(axes, values, f"{label} (arbitrary unit)" if k == 0 else "")
            axes.set_xlabel("time (s)" if row else "")
    figure.axes[1].legend(ncols=2, fontsize=6)
    style.save(figure, folder, "array", recording.STAND_IN)
    movie(folder / "sweep.gif", things[1])


def traces(axes, values: np.ndarray, label: str) -> None:
    """Modulus at the first link of some whiskers over time."""
    time = np.arange(len(values)) / params.FRAME_RATE
    for whisker in SHOWN:
        axes.plot(time, np.linalg.norm(values[:, whisker, 0], axis=-1) + 1, label=whiskers()[whisker].name, linewidth=0.9)
    axes.set(ylabel=label, yscale="log", ylim=(1, 1e5))


def scene(axes, thing: sweeps.Placed, time: float) -> None:
    """Whiskers at rest, and the object where it would be at `time` (s)."""
    for whisker in whiskers():
        line = centreline(whisker, UNIT_LENGTH, whisker.n_units)
        axes.plot(*line.T, color="black", linewidth=0.6)
    offset = thing.position + time * thing.velocity
    for part in thing.shape:
        corners = offset + box_corners(part) @ thing.rotation.T
        axes.add_collection3d(Poly3DCollection([corners[list(face)] for face in FACES], alpha=0.35, color=style.INHIBITORY))
    axes.set(xlim=(-50, 30), ylim=(-50, 30), zlim=(-75, 5))
    axes.set_box_aspect(None, zoom=1.25)
    for name in ("x", "y", "z"):
        getattr(axes, f"set_{name}label")(f"{name} (mm)", fontsize=6, labelpad=-9)
    axes.tick_params(labelsize=5, pad=-4)
    axes.view_init(18, -60)


def box_corners(part: shapes.Part) -> np.ndarray:
    """Eight corners around the part."""
    middle = 0 if part.vertices is None else (part.vertices.max(0) + part.vertices.min(0)) / 2
    return part.position + (middle + shapes.CORNERS * part.half) @ part.rotation.T


def movie(path: Path, thing: sweeps.Placed) -> None:
    """The object on its way through the array at rest, as an animated picture."""
    figure = plt.figure(figsize=(3.2, 3.0), dpi=70)
    axes = figure.add_subplot(projection="3d")

    def draw(frame: int) -> None:
        axes.clear()
        scene(axes, thing, frame / params.FRAME_RATE)
        axes.set_title(f"{recording.STAND_IN}, {frame / params.FRAME_RATE:.1f} s")

    shown = animation.FuncAnimation(figure, draw, frames=MOVIE_FRAMES)
    with files.whole(path) as temporary:
        shown.save(temporary, writer=animation.PillowWriter(fps=5), dpi=70)
    plt.close(figure)
