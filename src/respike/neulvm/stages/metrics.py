"""Everything that is measured, in one table: what was inferred against the truth, and free runs of all models alike."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import calibration, files, measures, seeds
from respike.core.config import build
from respike.core.measures import Measure
from respike.neulvm import fitted, measurement, simulation, states, trials
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import box, partition, tried
from respike.neulvm.inference import particles as filtering
from respike.neulvm.model import Trial
from respike.neulvm.params import GROUPS, Choice, Circuit, Fit, Prior, Window
from respike.neulvm.trials import Trials

FACTS = ("scheme", "e_step", "iterations", "e_steps", "cells", "length", "dt")  # of the settings of a fit and its window


def run(
    *, trial: Path, fits: list[Path], best: Path, refined: Path, chosen: Path, latent: Path, known: list[Path],
    samples: Path, intervals: Path, diagnostics: Path, recovery: list[Path], recordings: list[Path], runs: list[Path],
    baselines: Path, clusters: Path, binning: Path, out: Path, facts: Path, circuit: Circuit, particles: int,
    embedded: bool, seed: int,
) -> None:  # fmt: skip
    """Write the table. `circuit` is the truth if `embedded`. What could not be measured (nan) has no row.

    `known`: fits to the true activity. `samples`, `intervals`: of the posterior; `recovery`: of those of other recordings;
    `recordings`: models fitted to further ones. `runs`: free simulations, named by their model. `particles`: of the filter.
    """
    recorded, truth, apart = trials.read(trial), circuit if embedded else None, circuit.has_rivals
    models = {"em": fitted.read(best), "refined": fitted.read(refined), "chosen": fitted.read(chosen)}
    rivals = files.read_arrays(baselines)
    simulated, draws = simulation.read(runs, rivals), files.read_table(samples)
    groups = [
        inferred(recorded, files.read_arrays(latent, "first", "last"), apart),
        partitioned(recorded, seed),
        parameters([fitted.read(path) for path in fits], models, truth, recorded, len(list(draws))),
        *(named(path.stem.replace("_", " "), measurement.ratios(fitted.read(path).circuit, circuit)) for path in known),
        sampled(draws, files.read_table(intervals), truth),
        diagnosed(files.read_arrays(diagnostics)),
        *(each_recording(files.read_table(path), simulated["network"]) for path in recordings),
        *(recovered(files.read_table(path), circuit) for path in recovery),
        *(named(name, measurement.free_run(each["free"], each["dt"], apart)) for name, each in simulated.items()),
        perturbed(simulated, apart),
        held_out(recorded, models, rivals, particles, seed),
        log_likelihoods(recorded.trial, models, truth, particles, seed),
        clustered(files.read_arrays(clusters)),
        binned(files.read_table(binning)),
    ]
    rows = [row for group in groups for row in group if np.isfinite(row[2])]
    rows += against_network(rows)
    others = {"clusters": "embedded cluster network"} | ({} if embedded else {"bins": "circuit of the config"})
    told = [_measure(others.get(row[0].partition(" ")[0], recorded.dataset), seed, *row) for row in rows]
    files.write_table(out, measures.table("neulvm", told))
    files.write_table(facts, measures.facts("neulvm", [*inferred_by(fits), *tried_by(recordings)]))


def inferred_by(fits: list[Path]):
    """By which rules the models were fitted (`rules`), and the number of starts."""
    told = ((measures.ran(path, "neulvm.fit"), measures.ran(path, "neulvm.preprocess")) for path in fits)
    jobs = [{**cut, **job} for fitting, cutting in told for job in fitting for cut in cutting]
    yield from ((variant, {**rules(job), "starts": len(jobs)}) for job in jobs for variant in ("em", "best"))


def tried_by(recordings: list[Path]):
    """The same for the models that are fitted to further recordings."""
    for job in (job for path in recordings for job in measures.ran(path, "neulvm.recovery")):
        for name in tried.FITTED:
            yield f"recordings {name}", {**rules(job), "starts": build(Choice, job["choose"]).starts}


def rules(job: dict) -> dict[str, object]:
    """What a job was told: rules of EM, box of the parameters, recorded cells, length (s) and bin (s) of the window."""
    centred = build(Prior, job["prior"]).is_centred(build(Circuit, job["circuit"]))
    told = {**asdict(build(Fit, job["fit"])), **asdict(build(Window, job["window"]))}
    return {**{name: told[name] for name in FACTS}, "box": "published" if centred else "another"}


def named(variant: str, rows: Iterable[measurement.Row]):
    """The same rows, of a variant."""
    return ((variant, *row) for row in rows)


def against_network(rows: list[tuple]):
    """Free runs of all models minus that of the network: rates, switches."""
    names = ("rate_up", "rate_down", "rate_last", "switches_per_200s")
    network = {metric: value for variant, metric, value, *_ in rows if variant == "network" and metric in names}
    for variant, metric, value, *rest in list(rows):
        if variant != "network" and metric in network:
            yield variant, f"{metric} over network", value - network[metric], *rest


def _measure(dataset: str, seed: int, variant: str, metric: str, value: float, unit: str, n: int, recording=None) -> Measure:
    """A row of the table; for further recordings their number is the seed."""
    return Measure(variant, seed if recording is None else int(recording), dataset, metric, float(value), unit, n)


def inferred(recorded: Trials, latent: dict[str, np.ndarray], apart: bool = True):
    """Latent activity against the truth, before and after EM."""
    if recorded.truth is None:
        return
    truth, begin, end = (array[:, recorded.trial.history :] for array in (recorded.truth, latent["first"], latent["last"]))
    for variant, activity in (("start", begin), ("em", end)):
        yield from named(variant, measurement.likeness(activity, truth, recorded.trial.dt))
    if apart:
        yield from inferred_states(end, truth, recorded.trial.dt)


def inferred_states(latent: np.ndarray, truth: np.ndarray, dt: float):
    """Levels in the states, and how far the switches are from the true ones (s; only if there are as many)."""
    here, true = (states.find(x.reshape(-1, x.shape[2]) / dt, dt) for x in (latent, truth))
    for name, value in (("winner", here.up), ("loser", here.down), ("last", here.others)):
        yield "em", f"rate_{name}_inferred", value, "Hz", latent.shape[1]
    yield "data", "switches", true.n_switches, "", 1
    if true.n_switches and here.n_switches == true.n_switches:
        yield "em", "switch_error", np.abs(here.times - true.times).max(), "s", true.n_switches


def partitioned(recorded: Trials, seed: int):
    """Share of neurons whose population is found from the spikes alone."""
    trial, rng = recorded.trial, seeds.generator(seed, "neulvm", "partition")
    group = partition.find(trials.joined(trial), trial.shape[2], trial.dt, rng)
    yield "data", "partition_accuracy", partition.accuracy(group, trial.population), "", len(group)


def parameters(fits: list[Fitted], models: dict[str, Fitted], truth: Circuit | None, recorded: Trials, free: int):
    """Losses of the starts, and the parameters of the models (`free` of them, if not shared), by name, over the true ones."""
    losses = [fit.about["loss"] for fit in fits]
    for fit in fits:
        yield f"start{fit.about['start']}", "loss", fit.about["loss"], "nats", 1
    yield "em", "loss", models["em"].about["loss"], "nats", len(fits)
    yield "em", "loss_worst", max(losses), "nats", len(fits)
    for name, model in models.items():
        n = len(GROUPS) * len(set(model.circuit.kinds)) if name == "chosen" else free
        yield name, "at_bound", len(model.about["at_bound"]), "", n
        if truth is not None:
            yield from named(name, measurement.ratios(model.circuit, truth))
            yield from pulls(name, model.circuit, truth, recorded)


def pulls(variant: str, circuit: Circuit, truth: Circuit, recorded: Trials):
    """Error of the potential to which each population relaxes at the mean rates of the data: what the data do tell."""
    rates = np.nanmean(recorded.rates, axis=(0, 1))
    if np.isfinite(rates).all():
        h = [each.asymptote(rates) - np.asarray(each.threshold) for each in (circuit, truth)]
        for m, error in enumerate(h[0] - h[1]):
            yield variant, f"h_error_{m}", error, "noise widths", 1


def _groups(names: list[str], truth: Circuit) -> dict[str, list[str]]:
    """Parameters that are reported together; excitatory and inhibitory couplings apart, and none of single connections."""
    couplings = np.array([f"coupling_{m}" for m in range(len(truth.sizes))])
    if not set(couplings) <= set(names):
        return {}
    outgoing = truth.weights.sum(1)
    groups = {"coupling_excitatory": couplings[outgoing > 0], "coupling_inhibitory": couplings[outgoing < 0]}
    groups |= {group: [name for name in names if name.startswith(group)] for group in GROUPS if group != "coupling"}
    return {name: list(columns) for name, columns in groups.items() if len(columns)}


def sampled(table: pd.DataFrame, intervals: pd.DataFrame, truth: Circuit | None):
    """Posterior: mean and 90 % interval of the parameters over the true ones, coverage of such intervals, and the ridge."""
    n = len(table)
    inhibition = table[[name for name in table if name.startswith("coupling")][-1]]
    ridge = [inhibition.corr(table[name]) for name in table if name.startswith("rest")]
    yield "posterior", "ridge_coupling_rest", max(ridge, key=abs), "", n
    for level in ("within_50", "within_90"):
        yield "posterior", level, intervals[level].mean(), "", int(intervals["judged"].iloc[0])
    for name, columns in (_groups(list(table), truth) if truth else {}).items():
        values = (table[columns] / [box.value(truth, column) for column in columns]).mean(axis=1)
        yield "posterior", f"ratio_{name}", values.mean(), "", n
        for label, quantile in (("low", 0.05), ("high", 0.95)):
            yield "posterior", f"{label}_{name}", values.quantile(quantile), "", n


def recovered(table: pd.DataFrame, truth: Circuit):
    """Posteriors of further recordings of the network: mean and sd over recordings, and how often 90 % held the truth.

    Then the excitatory coupling of each, over the true one, with the number of the recording.
    """
    wide = table.pivot(index="recording", columns="name", values="mean")
    groups, inside = _groups(list(wide), truth), (table["low"] <= 1) & (table["high"] >= 1)
    for name, columns in groups.items():
        mean = wide[columns].mean(axis=1)
        yield "recovery", f"ratio_{name}", mean.mean(), "", len(wide)
        yield "recovery", f"sd_{name}", mean.std(), "", len(wide)
        yield "recovery", f"within_90_{name}", inside[table["name"].isin(columns)].mean(), "", len(wide) * len(columns)
    for number, mean in wide[groups.get("coupling_excitatory", [])].mean(axis=1).items():
        yield "recovery", "ratio_coupling_excitatory, each recording", mean, "", 1, number


def diagnosed(found: dict[str, np.ndarray]):
    """Posterior: distance of curves from the diagonal (`ranks`: of the farthest parameter), and what it predicts.

    `band`: where chance keeps one curve in 95 %, the farthest of several less often. `unexpected`: p-value of the recording
    among what the prior predicts; `outside`: share of its summaries outside the 95 % interval of what the posterior predicts
    (0.05 by chance); `left`: sd of the best and of the worst known combination of parameters, over that under the prior.
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


