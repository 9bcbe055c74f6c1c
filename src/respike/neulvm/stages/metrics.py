"""Everything that is measured, in one table: what was inferred against the truth, and free runs of all models alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.stats import poisson

from respike.core import calibration, files, measures, seeds
from respike.core.config import build
from respike.core.measures import Measure
from respike.neulvm import clusters as cluster_states
from respike.neulvm import fitted, simulation, states
from respike.neulvm import trials as recorded_bins
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import particles as filtering
from respike.neulvm.inference import partition
from respike.neulvm.params import GROUPS, Circuit, Fit, Particles, Prior
from respike.neulvm.trials import Trials

SMOOTH = 0.02  # s, for correlations
Activity = Float[np.ndarray, "batch bin population"]


def run(
    *, trial: Path, fits: list[Path], best: Path, refined: Path, chosen: Path, latent: Path, known: list[Path],
    samples: Path, intervals: Path, diagnostics: Path, recovery: list[Path], recordings: list[Path], runs: list[Path],
    baselines: Path, clusters: Path, binning: Path, out: Path, facts: Path, circuit: Circuit, particles: Particles,
    embedded: bool, seed: int,
) -> None:  # fmt: skip
    """Write the table. `circuit` is the truth if `embedded`.

    `known`: fits to the true activity. `samples`, `intervals`: of the posterior; `recovery`: of those of other recordings;
    `recordings`: models fitted to further ones. `runs`: free simulations, named by their model.
    """
    recorded, truth = recorded_bins.read(trial), circuit if embedded else None
    models = {"em": fitted.read(best), "refined": fitted.read(refined), "chosen": fitted.read(chosen)}
    rivals = files.read_arrays(baselines)
    simulated = simulation.read(runs, rivals)
    rows = [
        *inferred(recorded, files.read_arrays(latent, "first", "last"), circuit.has_rivals),
        *partitioned(recorded, seed),
        *parameters([fitted.read(path) for path in fits], models, truth, recorded),
        *(row for path in known for row in ratios(path.stem.replace("_", " "), fitted.read(path).circuit, circuit)),
        *sampled(files.read_table(samples), files.read_table(intervals), truth),
        *diagnosed(files.read_arrays(diagnostics)),
        *(row for path in recordings for row in tried(files.read_table(path), simulated)),
        *(row for path in recovery for row in recovered(files.read_table(path), circuit)),
        *(row for path in recovery for row in each_coupling(files.read_table(path), circuit)),
        *(
            r
            for name, arrays in simulated.items()
            for r in free_run(name, arrays["free"], float(arrays["dt"]), circuit.has_rivals)
        ),
        *perturbed(simulated, circuit.has_rivals),
        *compared(rivals),
        *held_out(recorded, models, particles, seed, float(rivals["constant.score"])),
        *log_likelihoods(recorded, models, truth, particles, seed),
        *clustered(files.read_arrays(clusters)),
        *binned(files.read_table(binning)),
    ]
    rows += against_network(rows)
    files.write_table(out, measures.table("neulvm", [_measure(recorded.dataset, seed, *row) for row in rows]))
    files.write_table(facts, measures.facts("neulvm", inferred_by(fits)))


def inferred_by(fits: list[Path]):
    """By which rules the models were fitted: scheme, E-step, box of the parameters, number of starts."""
    jobs = [job for path in fits for job in measures.ran(path, "neulvm.fit")]
    for job in jobs:
        centred = build(Prior, job["prior"]).is_centred(build(Circuit, job["circuit"]))
        fit = build(Fit, job["fit"])
        about = {"scheme": fit.scheme, "e_step": fit.e_step, "iterations": fit.iterations}
        for variant in ("em", "best"):
            yield variant, {**about, "box": "published" if centred else "another", "starts": len(jobs)}


def against_network(rows: list[tuple]):
    """Free runs of all models minus that of the network: rates, switches."""
    names = ("rate_up", "rate_down", "rate_last", "switches_per_200s")
    network = {metric: value for variant, metric, value, *_ in rows if variant == "network" and metric in names}
    for variant, metric, value, unit, n, *_ in list(rows):
        if variant != "network" and metric in network:
            yield variant, f"{metric} over network", value - network[metric], unit, n


def _measure(dataset: str, seed: int, variant: str, metric: str, value: float, unit: str, n: int, recording=None) -> Measure:
    """A row of the table; for further recordings their number is the seed. The cluster states are no recording and say so."""
    name = "embedded cluster network" if variant.startswith("clusters") else dataset
    return Measure(variant, seed if recording is None else int(recording), name, metric, float(value), unit, n)


def correlations(a: Activity, b: Activity, sigma: float) -> Float[np.ndarray, " population"]:
    """Correlation of each population's activity in all batches, after a Gaussian filter of `sigma` bins (0: none)."""
    if sigma:
        a, b = (gaussian_filter1d(x, sigma, axis=1) for x in (a, b))
    return np.array([np.corrcoef(a[:, :, m].ravel(), b[:, :, m].ravel())[0, 1] for m in range(a.shape[2])])


