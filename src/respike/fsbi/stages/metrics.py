"""Everything measured in the study as one tidy table: who meets what, round by round, and how good the inference is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from respike.core import calibration, files, measures
from respike.core.config import build
from respike.core.measures import Measure
from respike.fsbi.inference.targets import GROUPS, Interval, Target, group, meets, plausible, relation
from respike.fsbi.inference.whitening import components, whiten
from respike.fsbi.params import FAMILIES, FINISHED, OUTCOMES, THETA, Simulation, metrics_of

TUTORIAL_RATE = (5.0, 10.0)  # Hz, the aim of the published tutorial
TUTORIAL_MARGIN = (3.0, 15.0)  # Hz, of its training set


@dataclass(frozen=True)
class Aim:
    """What the rules of a round were proposed for."""

    metrics: tuple[str, ...] = ()
    aim: dict[str, tuple[float, ...]] = field(default_factory=dict)  # where it differs from the table of targets


@dataclass(frozen=True)
class Measured:
    """Bounds of the metrics, and the schedule of each network."""

    targets: dict[str, Target]
    schedule: dict[str, tuple[Aim, ...]]


def run(
    *,
    tables: list[Path],
    longevity: list[Path],
    whole: list[Path],
    posteriors: list[Path],
    compare: Path,
    out: Path,
    facts: Path,
    settings: Measured,
    seed: int,
) -> None:
    """Metrics table from the tables of all rounds, the longevity tests, the examined posteriors and the comparison."""
    rounds = [files.read_table(path) for path in tables]
    rows = [
        *(row for table in rounds for row in of_round(table, first_round(rounds, table), settings, seed)),
        *(row for path in whole for row in of_release(files.read_table(path), settings, seed)),
        *(row for path in longevity for row in of_longevity(files.read_table(path), settings, seed)),
        *(row for path in posteriors for row in of_posterior(files.read_arrays(path), seed)),
        *of_comparison(files.read_table(compare), seed),
    ]
    files.write_table(out, measures.table("fsbi", rows))
    files.write_table(facts, measures.facts("fsbi", simulated(zip(tables, rounds, strict=True))))


def simulated(rounds: Iterable[tuple[Path, pd.DataFrame]]) -> Iterator[tuple[str, dict]]:
    """How long the rules of each round were simulated and recorded, in s, and what ended a simulation."""
    for path, table in rounds:
        for job in measures.ran(path, "fsbi.simulate"):
            protocol = build(Simulation, job["settings"]).protocol
            variant = f"{family_of(table)}_pi{table['round'].iloc[0]}"
            yield variant, {"settle": protocol.settle, "record": protocol.record, "stop": protocol.stop}


def family_of(table: pd.DataFrame) -> str:
    """The family of the rules in `table`."""
    return next(family for family in FAMILIES if set(THETA[family]) <= set(table.columns))


def first_round(rounds: list[pd.DataFrame], like: pd.DataFrame) -> pd.DataFrame:
    """Table of the prior draws of the same family."""
    return next(table for table in rounds if family_of(table) == family_of(like))


def of_round(table: pd.DataFrame, prior: pd.DataFrame, settings: Measured, seed: int) -> Iterator[Measure]:
    """Measures of the rules of one round."""
    family, number, dataset = family_of(table), int(table["round"].iloc[0]), table["dataset"].iloc[0]
    values = {**fractions(table, family, settings.targets), **spectrum(table, family)}
    values |= {f"outcome_{name}": float((table["outcome"] == name).mean()) for name in OUTCOMES}
    if "drawn" in table:
        values["inside_box"] = table["inside"].sum() / table["drawn"].sum()
    aim = aim_of(settings, family, number)
    if aim:
        values |= against_prior(table, prior, aim)
    counted = {name: (value, len(table)) for name, value in values.items()} | (misses(table) if aim else {})
    for name, (value, n) in counted.items():
        yield Measure(f"{family}_pi{number}", seed, dataset, name, float(value), "", n)


def fractions(table: pd.DataFrame, family: str, targets: dict[str, Target]) -> dict[str, float]:
    """Share of rules that meet each group of conditions that has any, and each plausibility condition alone."""
    groups = {name: conditions for name in GROUPS if (conditions := plausible(targets, group(name, family)))}
    single = {f"in_{name}": {name: target.plausible} for name, target in targets.items() if target.plausible and name in table}
    return {name: float(meets(table, conditions).mean()) for name, conditions in {**groups, **single}.items()}


def spectrum(table: pd.DataFrame, family: str) -> dict[str, float]:
    """Share of the variance that the first and the last principal component of the whitened rules explain."""
    if len(table) < 2:
        return {}
    share = components(whiten(table, family))[1]
    return {"pca_first": share[0], "pca_last": share[-1]}


def aim_of(settings: Measured, family: str, number: int) -> dict[str, Interval]:
    """The boxes that the rules of a round were proposed for; empty for the prior and for released rules without a schedule."""
    schedule = settings.schedule.get(family, ())
    entry = schedule[number] if 0 <= number < len(schedule) else Aim()
    return {name: tuple(entry.aim.get(name, settings.targets[name].aim)) for name in entry.metrics}


def against_prior(table: pd.DataFrame, prior: pd.DataFrame, aim: dict[str, Interval]) -> dict[str, float]:
    """Share of proposals that fall into the aim, the same for the prior, and their ratio (nan when no prior rule does)."""
    share, prior_share = float(meets(table, aim).mean()), float(meets(prior, aim).mean())
    return {"in_aim": share, "in_aim_prior": prior_share, "gain": share / prior_share if prior_share else np.nan}


def misses(table: pd.DataFrame) -> dict[str, tuple[float, int]]:
    """Of rules that finished, what each was proposed for against what it has: median distance, correlation and share within a
    factor of 2 (targets.relation); and of how many rules.
    """
    finished = table[table["outcome"] == FINISHED]
    values = {}
    for name in (column.removeprefix("aim_") for column in finished.columns if column.startswith("aim_") and len(finished)):
        miss, n = float((finished[name] - finished[f"aim_{name}"]).abs().median()), int(finished[name].notna().sum())
        correlation, near = relation(finished, name)
        values |= {f"miss_{name}": (miss, n), f"relation_{name}": (correlation, n), f"share_{name}_within_2": (near, n)}
    return values


def of_release(table: pd.DataFrame, settings: Measured, seed: int) -> Iterator[Measure]:
    """The counts of the published tutorial, over all rules that the authors released."""
    family = family_of(table)
    good = meets(table, plausible(settings.targets, group("plausible", family)))
    rates = {"rate_5_to_10": meets(table, {"rate": TUTORIAL_RATE}), "rate_3_to_15": meets(table, {"rate": TUTORIAL_MARGIN})}
    counted = {"plausible": good, **rates, **{f"plausible_{name}": good & met for name, met in rates.items()}}
    for name, met in counted.items():
        yield Measure(f"{family}_whole", seed, table["dataset"].iloc[0], f"{name}_fraction", float(met.mean()), "", len(table))
        yield Measure(
            f"{family}_whole", seed, table["dataset"].iloc[0], f"{name}_count", float(met.sum()), "rules", len(table)
        )


def of_longevity(table: pd.DataFrame, settings: Measured, seed: int) -> Iterator[Measure]:
    """Share of the survivors that still meet each condition after the long simulation; nothing when there were none."""
    if not len(table):
        return
    family = family_of(table)
    finite = table[list(metrics_of(family))].notna().any(axis=1)
    for name, value in {"finite": float(finite.mean()), **fractions(table, family, settings.targets)}.items():
        yield Measure(f"{family}_longevity", seed, table["dataset"].iloc[0], name, value, "", len(table))


def of_posterior(examined: dict[str, np.ndarray], seed: int) -> Iterator[Measure]:
    """Calibration of one ensemble by held-out rules, and its aims.

    `coverage_<level>` of central intervals; `sbc_p`, the smallest Kolmogorov-Smirnov p-value over the parameters times their
    number; greatest distance from the diagonal of the joint coverage and of TARP, and what chance stays below in 95 % of
    cases. `surprising_aims`: share of asked-for values unlike any rule (p < 0.05). `..._attainable`: see posterior.aims.
    """
    variant, dataset = f"{examined['rule']}_pi{examined['round']}", str(examined["dataset"])
    ranks, n_rules = examined["ranks"], int(examined["learned"][-1])
    for name, best in zip(examined["condition_names"], examined["attainable"][-1], strict=True):
        yield Measure(variant, seed, dataset, f"relation_{name}_attainable", float(best), "", n_rules)
    unlike = examined["unexpected"] < 0.05
    yield Measure(variant, seed, dataset, "surprising_aims", float(unlike.mean()), "", len(unlike))
    if not len(ranks):
        return
    distance = np.abs(ranks - 0.5)
    smallest = min(stats.kstest(column, "uniform").pvalue for column in ranks.T)
    values = {f"coverage_{level}": (distance <= level / 200).mean() for level in (50, 90)}
    values["sbc_p"] = min(1.0, smallest * ranks.shape[1])
    values["joint_deviation"] = calibration.deviation(calibration.coverage(examined["joint"]))
    values["tarp_deviation"] = calibration.deviation(calibration.Coverage(*examined["tarp"]))
    values["surplus_over_prior"] = examined["surplus"].mean()  # nats; below 0 the prior knows held-out rules better
    values["chance_deviation"] = calibration.band(len(ranks))
    yield from (Measure(variant, seed, dataset, name, float(value), "", len(ranks)) for name, value in values.items())


def of_comparison(table: pd.DataFrame, seed: int) -> Iterator[Measure]:
    """Ways to propose on the surrogate: share inside the aim, or, at several training sizes, how far it is followed."""
    for row in table.itertuples():
        asked = row.method.startswith("asked_")
        variant = f"compare_{row.method}" + (f"_{row.rules:.0f}" if asked and row.n else "")
        for name in ("relation", "within_2") if asked else ("acceptance",):
            yield Measure(variant, seed, "surrogate", name, getattr(row, name), "", int(row.finished if asked else row.n))
