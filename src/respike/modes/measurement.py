"""Measures of single networks, of the replicas of a variant, and of the trend over numbers of modes, as rows of the table."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from respike.core import spikes, statistics
from respike.core.config import build
from respike.core.measures import Measure, ran
from respike.modes import analysis
from respike.modes.params import DT, Training
from respike.modes.trials import Trials

LEARNED = 1.7  # loss (reference) below which a digit network has learned something
FEWEST_ACCURATE = 0.89  # digit replicas below are left out of the paper's figures
LARGEST_LOSS = 80.0  # contextual replicas at or above are left out of the paper's figure 3a
FIRST_BELOW = 100.0
SUMMED = 300 * 500  # trials times steps whose squared errors these two losses are the root of the sum of
FINAL_DIGIT_BATCHES, FINAL_TRIALS = 100, 20  # of the mean final loss

ACROSS_MODES = ("batches_to_1.7", "final_loss")  # measures of digit networks whose mean over all numbers of modes is one too
# what claims ask for
TOLD = ("loss", "batches", "batch", "repeats", "same_trials", "steps", "learning_rate", "output_init", "mode_init", "filter",
        "rate_cells", "refractory", "train_scores", "rate_readout", "clip")  # fmt: skip

Value = tuple[str, float, str, int]  # metric, value, unit, n


def measures(networks: Mapping[str, Trials]) -> list[Measure]:
    """All measures of `networks`, which are named digits_spike_N100_P3_replica0 and so on."""
    variants: dict[str, list[Trials]] = defaultdict(list)
    rows = []
    for name, trials in networks.items():
        variant = name.rpartition("_replica")[0]
        variants[variant].append(trials)
        values = network_values(trials) + [(f"{name}, each network", x, u, 1) for name, x, u in importance_values([trials])]
        rows += [Measure(variant, int(trials["replica"]), str(trials["dataset"]), *value) for value in values]
    table = pd.DataFrame(rows)
    for variant, members in variants.items():
        values = [*exclusions(table[table["variant"] == variant], members[0]), *importance_values(members)]
        rows += [Measure(variant, -1, str(members[0]["dataset"]), *value, len(members)) for value in values]
    return [*rows, *trends(table), *means_across_modes(table)]


def facts(simulations: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """How each network was trained, by variant, and of all variants of a cell and size together; with the numbers of modes."""
    modes = defaultdict(set)
    for job in (job for path in simulations for job in ran(path, "modes.fit")):
        settings, size = build(Training, job["settings"]), f"{job['task']}_{job['cell']}_N{job['neurons']}"
        modes[size].add(job["modes"])
        for variant in (f"{size}_P{job['modes']}", size):
            yield variant, {name: getattr(settings, name) for name in TOLD}
    for size, numbers in modes.items():
        yield size, {"modes": " ".join(map(str, sorted(numbers)))}


def network_values(trials: Trials) -> list[Value]:
    """Measures of one network: its task, and its activity if it spikes."""
    values = digit_values(trials) if trials["task"] == "digits" else contextual_values(trials)
    return values + activity_values(trials) if "sample_spikes" in trials else values


def digit_values(trials: Trials) -> list[Value]:
    """Accuracy over fresh spikes, final loss, and batches until the loss first falls below 1.7."""
    correct, loss = trials["predicted"] == trials["labels"], trials["loss"]
    final = loss[-FINAL_DIGIT_BATCHES:]
    return [
        ("accuracy", float(correct.mean()), "", correct.size),
        ("final_loss", float(final.mean()), "nats", len(final)),
        ("batches_to_1.7", first_below(loss, LEARNED), "batches", len(loss)),
    ]


def contextual_values(trials: Trials) -> list[Value]:
    """Error and decisions of the contextual task, on switched and plain trials, and the course of the loss."""
    output, target, loss = trials["output"], trials["target"], trials["loss"]
    n = output.shape[1]
    correct = analysis.correct_decisions(output, target)
    values = [
        ("mse", float(np.mean((output - target) ** 2)), "", n),
        ("decision_accuracy", float(correct.mean()), "", n),
        ("kim_accuracy", float(analysis.kim_criterion(output, target).mean()), "", n),
        ("final_loss", float(loss[-FINAL_TRIALS:].mean()), "", len(loss[-FINAL_TRIALS:])),
        ("lowest_loss", float(loss.min()), "", len(loss)),
        ("trials_to_100", first_below(loss, scaled(FIRST_BELOW, trials)), "trials", len(loss)),
    ]
    switched = trials["switched"]
    if switched.any():
        values += [
            ("decision_accuracy_switched", float(correct[switched].mean()), "", int(switched.sum())),
            ("decision_accuracy_plain", float(correct[~switched].mean()), "", int((~switched).sum())),
        ]
    return values


def scaled(loss: float, trials: Trials) -> float:
    """What a contextual loss of the published batches, in trials and steps, is in those that this network was trained in."""
    return loss * math.sqrt(int(trials["summed"]) / SUMMED)


def first_below(loss: np.ndarray, level: float) -> float:
    """Number of the first batch, counted from 1, whose loss is below `level`; nan when there is none."""
    below = np.flatnonzero(loss < level)
    return float(below[0] + 1) if len(below) else np.nan


def activity_values(trials: Trials) -> list[Value]:
    """Mean rate over all trials, and irregularity in the sample trial."""
    cv = statistics.isi_cv(spikes.from_raster(trials["sample_spikes"][None], DT))
    return [
        ("rate", float(trials["rates"].mean()), "Hz", len(trials["rates"])),
        ("isi_cv", float(np.nanmean(cv)) if np.isfinite(cv).any() else np.nan, "", int(np.isfinite(cv).sum())),
    ]


def exclusions(rows: pd.DataFrame, one: Trials) -> list[tuple[str, float, str]]:
    """How many of a variant's networks, `one` among them, the paper would have left out of its figures; also what is nan."""
    if one["task"] == "digits":
        kept = rows.loc[rows["metric"] == "accuracy", "value"] >= FEWEST_ACCURATE
    else:
        kept = rows.loc[rows["metric"] == "final_loss", "value"] < scaled(LARGEST_LOSS, one)
    return [("replicas_the_paper_would_drop", float((~kept).sum()), "networks")]


