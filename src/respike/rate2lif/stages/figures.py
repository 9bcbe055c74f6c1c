"""Draw the figures: networks by themselves, and variants side by side in the roles that the config (figures) gives them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from scipy.stats import binomtest

from respike.core import files, measures, spikes, statistics, style
from respike.rate2lif import archives, conversion, fitted, tasks
from respike.rate2lif.network import Network
from respike.rate2lif.params import CONVERTED, RATE_STEP, STANDARD

OUTPUT_STEP = 0.001  # s between two kept samples of a LIF output
BEST = "best accuracy in the search"  # on the trials that chose the scale, as published
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # of kinds of trial
LOOKS = ({"fmt": "o-"}, {"fmt": "s--", "mfc": "none", "markersize": 7})  # of two curves: where they meet, both are seen
LOSSES = 0.1 * 2.0 ** np.arange(7)  # between which losses networks are counted together
KIND = ("activation", "smallest_tau", "largest_tau", "cells")  # facts that like networks have in common
PUBLISHED = {"sigmoid, 20, 50, 200": 94, "sigmoid, 20, 20, 200": 65, "softplus, 20, 50, 200": 55}  # of 100 (Fig. 2E and 7)
AXES_FROM = 0.5  # share of the trial from which the targeted axes are estimated: the response


@dataclass(frozen=True)
class Roles:
    """Which variant stands for what; lists are drawn side by side."""

    example: str  # Fig. 1B, 2B, S1, S2, evaluation script
    contextual: str  # Fig. 3, 4, S5
    motif: str  # Fig. S3
    sizes: tuple[str, ...]  # Fig. 1C, 2C
    largest_taus: tuple[str, ...]  # Fig. 2D, 2E
    decay: tuple[str, ...]  # Fig. 5
    activations: tuple[str, ...]  # Fig. 7
    tasks: tuple[str, ...]  # all tasks side by side
    conditions: str  # Fig. 6: the variant whose conditions are compared
    training_loss: tuple[str, ...]  # conversion against the loss after the training


@dataclass(frozen=True)
class Case:
    """A network that is drawn by itself."""

    network: Network
    history: pd.DataFrame
    activity: dict[str, np.ndarray]  # rate model
    shown: dict[str, np.ndarray]  # LIF network
    search: pd.DataFrame
    trials: pd.DataFrame
    fired: spikes.Spikes
    dataset: str


def run(
    *, example: list[Path], contextual: list[Path], motif: list[Path], metrics: Path, facts: Path, roles: Roles, folder: Path
) -> None:
    """Draw every figure into `folder`. Of the networks that are drawn by themselves the archives of all stages are given."""
    table, told = files.read_table(metrics, measures.COLUMNS), files.read_table(facts, measures.FACTS)
    case = opened(example)
    for draw in (training, scales, evaluation, rates):
        draw(case, folder)
    components(case, table[table["variant"] == roles.example], folder)
    case = opened(contextual)
    for draw in (contexts, contextual_cells, targeted_axes):
        draw(case, folder)
    motifs(opened(motif), table[table["variant"] == roles.motif], folder)
    sizes(table, roles.sizes, folder)
    largest_taus(table, roles.largest_taus, folder)
    bars(table, roles.decay, "fig5_decay", "fixed and tuned decay constants", folder, "LIF accuracy")
    activations = told[told["fact"] == "activation"].set_index("variant")["value"].to_dict()
    bars(table, roles.activations, "fig7_activations", "activation functions", folder, BEST, activations)
    bars(table, roles.tasks, "tasks", "tasks", folder, "LIF accuracy")
    conditions(table, roles.conditions, folder)
    training_loss(table, told, roles.training_loss, folder)


def opened(paths: list[Path]) -> Case:
    """The first network in the archives of its chunk."""
    source = archives.Archives(*paths)
    name = source.names[0]
    with source.unpacked(name) as folder:
        activity = files.read_arrays(folder / "activity.npz")
        return Case(
            network=fitted.read(folder / "scaled.mat"),
            activity=activity,
            shown=files.read_arrays(folder / "shown.npz"),
            **{name: files.read_table(folder / f"{name}.parquet") for name in ("history", "search", "trials")},
            fired=spikes.read(folder / "spikes.npz"),
            dataset=f"{name.variant}, {activity['origin']}",
        )


def training(case: Case, out: Path) -> None:
    """Fig. 1B: decay constants before and after training, mean outputs of the rate model; and the learning curve."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    decay_constants(left, case.network)
    by_group(middle, case, False, ylabel="output", title="rate model, mean ± sd over trials")
    right.plot(case.history["trials"], case.history["loss"], color="0.7", linewidth=0.5, label="training trials")
    right.plot("trials", "check_loss", "o-", data=case.history.dropna(subset="check_loss"), markersize=2, label="fresh trials")
    right.set(xlabel="trials seen", ylabel="loss", title="learning curve")
    right.legend()
    style.save(figure, out, "fig1_training", case.dataset)


