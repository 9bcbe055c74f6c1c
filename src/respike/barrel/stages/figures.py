"""The figures of the study; each says which data it shows."""

import typing
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import animation
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from scipy import stats

from respike.barrel import analysis, anatomy, encoding, params, recording
from respike.barrel.sweeps import objects, simulation
from respike.barrel.sweeps.whiskers import NAMES, UNIT_LENGTH, centreline, whiskers
from respike.core import files, style

BEFORE, AFTER = "0.6", style.EXCITATORY
FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))  # of a box, by corner
EXAMPLE = 1  # object of each class that is shown
SHOWN = (0, 13, 21, 29)  # whiskers whose readings are shown


def run(
    *,
    histories: list[Path],
    wirings: list[Path],
    starts: list[Path],
    scan: Path,
    deprivation: Path,
    responses: Path,
    inputs: Path,
    meshes: list[Path],
    repeats: int,
    sweeps: params.Sweeps,
    seed: int,
    folder: Path,
) -> None:
    """All figures as PDF and PNG, and one sweep as an animated picture, in `folder`."""
    response = files.read_arrays(responses)
    dataset = str(response["dataset"])
    drawn = {
        "encoding": encoding_check(files.read_arrays(inputs, "values")["values"], int(response["seed"]), repeats),
        "initialisation": initialisation(files.read_table(scan), joined(starts) if starts else None),
        "training": training(joined(histories)),
        "raster": raster(response),
        "selectivity": selectivity(response),
        "time_constants": time_constants(response, slice(0, 4), 4),
        "time_constants_all": time_constants(response, slice(0, 13), 13),
        "rates": driven_rates(response),
        "degrees": degrees(response),
        "deprivation": deprived(files.read_table(deprivation)),
        "ablation": best_by_wiring(joined(wirings)),
    }
    for name, figure in drawn.items():
        style.save(figure, folder, name, dataset)
    placed = [objects.draw(kind, EXAMPLE, 0, seed, sweeps, meshes) for kind in range(len(params.CLASSES))]
    style.save(array(placed, sweeps.time_step), folder, "array", recording.STAND_IN)
    movie(folder / "sweep.gif", placed[1])


def joined(paths: list[Path]) -> pd.DataFrame:
    """Courses of several trainings, one below the other."""
    return pd.concat([files.read_table(path) for path in paths])


