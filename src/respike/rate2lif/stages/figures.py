"""Draw the figures: networks one by one (here) and variants side by side (`comparisons`).

Which variant plays which part is the config block `rate2lif.figures`. Each function names the paper's figure it answers.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from respike.core import files, measures, spikes, style
from respike.core.style import EXCITATORY, INHIBITORY
from respike.rate2lif import archives, comparisons, tasks
from respike.rate2lif import network as networks
from respike.rate2lif.comparisons import Roles
from respike.rate2lif.network import Network
from respike.rate2lif.params import RATE_STEP
from respike.rate2lif.tasks import TASKS

OUTPUT_STEP = 0.001  # s between two kept samples of a LIF output
SST = "#009E73"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # of kinds of trial
AXES_FROM = 0.5  # share of the trial from which the targeted axes are estimated: the response


@dataclass(frozen=True)
class Files:
    """What is known of one network."""

    network: Network
    history: pd.DataFrame
    played: dict[str, np.ndarray]  # rate model
    shown: dict[str, np.ndarray]  # LIF network
    search: pd.DataFrame
    trials: pd.DataFrame
    fired: spikes.Spikes
    dataset: str


def run(*, folder: Path, chunks: list[str], metrics: Path, roles: Roles, out: Path) -> None:
    """Draw every figure into `out`; of the networks that are shown one by one, the first of their chunk in `chunks`."""
    table = files.read_table(metrics, measures.COLUMNS)
    first = {archives.Chunk.named(chunk).variant: chunk for chunk in reversed(chunks)}
    example, contextual, motif = (opened(folder, first[name]) for name in (roles.example, roles.contextual, roles.motif))
    training(example, out)
    scales(example, out)
    evaluation(example, out)
    rates(example, out)
    components(example, out)
    motifs(motif, table[table["variant"] == roles.motif], out)
    contexts(contextual, out)
    contextual_cells(contextual, out)
    targeted_axes(contextual, out)
    comparisons.draw(table, roles, out)


def opened(folder: Path, chunk: str) -> Files:
    """The files of the first network of a chunk."""
    with closing(archives.read(folder, chunk)) as networks_of_chunk:
        stem, its = next(networks_of_chunk)
        played = files.read_arrays(its / "activity.npz")
        return Files(
            network=networks.read(its / "scaled.mat"),
            history=files.read_table(its / "history.parquet"),
            played=played,
            shown=files.read_arrays(its / "shown.npz"),
            search=files.read_table(its / "search.parquet"),
            trials=files.read_table(its / "trials.parquet"),
            fired=spikes.read(its / "spikes.npz"),
            dataset=f"{stem.rsplit('_', 1)[0]}, {played['origin']}",
        )


def training(one: Files, out: Path) -> None:
    """Fig. 1B: decay constants before and after training, mean outputs of the rate model; and the learning curve."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    decay_constants(left, one.network)
    time = RATE_STEP * np.arange(1, len(one.played["output"]) + 1)
    by_group(middle, time, one.played["output"].T, one.played["group"])
    middle.set(xlabel="time (s)", ylabel="output", title="rate model, mean ± sd over trials")
    right.plot(one.history["trials"], one.history["loss"], color="0.7", linewidth=0.5, label="training trials")
    checks = one.history.dropna(subset="check_loss")
    right.plot(checks["trials"], checks["check_loss"], "o-", markersize=2, label="fresh trials")
    right.set(xlabel="trials seen", ylabel="loss", title="learning curve")
    right.legend()
    style.save(figure, out, "fig1_training", one.dataset)


def decay_constants(axes: Axes, network: Network) -> None:
    """Histogram of the decay constants, before training as well when the file has them."""
    tau = 1000 * network.decay()
    bins = np.linspace(5 * network.taus[0], 5 * network.taus[-1] + 1e-6, 21)
    axes.hist(tau, bins, color=EXCITATORY, label=f"trained, {tau.mean():.1f} ± {tau.std():.1f} ms")
    if "taus_gaus0" in network.extra:
        before = networks.decay(network.extra["taus_gaus0"].ravel(), network.taus)
        axes.hist(1000 * before, bins, histtype="step", color="black", label="before training")
    axes.set(xlabel="synaptic decay constant (ms)", ylabel="cells", title=f"{network.n_cells} cells")
    axes.margins(y=0.3)
    axes.legend()