def importance_values(members: Sequence[Trials]) -> list[tuple[str, float, str]]:
    """The two log-log slopes of mode importance, when the networks have modes enough, and the scores at both ends."""
    importance, scores = ranked_importance(members)
    lines = zip(("head", "tail"), analysis.power_laws(importance, len(members[0]["pin"])), strict=False)
    slopes = [(f"importance_slope_{part}", float(line[0]), "") for part, (_, line) in lines]
    return [*slopes, ("score_first", float(scores[0]), ""), ("score_last", float(scores[-1]), "")]


def ranked_importance(members: Sequence[Trials]) -> tuple[np.ndarray, np.ndarray]:
    """Importance of modes by rank, averaged over the replicas `members`, and the size of their scores in the same order."""
    tau = np.stack([analysis.importance(one["pin"], one["scores"], one["pout"]) for one in members])
    return analysis.ranked(tau, np.stack([one["scores"] for one in members]))


def trends(rows: pd.DataFrame) -> Iterator[Measure]:
    """Change of mean accuracy from the fewest to the most modes, for each kind of cell and number of neurons."""
    accuracy = rows[rows["metric"] == "accuracy"]
    group, modes = accuracy["variant"].str.rsplit("_P", n=1).str[0], accuracy["variant"].str.rsplit("_P", n=1).str[1]
    for name, part in accuracy.groupby(group):
        mean = part["value"].groupby(modes.astype(int)).mean()
        if len(mean) > 1:
            change = float(mean.iloc[-1] - mean.iloc[0])
            yield Measure(name, -1, part["dataset"].iloc[0], "accuracy_change_with_modes", change, "", len(part))


def means_across_modes(rows: pd.DataFrame) -> Iterator[Measure]:
    """Means over the numbers of modes, for each kind of cell, number of neurons and replica that has all of several.

    nan where one of them is: a network that never learned does not make the mean better.
    """
    chosen = rows[rows["metric"].isin(ACROSS_MODES) & rows["variant"].str.startswith("digits")]
    group = chosen["variant"].str.rsplit("_P", n=1).str[0]
    numbers = chosen["variant"].groupby(group).nunique()
    for (name, seed, dataset, metric, unit), part in chosen.groupby([group, "seed", "dataset", "metric", "unit"]):
        if len(part) == numbers[name] > 1:
            mean = float(part["value"].mean(skipna=False))
            yield Measure(name, int(seed), dataset, f"{metric}, mean over modes", mean, unit, len(part))
