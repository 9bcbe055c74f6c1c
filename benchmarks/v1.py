"""Gradient steps of the study at the paper's size and at quick size, against the published program.

The published program's figures were measured with its TensorFlow code on one thread of a quiet machine.
"""

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.workload import Workload
from respike.v1.fitting import Fitting
from respike.v1.params import Network, Objective, Training, Variant
from respike.v1.recorded import Recording

PUBLISHED = "published program (TensorFlow), quiet machine"
LIKELIHOOD = Objective()
SAMPLING = Objective(likelihood=0.4, psth=0.1, noise_correlation=50.0)
PAPER = {"pixels": 27, "frames": 650, "cells": 69}
QUICK = {"pixels": 13, "frames": 150, "cells": 12}


def step(objective: Objective, size: dict[str, int], hidden: int = 0) -> Callable[[], object]:
    """One gradient step of a batch of 20 trials of random spikes at 2 Hz under a random movie."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    spikes = rng.random((40, size["frames"], size["cells"])) < 0.08
    movie = rng.random((size["frames"], size["pixels"], size["pixels"])).astype(np.float32)
    split = np.repeat(["train", "validation"], [30, 10])
    record = Recording(movie, spikes, split, np.arange(size["cells"]), 40.0, 0, 0, "noise")
    settings, variant = Training(steps=10**6, evaluate_every=10**6), Variant(objective, hidden=hidden)
    fitting = Fitting(record, Network(), variant, settings, (0, 0), torch.device("cpu"))
    with torch.no_grad():
        fitting.model.bias.fill_(-0.6)  # a rate like that of the data, as after the first steps
    return lambda: fitting.step(0)


def workloads() -> list[Workload]:
    """Steps by likelihood and by sampling, paper and quick size."""
    rows = (
        ("v1 SM step, 69 cells, 641 bins, 27x27, batch 20", SAMPLING, PAPER, 0, 6.9),
        ("v1 MLE step, same size", LIKELIHOOD, PAPER, 0, 4.0),
        ("v1 SM step, quick size", SAMPLING, QUICK, 0, 1.1),
        ("v1 SM step, quick size, 8 hidden cells", SAMPLING, QUICK, 8, None),
    )
    return [workload(*row) for row in rows]


def workload(name: str, objective: Objective, size: dict[str, int], hidden: int, published: float | None) -> Workload:
    """A step that is set up at its first call, so that listing the workloads costs nothing."""
    made: list[Callable[[], object]] = []

    def run() -> object:
        if not made:
            made.append(step(objective, size, hidden))
        return made[0]()

    return Workload(name, run, PUBLISHED if published else "", yardstick_cpu_s=published)