def by_group(axes: Axes, time: np.ndarray, output: Float[np.ndarray, "trial time"], group: np.ndarray) -> None:
    """Mean and sd of the outputs of each kind of trial."""
    for color, name in zip(COLORS, sorted(set(group.tolist()), key=str.lower), strict=False):
        mean, sd = output[group == name].mean(0), output[group == name].std(0)
        axes.fill_between(time, mean - sd, mean + sd, color=color, alpha=0.2, linewidth=0)
        axes.plot(time, mean, color=color, label=name)
    axes.legend()


def scales(one: Files, out: Path) -> None:
    """Fig. 2B: the LIF output at several scales; and accuracy over the scales of the search."""
    figure, ((left, right),) = style.panels(1, 2)
    time = OUTPUT_STEP * np.arange(one.shown["scale_output"].shape[1])
    for scale, output in zip(one.shown["shown_scales"], one.shown["scale_output"], strict=True):
        left.plot(time, output, label=f"1/λ = {scale:g}", linewidth=0.8)
    left.set(xlabel="time (s)", ylabel="LIF output", title="same trial, three scales")
    left.set_yscale("symlog", linthresh=2)
    left.legend(loc="lower right", bbox_to_anchor=(1, 0.14))
    shares = 100 * one.search.groupby("scale")[["correct", "decided"]].mean()
    right.plot(shares.index, shares["correct"], "o-", label="published criterion")
    right.plot(shares.index, shares["decided"], "s--", color="0.5", label="mean output")
    right.axvline(float(one.shown["scale"]), color="black", linewidth=0.6, linestyle=":", label="chosen")
    n = one.search["trial"].nunique()
    right.set(xlabel="1/λ", ylabel="correct trials (%)", ylim=(-3, 103), title=f"search, {n} trials per scale")
    right.legend()
    style.save(figure, out, "fig2_scale", one.dataset)


def evaluation(one: Files, out: Path) -> None:
    """The published evaluation script: LIF outputs of a trial with and one without a response, and their rasters."""
    group, wanted = one.shown["group"], one.played["wanted"]
    chosen = [int(np.argmax(wanted[: len(group)] != 0)), int(np.argmax(wanted[: len(group)] == 0))]
    figure, ((left, middle, right),) = style.panels(1, 3)
    time = OUTPUT_STEP * np.arange(one.shown["output"].shape[1])
    for trial, axes, color in zip(chosen, (middle, right), COLORS, strict=False):
        left.plot(time, one.shown["output"][trial], color=color, label=str(group[trial]))
        raster(axes, one, trial)
        axes.set_title(f"{group[trial]}: excitatory red, inhibitory blue")
    left.set(xlabel="time (s)", ylabel="LIF output", title=f"1/λ = {float(one.shown['scale']):g}")
    left.legend()
    style.save(figure, out, "evaluation", one.dataset)


def raster(axes: Axes, one: Files, trial: int) -> None:
    """Raster of one trial, inhibitory cells below, excitatory above."""
    place = np.argsort(np.argsort(~one.network.inhibitory, kind="stable"))
    here = one.fired.trial == trial
    for cells, color in ((~one.network.inhibitory, EXCITATORY), (one.network.inhibitory, INHIBITORY)):
        kind = here & cells[one.fired.cells]
        style.raster(axes, one.fired.times[kind], place[one.fired.cells[kind]], color)


