"""Figure of the inference: is each posterior calibrated, do proposals do what they were asked, and ways to propose."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from respike.core import calibration, style
from respike.fsbi.inference.targets import relation

METHODS = {
    "prior": "prior",
    "prior_thinned": "prior, thinned",
    "npe_linear": "estimator, metrics as they are",
    "npe_log": "estimator, log metrics",
    "npe_log_ensemble": "ensemble, log metrics",
    "npe_log_ensemble_thinned": "ensemble, thinned",
    "npe_log_ensemble_predicted": "ensemble, thinned by prediction",
    "npe_truncated": "truncated prior, then estimator",
    "posterior_exact": "exact posterior",
}
COLORS = ("#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#000000")  # of the rounds that were proposed
Examined = dict[str, np.ndarray]


def draw(examined: list[Examined], rounds: list[pd.DataFrame], compare: pd.DataFrame) -> Figure:
    """Above: ranks, joint coverage, rates asked for and found. Below: how far they follow, ways to propose."""
    figure, axes = style.panels(2, 3)
    draw_coverage(axes[0, 0], examined, {"": lambda one: [calibration.coverage(ranks) for ranks in one["ranks"].T]})
    density = lambda one: [calibration.coverage(1 - one["joint"])]  # noqa: E731
    draw_coverage(axes[0, 1], examined, {"density": density, "TARP": lambda one: [calibration.Coverage(*one["tarp"])]})
    axes[0, 0].set(xlabel="rank of the true parameter", ylabel="share of ranks below, minus rank", title="each parameter")
    axes[0, 1].set(xlabel="credibility", ylabel="coverage minus credibility", title="all parameters together")
    draw_aims(axes[0, 2], rounds)
    draw_curve(axes[1, 0], compare)
    draw_attainable(axes[1, 1], examined, rounds)
    share = compare.set_index("method")["acceptance"]
    shown = [name for name in METHODS if name in share]
    axes[1, 2].barh(range(len(shown)), share[shown], color=["0.7" if "exact" in name else "#56B4E9" for name in shown])
    axes[1, 2].set_yticks(range(len(shown)), [METHODS[name] for name in shown], fontsize=6)
    axes[1, 2].invert_yaxis()
    axes[1, 2].set(xlabel="share of proposals inside the aim", title="surrogate: equal budget", xlim=(0, 1))
    return figure


def draw_coverage(axes: Axes, examined: list[Examined], kinds: dict) -> None:
    """Distance of the curves of each kind from the diagonal, a colour per round.

    Grey: where chance keeps all curves of a kind, 95 % (Bonferroni), for the round with the fewest rules.
    """
    shown, reach = [one for one in examined if len(one["ranks"])], 0.0
    for one in shown:
        for (kind, curves), dash in zip(kinds.items(), ("-", "--"), strict=False):
            label, drawn = f"pi{int(one['round'])}, {len(one['ranks'])} rules {kind}", curves(one)
            for credibility, coverage in drawn:
                color = COLORS[(int(one["round"]) - 1) % 5]
                axes.plot(credibility, coverage - credibility, dash, color=color, linewidth=0.6, label=label)
                label = None  # once for all curves
        reach = max(reach, calibration.band(len(one["ranks"]), 1 - 0.05 / len(drawn)))
    axes.axhspan(-reach, reach, color="0.92", zorder=0)
    if shown:
        axes.legend(fontsize=5)


def draw_aims(axes: Axes, rounds: list[pd.DataFrame]) -> None:
    """Rate that each proposal was made for and the rate it has; dotted: where they are equal."""
    for number, table in enumerate(rounds):
        if "aim_rate" in table:
            label = f"pi{number}, n = {len(table)}, r = {relation(table, 'rate')[0]:.2f}"
            axes.plot(table["aim_rate"] + 0.01, table["rate"] + 0.01, ".", color=COLORS[(number - 1) % 5], label=label)
    axes.set(xscale="log", yscale="log", title="proposals")
    axes.axline((1, 1), (10, 10), color="0.5", linestyle=":", linewidth=0.8)
    axes.set(xlabel="rate aimed at + 0.01 (Hz)", ylabel="rate + 0.01 (Hz)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=5)


def draw_curve(axes: Axes, compare: pd.DataFrame) -> None:
    """On the surrogate: correlation of log rates asked for and found against the number of rules that were learned from."""
    for name, label in {"asked_npe": "estimator", "asked_predicted": "thinned by prediction"}.items():
        rows = compare[compare["method"] == name]
        axes.plot(rows["rules"], rows["relation"], ".-", label=label)
    for exact in compare.loc[compare["method"] == "asked_exact", "relation"]:
        axes.axhspan(0.9 * exact, exact, color="0.92", zorder=0, label="exact, and within 10 %")
    axes.set(ylabel="correlation of log rates", title="surrogate: asked and found")
    count_rules(axes)
    axes.legend(fontsize=5)


def draw_attainable(axes: Axes, examined: list[Examined], rounds: list[pd.DataFrame]) -> None:
    """Here: `targets.relation` as far as rules can be predicted (lines), and as found (open), for each metric of a round."""
    for one in examined:
        number = int(one["round"])
        for column, name in enumerate(one["condition_names"]):
            color, look = COLORS[(number - 1) % 5], ("o-", "s--", "D:", "^-.")[column % 4]
            axes.plot(one["learned"], one["attainable"][:, column], look, color=color, ms=2, label=f"pi{number}, {name}")
            found = relation(rounds[number], name)[0] if f"aim_{name}" in rounds[number] else np.nan
            axes.plot(one["learned"][-1], found, look[0], color=color, markersize=7, markerfacecolor="none")
    axes.set(ylabel="correlation of (log) values", title="here: attainable and found")
    count_rules(axes)
    if examined:
        axes.legend(fontsize=5)


def count_rules(axes: Axes) -> None:
    """Numbers of rules to the right, on a logarithmic axis with a tick at 1, 2 and 5 of each power of ten."""
    axes.set(xscale="log", xlabel="rules to learn from")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