def inferred(recorded: Trials, latent: dict[str, np.ndarray], apart: bool = True):
    """Latent activity against the truth, before and after EM."""
    if recorded.truth is None:
        return
    truth, begin, end = (array[:, recorded.trial.history :] for array in (recorded.truth, latent["first"], latent["last"]))
    for variant, activity in (("start", begin), ("em", end)):
        for label, sigma in (("z_corr", 0.0), ("z_corr_20ms", SMOOTH / recorded.trial.dt)):
            for m, value in enumerate(correlations(activity, truth, sigma)):
                yield variant, f"{label}_{m}", value, "", truth.shape[0] * truth.shape[1]
    if apart:
        yield from inferred_states(end, truth, recorded.trial.dt)


def inferred_states(latent: np.ndarray, truth: np.ndarray, dt: float):
    """Levels in the states, and how far the switches are from the true ones (s; only if there are as many)."""
    here, true = (states.find(x.reshape(-1, x.shape[2]) / dt, dt) for x in (latent, truth))
    for name, value in (("winner", here.up), ("loser", here.down), ("last", here.others)):
        if np.isfinite(value):
            yield "em", f"rate_{name}_inferred", value, "Hz", latent.shape[1]
    yield "data", "switches", true.n_switches, "", 1
    if true.n_switches and here.n_switches == true.n_switches:
        yield "em", "switch_error", np.abs(here.times - true.times).max(), "s", true.n_switches


def partitioned(recorded: Trials, seed: int):
    """Share of neurons whose population is found from the spikes alone."""
    trial, rng = recorded.trial, seeds.generator(seed, "neulvm", "partition")
    group = partition.find(recorded_bins.joined(trial), trial.shape[2], trial.dt, rng)
    yield "data", "partition_accuracy", partition.accuracy(group, trial.population), "", len(group)


def parameters(fits: list[Fitted], models: dict[str, Fitted], truth: Circuit | None, recorded: Trials):
    """Losses of the starts, and the parameters of the models, by name, over the true ones."""
    losses = [fit.about["loss"] for fit in fits]
    for fit in fits:
        yield f"start{fit.about['start']}", "loss", fit.about["loss"], "nats", 1
    yield "em", "loss", models["em"].about["loss"], "nats", len(fits)
    yield "em", "loss_worst", max(losses), "nats", len(fits)
    for name, model in models.items():
        yield name, "at_bound", len(model.about["at_bound"]), "", len(model.circuit.vector())
        if truth is not None:
            yield from ratios(name, model.circuit, truth)
            yield from pulls(name, model.circuit, truth, recorded)


