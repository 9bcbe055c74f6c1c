"""Irregularity of untrained networks over initial weights and thresholds: one row per point of the grid."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from respike.barrel import learning, params, responses
from respike.barrel.samples import read
from respike.core import files


def run(
    *,
    inputs: Path,
    coding: params.Encoding,
    network: params.Network,
    weights: list[float],
    baselines: list[float],
    samples: int,
    seed: int,
    device: str,
    out: Path,
) -> None:
    """Mean CV and rate of all cortical cells while `samples` samples are played, taken evenly from all of them."""
    network_seed = learning.replicate_seed(seed, 0)  # of the first training from each point; others have other weights
    given, _ = read(inputs, "spiking", coding)
    played = given.part(np.linspace(0, len(given) - 1, min(samples, len(given))).astype(int))
    rows = []
    for weight, baseline in product(weights, baselines):
        settings = replace(network, initial_weight=weight, baseline=baseline)
        untrained = learning.build(settings, "spiking", "anatomical", network_seed, device)
        cv, rate = responses.irregularity(untrained, played, network_seed)
        rows.append({"initial_weight": weight, "baseline": baseline, "cv": cv, "rate": rate, "n": len(played)})
    files.write_table(out, pd.DataFrame(rows).assign(dataset=given.dataset, seed=seed))