def rates(one: Files, out: Path) -> None:
    """Fig. S1: mean rates of each cell in the rate model and in the LIF network, and their distributions."""
    figure, ((left, right),) = style.panels(1, 2)
    lif = cell_by_cell(left, one)
    for name, cells, color in kinds(one.network):
        right.hist(lif[cells], np.linspace(0, lif.max() + 1e-9, 25), histtype="step", color=color, label=name)
    right.set(xlabel="LIF firing rate (Hz)", ylabel="cells", title=f"mean over {one.fired.n_trials} trials", yscale="log")
    style.save(figure, out, "figS1_rates", one.dataset)


def cell_by_cell(axes: Axes, one: Files) -> Float[np.ndarray, " cell"]:
    """Mean rate of each cell in the LIF network against the one in the rate model; returns the LIF rates in Hz."""
    model = one.played["mean_rate"][: one.fired.n_trials].mean(0)
    lif = np.bincount(one.fired.cells, minlength=one.fired.n_cells) / (one.fired.duration * one.fired.n_trials)
    for name, cells, color in kinds(one.network):
        axes.plot(model[cells], lif[cells], "o", markersize=2.5, color=color, label=name)
    r = np.corrcoef(model, lif)[0, 1]
    axes.set(xlabel="mean rate in the rate model", ylabel="LIF firing rate (Hz)", title=f"cell by cell, r = {r:.2f}")
    axes.legend()
    return lif


def kinds(network: Network) -> list[tuple[str, np.ndarray, str]]:
    """Name, members and colour of each kind of cell that the network has."""
    sst, excitatory = network.sst(), ~network.inhibitory
    every = [("excitatory", excitatory, EXCITATORY), ("inhibitory", network.inhibitory & ~sst, INHIBITORY), ("SST", sst, SST)]
    return [kind for kind in every if kind[1].any()]


def components(one: Files, out: Path) -> None:
    """Fig. S2: mean courses of each kind of trial in the first two principal components of each network."""
    figure, (panels,) = style.panels(1, 2)
    groups = sorted(set(one.shown["group"].tolist()))
    lif = np.stack([one.shown["filtered"][one.shown["group"] == name].mean(0) for name in groups])
    rate = one.played["course"][[one.played["groups"].tolist().index(name) for name in groups]]
    for axes, name, course in zip(panels, ("rate model", "LIF network"), (rate, lif), strict=True):
        flat = course.reshape(-1, course.shape[-1])
        _, size, directions = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
        share = 100 * (size**2)[:3].sum() / (size**2).sum()
        for color, group, path in zip(COLORS, groups, (course - flat.mean(0)) @ directions[:2].T, strict=False):
            axes.plot(*path.T, color=color, label=group)
            axes.plot(*path[0], "o", color=color)
        axes.set(xlabel="component 1", ylabel="component 2", title=f"{name}: 3 components hold {share:.1f}%")
        axes.legend()
    style.save(figure, out, "figS2_components", one.dataset)


def motifs(one: Files, table: pd.DataFrame, out: Path) -> None:
    """Fig. S3: LIF rates of excitatory, other inhibitory (PV) and SST cells by kind of trial."""
    figure, ((left, right),) = style.panels(1, 2)
    present = kinds(one.network)
    groups = sorted(set(one.shown["group"].tolist()), reverse=True)
    for shift, (name, _, color) in enumerate(present):
        values = [mean_of(table, f"mean rate, {name}, {group}") for group in groups]
        left.bar(np.arange(len(groups)) + 0.27 * (shift - 1), values, 0.25, color=color, label=name)
    left.set(xticks=range(len(groups)), xticklabels=groups, ylabel="LIF firing rate (Hz)", title="rates by kind of cell")
    left.legend()
    time = OUTPUT_STEP * np.arange(one.shown["output"].shape[1])
    by_group(right, time, one.shown["output"], one.shown["group"])
    right.set(xlabel="time (s)", ylabel="LIF output", title=f"mean ± sd, 1/λ = {float(one.shown['scale']):g}")
    style.save(figure, out, "figS3_motif", one.dataset)


def mean_of(table: pd.DataFrame, metric: str) -> float:
    """Mean over replicas of a metric; nan when it was not measured."""
    return table.loc[table["metric"] == metric, "value"].mean()