def decay_constants(axes: Axes, network: Network) -> None:
    """Histogram of the decay constants, before training as well when the file has them."""
    tau = 1000 * network.decay()
    bins = np.linspace(5 * network.taus[0], 5 * network.taus[-1] + 1e-6, 21)
    axes.hist(tau, bins, color=style.EXCITATORY, label=f"trained, {tau.mean():.1f} ± {tau.std():.1f} ms")
    if "taus_gaus0" in network.extra:
        before = replace(network, taus_gaus=network.extra["taus_gaus0"].ravel())
        axes.hist(1000 * before.decay(), bins, histtype="step", color="black", label="before training")
    axes.set(xlabel="synaptic decay constant (ms)", ylabel="cells", title=f"{network.n_cells} cells", ymargin=0.3)
    axes.legend()


def by_group(axes: Axes, case: Case, lif: bool, **labels) -> None:
    """Mean and sd of the outputs of each kind of trial, of the LIF network or else of the rate model."""
    output, group = (case.shown["output"], case.shown["group"]) if lif else (case.activity["output"].T, case.activity["group"])
    time = OUTPUT_STEP * np.arange(output.shape[1]) if lif else RATE_STEP * np.arange(1, output.shape[1] + 1)
    axes.set(xlabel="time (s)", **labels)
    for color, name in zip(COLORS, sorted(set(group.tolist()), key=str.lower), strict=False):
        mean, sd = output[group == name].mean(0), output[group == name].std(0)
        axes.fill_between(time, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
        axes.plot(time, mean, color=color, label=name)
    axes.legend()


def scales(case: Case, out: Path) -> None:
    """Fig. 2B: the LIF output at several scales; and accuracy over the scales of the search."""
    figure, ((left, right),) = style.panels(1, 2)
    time = OUTPUT_STEP * np.arange(case.shown["scale_output"].shape[1])
    for scale, output in zip(case.shown["shown_scales"], case.shown["scale_output"], strict=True):
        left.plot(time, output, label=f"1/λ = {scale:g}", linewidth=0.8)
    left.set(xlabel="time (s)", ylabel="LIF output", title="same trial at several scales")
    left.set_yscale("symlog", linthresh=2)
    left.legend(loc="lower right", bbox_to_anchor=(1, 0.14))
    shares = 100 * case.search.groupby("scale")[["correct", "decided"]].mean()
    right.plot(shares.index, shares["correct"], "o-", label="published criterion")
    right.plot(shares.index, shares["decided"], "s--", color="0.5", label="mean output")
    right.axvline(float(case.shown["scale"]), color="black", linewidth=0.6, linestyle=":", label="chosen")
    n = case.search["trial"].nunique()
    right.set(xlabel="1/λ", ylabel="correct trials (%)", ylim=(-3, 103), title=f"search, {n} trials per scale")
    right.legend()
    style.save(figure, out, "fig2_scale", case.dataset)


def evaluation(case: Case, out: Path) -> None:
    """The published evaluation script: LIF outputs of a trial with and one without a response, and their rasters."""
    group, wanted = case.shown["group"], case.activity["wanted"]
    chosen = [int(np.argmax(kind)) for kind in (wanted[: len(group)] != 0, wanted[: len(group)] == 0) if kind.any()]
    figure, ((left, middle, right),) = style.panels(1, 3)
    time = OUTPUT_STEP * np.arange(case.shown["output"].shape[1])
    for trial, axes, color in zip(chosen, (middle, right), COLORS, strict=False):
        left.plot(time, case.shown["output"][trial], color=color, label=str(group[trial]))
        raster(axes, case, trial)
    left.set(xlabel="time (s)", ylabel="LIF output", title=f"1/λ = {float(case.shown['scale']):g}")
    left.legend()
    style.save(figure, out, "evaluation", case.dataset)


def raster(axes: Axes, case: Case, trial: int) -> None:
    """Raster of one trial, inhibitory cells below, excitatory above."""
    axes.set_title(f"{case.shown['group'][trial]}: excitatory orange, inhibitory blue")
    height = np.argsort(np.argsort(~case.network.inhibitory, kind="stable"))
    for cells, color in ((~case.network.inhibitory, style.EXCITATORY), (case.network.inhibitory, style.INHIBITORY)):
        kind = (case.fired.trial == trial) & cells[case.fired.cells]
        style.raster(axes, case.fired.times[kind], height[case.fired.cells[kind]], color)


def rates(case: Case, out: Path) -> None:
    """Fig. S1: mean rates of each cell in the rate model and in the LIF network, and their distributions."""
    figure, ((left, right),) = style.panels(1, 2)
    lif = cell_by_cell(left, case)
    for name, cells, color in kinds(case.network):
        right.hist(lif[cells], np.linspace(0, lif.max() + 1e-9, 25), histtype="step", color=color, label=name)
    right.set(xlabel="LIF firing rate (Hz)", ylabel="cells", title=f"mean over {case.fired.n_trials} trials", yscale="log")
    style.save(figure, out, "figS1_rates", case.dataset)


def cell_by_cell(axes: Axes, case: Case) -> Float[np.ndarray, " cell"]:
    """Mean rate of each cell in the LIF network against the one in the rate model; returns the LIF rates in Hz."""
    model = case.activity["mean_rate"][: case.fired.n_trials].mean(0)
    lif = statistics.rate(case.fired)
    for name, cells, color in kinds(case.network):
        axes.plot(model[cells], lif[cells], "o", markersize=2.5, color=color, label=name)
    r = np.corrcoef(model, lif)[0, 1]
    axes.set(xlabel="mean rate in the rate model", ylabel="LIF firing rate (Hz)", title=f"cell by cell, r = {r:.2f}")
    axes.legend()
    return lif


def kinds(network: Network) -> list[tuple[str, np.ndarray, str]]:
    """Name, members and colour of each kind of cell that the network has."""
    names, colors = ("excitatory", "inhibitory", "SST"), (style.EXCITATORY, style.INHIBITORY, COLORS[2])
    cells = (~network.inhibitory, network.inhibitory & ~network.sst(), network.sst())
    return [kind for kind in zip(names, cells, colors, strict=True) if kind[1].any()]


def mean_courses(case: Case) -> tuple[list[str], tuple[np.ndarray, np.ndarray]]:
    """Kinds of trial, and their mean rates (kind, step, cell) in the rate model and in the LIF network."""
    groups, of_all = sorted(set(case.shown["group"].tolist())), case.activity["groups"].tolist()
    return groups, (case.activity["course"][[of_all.index(name) for name in groups]], conversion.courses(case.shown))


def components(case: Case, table: pd.DataFrame, out: Path) -> None:
    """Fig. S2: mean courses of each kind of trial in the first two principal components of each network."""
    figure, (panels,) = style.panels(1, 2)
    groups, courses = mean_courses(case)
    first = table[table["seed"] == table["seed"].min()].set_index("metric")["value"]  # of the replica that is shown
    for axes, name, course in zip(panels, ("rate model", "LIF network"), courses, strict=True):
        flat, share = course.reshape(-1, course.shape[-1]), first[f"variance in three components, {name.split()[0]}"]
        directions = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2]
        for color, group, path in zip(COLORS, groups, (course - flat.mean(0)) @ directions[:2].T, strict=False):
            axes.plot(*path.T, color=color, label=group)
            axes.plot(*path[0], "o", color=color)
        axes.set(xlabel="component 1", ylabel="component 2", title=f"{name}: 3 components hold {share:.1f}%")
        axes.legend()
    style.save(figure, out, "figS2_components", case.dataset)


