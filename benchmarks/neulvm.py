"""neuLVM: loss with all gradients, the fit of one start, a round of its refinement, free simulation, the hidden network."""

from dataclasses import replace
from functools import cache

import numpy as np
from tests import neulvm_plain as plain

from benchmarks.workload import Workload
from respike.neulvm import freerun, microscopic, model
from respike.neulvm.inference import ascent, box, em
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Fit, Prior, Refine, bins

DT, HISTORY, BINS = 0.004, 250, 2500


@cache
def trial() -> Trial:
    """The published size: three cells of each population, 1 s of history and 10 s in bins of 4 ms."""
    run = microscopic.simulate(Circuit(), (HISTORY + BINS) * DT, np.random.default_rng(1), n_sampled=3)
    spikes = run.sampled.reshape(HISTORY + BINS, 20, 9).any(1)[None].astype(np.uint8)
    return Trial(DT, HISTORY, spikes, np.repeat(np.arange(3), 3), np.zeros((1, BINS, 3)))


@cache
def latent() -> np.ndarray:
    """Smoothed spikes, the start of a fit."""
    return em.first_latent(trial(), Fit())


@cache
def short() -> Trial:
    """The first second of it."""
    return replace(trial(), spikes=trial().spikes[:, :500], drive=trial().drive[:, :250])


def by_torch() -> None:
    """Loss and gradients of that second by automatic differentiation."""
    values, tensor = plain.parameters(Circuit()), plain.as_tensor(latent()[:, :500])
    for value in values.values():
        value.requires_grad_()
    found = plain.loss(values, Circuit(), short(), tensor, "exact")
    (found.spikes + found.latent).backward()


def one_start(search: box.Box) -> None:
    """The whole fit of one start."""
    fit = Fit()
    state = em.State(search.draw(np.random.default_rng(0)), em.first_latent(trial(), fit))
    while not state.done:
        em.advance(state, trial(), search, fit)


def one_round(search: box.Box) -> None:
    """The first round of the refinement, which also measures the curvature."""
    cut = trial().shortened(bins(Refine.history, DT))
    ascent.advance(ascent.begin(search), 0, cut, search, "exact", Refine(), (0, "benchmark"))


def workloads() -> list[Workload]:
    """Published program: figures measured or extrapolated on one thread of a like machine."""
    circuit = Circuit()
    wide = box.build(circuit, Prior())
    quiet = np.zeros((round(200 / DT), 3))
    gradient, fits = "published program: gradient of the latent activity alone", "published program, extrapolated"
    simulated = "published program, 1.6 per simulated second"

    def simulate(seed: int = 1) -> None:
        freerun.simulate(circuit, quiet, np.random.default_rng(seed), DT, 125, "exact")

    return [
        Workload("neulvm loss and gradients", lambda: model.loss(circuit, trial(), latent(), "exact"), gradient, None, 28.0),
        Workload("neulvm the same, 1 s", lambda: model.loss(circuit, short(), latent()[:, :500], "exact"), "torch", by_torch),
        Workload("neulvm fit, one of 5 starts", lambda: one_start(wide), fits, None, 1800.0),
        Workload("neulvm refinement, one of 40 rounds", lambda: one_round(wide)),
        Workload("neulvm mesoscopic simulation, 200 s", simulate, simulated, None, 320.0),
        Workload("neulvm network, 200 s", lambda: microscopic.simulate(circuit, 200, np.random.default_rng(1))),
    ]