def each_recording(table: pd.DataFrame, network: dict[str, np.ndarray]):
    """Models fitted to further recordings: what each does (the number stands last), and how many of a kind do as the network.

    `switches_inside`: share of the recordings whose free runs switch as often as by chance another run, as long, of the
    network's would (`measurement.chance`); `rates_inside`: whose rates in the states are all within 5 % of the network's.
    """
    for row in table.itertuples():
        yield f"recordings {row.model}", row.metric, row.value, row.unit, row.n, row.recording
    true = {metric: value for metric, value, *_ in measurement.free_run(network["free"], network["dt"])}
    rates = ["rate_up", "rate_down", "rate_last"]
    for name, part in table.groupby("model", sort=False):
        found, values = {}, part.pivot(index="recording", columns="metric", values="value")
        if "switches_per_200s" in values:
            seconds = part.loc[part["metric"] == "switches_per_200s", "n"].iloc[0]  # of each free run
            low, high = measurement.chance(true["switches_per_200s"], len(network["free"]) * network["dt"], seconds)
            switches, near = values["switches_per_200s"], (values[rates] / [true[rate] for rate in rates] - 1).abs()
            inside = switches.between(low - 100 / seconds, high + 100 / seconds)  # half a switch: whole bins are shorter
            found |= {"switches_inside": inside.mean(), "switches_low": low, "switches_high": high}
            found |= {"switches_median": switches.median(), "rates_inside": (near < 0.05).all(axis=1).mean()}
        if "ratio_coupling_excitatory" in values:
            levels = {"median": 0.5, "low": 0.05, "high": 0.95}
            found |= {f"coupling_{name}": values["ratio_coupling_excitatory"].quantile(q) for name, q in levels.items()}
        yield from ((f"recordings {name}", metric, value, "", len(values)) for metric, value in found.items())


