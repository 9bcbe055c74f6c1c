"""Simulated trials, weights and losses of all networks in, one tidy table out."""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, measures, spikes, statistics
from respike.core.measures import Measure
from respike.modes import analysis, replicas
from respike.modes.params import DT
from respike.modes.replicas import Trials

LEARNED = 1.7  # loss (reference) below which a digit network has learned something
FEWEST_ACCURATE = 0.89  # digit replicas below are left out of the paper's figures
LARGEST_LOSS = 80.0  # contextual replicas at or above are left out of the paper's figure 3a
FIRST_BELOW = 100.0
LAST = 20  # trials of the mean final loss


def run(*, simulations: list[Path], out: Path) -> None:
    """Measure every network and every kind of network."""
    found = [(name_of(network), trials) for network, trials in replicas.read(simulations).items()]
    rows = [row for (variant, replica), trials in found for row in network_rows(variant, replica, trials)]
    rows += kind_rows(pd.DataFrame(rows), found)
    files.write_table(out, measures.table("modes", rows))


def name_of(network: str) -> tuple[str, int]:
    """Variant and replica in the name of a network: digits_spike_N100_P3_replica0."""
    variant, replica = re.fullmatch(r"(.+)_replica(\d+)", network).groups()
    return variant, int(replica)


def network_rows(variant: str, replica: int, trials: Trials) -> list[Measure]:
    """Measures of one network."""
    task = str(trials["task"])
    values = digit_values(trials) if task == "digits" else contextual_values(trials)
    if "sample_spikes" in trials:
        values += activity_values(trials)
    dataset = str(trials["dataset"])
    return [Measure(variant, replica, dataset, *value) for value in values]


def digit_values(trials: Trials) -> list[tuple[str, float, str, int]]:
    """Accuracy over fresh spikes, final loss, and batches until the loss first falls below 1.7."""
    correct, loss = trials["predicted"] == trials["labels"], trials["loss"]
    low = np.flatnonzero(loss < LEARNED)
    return [
        ("accuracy", float(correct.mean()), "", correct.size),
        ("final_loss", float(loss[-100:].mean()), "nats", len(loss[-100:])),
        ("batches_to_1.7", float(low[0] + 1) if len(low) else np.nan, "batches", len(loss)),
    ]


def contextual_values(trials: Trials) -> list[tuple[str, float, str, int]]:
    """Error and decisions of the contextual task, on switched and plain trials, and the course of the loss."""
    output, target, loss = trials["output"], trials["target"], trials["loss"]
    n = output.shape[1]
    decided, below = analysis.decision(output, target), np.flatnonzero(loss < FIRST_BELOW)
    values = [
        ("mse", analysis.squared_error(output, target), "", n),
        ("decision_accuracy", float(decided.mean()), "", n),
        ("kim_accuracy", float(analysis.kim_criterion(output, target).mean()), "", n),
        ("final_loss", float(loss[-LAST:].mean()), "", LAST),
        ("lowest_loss", float(loss.min()), "", len(loss)),
        ("trials_to_100", float(below[0] + 1) if len(below) else np.nan, "trials", len(loss)),
    ]
    if trials["switched"].any():
        switched = trials["switched"]
        values += [
            ("decision_accuracy_switched", float(decided[switched].mean()), "", int(switched.sum())),
            ("decision_accuracy_plain", float(decided[~switched].mean()), "", int((~switched).sum())),
        ]
    return values


def activity_values(trials: Trials) -> list[tuple[str, float, str, int]]:
    """Mean rate over all trials, and irregularity in the sample trial."""
    train = spikes.from_raster(trials["sample_spikes"][None], DT)
    cv = statistics.isi_cv(train)
    return [
        ("rate", float(trials["rates"].mean()), "Hz", len(trials["rates"])),
        ("isi_cv", float(np.nanmean(cv)) if np.isfinite(cv).any() else np.nan, "", int(np.isfinite(cv).sum())),
    ]


def kind_rows(rows: pd.DataFrame, found: list) -> list[Measure]:
    """Measures over the replicas of each kind of network: how many the paper would have left out, slopes of importance."""
    kinds = defaultdict(list)
    for (variant, _), trials in found:
        kinds[variant].append(trials)
    measured = []
    for variant, members in kinds.items():
        dataset, n = str(members[0]["dataset"]), len(members)
        mine = rows[rows["variant"] == variant]
        if variant.startswith("digits"):
            failed = mine.loc[mine["metric"] == "accuracy", "value"] < FEWEST_ACCURATE
        else:
            failed = mine.loc[mine["metric"] == "final_loss", "value"] >= LARGEST_LOSS
        measured.append(Measure(variant, -1, dataset, "replicas_the_paper_would_drop", float(failed.sum()), "networks", n))
        measured += slope_rows(variant, dataset, members)
    return measured + trend_rows(rows)


def slope_rows(variant: str, dataset: str, members: list[Trials]) -> list[Measure]:
    """The two log-log slopes of mode importance, when the network has modes enough, and the scores they end at."""
    scores = np.stack([m["scores"] for m in members])
    tau = np.stack([analysis.importance(m["pin"], m["scores"], m["pout"]) for m in members])
    mean, sizes = analysis.ranked(tau, scores)
    ranges = analysis.slope_ranks(members[0]["pin"].shape[0])
    rows = [
        Measure(variant, -1, dataset, f"importance_slope_{part}", analysis.log_slope(mean, *ranks), "", len(members))
        for part, ranks in zip(("head", "tail"), ranges, strict=True)
        if ranks[1] <= len(mean)
    ]
    ends = (("score_first", sizes[0]), ("score_last", sizes[-1]))
    return rows + [Measure(variant, -1, dataset, name, float(size), "", len(members)) for name, size in ends]


def trend_rows(rows: pd.DataFrame) -> list[Measure]:
    """Change of mean accuracy from the fewest to the most modes, for each kind of cell and number of neurons."""
    accuracy = rows[rows["metric"] == "accuracy"].copy()
    if accuracy.empty:
        return []
    accuracy[["group", "modes"]] = accuracy["variant"].str.extract(r"(.+)_P(\d+)$")
    measured = []
    for group, part in accuracy.astype({"modes": int}).groupby("group"):
        mean = part.groupby("modes")["value"].mean().sort_index()
        if len(mean) > 1:
            name, change = part["dataset"].iloc[0], float(mean.iloc[-1] - mean.iloc[0])
            measured.append(Measure(group, -1, name, "accuracy_change_with_modes", change, "", len(part)))
    return measured