def ratios(variant: str, circuit: Circuit, truth: Circuit):
    """Parameters over their true values, by group; excitatory and inhibitory coupling apart."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(truth.weights != 0, circuit.weights / truth.weights, np.nan)
    for name in GROUPS:
        if name != "coupling":
            share = np.asarray(getattr(circuit, name)) / np.asarray(getattr(truth, name))
            yield variant, f"ratio_{name}", np.median(share), "", len(share)
    for name, chosen in (("excitatory", truth.weights > 0), ("inhibitory", truth.weights < 0)):
        if chosen.any():
            yield variant, f"ratio_coupling_{name}", np.median(weights[chosen]), "", int(chosen.sum())


def sampled(table: pd.DataFrame, intervals: pd.DataFrame, truth: Circuit | None):
    """Posterior: mean and 90 % interval of the parameters over the true ones, coverage of such intervals, and the ridge."""
    n = len(table)
    couplings = [name for name in table if name.startswith("coupling")]
    ridge = [table[couplings[-1]].corr(table[name]) for name in table if name.startswith("rest")]
    yield "posterior", "ridge_coupling_rest", max(ridge, key=abs), "", n
    for level in ("within_50", "within_90"):
        yield "posterior", level, intervals[level].mean(), "", int(intervals["judged"].iloc[0])
    if truth is None or len(couplings) != len(truth.sizes):
        return
    share = table / truth.vector()
    for name, columns in _groups(couplings, table, truth).items():
        values = share[columns].mean(axis=1)
        yield "posterior", f"ratio_{name}", values.mean(), "", n
        for label, quantile in (("low", 0.05), ("high", 0.95)):
            yield "posterior", f"{label}_{name}", values.quantile(quantile), "", n


def diagnosed(found: dict[str, np.ndarray]):
    """Posterior: distance of each curve from the diagonal (`band`: what chance stays within in 95 %), and what it predicts.

    `unexpected`: p-value of the recording among what the prior predicts; `outside`: share of its summaries outside the 95 %
    interval of what the posterior predicts (0.05 by chance); `left`: standard deviation of the best and of the worst known
    combination of parameters, over that under the prior.
    """
    n = len(found["joint"])
    worst = max(calibration.deviation(calibration.coverage(column)) for column in found["ranks"].T)
    yield "posterior", "off_diagonal_ranks", worst, "", n
    yield "posterior", "off_diagonal_joint", calibration.deviation(calibration.coverage(found["joint"])), "", n
    yield "posterior", "off_diagonal_tarp", calibration.deviation(calibration.Coverage(*found["tarp"])), "", n
    yield "posterior", "off_diagonal_band", calibration.band(n), "", n
    yield "posterior", "unexpected", found["unexpected"], "", 1
    yield "posterior", "outside", found["outside"], "", int(found["predicted"])
    yield "posterior", "left_best", found["left"][0], "", n
    yield "posterior", "left_worst", found["left"][-1], "", n


def tried(table: pd.DataFrame, simulated: dict[str, dict[str, np.ndarray]]):
    """Models fitted to further recordings: each one's switches and couplings, and by model how many do as the network.

    `switches_inside`: share of the recordings whose switches in 200 s lie in the central 95 % of a Poisson count at the
    network's rate; `rates_inside`: whose rates in the states are all within 5 % of the network's.
    """
    if not len(table):
        return
    network = states.find(simulated["network"]["free"], float(simulated["network"]["dt"])).summary()
    low, high = poisson.interval(0.95, 200 * network["switch_rate"])
    table = table.assign(switches=200 * table["switch_rate"])
    rates = ["up", "down", "others"]
    for name, part in table.groupby("model", sort=False):
        for row in part.itertuples():
            variant = f"recording {row.recording} {name}"
            for metric, unit in (("switches", ""), ("up", "Hz"), ("down", "Hz"), ("others", "Hz"), ("coupling", "")):
                if np.isfinite(getattr(row, metric)):
                    yield variant, metric, getattr(row, metric), unit, round(row.seconds)
        variant, n, near = f"recordings {name}", len(part), (part[rates] / [network[rate] for rate in rates] - 1).abs()
        yield variant, "switches_inside", part["switches"].between(low, high).mean(), "", n
        yield variant, "switches_median", part["switches"].median(), "", n
        yield variant, "rates_inside", (near < 0.05).all(axis=1).mean(), "", n
        if part["coupling"].notna().all():
            for metric, quantile in (("median", 0.5), ("low", 0.05), ("high", 0.95)):
                yield variant, f"coupling_{metric}", part["coupling"].quantile(quantile), "", n


def _groups(couplings: list[str], table: pd.DataFrame, truth: Circuit) -> dict[str, list[str]]:
    """Columns that are reported together: each group of parameters, excitatory and inhibitory couplings apart."""
    outgoing = truth.weights.sum(1)
    groups = {"coupling_excitatory": outgoing > 0, "coupling_inhibitory": outgoing < 0}
    chosen = {name: [c for c, yes in zip(couplings, mask, strict=True) if yes] for name, mask in groups.items()}
    chosen |= {group: [name for name in table if name.startswith(group)] for group in GROUPS if group != "coupling"}
    return {name: columns for name, columns in chosen.items() if columns}


def recovered(table: pd.DataFrame, truth: Circuit):
    """Posteriors of further recordings of the network: mean over recordings, its error, and how often 90 % held the truth."""
    table = table.assign(inside=(table["low"] <= 1) & (table["high"] >= 1))
    if any(name.startswith("coupling_0_") for name in table["name"]):
        return
    n = table["recording"].nunique()
    wide = table.pivot(index="recording", columns="name", values="mean")
    couplings = [f"coupling_{m}" for m in range(len(truth.sizes))]
    for name, columns in _groups(couplings, wide, truth).items():
        means = wide[columns].mean(axis=1)
        yield "recovery", f"ratio_{name}", means.mean(), "", n
        yield "recovery", f"sd_{name}", means.std(), "", n
        yield "recovery", f"within_90_{name}", table.loc[table["name"].isin(columns), "inside"].mean(), "", n * len(columns)


def each_coupling(table: pd.DataFrame, truth: Circuit):
    """The same for each recording, whose number stands last: its excitatory coupling over the true one."""
    excitatory = table["name"].isin([f"coupling_{m}" for m in np.flatnonzero(truth.weights.sum(1) > 0)])
    for number, value in table[excitatory].groupby("recording")["mean"].mean().items():
        yield "recovery", "ratio_coupling_excitatory, each recording", value, "", 1, number


def pulls(variant: str, circuit: Circuit, truth: Circuit, recorded: Trials):
    """Error of the potential to which each population relaxes at the mean rates of the data: what the data do tell."""
    rates = np.nanmean(recorded.rates, axis=(0, 1))
    if np.isfinite(rates).all():
        h = [each.asymptote(rates) - np.asarray(each.threshold) for each in (circuit, truth)]
        for m, error in enumerate(h[0] - h[1]):
            yield variant, f"h_error_{m}", error, "noise widths", 1


def free_run(variant: str, rates: Float[np.ndarray, "bin population"], dt: float, apart: bool = True):
    """States, switches and dwell times of a free simulation; only its rate where no population can win (not `apart`)."""
    seconds = round(len(rates) * dt)
    yield variant, "rate_last", rates[:, -1].mean(), "Hz", seconds
    if not apart:
        return
    run = states.find(rates, dt)
    yield variant, "switch_rate", run.switch_rate, "1/s", seconds
    yield variant, "switches_per_200s", 200 * run.n_switches / run.duration, "", seconds
    for name, value in (("rate_up", run.up), ("rate_down", run.down)):
        if np.isfinite(value):
            yield variant, name, value, "Hz", seconds
    if len(run.dwell):
        yield variant, "dwell_mean", run.dwell.mean(), "s", len(run.dwell)


def perturbed(simulated: dict[str, dict[str, np.ndarray]], apart: bool = True):
    """Response to the pulse: who wins after it, and how alike the mean responses of model and network are.

    A constant rate has no correlation with anything.
    """
    reference = simulated.get("network")
    for name, arrays in simulated.items():
        pulsed, dt = arrays["pulsed"], float(arrays["dt"])
        if apart:
            yield name, "win_probability", wins(arrays), "", len(pulsed)
        if reference is not None and name != "network":
            means = [gaussian_filter1d(a["pulsed"].mean(0), SMOOTH / dt, axis=0) for a in (arrays, reference)]
            if min(mean.std() for mean in means) > 0:
                yield name, "response_corr", np.corrcoef(means[0].ravel(), means[1].ravel())[0, 1], "", len(pulsed)


def wins(arrays: dict[str, np.ndarray]) -> float:
    """Share of trials in which the target of the last pulse is ahead of the target of the first one afterwards."""
    target, first = int(arrays["target"]), int(arrays["first"])
    after = np.flatnonzero(arrays["pulse"][:, target])[-1] + 1
    means = arrays["pulsed"][:, after:].mean(1)
    return float(np.mean(means[:, target] > means[:, first]))


def bits_per_spike(log_likelihood: float, base: float, n_spikes: int) -> float:
    """What a model tells about each spike beyond another one; log-likelihoods in nats."""
    return (log_likelihood - base) / (n_spikes * np.log(2))


def compared(rivals: dict[str, np.ndarray]):
    """Baselines: held-out information per spike beyond a constant rate."""
    base, n = float(rivals["constant.score"]), int(rivals["n_spikes"])
    for name in rivals["names"]:
        yield f"baseline {name}", "held_out", bits_per_spike(float(rivals[f"{name}.score"]), base, n), "bits/spike", n


def held_out(recorded: Trials, models: dict[str, Fitted], settings: Particles, seed: int, base: float):
    """The same for the mesoscopic model: likelihood of each bin given the bins before it, by the particle filter."""
    later = recorded.held_out
    n = int(later.spikes[:, later.history :].sum())
    for name, model in models.items():
        rng = seeds.generator(seed, "neulvm", "held out")
        total = filtering.sample(model.circuit, later, 0, settings.particles, 1, rng, model.kind).log_likelihood
        yield name, "held_out", bits_per_spike(total, base, n), "bits/spike", n


def log_likelihoods(recorded: Trials, models: dict[str, Fitted], truth: Circuit | None, settings: Particles, seed: int):
    """Log-likelihood of the spikes in the fitted window, the latent activity integrated out; also at the true parameters."""
    trial = recorded.trial
    if truth is not None:
        models = {**models, "true": replace(models["em"], circuit=truth)}
    n = int(trial.spikes[:, trial.history :].sum())
    for name, model in models.items():
        rng = seeds.generator(seed, "neulvm", "likely")
        batches = range(trial.shape[0])
        runs = (filtering.sample(model.circuit, trial, b, settings.particles, 1, rng, model.kind) for b in batches)
        yield name, "log_likelihood", sum(each.log_likelihood for each in runs), "nats", n


def clustered(cases: dict[str, np.ndarray]):
    """Cluster states: share of the windows with K clusters, and changes of K per minute."""
    for name in cases["names"]:
        k, activity, dt = cases[f"{name}.k"], cases[f"{name}.activity"], float(cases[f"{name}.dt"])
        variant, seconds = f"clusters {name}", round(len(activity) * dt)
        yield variant, "rate", activity.mean(), "Hz", seconds
        yield variant, "switches_per_minute", 60 * cluster_states.switches(k) / (len(activity) * dt), "", seconds
        for number in (2, 3, 4):
            yield variant, f"share_k{number}", np.mean(k == number), "", len(k)


def binned(table: pd.DataFrame):
    """Rates and switches of the true circuit in bins of different length."""
    for row in table.itertuples():
        variant = row.model if row.model.startswith("network") else f"{row.model} {1000 * row.dt:g} ms"
        for name in ("up", "down", "others", "switch_rate"):
            value = getattr(row, name)
            if np.isfinite(value):
                yield f"bins {variant}", name, value, "1/s" if name == "switch_rate" else "Hz", round(row.seconds)
