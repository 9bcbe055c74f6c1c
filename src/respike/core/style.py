"""How figures look: sizes, colours, the raster, and saving each figure as PDF and PNG."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Float, Int

from respike.core import files

mpl.use("agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend comes first)
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

EXCITATORY, INHIBITORY = "#D55E00", "#0072B2"
WIDTH = 3.6  # one column, inches; a page is twice as wide

mpl.rcdefaults()  # not what the user's matplotlibrc says: figures are the same bytes everywhere
plt.style.use(Path(__file__).with_name("respike.mplstyle"))


def panels(rows: int = 1, columns: int = 1, height: float = 2.7, width: float = WIDTH, **options) -> tuple[Figure, np.ndarray]:
    """Figure of rows x columns panels, each `width` inches wide and `height` high, and the array of axes."""
    return plt.subplots(rows, columns, figsize=(width * columns, height * rows), squeeze=False, **options)


def raster(axes: Axes, times: Float[np.ndarray, " spike"], cells: Int[np.ndarray, " spike"], color: str = "black") -> None:
    """A dot for each spike: time in s to the right, cell number upwards."""
    axes.plot(times, cells, ".", markersize=1.5, markeredgewidth=0, color=color)
    axes.set(xlabel="time (s)", ylabel="cell")


def save(figure: Figure, folder: str | Path, name: str, dataset: str) -> None:
    """Write folder/name.pdf and .png, the data set in a strip at the bottom; a curve of one point becomes a visible dot."""
    strip = 0.16 / figure.get_figheight()
    figure.get_layout_engine().set(rect=(0, strip, 1, 1 - strip))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:  # the layout wavers in its last digits from run to run
        axes.set_position(np.round(axes.get_position(original=True).bounds, 4))
        plt.setp([line for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 1], marker="o")
    figure.text(0.995, 0.003, dataset, ha="right", va="bottom", fontsize=5, color="0.5")
    for suffix in ("pdf", "png"):
        with files.whole(Path(folder) / f"{name}.{suffix}") as temporary:  # no date in it: the same figure, the same bytes
            figure.savefig(temporary, metadata={"CreationDate": None} if suffix == "pdf" else {"Software": None})
    plt.close(figure)