def motifs(case: Case, table: pd.DataFrame, out: Path) -> None:
    """Fig. S3: LIF rates of excitatory, other inhibitory (PV) and SST cells by kind of trial."""
    figure, ((left, right),) = style.panels(1, 2)
    groups = sorted(set(case.shown["group"].tolist()), reverse=True)
    for shift, (name, _, color) in enumerate(kinds(case.network)):
        values = [table.loc[table["metric"] == f"mean rate, {name}, {group}", "value"].mean() for group in groups]
        left.bar(np.arange(len(groups)) + 0.27 * (shift - 1), values, 0.25, color=color)
    left.set(xticks=range(len(groups)), xticklabels=groups, ylabel="LIF firing rate (Hz)", title="rates by kind of cell")
    left.legend([name.replace("inhibitory", "PV") for name, *_ in kinds(case.network)])
    by_group(right, case, True, ylabel="LIF output", title=f"mean ± sd, 1/λ = {float(case.shown['scale']):g}")
    style.save(figure, out, "figS3_motif", case.dataset)


def contexts(case: Case, out: Path) -> None:
    """Fig. 3B, 4A: contextual integration, outputs of the rate model and of the LIF network, and a raster per context."""
    figure, ((top_left, top_right), rasters) = style.panels(2, 2)
    by_group(top_left, case, False, ylabel="output", title="rate model, mean ± sd")
    by_group(top_right, case, True, ylabel="output", title=f"LIF network, mean ± sd, 1/λ = {float(case.shown['scale']):g}")
    group = case.shown["group"].tolist()
    for axes, name in zip(rasters, sorted({label[: len("context 1")] for label in group}), strict=False):
        raster(axes, case, next(i for i, label in enumerate(group) if label.startswith(name)))
    style.save(figure, out, "fig4_contextual", case.dataset)


