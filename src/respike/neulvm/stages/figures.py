"""All figures of the study, one function each."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.stats import gaussian_kde

from respike.core import calibration, files, style
from respike.neulvm import fitted, simulation, states, trials
from respike.neulvm.inference.box import value
from respike.neulvm.params import Circuit

COLORS = ["#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9"]  # populations: excitatory warm, then the others
LOOK = {  # how each simulated model is drawn: label, colour
    "network": ("hidden network", "black"),
    "true": ("mesoscopic, true parameters", "#009E73"),
    "best": ("mesoscopic, fitted by EM", "#0072B2"),
    "refined": ("mesoscopic, refined by likelihood", "#D55E00"),
    "chosen": ("mesoscopic, chosen by its free runs", "#E69F00"),
    "posterior": ("mesoscopic, nearest of the posterior", "#CC79A7"),
}


def run(
    *, trial: Path, logs: list[Path], fits: list[Path], best: Path, refined: Path, chosen: Path, rounds: Path, latent: Path,
    samples: Path, diagnostics: Path, runs: list[Path], baselines: Path, clusters: Path, binning: Path, folder: Path,
    circuit: Circuit, embedded: bool,
) -> None:  # fmt: skip
    """Draw all figures into `folder`; `circuit` is the truth if `embedded`."""
    recorded = trials.read(trial)
    simulated = simulation.read(runs, files.read_arrays(baselines))
    models, end, truth = [fitted.read(path) for path in fits], fitted.read(refined), circuit if embedded else None
    names, draws = populations(circuit), files.read_table(samples)
    drawn = {
        "inferred": inferred(recorded, files.read_arrays(latent, "first", "last"), names),
        "losses": losses([files.read_table(path) for path in logs], fitted.read(best).about["start"]),
        "free": free(simulated, names),
        "parameters": parameters(models, {"refined": end, "chosen": fitted.read(chosen)}, truth, list(draws), names),
        "likelihood": likelihood(files.read_table(rounds), end.about["rounds"]),
        "posterior": posterior(draws, models, truth, names),
        "dwell": dwell(simulated, circuit.has_rivals),
        "pulses": pulses(simulated, names),
        "bins": bins(files.read_table(binning), names[-1]),
        "diagnostics": calibrated(files.read_arrays(diagnostics)),
        "combinations": combinations(files.read_arrays(diagnostics), names),
    }
    for name, figure in drawn.items():
        style.save(figure, folder, name, "circuit of the config" if name == "bins" and not embedded else recorded.dataset)
    style.save(cluster_states(files.read_arrays(clusters)), folder, "clusters", "embedded cluster network")


def populations(circuit: Circuit) -> list[str]:
    """Names of the populations: E or I by what they do to others, with a number where there are several; of one, no letter."""
    kinds = ["I" if sum(row) < 0 else "E" for row in circuit.connectivity]
    several = [f"{kind}{kinds[: m + 1].count(kind)}" if kinds.count(kind) > 1 else kind for m, kind in enumerate(kinds)]
    return several if len(kinds) > 1 else ["population"]


def _parameter(name: str, names: list[str]) -> str:
    where = " to ".join(names[int(part)] for part in name.split("_") if part.isdigit())
    kind = name.rstrip("_0123456789").replace("_", " ").replace("mem", "membrane").replace("rest", "rest potential")
    return f"{kind} of {where}"


def _say_without_states(axis, apart: bool) -> None:
    if not apart:
        axis.set(title="not applicable: no two populations that excite", xscale="linear", yscale="linear")


def inferred(recorded: trials.Trials, latent: dict[str, np.ndarray], names: list[str]):
    """(a) Recorded spikes, drive, and the population rates: truth, start and after EM (first batch)."""
    trial = recorded.trial
    n, time, smooth = trial.shape[2], (np.arange(trial.shape[1]) + 0.5) * trial.dt, 0.02 / trial.dt
    heights = [1.3, 0.5] + [1.2] * n
    figure, axes = style.plt.subplots(2 + n, 1, figsize=(7.2, 1.6 + 1.25 * n), sharex=True, height_ratios=heights)
    steps, cells = np.nonzero(trial.spikes[0, trial.history :])
    for m in range(n):
        mine = trial.population[cells] == m
        axes[0].plot(time[steps[mine]], cells[mine] + 1, "|", color=COLORS[m % len(COLORS)], markersize=4, markeredgewidth=0.7)
    axes[0].set(ylabel="neuron", title="recorded spikes, colour: population", ylim=(0, len(trial.population) + 1))
    axes[0].yaxis.get_major_locator().set_params(integer=True)
    axes[1].set_prop_cycle(color=COLORS)
    axes[1].plot(time, trial.drive[0], linewidth=0.5)
    axes[1].set(ylabel="drive\n(1/s)", title="" if trial.drive[0].any() else "no external drive")
    for m, axis in enumerate(axes[2:]):
        if recorded.truth is not None:
            truth = gaussian_filter1d(recorded.rates[0, trial.history :, m], smooth)
            axis.plot(time, truth, color="0.6", label="truth (20 ms)")
        axis.plot(time, latent["first"][0, trial.history :, m] / trial.dt, "--", color="black", linewidth=0.8, label="start")
        fitted_rate = gaussian_filter1d(latent["last"][0, trial.history :, m] / trial.dt, smooth)
        axis.plot(time, fitted_rate, color=COLORS[m % len(COLORS)], linewidth=0.8, label="after EM (20 ms)")
        axis.set(ylabel=f"{names[m]} (Hz)", ylim=(0, max(50, axis.get_ylim()[1])))
        axis.legend(ncols=3, loc="upper right")
    axes[-1].set(xlabel="time in the fitted window (s)", xlim=(0, time[-1]))
    return figure


def losses(logs: list[pd.DataFrame], best: int):
    """(b) Loss of each step of EM: its two parts and the sum, every start; the best one dark."""
    figure, axes = style.panels(3, 2, height=1.7)
    for table in logs:
        log = table.assign(total=table["loss_spikes"] + table["loss_latent"])
        dark = log["start"].iloc[0] == best
        look = {"color": "#0072B2" if dark else "0.75", "zorder": 3 if dark else 1, "linewidth": 1}
        last = log[(log["iteration"] == log["iteration"].max()) & (log["step"] == "E")]
        for row, name in enumerate(("loss_spikes", "loss_latent", "total")):
            axes[row, 0].plot(np.arange(len(log)), log[name], **look)
            axes[row, 1].plot(last["number"], last[name], **look)
    for axis, name in zip(axes[:, 0], ("recorded spikes", "latent activity", "total"), strict=True):
        lines = [line.get_ydata() for line in axis.get_lines()]
        shown = np.concatenate([line[min(10, len(line) // 2) :] for line in lines])  # the first iterations start far away
        low, high = shown.min(), np.quantile(shown, 0.95)
        axis.set_ylim(low - 0.1 * (high - low), high + 0.5 * (high - low))
        axis.set_ylabel(f"loss, {name}\n(nats per bin\nand population)")
    axes[0, 0].set(title="all M- and E-steps")
    axes[0, 1].set(title="last E-step")
    style.plt.setp(axes[2], xlabel="iteration of the optimiser")
    return figure


def free(simulated: dict[str, dict[str, np.ndarray]], names: list[str]):
    """(c) Free simulation of 100 s of each model and baseline: smoothed rates of the populations."""
    figure, axes = style.plt.subplots(len(simulated), 1, figsize=(7.2, 1.2 * len(simulated)), sharex=True, squeeze=False)
    for axis, (name, arrays) in zip(axes[:, 0], simulated.items(), strict=True):
        dt = float(arrays["dt"])
        rates = gaussian_filter1d(arrays["free"][: round(100 / dt)].astype(float), 0.08 / dt, axis=0)
        for m, label in enumerate(names):
            axis.plot(np.arange(len(rates)) * dt, rates[:, m], color=COLORS[m % len(COLORS)], linewidth=0.7, label=label)
        beyond = f", up to {rates.max():.0f} Hz" if rates.max() > 50 else ""
        axis.set(ylabel="rate (Hz)", title=LOOK.get(name, (name, ""))[0] + beyond, ylim=(0, 50))
    axes[0, 0].legend(ncols=3, loc="upper right")
    axes[-1, 0].set(xlabel="time (s)")
    return figure


def likelihood(table: pd.DataFrame, counted: list[int]):
    """(j) Log-likelihood of the spikes at the start of each round of the refinement; shaded: the rounds that count."""
    figure, ((axis,),) = style.panels(1, 1, height=2.4)
    axis.axvspan(counted[0] + 0.5, counted[1] + 1.5, color="0.9", zorder=0)
    axis.plot(table["step"] + 1, table["log_likelihood"], ".-", color=LOOK["refined"][1])
    axis.set(xlabel="round", ylabel="log-likelihood of\nthe spikes (nats)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    return figure


def parameters(
    fits: list[fitted.Fitted], others: dict[str, fitted.Fitted], truth: Circuit | None, free: list[str], names: list[str]
):
    """(d) What was fitted (`free`) over the true values (or as it is), each start by its loss; crosses: refined, chosen."""
    figure, ((axis,),) = style.panels(1, 1, height=3.2, width=6.4)
    unit = [value(truth, name) if truth else 1.0 for name in free]
    values = np.array([[value(model.circuit, name) for name in free] for model in (*fits, *others.values())]) / unit
    losses = np.array([fit.about["loss"] for fit in fits])
    x, y, c = (part.ravel() for part in np.broadcast_arrays(np.arange(len(free)), values[: len(fits)], losses[:, None]))
    dots = axis.scatter(x, y, c=c, vmin=losses.min() - 1e-3, vmax=losses.max() + 1e-3, s=14, cmap="viridis_r", zorder=3)
    for name, share in zip(others, values[len(fits) :], strict=True):
        axis.plot(np.arange(len(free)), share, "x", color=LOOK[name][1], label=LOOK[name][0], zorder=4)
    axis.legend(loc="upper left")
    figure.colorbar(dots, ax=axis, label="loss (nats per bin and population)")
    axis.axhline(1, color="0.6", linewidth=0.7)
    axis.set_xticks(np.arange(len(free)), [_parameter(name, names) for name in free], rotation=90)
    axis.set(ylabel="fitted / true" if truth else "fitted", yscale="log")
    if truth:
        axis.set_yticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
        axis.minorticks_off()
    return figure


def posterior(samples: pd.DataFrame, fits: list[fitted.Fitted], truth: Circuit | None, names: list[str]):
    """(i) Posterior: inhibitory coupling against each resting potential, a ridge, and the excitatory couplings."""
    couplings = [name for name in samples if name.startswith("coupling")]
    pairs = [(couplings[-1], f"rest_{m}") for m in range(len(names))]
    pairs += [(couplings[0], couplings[1])] if len(couplings) > 1 else []
    figure, axes = style.plt.subplots(1, len(pairs), figsize=(2.3 * len(pairs), 2.5), squeeze=False)
    for axis, (x, y) in zip(axes[0], pairs, strict=True):
        axis.plot(samples[x], samples[y], ".", markersize=3, color="0.6", zorder=1, label="posterior")
        _regions(axis, samples[[x, y]].to_numpy())
        for fit in fits:
            axis.plot(value(fit.circuit, x), value(fit.circuit, y), "x", color="#0072B2", label="EM")
        if truth:
            axis.plot(value(truth, x), value(truth, y), "*", color="black", markersize=8, label="truth")
        axis.set(xlabel=f"{_parameter(x, names)} (noise widths)", ylabel=f"{_parameter(y, names)} (noise widths)")
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    axes[0, 0].legend(handles.values(), handles.keys(), fontsize=6)
    return figure


def _regions(axis, points: np.ndarray) -> None:
    """Smallest regions that hold 50 and 90 % of the points, by a Gaussian kernel estimate of their density."""
    density = gaussian_kde(points.T)
    edges = [np.linspace(x.min(), x.max(), 60) for x in points.T]
    grid = np.meshgrid(*edges)
    levels = np.quantile(density(points.T), [0.1, 0.5])
    axis.contour(*grid, density(np.stack([g.ravel() for g in grid])).reshape(grid[0].shape), levels, colors="#CC79A7")


def calibrated(found: dict[str, np.ndarray]):
    """(k) Coverage near the recording: each parameter, all jointly, TARP; grey: where chance keeps all of a panel in 95 %."""
    figure, axes = style.panels(1, 3, height=2.5)
    n = len(found["joint"])
    curves = [
        ("ranks of each parameter", [calibration.coverage(column) for column in found["ranks"].T]),
        ("joint density", [calibration.coverage(1 - found["joint"])]),
        ("TARP", [calibration.Coverage(*found["tarp"])]),
    ]
    for axis, (title, lines) in zip(axes[0], curves, strict=True):
        ends, width = np.array([0.0, 1.0]), calibration.band(n, 1 - 0.05 / len(lines))  # Bonferroni
        axis.fill_between(ends, ends - width, ends + width, color="0.9", zorder=0)
        axis.plot(ends, ends, color="0.6", linewidth=0.7)
        for line in lines:
            axis.plot(line.credibility, line.coverage, color=LOOK["posterior"][1], linewidth=1)
        axis.set(title=title, xlabel="credibility", ylabel="coverage", xlim=(0, 1), ylim=(0, 1))
    axes[0, 0].set(xlabel="rank", ylabel=f"share of {n} simulations")
    return figure


def combinations(found: dict[str, np.ndarray], names: list[str]):
    """(l) What the spikes tell beyond the rates: spread that is left to combinations of parameters, and their weights."""
    figure, ((left, weights),) = style.panels(1, 2, height=3.2)
    rows = np.arange(len(found["left"]))
    left.barh(rows, found["left"], color=LOOK["posterior"][1])
    left.axvline(1, color="0.6", linewidth=0.7)
    left.set(xlabel="sd, posterior / prior", ylabel="combination", ylim=(len(rows) - 0.5, -0.5))
    image = weights.imshow(found["weights"], cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    weights.set_xticks(rows, [_parameter(str(name), names) for name in found["names"]], rotation=90)
    weights.set(title="weights of the parameters")
    figure.colorbar(image, ax=weights)
    return figure


def dwell(simulated: dict[str, dict[str, np.ndarray]], apart: bool):
    """(e) How long a winner stays: share of visits longer than a time, for network, models and baselines."""
    figure, axes = style.plt.subplots(1, 1, figsize=(5.8, 2.8), squeeze=False)
    curves = {LOOK.get(name, (name, None)): (arrays["free"], float(arrays["dt"])) for name, arrays in simulated.items()}
    for (label, color), (rates, dt) in curves.items():
        visits = np.sort(states.find(rates, dt, apart).dwell)
        look = {"color": color, "linewidth": 1, "linestyle": "-" if color else ":"}
        axes[0, 0].step(visits, 1 - np.arange(len(visits)) / max(1, len(visits)), label=f"{label} ({len(visits)})", **look)
    limits = {} if any(len(line.get_xdata()) for line in axes[0, 0].lines) else {"xlim": (0.1, 100), "ylim": (0.01, 1)}
    axes[0, 0].set(xlabel="dwell time (s)", ylabel="share of visits that last longer", xscale="log", yscale="log", **limits)
    axes[0, 0].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.02, 1))
    _say_without_states(axes[0, 0], apart)
    return figure


def cluster_states(cases: dict[str, np.ndarray]):
    """(f) Spectrogram of the activity and number of clusters, first 20 s of each case."""
    figure, axes = style.panels(2, len(cases["names"]), height=1.7, sharex=True)
    for column, name in enumerate(cases["names"]):
        show = cases[f"{name}.time"] < 20
        time, power = cases[f"{name}.time"][show], cases[f"{name}.power"][show]
        above, below = axes[:, column]
        log = np.log10(power.T + 1e-9)
        high = log.max()
        above.pcolormesh(time, cases[f"{name}.frequency"], log, rasterized=True, vmin=high - 3, vmax=high)
        above.set(title=str(name), ylabel="frequency (Hz)")
        below.step(time, cases[f"{name}.k"][show], where="mid", color="black")
        below.set(xlabel="time (s)", ylabel="number of clusters K", ylim=(0.5, 6.5))
    return figure


def pulses(simulated: dict[str, dict[str, np.ndarray]], names: list[str]):
    """(g) Mean response of each population to the pulses (grey: where one goes in); dotted: baselines."""
    figure, axes = style.plt.subplots(1, len(names), figsize=(2.4 * max(2, len(names)), 2.4), sharey=True, squeeze=False)
    top = 50.0
    for name, arrays in simulated.items():
        dt = float(arrays["dt"])
        label, color = LOOK.get(name, (name, None))
        means = gaussian_filter1d(arrays["pulsed"].mean(0).astype(float), 0.02 / dt, axis=0)
        top = max(top, 1.05 * means.max()) if color else top
        for m, axis in enumerate(axes[0]):
            axis.plot(np.arange(len(means)) * dt, means[:, m], "-" if color else ":", color=color, linewidth=1, label=label)
    for m, axis in enumerate(axes[0]):
        on = np.flatnonzero(arrays["pulse"][:, m])
        if len(on):
            axis.axvspan(on[0] * dt, (on[-1] + 1) * dt, color="0.9", zorder=0)
        axis.set(xlabel="time in the trial (s)", title=names[m], ylim=(0, top))  # a GLM can run away
    axes[0, 0].set(ylabel="mean rate over trials (Hz)")
    axes[0, -1].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure


def bins(table: pd.DataFrame, last: str):
    """(h) Rates in the states and switch rate of the circuit of the config against the bin; lines: the network."""
    figure, ((rates, switches),) = style.panels(1, 2, height=2.6)
    network = table[table["model"] == "network"].iloc[0]
    columns = {"up": ("winner", COLORS[0]), "down": ("loser", COLORS[1]), "others": (last, COLORS[2])}
    for scheme, marker, fill in (("exact", "o", "full"), ("compat", "s", "none")):
        part, look = table[table["model"] == scheme].sort_values("dt"), {"marker": marker, "fillstyle": fill}
        for column, (label, color) in columns.items():
            rates.plot(1000 * part["dt"], part[column], color=color, label=f"{label}, {scheme}", **look)
        switches.plot(1000 * part["dt"], part["switch_rate"], color="black", label=scheme, **look)
    for column, (_, color) in columns.items():
        rates.axhline(network[column], color=color, linestyle=":", linewidth=1)
    switches.axhline(network["switch_rate"], color="black", linestyle=":", linewidth=1, label="network")
    rates.set(xlabel="bin (ms)", ylabel="rate (Hz)", ylim=(0, None))
    rates.legend(fontsize=5, ncols=2)
    _say_without_states(switches, bool(table["switch_rate"].notna().any()))
    switches.set(xlabel="bin (ms)", ylabel="switches of the winner (1/s)", ylim=(0, None))
    switches.legend()
    return figure
