"""Every number of the study: tables of the other stages in, one tidy table out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from respike.barrel import analysis, anatomy, params
from respike.core import files, measures
from respike.core.config import build
from respike.core.measures import Measure

STUDY = "barrel"
CONVENTIONAL = ("GRU", "LSTM", "conv net")
CHOSEN = ("test accuracy, best epoch", "test accuracy, epoch by validation", "test accuracy, last epoch")


def run(
    *,
    histories: list[Path],
    folds: list[Path],
    wirings: list[Path],
    starts: list[Path],
    baselines: list[Path],
    scan: Path,
    deprivation: Path,
    responses: list[Path],
    seed: int,
    out: Path,
    facts: Path,
) -> None:
    """Accuracies, deprivation, irregularity, selectivity, degrees, time constants and driven rates."""
    rows: list[Measure] = []
    for path in histories:
        rows += training(files.read_table(path))
    for part in grouped(folds, "form"):
        rows += cross_validated(part)
    for part in grouped(wirings, "wiring"):
        rows += wired(part)
    for path in baselines:
        rows += others(files.read_table(path))
    rows += irregularity(files.read_table(scan))
    for part in grouped(starts, "replicate"):
        rows += started(part)
    rows += deprived(files.read_table(deprivation))
    for path in responses:
        rows += network(files.read_arrays(path))
    rows += gains(rows)
    n_synapses = int(anatomy.column(1, "anatomical", seed)[1].sum())
    rows.append(Measure("anatomy", seed, "none", "synapses of the whole column", n_synapses, "1", n_synapses))
    files.write_table(out, measures.table(STUDY, rows))
    files.write_table(facts, measures.facts(STUDY, trained([*histories, *wirings, *starts])))


def trained(courses: list[Path]) -> Iterator[tuple[str, dict]]:
    """How the networks behind each variant of the table were trained, on which input and on how many objects."""
    for path in courses:
        for job in measures.ran(path, "barrel.fit"):
            variant, course = build(params.Variant, job["variant"]), files.read_table(path)
            about = settings_read(variant, build(params.Fit, job["settings"]))
            about |= {"train_objects": course["n_train"].iloc[0], "test_objects": course["n_test"].iloc[0]}
            for data in measures.ran(path, "barrel.data"):
                about["normalise"] = data.get("normalise") or "none"
            for name in tabled(variant):
                yield name, about


def settings_read(variant: params.Variant, settings: params.Fit) -> dict[str, object]:
    """Every setting that a training has read: initial values may be those of the scan, and numbers are not drawn as spikes."""
    about = {**vars(settings.network), **vars(settings.encoding), **vars(settings.training)}
    unread = ("initial_weight", "baseline") if variant.start else ("repeats",) if variant.form == "real" else ()
    return {name: value for name, value in about.items() if name not in unread}


def tabled(variant: params.Variant) -> list[str]:
    """What the table calls the networks of a training."""
    if variant.start:
        return ["cv scan"]
    wired = [f"wiring {variant.wiring}"] if variant.form == "spiking" else []
    kept = [variant.form, *(f"{variant.form} {each}" for each in ("initial", "trained", "deprived"))]
    return wired + (kept if variant.wiring == "anatomical" else [])


def grouped(paths: list[Path], column: str) -> Iterator[pd.DataFrame]:
    """Courses of several trainings, those together that share a value of the column; none where there are no trainings."""
    if paths:
        for _, part in pd.concat([files.read_table(path) for path in paths], ignore_index=True).groupby(column, sort=False):
            yield part


def gains(rows: list[Measure]) -> Iterator[Measure]:
    """Best-epoch accuracy of each training minus the mean of the conventional networks on the same test samples."""
    for form in ("spiking", "real"):
        names = [f"{form} {name}" for name in CONVENTIONAL]
        conventional = [row.value for row in rows if row.variant in names and row.metric == "test accuracy"]
        for row in [row for row in rows if row.variant == form and row.metric == "test accuracy, best epoch" and conventional]:
            yield row._replace(
                metric="gain over the mean of GRU, LSTM and conv net", value=row.value - float(np.mean(conventional))
            )


def training(history: pd.DataFrame) -> Iterator[Measure]:
    """Accuracies of one training: best on the test set (as published), chosen by validation, last."""
    first = history.iloc[0]
    for metric, value in selected(history).items():
        n = int(first["n_test" if metric in CHOSEN else "n_train"])
        yield Measure(first["form"], int(first["replicate"]), first["dataset"], metric, value, "1", n)


def selected(history: pd.DataFrame) -> dict[str, float]:
    """Test accuracies by three rules of choosing the epoch, and training accuracy of the last five epochs."""
    by_validation = history["test"].loc[history["validation"].idxmax()] if history["validation"].notna().all() else np.nan
    tested = (history["test"].max(), by_validation, history["test"].iloc[-1])
    return {
        **dict(zip(CHOSEN, tested, strict=True)),
        "training accuracy, last epochs": history["train"].tail(5).mean(),
        "loss, last epoch": history["loss"].iloc[-1],
    }


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % confidence interval of the mean (Student's t); nan for less than three values, or equal ones: it says nothing."""
    if len(values) < 3 or np.ptp(values) == 0:
        return np.nan, np.nan
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def summary(variant: str, seed: int, dataset: str, metric: str, values: np.ndarray) -> Iterator[Measure]:
    """Mean, standard deviation and confidence interval of `values`."""
    low, high = interval(values)
    named = {
        "mean": values.mean(),
        "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
        "low 95 %": low,
        "high 95 %": high,
    }
    for name, value in named.items():
        yield Measure(variant, seed, dataset, f"{metric}, {name}", float(value), "1", len(values))


