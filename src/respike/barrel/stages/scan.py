"""Irregularity of untrained networks over initial weights and thresholds, and trainings from some of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from respike.barrel import analysis, learning, params
from respike.core import files


def run(*, inputs: Path, out: Path, history: Path, settings: params.Fit, grid: params.Scan, seed: int, device: str) -> None:
    """One row per point with the mean CV and rate of all cells; and the course of trainings from some points."""
    samples, is_test = learning.load(inputs, "spiking", settings.encoding)
    played = samples.part(np.arange(min(grid.samples, len(samples))))
    points = [(weight, baseline) for weight in grid.weights for baseline in grid.baselines]
    table = pd.DataFrame([irregularity(played, settings.network, *point, seed, device) for point in points])
    tables = [
        learning.fit_table(
            out.with_name(f"scan_point{k}.pt"), samples, is_test, at(settings, row.initial_weight, row.baseline), seed, device,
            initial_weight=row.initial_weight, baseline=row.baseline, cv=row.cv,
        )
        for k, row in enumerate(spread(table, grid.trained).itertuples())
    ]  # fmt: skip
    files.write_table(out, table.assign(dataset=samples.dataset, seed=seed))
    files.write_table(history, pd.concat(tables, ignore_index=True))


def at(settings: params.Fit, weight: float, baseline: float) -> params.Fit:
    """`settings` with other initial values."""
    return replace(settings, network=replace(settings.network, initial_weight=weight, baseline=baseline))


def irregularity(
    samples: learning.Samples, settings: params.Network, weight: float, baseline: float, seed: int, device: str
) -> dict:
    """Mean over samples of the mean CV of the cells' spike trains (a silent cell counts 0), and the rate per step."""
    point = replace(settings, initial_weight=weight, baseline=baseline)
    network = learning.build(point, "spiking", "anatomical", seed, device)
    outputs = learning.play(network, samples, seed)
    trains = np.concatenate([output.spikes[:, network.n_thalamic :].permute(2, 1, 0).cpu().numpy() for output in outputs])
    cvs = analysis.cv(trains)
    return {
        "initial_weight": weight,
        "baseline": baseline,
        "cv": float(cvs.mean()),
        "rate": float(trains.mean(dtype=np.float64)),
        "n": len(samples),
    }


def spread(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """`n` rows from the lowest to the highest irregularity, evenly spaced in rank."""
    order = table.sort_values("cv", kind="stable")
    return order.iloc[np.unique(np.linspace(0, len(order) - 1, n).round().astype(int))]