def perturbed(simulated: dict[str, dict[str, np.ndarray]], apart: bool = True):
    """Response to the pulse: who wins after it, and how alike the mean responses of model and network are."""
    for name, run in simulated.items():
        if apart:
            yield name, "win_probability", wins(run), "", len(run["pulsed"])
        if "network" in simulated and name != "network":
            yield from named(name, measurement.response(run["pulsed"], simulated["network"]["pulsed"], run["dt"]))


def wins(run: dict[str, np.ndarray]) -> float:
    """Share of trials in which the target of the last pulse is ahead of the target of the first one afterwards."""
    target, first = int(run["target"]), int(run["first"])
    after = np.flatnonzero(run["pulse"][:, target])[-1] + 1
    means = run["pulsed"][:, after:].mean(1)
    return float(np.mean(means[:, target] > means[:, first]))


def held_out(recorded: Trials, models: dict[str, Fitted], rivals: dict[str, np.ndarray], n_particles: int, seed: int):
    """What baselines and models tell about each spike that no fit saw, beyond a constant rate.

    By the log-likelihood of each bin given the bins before it, of a mesoscopic model by the particle filter.
    """
    n = int(rivals["n_spikes"])
    scores = {f"baseline {name}": float(rivals[f"{name}.score"]) for name in rivals["names"]}
    for name, model in models.items():
        rng = seeds.generator(seed, "neulvm", "held out")
        scores[name] = filtering.log_likelihood(model.circuit, recorded.held_out, n_particles, rng, model.kind)
    for name, score in scores.items():
        yield name, "held_out", (score - scores["baseline constant"]) / (n * np.log(2)), "bits/spike", n