def cross_validated(table: pd.DataFrame) -> Iterator[Measure]:
    """Cross-validated accuracies of one form of the input, with intervals over repeats and folds."""
    first = table.iloc[0]
    chosen = pd.DataFrame([selected(part) for _, part in table.groupby(["repeat", "fold"])])
    for metric in CHOSEN:
        row = (first["form"], -1, first["dataset"], f"cross-validated {metric}")
        yield from summary(*row, chosen[metric].to_numpy())


def wired(table: pd.DataFrame) -> Iterator[Measure]:
    """Accuracy of networks wired by one rule: spread over networks."""
    first = table.iloc[0]
    variant, dataset = f"wiring {first['wiring']}", first["dataset"]
    chosen = pd.DataFrame([selected(part) for _, part in table.groupby("replicate")])
    for metric in ("test accuracy, best epoch", "test accuracy, last epoch"):
        values = chosen[metric].to_numpy()
        yield from summary(variant, -1, dataset, metric, values)
        yield Measure(variant, -1, dataset, f"{metric}, lowest", values.min(), "1", len(values))
        for number, part in table.groupby("replicate"):
            n = int(part["n_test"].iloc[0])
            yield Measure(variant, int(number), dataset, f"{metric}, each network", selected(part)[metric], "1", n)


def others(table: pd.DataFrame) -> Iterator[Measure]:
    """Accuracy of other classifiers on the published split and over folds."""
    for (form, name), part in table.groupby(["form", "classifier"]):
        first = part.iloc[0]
        split = part[part["repeat"] < 0]
        for row in split.itertuples():
            yield Measure(
                f"{form} {name}", int(first["seed"]), first["dataset"], "test accuracy", row.accuracy, "1", row.n_test
            )
        values = part.loc[part["repeat"] >= 0, "accuracy"].to_numpy()
        if len(values):
            metric = "cross-validated test accuracy"
            yield from summary(f"{form} {name}", int(first["seed"]), first["dataset"], metric, values)


def irregularity(table: pd.DataFrame) -> Iterator[Measure]:
    """CV and rate of untrained networks over the grid."""
    for row in table.itertuples():
        variant = f"init_w {row.initial_weight:g} init_b {row.baseline:g}"
        yield Measure(variant, int(row.seed), row.dataset, "cv before training", row.cv, "1", int(row.n))
        yield Measure(variant, int(row.seed), row.dataset, "rate before training", row.rate, "1/step", int(row.n))