def contextual_cells(case: Case, out: Path) -> None:
    """Fig. 4C-E: correct trials in each context, decay constants, and rates of the contextual network."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    standard = case.trials[case.trials["condition"] == STANDARD]
    responses = tasks.responses(case.activity["output"], tasks.TASKS["mante"].rate_window, tasks.TASKS["mante"].end)
    correct = pd.Series(tasks.is_correct(responses, case.activity["wanted"], True)).groupby(case.activity["group"])
    groups = sorted(set(standard["group"]))
    shares = {"rate model": correct.mean(), "LIF network": standard.groupby("group")["correct"].mean()}
    for shift, (name, share) in zip((-0.2, 0.2), shares.items(), strict=True):
        left.bar(np.arange(len(groups)) + shift, 100 * share[groups], 0.38, label=name, alpha=0.7)
    left.set_xticks(range(len(groups)), [group.replace("context ", "context\n") for group in groups])
    title = f"{len(standard)} trials of the LIF network"
    left.set(ylabel="correct trials (%)", yticks=range(0, 101, 20), ylim=(0, 125), title=title)
    left.legend(ncols=2, loc="upper center")
    decay_constants(middle, case.network)
    cell_by_cell(right, case)
    style.save(figure, out, "fig4_cells", case.dataset)


def targeted_axes(case: Case, out: Path) -> None:
    """Fig. S5: mean courses along the axes of choice and context, estimated from the response, in both networks."""
    figure, (panels,) = style.panels(1, 2)
    groups, courses = mean_courses(case)
    signs = np.array([[1 if name.endswith("+") else -1, 1 if name.startswith("context 1") else -1] for name in groups])
    for axes, name, course in zip(panels, ("rate model", "LIF network"), courses, strict=True):
        late = course[:, int(AXES_FROM * course.shape[1]) :].mean(1)
        directions, _ = np.linalg.qr(np.linalg.lstsq(signs, late - late.mean(0), rcond=None)[0].T)
        paths = (course - course.mean((0, 1))) @ directions
        paths = paths * np.sign((paths[:, -1] * signs).sum(0))
        for color, group, path in zip(COLORS, groups, paths, strict=False):
            axes.plot(*path.T, color=color, label=group, linewidth=0.8)
            axes.plot(*path[-1], "o", color=color)
        axes.set(xlabel="choice axis", ylabel="context axis", title=name)
        axes.legend()
    style.save(figure, out, "figS5_axes", case.dataset)


def values(table: pd.DataFrame, variant: str, metric: str) -> np.ndarray:
    """The values of all replicas of a variant."""
    return table.loc[(table["variant"] == variant) & (table["metric"] == metric), "value"].to_numpy()


def interval(met: np.ndarray) -> np.ndarray:
    """Down and up from the share (%) of values above 0 to the limits of its exact binomial 95% interval (Clopper-Pearson)."""
    return 100 * np.abs(np.subtract(binomtest(int((met > 0).sum()), len(met)).proportion_ci(), (met > 0).mean()))


def spread(axes: Axes, table: pd.DataFrame, variants: Sequence[str], of: str, metrics: dict, bars=np.std, **labels) -> None:
    """Mean over replicas and `bars` of the metrics, given with their labels, against the metric `of`, a point per variant."""
    for (metric, label), look in zip(metrics.items(), LOOKS, strict=False):
        rows = [(values(table, variant, of).mean(), values(table, variant, metric)) for variant in variants]
        x, y = [row[0] for row in rows], [row[1].mean() for row in rows]
        axes.errorbar(x, y, np.transpose([bars(row[1]) for row in rows]), capsize=2, label=label, **look)
    axes.set(xlabel=of.replace("largest tau", "largest decay constant (ms)"), **labels)


def sizes(table: pd.DataFrame, variants: Sequence[str], out: Path) -> None:
    """Fig. 1C and 2C: training and conversion against the number of cells."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    labels = {"ylabel": "correct trials (%)", "ylim": (-3, 125), "yticks": range(0, 101, 20), "title": "mean ± sd of networks"}
    spread(left, table, variants, "cells", {"rate accuracy": "rate model", "LIF accuracy": "LIF network"}, **labels)
    left.axhline(100 * CONVERTED, color="0.6", linewidth=0.6, linestyle=":")
    left.legend(ncols=2, loc="upper center")
    labels |= {"ylabel": "networks (%)", "title": f"{replicas(table, variants)} per size, 95% intervals"}
    spread(middle, table, variants, "cells", {"trained": "trained", "converted": "converted (≥ 95%)"}, interval, **labels)
    middle.legend(ncols=2, loc="upper center")
    spread(right, table, variants, "cells", {"trials to train": ""}, ylabel="trials to train")
    style.save(figure, out, "fig1_fig2_sizes", dataset(table, variants))


