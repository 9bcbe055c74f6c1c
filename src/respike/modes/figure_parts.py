"""What the figures of modes share: colours, and the figure that says what it would need."""

from pathlib import Path

from respike.core import style
from respike.modes.params import DT
from respike.modes.trials import Trials

MS = 1000 * DT
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def dataset_of(trials: Trials | None) -> str:
    """Name of the data set, for the corner of a figure."""
    return str(trials["dataset"]) if trials else ""


def absent(folder: Path, name: str, what: str) -> None:
    """A figure that says what it would need."""
    figure, axes = style.panels()
    axes[0, 0].text(0.5, 0.5, f"this run holds no {what}", ha="center", va="center")
    axes[0, 0].set_axis_off()
    style.save(figure, folder, name, "")
