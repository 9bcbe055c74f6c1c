"""rate2lif: a LIF trial, the whole search, training steps and a whole training, at N = 200.

Yardsticks in CPU seconds of the published programs: the LIF function in Octave, the rate training in TensorFlow.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.workload import Workload
from respike.core import seeds
from respike.rate2lif import conversion, learning, lif, model, tasks
from respike.rate2lif.params import PUBLISHED_GRID, Lif, Training, scheduled
from respike.rate2lif.tasks import TASKS

SETTINGS = Training("go-nogo", cells=200)
STREAM = (0, "benchmark")
GRID_TRIALS = 100


def network():
    """A network whose LIF version fires at about 10 Hz, with a typical share of absent connections."""
    made = model.initial(SETTINGS, 1, seeds.generator(*STREAM, "network"))
    return replace(made, w=made.w * (made.w > np.quantile(made.w, 0.95)))


def lif_trial():
    """One trial of 1 s (20,000 steps)."""
    made, options, inputs = network(), Lif(), np.zeros((201, 1))
    return lambda: lif.simulate([lif.wire(made, 25.0, options)], lif.drive(made, inputs, options, *STREAM), options)


def grid():
    """The published search: 12 scales, 100 trials each."""
    made, task = network(), TASKS["go-nogo"]
    trials = tasks.draw(task, seeds.generator(*STREAM, "trials"), GRID_TRIALS)
    return lambda: conversion.try_scales(made, task, trials, list(PUBLISHED_GRID), Lif(), STREAM)


def updates(settings: Training, count: int):
    """`count` updates of a training."""
    torch.set_num_threads(1)
    trainer = learning.Trainer(settings, STREAM, "cpu")
    return lambda: [trainer.step(2 + number) for number in range(count)]


def training(settings: Training):
    """A whole training, to the stop rule."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            learning.train(settings, STREAM, "cpu", Path(folder) / "network")

    return run


def workloads() -> list[Workload]:
    """What `make bench` runs for this study."""
    reference = replace(SETTINGS, trainer="reference")
    return [
        Workload("rate2lif LIF trial, 1 s, N=200", lif_trial(), "published, Octave", yardstick_cpu_s=1.65),
        Workload("rate2lif search, 12 x 100 trials of 1 s, N=200", grid(), "published, Octave", yardstick_cpu_s=1200 * 1.65),
        Workload(
            "rate2lif 10 reference updates, N=200",
            updates(scheduled(reference), 10),
            "published, TensorFlow",
            yardstick_cpu_s=1.6,
        ),
        Workload("rate2lif Go-NoGo training, N=200", training(SETTINGS), "published, TensorFlow", yardstick_cpu_s=260.0),
    ]