def largest_taus(table: pd.DataFrame, variants: Sequence[str], out: Path) -> None:
    """Fig. 2D, 2E: decay constants and conversion against the largest decay constant allowed."""
    figure, ((left, right),) = style.panels(1, 2)
    title = f"{replicas(table, variants)} per point"
    spread(left, table, variants, "largest tau", {"mean tau": ""}, ylabel="mean decay constant (ms)", title=title)
    labels = {"ylabel": "LIF accuracy in the search (%)", "ylim": (-3, 103), "title": "mean ± sd over networks"}
    spread(right, table, variants, "largest tau", {BEST: ""}, **labels)
    right.axhline(100 * CONVERTED, color="0.6", linewidth=0.6, linestyle=":")
    style.save(figure, out, "fig2_tau", dataset(table, variants))


def bars(table: pd.DataFrame, variants: Sequence[str], name: str, title: str, out: Path, lif: str, names=None) -> None:
    """Fig. 5 and 7: accuracy of rate model and LIF network of variants, by `names` if given; a dot for each network."""
    figure, ((axes,),) = style.panels(1, 1)
    for shift, metric, label in ((-0.2, "rate accuracy", "rate"), (0.2, lif, "LIF in the search" if lif == BEST else "LIF")):
        shares = [values(table, variant, metric) for variant in variants]
        x = np.arange(len(variants)) + shift
        axes.bar(x, [share.mean() for share in shares], 0.38, label=label, alpha=0.6)
        axes.plot(np.repeat(x, [len(share) for share in shares]), np.concatenate(shares), "k.", markersize=3)
    axes.axhline(100 * CONVERTED, color="0.4", linewidth=0.6, linestyle=":")
    scales = [f"1/λ = {values(table, one, 'best scale').mean():.3g}" for one in variants]
    names = [f"{(names or {}).get(one, one)}\n{at}".replace("_", " ") for one, at in zip(variants, scales, strict=True)]
    axes.set_xticks(range(len(variants)), names)
    axes.set(ylabel="correct trials (%)", yticks=range(0, 101, 20), ylim=(0, 125))
    axes.set_title(f"{title}, {replicas(table, variants)} each")
    axes.legend(ncols=2, loc="upper center")
    style.save(figure, out, name, dataset(table, variants))


