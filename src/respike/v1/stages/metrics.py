"""Free runs and recording in, one table out: likelihood, PSTH, correlations, rates, couplings.

Model and data are measured in the same way, over the bins that have a full history.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import special

from respike.core import files, measures, statistics
from respike.core.config import build
from respike.core.measures import COLUMNS, Measure, table
from respike.v1 import agreement, recorded, simulated, truth
from respike.v1.agreement import Raster
from respike.v1.params import Training
from respike.v1.recorded import Recording
from respike.v1.simulated import Simulation
from respike.v1.truth import Truth

RUNAWAY = 3.0  # a cell that fires so many times its recorded rate has run away


def run(
    *,
    recording: Path,
    runs: list[Path],
    names: list[str],
    ground_truth: Path | None,
    also: list[Path],
    also_facts: list[Path],
    out: Path,
    facts: Path,
) -> None:
    """Write the table of all `runs`, called `names` (variant_replicate), and of the baselines.

    `ground_truth` is the file of the network behind a stand-in, None for recorded data. From the tables `also`, made from
    other recordings, the fits are taken over, and from `also_facts` what is known of them.
    """
    record = recorded.read(recording)
    generator = None if ground_truth is None else truth.read(ground_truth)
    true = None if generator is None else generator.couplings.sum(2)[np.ix_(record.units, record.units)]
    rows, first = list(of_data(record)), 0
    for path, name in zip(runs, names, strict=True):
        simulation = simulated.read(path)
        if simulation.dataset != record.dataset:
            raise ValueError(
                f"{path} was fitted to {simulation.dataset!r}, {recording} is {record.dataset!r}; make the runs again"
            )
        variant, replicate = name.rsplit("_", 1)
        first = record.spikes.shape[1] - simulation.spikes.shape[1]
        train, test = (record.of(split)[:, first:] for split in ("train", "test"))
        rows += of_run(simulation, train, test, true, functools.partial(Measure, variant, int(replicate), record.dataset))
    rows += of_baselines(record.of("train")[:, first:], record.of("test")[:, first:], record.dataset)
    if generator is not None:
        rows += of_generator(generator, record, first)
    rows += against_references(rows)
    others = [files.read_table(path, COLUMNS) for path in also]
    fits_of_others = [other[other["variant"].str.contains("@")] for other in others]
    files.write_table(out, pd.concat([table("v1", rows), *fits_of_others], ignore_index=True))
    told = measures.facts("v1", trained(runs, names, len(record.units)))
    files.write_table(facts, pd.concat([told, *map(files.read_table, also_facts)], ignore_index=True))


def trained(runs: list[Path], names: list[str], cells: int) -> Iterator[tuple[str, dict]]:
    """Gradient steps and recorded cells of each fit, by variant."""
    for path, name in zip(runs, names, strict=True):
        fits = {Path(job["fit"]).stem: job for job in measures.ran(path, "v1.fit")}
        if path.stem in fits:
            yield name.rsplit("_", 1)[0], {"steps": build(Training, fits[path.stem]["optimiser"]).steps, "cells": cells}


def of_data(record: Recording) -> Iterator[Measure]:
    """What the recording is, and what was lost on the way to bins."""
    measure = functools.partial(Measure, "data", 0, record.dataset)
    spikes = record.spikes
    yield measure("units", spikes.shape[2], "count", spikes.shape[2])
    yield measure("rate", spikes.mean(), "spikes/bin", len(spikes))
    yield measure("late spikes dropped", record.late, "count", len(spikes))
    yield measure("spikes merged in a bin", record.merged, "count", len(spikes))


def of_run(
    simulation: Simulation,
    train: Raster,
    test: Raster,
    true: Float[np.ndarray, "post pre"] | None,
    measure: Callable[..., Measure],
) -> Iterator[Measure]:
    """All measures of one fitted network; `true` are the couplings of the recorded cells behind a stand-in."""
    n_test, n_cells = len(test), test.shape[2]
    spikes, nll = simulation.recorded_spikes, simulation.nll.mean()
    constant = agreement.bernoulli_nll(agreement.spike_probability(train, (0, 1)), test)
    yield measure("nll", nll, "nat/bin/cell", n_test)
    yield measure("nll marginal", simulation.nll_marginal.mean(), "nat/bin/cell", n_test)
    yield measure("bits per spike", agreement.bits_per_spike(nll, constant, test.mean()), "bit/spike", n_test)
    for n_trials in sorted({min(n_test, len(spikes)), len(spikes)}):
        yield from of_free_runs(test, spikes[:n_trials], f"{n_trials} trials", measure)
    yield from of_rates(test, spikes, measure)
    if simulation.n_recorded < simulation.spikes.shape[2]:
        yield measure("hidden rate", simulation.spikes[:, :, n_cells:].mean(), "spikes/bin", len(spikes))
    if true is not None:
        r = agreement.coupling_r(simulation.logit_couplings.sum(2)[:n_cells, :n_cells], true)
        yield measure("coupling r", r, "r", n_cells * (n_cells - 1))


def of_free_runs(test: Raster, model: Raster, label: str, measure: Callable[..., Measure]) -> Iterator[Measure]:
    """Trial means: Pearson r over time (mean and s.d. over cells), R2 over all entries. Correlations: r and R2 over pairs."""
    r = agreement.psth_r(test, model)
    yield measure(f"psth r ({label})", r.mean(), "r", len(r))
    yield measure(f"psth r s.d. ({label})", r.std(), "r", len(r))
    yield measure(f"psth R2 ({label})", statistics.r2(test.mean(0), model.mean(0)), "R2", test[0].size)
    of_model = agreement.correlations(model)
    for kind, data in agreement.correlations(test).items():
        yield measure(f"{kind} correlation r ({label})", agreement.pearson(data, of_model[kind]), "r", len(data))
        yield measure(f"{kind} correlation R2 ({label})", statistics.r2(data, of_model[kind]), "R2", len(data))


def of_rates(test: Raster, model: Raster, measure: Callable[..., Measure]) -> Iterator[Measure]:
    """Firing rates against the data."""
    data, rates = test.mean((0, 1)), model.mean((0, 1))
    yield measure("rate", rates.mean(), "spikes/bin", len(model))
    yield measure("rate ratio", rates.mean() / data.mean(), "1", len(model))
    yield measure("rate error", np.mean(np.abs(rates - data)), "spikes/bin", len(data))
    yield measure("share of run-away cells", np.mean(rates > RUNAWAY * data), "1", len(data))


def of_baselines(train: Raster, test: Raster, dataset: str) -> Iterator[Measure]:
    """Constant rate and training PSTH as predictions; and the training trials as a model of the test trials."""
    constant = agreement.bernoulli_nll(agreement.spike_probability(train, (0, 1)), test)
    psth = agreement.bernoulli_nll(agreement.spike_probability(train, (0,)), test)
    for variant, nll in (("constant rate", constant), ("psth", psth)):
        measure = functools.partial(Measure, variant, 0, dataset)
        yield measure("nll", nll, "nat/bin/cell", len(test))
        yield measure("bits per spike", agreement.bits_per_spike(nll, constant, test.mean()), "bit/spike", len(test))
    others = functools.partial(Measure, "training trials", 0, dataset)
    yield from of_free_runs(test, train, f"{len(train)} trials", others)


def of_generator(generator: Truth, record: Recording, first: int) -> Iterator[Measure]:
    """Likelihood of the network that made the data, given its hidden spikes: the floor. Bins from `first` on count."""
    test = generator._replace(spikes=generator.spikes[: len(record.split)][record.split == "test"])
    used = slice(first + test.spikes.shape[1] - record.spikes.shape[1], None)
    p = special.expit(truth.logits(test))[:, used, record.units]
    nll = agreement.bernoulli_nll(p, test.spikes[:, used, record.units])
    yield Measure("generator", 0, record.dataset, "nll", nll, "nat/bin/cell", len(p))


def against_references(rows: list[Measure]) -> Iterator[Measure]:
    """Each fit against the fit by likelihood alone (same replicate), the training PSTH and the generator."""
    values = {(row.variant, row.seed, row.metric): row.value for row in rows}
    constant, psth = values["constant rate", 0, "nll"], values["psth", 0, "nll"]
    generator = values.get(("generator", 0, "nll"))
    for row in rows:
        mle = values.get(("mle", row.seed, row.metric))
        if (row.variant, row.seed, "rate ratio") not in values:  # not a fit
            continue
        if mle is not None and row.variant != "mle" and row.metric.startswith(("nll", "psth r (", "noise correlation R2")):
            yield row._replace(metric=f"{row.metric} over mle", value=row.value - mle)
        if row.metric == "nll":
            yield row._replace(metric="nll under psth", value=psth - row.value)
            if generator is not None:
                share = (constant - row.value) / (constant - generator)
                yield row._replace(metric="share of the way to the generator", value=share, unit="1")
