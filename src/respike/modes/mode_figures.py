"""Figures of mode space: trajectories in the coordinates of the modes, and the importance of modes (figures 4a, 4c, 4d, 5)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from respike.core import style
from respike.core.tasks import OFFSET
from respike.modes import analysis
from respike.modes.measurement import ranked_importance
from respike.modes.trial_figures import COLORS
from respike.modes.trials import Trials

CONDITIONS = ((-OFFSET, "-"), (OFFSET, "+"))


def conditions(task: Trials, n: int) -> dict[str, np.ndarray]:
    """The first n trials by cued channel and sign of its evidence: "1+", "1-", "2+", "2-"."""
    cued = task["offsets"][np.arange(len(task["context"])), task["context"]]
    return {
        f"{context + 1}{sign}": np.flatnonzero((task["context"][:n] == context) & (cued[:n] == offset))
        for context in (0, 1)
        for offset, sign in CONDITIONS
    }


def projected(activity: np.ndarray, axes_count: int = 3) -> np.ndarray:
    """Three coordinates for a picture: the first three modes, or the modes there are and zeros."""
    missing = max(0, axes_count - activity.shape[-1])
    return np.pad(activity, [(0, 0)] * (activity.ndim - 1) + [(0, missing)])[..., :axes_count]


def space(figure: Figure, position: tuple[int, int, int], title: str) -> Axes:
    """Three-dimensional axes of mode space."""
    axes = figure.add_subplot(*position, projection="3d")
    axes.set_title(title)
    axes.tick_params(labelsize=5, pad=-3)
    return axes


def trajectories(task: Trials) -> Figure:
    """Trajectories in the space of the input modes and of the output modes, four conditions (figure 4a)."""
    figure = style.plt.figure(figsize=(2 * style.WIDTH, 3.2), layout="constrained")
    for number, (name, title) in enumerate((("through_pin", "pin$^T$ r"), ("through_pout", "pout$^T$ r")), 1):
        axes = space(figure, (1, 2, number), f"{title}; dots: end of the trial")
        clouds = projected(task[name])
        for color, (condition, chosen) in zip(COLORS, conditions(task, clouds.shape[1]).items(), strict=False):
            for trial in chosen[:6]:
                axes.plot(*clouds[:, trial].T, color=color, linewidth=0.4, alpha=0.6)
            axes.plot(*clouds[-1, chosen].T, ".", color=color, label=f"context {condition}")
        axes.legend(fontsize=6)
    return figure


def switches(switch: Trials, coordinates: str) -> Figure:
    """Trials that switch context, over the end points of plain trials (figure 4c; 4d in orthonormal coordinates)."""
    clouds = projected(switch[coordinates])
    plain = ~switch["switched"][: clouds.shape[1]]
    figure = style.plt.figure(figsize=(style.WIDTH, 3.2), layout="constrained")
    axes = space(figure, (1, 1, 1), "switch trials (lines) over plain trials (dots)")
    for color, (condition, chosen) in zip(COLORS, conditions(switch, clouds.shape[1]).items(), strict=False):
        ends = clouds[-10:, chosen[plain[chosen]]].reshape(-1, 3)
        axes.plot(*ends.T, ".", color=color, markersize=2, label=f"context {condition}")
        for trial in chosen[~plain[chosen]][:2]:
            axes.plot(*clouds[:, trial].T, color=color, linewidth=0.7)
    axes.legend(fontsize=6)
    return figure


def importance(variants: dict[str, list[Trials]]) -> Figure:
    """Scores against rank of the modes' importance, and log-log importance with the two fitted lines (figure 5)."""
    figure, axes = style.panels(1, 2)
    for color, (variant, members) in zip(COLORS, variants.items(), strict=False):
        tau, scores = ranked_importance(members)
        ranks = 1 + np.arange(len(tau))
        axes[0, 0].plot(ranks, scores, "o-", color=color, label=variant.replace("_", " "))
        axes[0, 1].loglog(ranks, tau, "o", color=color, markersize=3)
        for part, line in analysis.power_laws(tau, len(members[0]["pin"])):
            axes[0, 1].loglog(part, np.exp(np.polyval(line, np.log(part))), color=color, label=f"slope {line[0]:.3f}")
    axes[0, 0].set(xlabel="rank", ylabel="score |l|")
    axes[0, 0].legend()
    axes[0, 1].set(xlabel="rank", ylabel="importance $\\tau$")
    if axes[0, 1].get_legend_handles_labels()[0]:
        axes[0, 1].legend()
    return figure