def started(table: pd.DataFrame) -> Iterator[Measure]:
    """Accuracy of one network after training from some points of the grid; from those of lowest and highest irregularity."""
    metric, best = "test accuracy, best epoch", []
    for (_, weight, baseline), part in table.groupby(["cv", "initial_weight", "baseline"], sort=True):
        first = part.iloc[0]
        row = Measure(
            "cv scan", int(first["replicate"]), first["dataset"], metric, part["test"].max(), "1", int(first["n_test"])
        )
        best.append(row)
        yield row._replace(variant=f"init_w {weight:g} init_b {baseline:g}")
    for name, row in (("lowest", best[0]), ("highest", best[-1])):
        yield row._replace(metric=f"test accuracy from the start with {name} cv")
    gain = best[-1].value - best[0].value
    yield best[0]._replace(metric="gain of the start with highest cv over that with lowest", value=gain)


def deprived(table: pd.DataFrame) -> Iterator[Measure]:
    """Mean accuracy for each number of removed whiskers, and the accuracy without each single one."""
    first = table.iloc[0]
    row = ("spiking deprived", int(first["replicate"]), first["dataset"])
    for k, part in table.groupby("k"):
        yield Measure(*row, f"accuracy without {k} whiskers", part["accuracy"].mean(), "1", len(part))
        if 1 < k <= params.MOST_REMOVED:
            yield Measure(*row, f"accuracy without {k} whiskers, sd", part["accuracy"].std(ddof=1), "1", len(part))
    single = table[table["k"] == 1]
    yield Measure(*row, "lowest accuracy without 1 whisker", single["accuracy"].min(), "1", len(single))


def network(response: dict[str, np.ndarray]) -> Iterator[Measure]:
    """Selectivity under each condition; degrees, time constants and driven rates before and after training."""
    seed, dataset, n = int(response["replicate"]), str(response["dataset"]), int(response["sizes"].sum())
    for condition in ("initial", "trained", "shuffled"):
        variant = f"spiking {condition}"
        by_steps = analysis.selectivity_by_steps(response[f"{condition}_sums"], response["label"])
        by_trials = analysis.selectivity_by_trials(response[f"{condition}_counts"], response["label"])
        yield Measure(variant, seed, dataset, "selective cells, published test", by_steps.selective.mean(), "1", n)
        yield Measure(variant, seed, dataset, "selective cells, trials with FDR", by_trials.selective.mean(), "1", n)
        yield Measure(variant, seed, dataset, "cv", response[f"{condition}_cv"].mean(), "1", len(response["label"]))
        rate = response[f"{condition}_raster"].mean()
        yield Measure(variant, seed, dataset, "spikes per step and cell, one trial", rate, "1", n)
    for condition in ("initial", "trained"):
        yield from described(response, condition, Measure(f"spiking {condition}", seed, dataset, "", 0.0, "", n))


def described(response: dict[str, np.ndarray], condition: str, row: Measure) -> Iterator[Measure]:
    """Time constants, tails of the degrees, and the profile of the driven rates against the reference."""
    for name, unit in (
        ("tau_membrane", "step"),
        ("tau_adaptation", "step"),
        ("in_degree", "weight"),
        ("out_degree", "weight"),
    ):
        values = response[f"{condition}_{name}"]
        yield row._replace(metric=f"{name}, mean", value=values.mean(), unit=unit)
        yield row._replace(metric=f"{name}, sd", value=values.std(), unit=unit)
        if unit == "weight":
            yield row._replace(metric=f"{name}, skewness", value=float(stats.skew(values)), unit="1")
    rates = response[f"{condition}_driven_rate"]
    yield row._replace(metric="driven rate, mean of populations", value=rates.mean(), unit="1/step", n=len(rates))
    yield row._replace(
        metric="driven rate, largest distance from 92/550", value=np.abs(rates - 92 / 550).max(), unit="1/step", n=13
    )
    if np.ptp(rates) > 0:
        r, p = stats.pearsonr(rates, params.REFERENCE_RATES)
        yield row._replace(metric="driven rate against reference, r", value=float(r), unit="1", n=len(rates))
        yield row._replace(metric="driven rate against reference, p", value=float(p), unit="1", n=len(rates))