def array(placed: list[objects.Object], time_step: float):
    """The whisker array with an object of each class, and what one sweep of each gives."""
    figure = plt.figure(figsize=(2 * style.WIDTH, 6.2))
    grid = figure.add_gridspec(3, 3, height_ratios=(1.6, 1, 1))
    readings = [simulation.simulate(one, time_step) for one in placed]
    time = np.arange(params.FRAMES) / params.FRAME_RATE
    for k, (one, reading, name) in enumerate(zip(placed, readings, params.CLASSES, strict=True)):
        axes = figure.add_subplot(grid[0, k], projection="3d")
        scene(axes, one, params.FRAMES // 2 / params.FRAME_RATE)
        axes.set_title(f"{name} after 5.5 s")
        for row, (values, label) in enumerate(zip(reading, ("force", "torque"), strict=True)):
            axes = figure.add_subplot(grid[1 + row, k])
            for whisker in SHOWN:
                modulus = np.linalg.norm(values[:, whisker, 0], axis=-1)
                axes.plot(time, modulus + 1, label=NAMES[whisker], linewidth=0.9)
            axes.set(ylabel=f"{label} + 1 (arbitrary unit)" if k == 0 else "", yscale="log", ylim=(1, 1e5))
            axes.set_xlabel("time (s)" if row else "")
    figure.axes[1].legend(ncols=2, fontsize=6)
    return figure


def scene(axes: Axes, placed: objects.Object, time: float) -> None:
    """Whiskers at rest, and the object where it would be at `time` (s)."""
    for whisker in whiskers():
        axes.plot(*centreline(whisker, UNIT_LENGTH, whisker.n_units).T, color="black", linewidth=0.6)
    offset = placed.position + time * placed.velocity
    for part in placed.shape:
        corners = offset + placed.rotation.apply(part.box().corners())
        axes.add_collection3d(Poly3DCollection([corners[list(face)] for face in FACES], alpha=0.35, color=style.INHIBITORY))
    axes.set(xlim=(-50, 30), ylim=(-50, 30), zlim=(-75, 5), xticks=(-40, -20, 0, 20), yticks=(-40, -20, 0, 20))
    axes.set_box_aspect(None, zoom=1.25)
    for name in ("x", "y", "z"):
        getattr(axes, f"set_{name}label")(f"{name} (mm)", fontsize=6, labelpad=-9)
    axes.tick_params(labelsize=5, pad=-4)
    axes.view_init(18, -60)


def movie(path: Path, placed: objects.Object) -> None:
    """The object on its way through the array at rest, as an animated picture."""
    figure = plt.figure(figsize=(3.2, 3.0), dpi=70)
    axes = figure.add_subplot(projection="3d")

    def draw(frame: int) -> None:
        axes.clear()
        scene(axes, placed, frame / params.FRAME_RATE)
        axes.set_title(f"{recording.STAND_IN}, {frame / params.FRAME_RATE:.1f} s")

    shown = animation.FuncAnimation(figure, draw, frames=range(0, params.FRAMES, 5))
    with files.whole(path) as temporary:
        shown.save(temporary, writer=animation.PillowWriter(fps=5), dpi=70)
    plt.close(figure)


def encoding_check(values: np.ndarray, seed: int, repeats: int):
    """Spike probability of force at the first link of the first whisker, and the share of repeats with a spike."""
    figure, axes = style.panels(1, 2)
    for axis, channel, kind in zip(axes[0], (0, params.CHANNELS), ("force", "torque"), strict=True):
        p = values[0, :, channel]
        drawn = encoding.draw(p[None, :, None].repeat(repeats, 1), np.array([0]), seed)
        time = np.arange(len(p)) / params.FRAME_RATE
        axis.step(time, drawn.reshape(-1, repeats).mean(1), color=BEFORE, where="mid", label=f"share of {repeats} draws")
        axis.plot(time, p, color=AFTER, label="probability")
        title = f"{kind}, whisker A0, link 1"
        axis.set(xlabel="time in the sweep (s)", ylabel="probability of a spike", title=title, ylim=(-0.03, 1.03))
    axes[0, 1].legend()
    return figure


def initialisation(table: pd.DataFrame, history: pd.DataFrame | None):
    """Irregularity before training over initial weight and threshold; accuracy over epochs from some of the points."""
    figure, axes = style.panels(1, 2)
    grid = table.pivot(index="initial_weight", columns="baseline", values="cv")
    image = axes[0, 0].imshow(grid, origin="lower", aspect="auto")
    axes[0, 0].set(xlabel="initial threshold init_b", ylabel="largest initial weight init_w", title="CV before training")
    axes[0, 0].set_xticks(range(grid.shape[1]), [f"{value:g}" for value in grid.columns])
    axes[0, 0].set_yticks(range(grid.shape[0]), [f"{value:g}" for value in grid.index])
    figure.colorbar(image, ax=axes[0, 0], label="mean CV of spike trains")
    if history is None:
        axes[0, 1].set_axis_off()
        axes[0, 1].text(0.5, 0.5, "no network was trained from these points", ha="center", va="center")
        return figure
    for k, ((cv, weight, baseline), part) in enumerate(history.groupby(["cv", "initial_weight", "baseline"])):
        label = f"CV {cv:.2f}: w {weight:g}, b {baseline:g}"
        for _, one in part.groupby("replicate"):
            axes[0, 1].plot(one["step"] + 1, one["test"], color=f"C{k}", label=label)
            label = None  # once for all networks of a point
    chance(axes[0, 1])
    axes[0, 1].set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    axes[0, 1].legend()
    return figure


def chance(axes: Axes) -> None:
    """Line at the accuracy of guessing."""
    axes.axhline(1 / len(params.CLASSES), color="0.7", linestyle=":", linewidth=0.8)


def training(table: pd.DataFrame):
    """Accuracy, loss and steepest gradient over epochs; every seed of a form in the same colour."""
    figure, axes = style.panels(1, 3)
    for color, (form, part) in zip((style.INHIBITORY, style.EXCITATORY), table.groupby("form"), strict=False):
        for k, (_, one) in enumerate(part.groupby("replicate")):
            axes[0, 0].plot(one["step"] + 1, one["test"], color=color, label=f"{form}, test" if k == 0 else None)
            train = f"{form}, training" if k == 0 else None
            axes[0, 0].plot(one["step"] + 1, one["train"], color=color, linestyle=":", linewidth=0.8, label=train)
            axes[0, 1].plot(one["step"] + 1, one["loss"], color=color)
            axes[0, 2].plot(one["step"] + 1, one["gradient"], color=color)
    chance(axes[0, 0])
    axes[0, 0].set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    axes[0, 0].legend()
    axes[0, 1].set(xlabel="epoch", ylabel="loss")
    axes[0, 2].set(xlabel="epoch", ylabel="largest norm of the gradient", yscale="log")
    return figure


def edges(sizes: np.ndarray) -> np.ndarray:
    """First cell of each population, and the number of cells."""
    return np.concatenate([[0], np.cumsum(sizes)])


def raster(response: dict[str, np.ndarray]):
    """Spikes of one trial of the trained network, and the rates of the four groups of cells."""
    column = anatomy.load()
    excitatory, layer = column.excitatory[1:], np.array(column.layers[1:])
    spikes, population = response["trained_raster"], np.repeat(np.arange(13), response["sizes"])
    figure, axes = style.panels(2, 1, 2.3, 2 * style.WIDTH, sharex=True, gridspec_kw={"height_ratios": [2, 1]})
    cell, step = np.nonzero(spikes)
    for color, mine in ((style.EXCITATORY, excitatory), (style.INHIBITORY, ~excitatory)):
        chosen = mine[population[cell]]
        axes[0, 0].plot(step[chosen], cell[chosen], ".", markersize=1.5, markeredgewidth=0, color=color)
    axes[0, 0].axhline(response["sizes"][layer == "4"].sum() - 0.5, color="black", linewidth=0.8)
    axes[0, 0].set(
        ylabel="cell (L4 below the line, L2/3 above)", title="trained network, one helmet", ylim=(-0.5, len(spikes) - 0.5)
    )
    for name, where, style_ in (("L4", layer == "4", "-"), ("L2/3", layer == "2/3", "--")):
        for kind, color, mine in (("E", style.EXCITATORY, excitatory), ("I", style.INHIBITORY, ~excitatory)):
            rate = analysis.binned_rate(spikes[(where & mine)[population]])
            time = (np.arange(len(rate)) + 0.5) * params.RATE_BIN
            axes[1, 0].plot(time, rate, style_, color=color, label=f"{name} {kind}")
    axes[1, 0].set(xlabel="step (1 ms)", ylabel="spikes per 10 steps\nand 100 cells")
    axes[1, 0].legend(ncols=4)
    return figure


def selectivity(response: dict[str, np.ndarray]):
    """Cells in the triangle of the classes under each condition, by the published test; second row by trials."""
    figure, axes = style.panels(2, 3, 3.3)
    tests = (
        ("published test", lambda name: analysis.selectivity_by_steps(response[f"{name}_sums"], response["label"])),
        ("trials, FDR", lambda name: analysis.selectivity_by_trials(response[f"{name}_counts"], response["label"])),
    )
    for row, (test, measure) in zip(axes, tests, strict=True):
        for axis, (name, title) in zip(
            row, (("initial", "untrained"), ("trained", "trained"), ("shuffled", "trained, senders shuffled")), strict=True
        ):
            result = measure(name)
            triangle(axis, result)
            share = result.selective.mean()
            axis.set_title(f"{title}, {test}:\n{result.selective.sum()} of {len(result.p)} cells ({share:.0%}) selective")
    axes[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, -0.12), ncols=2, markerscale=2)
    return figure