def conditions(table: pd.DataFrame, variant: str, out: Path) -> None:
    """Fig. 6: the same networks with other LIF settings: refractory period, filter, lesions, ..."""
    start = "LIF accuracy, mean output"
    rows = table[table["variant"] == variant]
    names = [m.removeprefix(start).removeprefix(", ") for m in rows["metric"].unique() if m.startswith(start)]
    figure, ((axes,),) = style.panels(1, 1, height=0.6 + 0.28 * max(4, len(names)))
    for shift, (first, label) in enumerate((("LIF accuracy", "published criterion"), (start, "mean output"))):
        shares = [values(rows, variant, f"{first}, {name}" if name else first) for name in names]
        y, means, spreads = np.arange(len(names)) + 0.4 * shift - 0.2, [s.mean() for s in shares], [s.std() for s in shares]
        axes.barh(y, means, 0.38, xerr=spreads, label=label, alpha=0.7)
    axes.set_yticks(range(len(names)), [name or "standard" for name in names])
    axes.set(xlabel="correct trials (%)", xlim=(0, 104), title=f"{variant.replace('_', ' ')}: LIF settings")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.15), ncols=2)
    style.save(figure, out, "fig6_conditions", dataset(rows, [variant]))


def training_loss(table: pd.DataFrame, told: pd.DataFrame, variants: Sequence[str], out: Path) -> None:
    """Fig. 2E, 7: share of networks converted, and accuracy of each, against the loss after the training, by KIND."""
    figure, ((left, right),) = style.panels(1, 2, height=3.2)
    told = told.pivot_table("value", "variant", "fact", "first").reindex(columns=KIND).dropna().agg(", ".join, axis=1)
    networks = table[table["variant"].isin(variants)].pivot(index=["variant", "seed"], columns="metric", values="value")
    kinds = [told.get(variant, variant) for variant in networks.index.get_level_values("variant")]  # given: by themselves
    for number, (kind, rows) in enumerate(networks.groupby(kinds)):
        loss, bins, color = rows["final loss"], np.digitize(rows["final loss"], LOSSES), f"C{number}"
        counted = rows["converted in the search"].groupby(bins)
        spans = np.transpose([interval(part) for _, part in counted])
        left.errorbar(loss.groupby(bins).median(), counted.mean(), spans, fmt="o-", linewidth=0.8, capsize=2, color=color)
        left.axhline(PUBLISHED.get(kind, np.nan), color=color, linewidth=0.8, linestyle="--")
        right.plot(loss, rows[BEST], "o", markersize=3, color=color, label=f"{kind}: {len(rows)}")
    right.axhline(100 * CONVERTED, color="0.6", linewidth=0.6, linestyle=":")
    left.set_title("share and 95% interval; dashed: published")
    for axes, label in ((left, "networks converted (%)"), (right, "accuracy at the best scale (%)")):
        axes.set(xscale="log", xlabel="loss after the training", ylabel=label, ylim=(-3, 103))
        axes.set_xticks(LOSSES, map("{:g}".format, LOSSES))
        axes.minorticks_off()
    figure.legend(loc="outside lower center", ncols=3, title="activation, decay constants from, to (ms), cells: networks")
    style.save(figure, out, "training_loss", dataset(table, variants))


def replicas(table: pd.DataFrame, variants: Sequence[str]) -> str:
    """How many networks of each variant there are, in words."""
    counts = sorted({len(values(table, variant, "cells")) for variant in variants})
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))) + (" network" if counts == [1] else " networks")


def dataset(table: pd.DataFrame, variants: Sequence[str]) -> str:
    """The data sets of the variants."""
    return "; ".join(sorted(table.loc[table["variant"].isin(variants), "dataset"].unique()))