def log_likelihoods(trial: Trial, models: dict[str, Fitted], truth: Circuit | None, n_particles: int, seed: int):
    """Log-likelihood of the spikes in the fitted window, the latent activity integrated out; also at the true parameters."""
    circuits = {name: model.circuit for name, model in models.items()} | ({"true": truth} if truth else {})
    for name, circuit in circuits.items():
        rng = seeds.generator(seed, "neulvm", "likely")
        found = filtering.log_likelihood(circuit, trial, n_particles, rng, models["em"].kind)
        yield name, "log_likelihood", found, "nats", int(trial.spikes[:, trial.history :].sum())


def clustered(cases: dict[str, np.ndarray]):
    """Cluster states: share of the windows with K clusters, and changes of K per minute."""
    for name in cases["names"]:
        k, activity, dt = cases[f"{name}.k"], cases[f"{name}.activity"], float(cases[f"{name}.dt"])
        variant, seconds = f"clusters {name}", round(len(activity) * dt)
        yield variant, "rate", activity.mean(), "Hz", seconds
        yield variant, "switches_per_minute", 60 * np.count_nonzero(np.diff(k)) / (len(activity) * dt), "", seconds
        for number in (2, 3, 4):
            yield variant, f"share_k{number}", np.mean(k == number), "", len(k)


def binned(table: pd.DataFrame):
    """Rates and switches of the circuit of the config in bins of different length."""
    for row in table.itertuples():
        variant = row.model if row.model.startswith("network") else f"{row.model} {1000 * row.dt:g} ms"
        for name, unit in (("up", "Hz"), ("down", "Hz"), ("others", "Hz"), ("switch_rate", "1/s")):
            yield f"bins {variant}", name, getattr(row, name), unit, round(row.seconds)
