"""Free runs and recording in, one table out: likelihood, PSTH, correlations, rates, couplings.

Model and data are measured in the same way, over the bins that have a full history. Correlations of a pair (i, j) are
covariances at lag 0 divided by the total standard deviations: noise is what is left after removing each bin's trial mean,
stimulus what the trial mean does, total their sum.
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import special

from respike.core import files, statistics
from respike.core.measures import COLUMNS, Measure, table
from respike.v1 import truth

Raster = Bool[np.ndarray, "trial step cell"]
RUNAWAY = 3.0  # a cell that fires so many times its recorded rate has run away
KINDS = ("noise", "stimulus", "total")


def run(*, recording: Path, runs: list[Path], names: list[str], ground_truth: list[Path], also: list[Path], out: Path) -> None:
    """Write the table of all `runs`, called `names` (variant_replicate), and of the baselines and ceilings.

    `ground_truth` is the file of the network behind a stand-in, or empty for recorded data. From the tables `also`, made
    from other recordings, the fits are taken over.
    """
    stored = files.read_arrays(recording, "spikes", "split", "units", "dataset", "late", "merged")
    data = {part: stored["spikes"][stored["split"] == part] for part in ("train", "test")}
    dataset = str(stored["dataset"])
    known = next((files.read_arrays(path, "couplings", "bias", "drive", "spikes", "n_visible") for path in ground_truth), None)
    rows = list(of_data(stored, dataset))
    first = 0
    for path, name in zip(runs, names, strict=True):
        variant, replicate = name.rsplit("_", 1)
        ran = files.read_arrays(path, "spikes", "nll", "nll_marginal", "w_rec", "threshold", "n_recorded", "dataset")
        if str(ran["dataset"]) != dataset:
            raise ValueError(f"{path} was fitted to {ran['dataset']!r}, {recording} is {dataset!r}; make the runs again")
        first = data["test"].shape[1] - ran["spikes"].shape[1]
        measure = functools.partial(Measure, variant, int(replicate), dataset)
        rows += of_run(ran, data["test"][:, first:], constant_nll(data["train"], data["test"], first), known, measure)
    rows += of_baselines(data["train"][:, first:], data["test"][:, first:], dataset)
    if known is not None:
        rows += of_generator(known, stored, first)
    rows += against_references(rows)
    others = [files.read_table(path, COLUMNS) for path in also]
    fits_of_others = [other[other["variant"].str.contains("@")] for other in others]
    files.write_table(out, pd.concat([table("v1", rows), *fits_of_others], ignore_index=True))


def of_data(stored: dict[str, np.ndarray], dataset: str) -> Iterator[Measure]:
    """What the recording is, and what was lost on the way to bins."""
    measure = functools.partial(Measure, "data", 0, dataset)
    spikes = stored["spikes"]
    yield measure("units", spikes.shape[2], "count", spikes.shape[2])
    yield measure("rate", spikes.mean(), "spikes/bin", len(spikes))
    yield measure("late spikes dropped", stored["late"], "count", len(spikes))
    yield measure("spikes merged in a bin", stored["merged"], "count", len(spikes))


def of_run(
    ran: dict[str, np.ndarray], test: Raster, constant: float, known: dict | None, measure: Callable[..., Measure]
) -> Iterator[Measure]:
    """All measures of one fitted network."""
    n_test, n_cells = len(test), test.shape[2]
    spikes = ran["spikes"][:, :, :n_cells]
    nll = ran["nll"].mean()
    yield measure("nll", nll, "nat/bin/cell", n_test)
    yield measure("nll marginal", ran["nll_marginal"].mean(), "nat/bin/cell", n_test)
    yield measure("bits per spike", (constant - nll) / (test.mean() * np.log(2)), "bit/spike", n_test)
    for n_trials in sorted({min(n_test, len(spikes)), len(spikes)}):
        label = f"{n_trials} trials"
        yield from of_psth(test, spikes[:n_trials], label, measure)
        yield from of_correlations(test, spikes[:n_trials], label, measure)
    yield from of_rates(test, spikes, measure)
    if spikes.shape[2] < ran["spikes"].shape[2]:
        yield measure("hidden rate", ran["spikes"][:, :, n_cells:].mean(), "spikes/bin", len(spikes))
    if known is not None and n_cells == known["n_visible"]:
        yield measure("coupling r", coupling_r(ran, known), "r", n_cells * (n_cells - 1))


def of_psth(test: Raster, model: Raster, label: str, measure: Callable[..., Measure]) -> Iterator[Measure]:
    """Pearson r over time of each cell's trial mean (mean and s.d. over cells), and R2 over all entries."""
    data, found = test.mean(0), model.mean(0)
    each = np.array([pearson(data[:, cell], found[:, cell]) for cell in range(data.shape[1])])
    each = np.nan_to_num(each)  # a trial mean that never changes explains nothing
    yield measure(f"psth r ({label})", each.mean(), "r", len(each))
    yield measure(f"psth r s.d. ({label})", each.std(), "r", len(each))
    yield measure(f"psth R2 ({label})", statistics.r2(data, found), "R2", data.size)


def of_correlations(test: Raster, model: Raster, label: str, measure: Callable[..., Measure]) -> Iterator[Measure]:
    """Pearson r and R2 over pairs of noise, stimulus and total correlations."""
    data, found = correlations(test), correlations(model)
    for kind in KINDS:
        yield measure(f"{kind} correlation r ({label})", pearson(data[kind], found[kind]), "r", len(data[kind]))
        yield measure(f"{kind} correlation R2 ({label})", statistics.r2(data[kind], found[kind]), "R2", len(data[kind]))