def contexts(one: Files, out: Path) -> None:
    """Fig. 3B, 4A: contextual integration, outputs of the rate model and of the LIF network, and a raster per context."""
    figure, panels = style.panels(2, 2)
    (top_left, top_right), rasters = panels
    rate_time = RATE_STEP * np.arange(1, len(one.played["output"]) + 1)
    by_group(top_left, rate_time, one.played["output"].T, one.played["group"])
    lif_time = OUTPUT_STEP * np.arange(one.shown["output"].shape[1])
    by_group(top_right, lif_time, one.shown["output"], one.shown["group"])
    top_left.set(xlabel="time (s)", ylabel="output", title="rate model, mean ± sd")
    top_right.set(xlabel="time (s)", ylabel="output", title=f"LIF network, mean ± sd, 1/λ = {float(one.shown['scale']):g}")
    group = one.shown["group"].tolist()
    for axes, name in zip(rasters, sorted({one_of[: len("context 1")] for one_of in group}), strict=False):
        trial = next(i for i, one_of in enumerate(group) if one_of.startswith(name))
        raster(axes, one, trial)
        axes.set_title(f"{group[trial]}: excitatory red, inhibitory blue")
    style.save(figure, out, "fig4_contextual", one.dataset)


def contextual_cells(one: Files, out: Path) -> None:
    """Fig. 4C-E: correct trials in each context, decay constants, and rates of the contextual network."""
    figure, ((left, middle, right),) = style.panels(1, 3)
    standard = one.trials[one.trials["condition"] == "standard"]
    task, wanted = TASKS["mante"], one.played["wanted"]
    seen = tasks.responses(one.played["output"], task.rate_window, task.end)
    correct = pd.Series(tasks.is_correct(seen, wanted, quiet_both_ways=True)).groupby(one.played["group"])
    groups = sorted(set(standard["group"]))
    shares = {"rate model": correct.mean(), "LIF network": standard.groupby("group")["correct"].mean()}
    for shift, (name, share) in zip((-0.2, 0.2), shares.items(), strict=True):
        left.bar(np.arange(len(groups)) + shift, 100 * share[groups], 0.38, label=name, alpha=0.7)
    left.set_xticks(range(len(groups)), [group.replace("context ", "context\n") for group in groups])
    left.set(
        ylabel="correct trials (%)",
        yticks=range(0, 101, 20),
        ylim=(0, 125),
        title=f"{len(standard)} trials of the LIF network",
    )
    left.legend(ncols=2, loc="upper center")
    decay_constants(middle, one.network)
    cell_by_cell(right, one)
    style.save(figure, out, "fig4_cells", one.dataset)


def targeted_axes(one: Files, out: Path) -> None:
    """Fig. S5: mean courses along the axes of choice and context, estimated from the response, in both networks."""
    figure, (panels,) = style.panels(1, 2)
    groups = sorted(set(one.shown["group"].tolist()))
    lif = np.stack([one.shown["filtered"][one.shown["group"] == name].mean(0) for name in groups])
    rate = one.played["course"][[one.played["groups"].tolist().index(name) for name in groups]]
    signs = np.array([[1 if name.endswith("+") else -1, 1 if name.startswith("context 1") else -1] for name in groups])
    for axes, name, course in zip(panels, ("rate model", "LIF network"), (rate, lif), strict=True):
        late = course[:, int(AXES_FROM * course.shape[1]) :].mean(1)
        directions, _ = np.linalg.qr(np.linalg.lstsq(signs, late - late.mean(0), rcond=None)[0].T)
        paths = (course - course.mean((0, 1))) @ directions
        paths = paths * np.sign((paths[:, -1] * signs).sum(0))
        for color, group, path in zip(COLORS, groups, paths, strict=False):
            axes.plot(*path.T, color=color, label=group, linewidth=0.8)
            axes.plot(*path[-1], "o", color=color)
        axes.set(xlabel="choice axis", ylabel="context axis", title=name)
        axes.legend()
    style.save(figure, out, "figS5_axes", one.dataset)