def triangle(axis: Axes, result: analysis.Selectivity) -> None:
    """Cells in the plane, with the axes of the three classes."""
    reach = max(0.05, float(np.abs(result.position).max()) * 1.15)
    for angle, name in zip((210, 90, 330), params.CLASSES, strict=True):
        x, y = reach * np.cos(np.radians(angle)), reach * np.sin(np.radians(angle))
        axis.plot([0, x], [0, y], color="0.7", linewidth=0.8, zorder=0)
        axis.annotate(name, (x, y), ha="center", va="bottom" if y > 0 else "top", fontsize=7)
    for chosen, color, label in ((~result.selective, BEFORE, "other"), (result.selective, AFTER, "selective")):
        axis.plot(*result.position[chosen].T, ".", markersize=3, markeredgewidth=0, color=color, label=label)
    axis.set(aspect="equal", xticks=[], yticks=[], xlim=(-1.2 * reach, 1.2 * reach), ylim=(-0.9 * reach, 1.25 * reach))
    for side in axis.spines.values():
        side.set_visible(False)


def time_constants(response: dict[str, np.ndarray], shown: slice, n: int):
    """Distribution of both time constants in each population after training; dashed: mean, dotted: initial value."""
    names, start = anatomy.load().names[1:], edges(response["sizes"])
    rows = -(-n // 4)
    figure, axes = style.panels(2 * rows, 4, 1.6, style.WIDTH / 2)
    for axis in axes.ravel():
        axis.set_visible(False)
    for half, (name, symbol, initial) in enumerate(
        (("tau_membrane", r"$\tau_m$", params.TAU_MEMBRANE), ("tau_adaptation", r"$\tau_{adp}$", params.TAU_ADAPTATION))
    ):
        for k in range(13)[shown]:
            axis = axes[half * rows + k // 4, k % 4]
            axis.set_visible(True)
            values = response[f"trained_{name}"][start[k] : start[k + 1]]
            density(axis, values)
            axis.axvline(values.mean(), color=AFTER, linestyle="--", linewidth=0.8, label="mean")
            axis.axvline(initial, color="black", linestyle=":", linewidth=0.8, label="initial")
            axis.set(title=names[k], xlabel=f"{symbol} (steps)", ylabel="density" if k % 4 == 0 else "")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def density(axis: Axes, values: np.ndarray) -> None:
    """Kernel density of `values`, or ticks where they do not vary."""
    if len(values) > 2 and np.ptp(values) > 1e-6:
        kernel = stats.gaussian_kde(values)
        reach = 3 * np.sqrt(kernel.covariance[0, 0])  # beyond it next to nothing is left
        grid = np.linspace(values.min() - reach, values.max() + reach, 200)
        axis.fill_between(grid, kernel(grid), alpha=0.4)
    axis.plot(values, np.zeros(len(values)), "|", color="black", markersize=3, markeredgewidth=0.4)


def driven_rates(response: dict[str, np.ndarray]):
    """Rate of each population under a constant current, scaled, beside that of the detailed model."""
    names, positions = anatomy.load().names[1:], np.arange(13)
    figure, axes = style.panels(1, 1, width=2 * style.WIDTH)
    reference = np.array(params.REFERENCE_RATES, dtype=float)
    trained = response["trained_driven_rate"]
    for shift, label, rates, color in (
        (-0.2, "trained", trained, AFTER),
        (0.2, "Izhikevich model of the anatomy", reference, BEFORE),
    ):
        axes[0, 0].bar(positions + shift, analysis.scaled(rates), 0.4, label=label, color=color)
    r, p = stats.pearsonr(trained, reference) if np.ptp(trained) > 0 else (np.nan, np.nan)
    axes[0, 0].set_xticks(positions, names, rotation=40, ha="right")
    axes[0, 0].set(ylabel="scaled rate (0.1 to 1)", yticks=np.linspace(0, 1, 6), ylim=(0, 1.25))
    axes[0, 0].set_title(f"constant current: r = {r:.2f}, p = {p:.2g}")
    axes[0, 0].legend(loc="upper right", ncols=2)
    return figure


def degrees(response: dict[str, np.ndarray]):
    """Weighted in- and out-degrees before and after training."""
    figure, axes = style.panels(1, 2)
    for axis, kind in zip(axes[0], ("in", "out"), strict=True):
        both = [response[f"{condition}_{kind}_degree"] for condition in ("initial", "trained")]
        bins = np.linspace(0, max(values.max() for values in both), min(1000, max(20, len(both[0]) // 5)))
        for values, color, label in zip(both, (BEFORE, AFTER), ("initial", "trained"), strict=True):
            axis.hist(values, bins, histtype="stepfilled", alpha=0.6, color=color, label=label)
        axis.set(xlabel=f"weighted {kind}-degree", ylabel="cells")
    axes[0, 0].legend()
    return figure


def deprived(table: pd.DataFrame):
    """Accuracy over the number of removed whiskers, and the accuracy without each single one on the map of the face."""
    figure, axes = style.panels(1, 2)
    part = table[table["k"] <= params.MOST_REMOVED].groupby("k")["accuracy"]
    mean, spread = part.mean(), part.std().fillna(0)
    axes[0, 0].errorbar(mean.index, mean, spread, marker="o", capsize=2, color=AFTER)
    everything = table.loc[table["k"] == params.WHISKERS, "accuracy"].mean()
    axes[0, 0].axhline(everything, color=BEFORE, linewidth=0.8, label="without all 31")
    chance(axes[0, 0])
    axes[0, 0].set(xlabel="whiskers removed", ylabel="test accuracy (mean, sd over sets)", ylim=(0, 1))
    axes[0, 0].legend()
    single = table[table["k"] == 1]
    grid = np.full((5, 7), np.nan)
    for name, accuracy in zip(
        NAMES, single.sort_values("whiskers", key=lambda column: column.astype(int))["accuracy"], strict=True
    ):
        grid["ABCDE".index(name[0]), int(name[1])] = accuracy
    image = axes[0, 1].imshow(grid, cmap="viridis", aspect="auto")
    axes[0, 1].set_yticks(range(5), list("ABCDE"))
    axes[0, 1].set(xlabel="whisker number", ylabel="row", title="without one whisker")
    figure.colorbar(image, ax=axes[0, 1], label="test accuracy")
    return figure


def best_by_wiring(table: pd.DataFrame):
    """Best test accuracy of networks wired by each rule; a dot per network."""
    figure, axes = style.panels(1, 1)
    best = table.groupby(["wiring", "replicate"])["test"].max()
    names = [name for name in typing.get_args(params.Wiring) if name in best.index.get_level_values("wiring")]
    for position, name in enumerate(names):
        values = best[name].to_numpy()
        if len(values) > 2 and np.ptp(values) > 0:
            axes[0, 0].violinplot(values, [position], showextrema=False)
        axes[0, 0].plot(position + np.linspace(-0.08, 0.08, len(values)), values, "o", color=AFTER)
        axes[0, 0].plot([position - 0.2, position + 0.2], [values.mean()] * 2, color="black", linewidth=1)
    chance(axes[0, 0])
    axes[0, 0].set_xticks(range(len(names)), names)
    axes[0, 0].set(ylabel="test accuracy, best epoch", ylim=(0, 1), xlabel="rule of connection")
    return figure