def of_rates(test: Raster, model: Raster, measure: Callable[..., Measure]) -> Iterator[Measure]:
    """Firing rates against the data."""
    data, found = test.mean((0, 1)), model.mean((0, 1))
    yield measure("rate", found.mean(), "spikes/bin", len(model))
    yield measure("rate ratio", found.mean() / data.mean(), "1", len(model))
    yield measure("rate error", np.mean(np.abs(found - data)), "spikes/bin", len(data))
    yield measure("share of run-away cells", np.mean(found > RUNAWAY * data), "1", len(data))


def correlations(spikes: Raster) -> dict[str, Float[np.ndarray, " pair"]]:
    """Noise, stimulus and total correlation of each pair of cells; 0 for a cell that never changes."""
    noise, stimulus = statistics.covariances(spikes)
    deviation = np.sqrt(np.diag(noise + stimulus))
    scale = np.outer(deviation, deviation)
    scale[scale == 0] = np.inf
    parts = {"noise": noise / scale, "stimulus": stimulus / scale, "total": (noise + stimulus) / scale}
    return {kind: statistics.lower_triangle(matrix) for kind, matrix in parts.items()}


def lagged_covariances(
    spikes: Float[np.ndarray, "trial step cell"], max_lag: int
) -> dict[str, Float[np.ndarray, "cell cell lag"]]:
    """Stimulus, total and noise covariance of i at t with j at t - lag, lags -max_lag .. max_lag, circular in time."""
    mean = spikes.mean(0)
    centred = {"stimulus": (mean - mean.mean(0))[None], "total": spikes - mean.mean(0), "noise": spikes - mean}
    lags = range(-max_lag, max_lag + 1)
    return {
        kind: np.stack([np.einsum("bti,btj->ij", x, np.roll(x, lag, 1)) / x[..., 0].size for lag in lags], 2)
        for kind, x in centred.items()
    }


def of_baselines(train: Raster, test: Raster, dataset: str) -> Iterator[Measure]:
    """Constant rate and training PSTH as predictions; and the training trials as a model of the test trials: the ceiling."""
    n_test = len(test)
    constant = constant_nll(train, test, 0)
    edge = 0.5 / len(train)
    psth = bernoulli_nll(np.clip(train.mean(0), edge, 1 - edge), test)
    for variant, nll in (("constant rate", constant), ("psth", psth)):
        measure = functools.partial(Measure, variant, 0, dataset)
        yield measure("nll", nll, "nat/bin/cell", n_test)
        yield measure("bits per spike", (constant - nll) / (test.mean() * np.log(2)), "bit/spike", n_test)
    ceiling = functools.partial(Measure, "training trials", 0, dataset)
    yield from of_psth(test, train, f"{len(train)} trials", ceiling)
    yield from of_correlations(test, train, f"{len(train)} trials", ceiling)


def of_generator(known: dict[str, np.ndarray], stored: dict[str, np.ndarray], first: int) -> Iterator[Measure]:
    """Likelihood of the network that made the data, its hidden spikes known: the floor."""
    network = truth.Truth(known["couplings"], known["bias"], known["drive"])
    spikes = known["spikes"][: len(stored["split"])][stored["split"] == "test"]
    kept = slice(first + spikes.shape[1] - stored["spikes"].shape[1], None)
    p = special.expit(truth.logits(network, spikes))[:, kept, stored["units"]]
    nll = bernoulli_nll(p, spikes[:, kept, stored["units"]])
    yield Measure("generator", 0, str(stored["dataset"]), "nll", nll, "nat/bin/cell", len(spikes))


def against_references(rows: list[Measure]) -> Iterator[Measure]:
    """Each fit against the fit by likelihood alone (same replicate), the training PSTH and the generator."""
    found = {(row.variant, row.seed, row.metric): row.value for row in rows}
    constant, psth = found["constant rate", 0, "nll"], found["psth", 0, "nll"]
    generator = found.get(("generator", 0, "nll"))
    for row in rows:
        mle = found.get(("mle", row.seed, row.metric))
        if (row.variant, row.seed, "rate ratio") not in found:  # not a fit
            continue
        if mle is not None and row.variant != "mle" and row.metric.startswith(("nll", "psth r (", "noise correlation R2")):
            yield row._replace(metric=f"{row.metric} over mle", value=row.value - mle)
        if row.metric == "nll":
            yield row._replace(metric="nll under psth", value=psth - row.value)
            if generator is not None:
                share = (constant - row.value) / (constant - generator)
                yield row._replace(metric="share of the way to the generator", value=share, unit="1")


def constant_nll(train: Raster, test: Raster, first: int) -> float:
    """Negative log likelihood of each cell's mean rate in the training trials."""
    edge = 0.5 / train[..., 0].size
    return bernoulli_nll(np.clip(train[:, first:].mean((0, 1)), edge, 1 - edge), test[:, first:])


def bernoulli_nll(p: Float[np.ndarray, "..."], spikes: Raster) -> float:
    """Cross-entropy of single trials, nats per bin and cell."""
    return float(-np.mean(np.log(np.where(spikes, p, 1 - p))))


def coupling_r(ran: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> float:
    """Pearson r of the summed couplings between recorded cells (no self-couplings) with the truth, logit units."""
    n_visible = int(known["n_visible"])
    off = ~np.eye(n_visible, dtype=bool)
    found = ran["w_rec"][:n_visible, :n_visible].sum(2) / ran["threshold"]
    return pearson(known["couplings"][:n_visible, :n_visible].sum(2)[off], found[off])


def pearson(x: Float[np.ndarray, " entry"], y: Float[np.ndarray, " entry"]) -> float:
    """Pearson r; nan when one of them is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
