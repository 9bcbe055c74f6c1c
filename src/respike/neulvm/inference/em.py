"""Hard expectation maximisation: the latent activity that explains the spikes best (E) and the parameters that do (M).

M: L-BFGS-B with exact gradients inside a box. E: `adam`, the published rules, or `lbfgs`, the default: L-BFGS-B on the
total loss, which falls in every iteration and stops when it no longer does.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from respike.neulvm import model
from respike.neulvm.inference.box import Box, build
from respike.neulvm.inference.resumable import Resumable
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Fit, Prior, bins
from respike.neulvm.smoothing import smooth
from respike.neulvm.trials import Trials

BETA, EPSILON = (0.9, 0.999), 1e-7  # of Adam; published
Latent = Float[np.ndarray, "batch bin population"]
WIDE = (0.3, 3.0)  # times the truth: box of a fit that starts at it


def first_latent(trial: Trial, fit: Fit) -> Latent:
    """Start from the data: smoothed mean of the recorded neurons of each population."""
    return smooth(model.population_means(trial.spikes, trial.population), bins(fit.smoothing, trial.dt), fit.kernel, axis=1)


@dataclass
class Adam:
    """State of the published optimiser of the latent activity; it outlives the E-steps."""

    steps: int = 0
    mean: np.ndarray | float = 0.0
    square: np.ndarray | float = 0.0

    def step(self, latent: Latent, gradient: Latent, rate: float) -> Latent:
        """Next latent activity, clipped to [1e-5, 1]; an undefined gradient counts as 0."""
        gradient = np.where(np.isnan(gradient), 0.0, gradient)
        self.steps += 1
        self.mean = BETA[0] * self.mean + (1 - BETA[0]) * gradient
        self.square = BETA[1] * self.square + (1 - BETA[1]) * gradient**2
        rate = rate * np.sqrt(1 - BETA[1] ** self.steps) / (1 - BETA[0] ** self.steps)
        return np.clip(latent - rate * self.mean / (np.sqrt(self.square) + EPSILON), 1e-5, 1.0)


@dataclass
class State(Resumable):
    """Where the fit of one start stands, and its log: one row per iteration of each step."""

    circuit: Circuit
    latent: Latent
    iteration: int = 0
    due: str = "M"  # the next step
    moved: bool = True  # whether the last M-step did
    done: bool = False
    adam: Adam = field(default_factory=Adam)
    lowest: tuple[float, float] = (np.inf, np.inf)  # lowest losses (spikes, latent) that the published rule has seen
    rows: list[dict[str, Any]] = field(default_factory=list)

    def logger(self, step: str) -> Callable[[model.Loss], None]:
        """Function that adds a row for the loss it is given."""
        counter = itertools.count(1)

        def log(loss: model.Loss) -> None:
            row = {"iteration": self.iteration, "step": step, "number": next(counter)}
            self.rows.append({**row, "loss_spikes": loss.spikes, "loss_latent": loss.latent})

        return log


def m_step(
    circuit: Circuit, trial: Trial, latent: Latent, box: Box, fit: Fit, seen: Callable[[model.Loss], None]
) -> tuple[Circuit, int]:
    """Circuit with the best parameters in the box for this latent activity, and the number of iterations.

    `seen` is called with the loss after each iteration.
    """
    last: list[model.Loss] = []

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss = model.loss(box.circuit(x), trial, latent, fit.scheme)
        last[:] = [loss]
        return loss.total, box.gradient(loss)

    result = minimize(
        value, box.inside(box.vector(circuit)), jac=True, method="L-BFGS-B", bounds=box.bounds,
        callback=lambda _: seen(last[0]), options={"maxiter": fit.m_steps},
    )  # fmt: skip
    return box.circuit(result.x), int(result.nit)


def at_truth(circuit: Circuit, recorded: Trials, fit: Fit) -> tuple[Circuit, int]:
    """The M-step at the true activity of an embedded recording, begun at the truth: the bias that no E-step mends."""
    search = build(circuit, Prior.around(circuit, *WIDE))
    return m_step(circuit, recorded.trial, recorded.truth, search, fit, lambda _: None)


def e_step_lbfgs(circuit: Circuit, trial: Trial, latent: Latent, fit: Fit, seen: Callable[[model.Loss], None]) -> Latent:
    """Latent activity that minimises the total loss; `seen` is called with the loss after each iteration.

    Each population is measured in units of the spread that its size gives its activity, so that all have similar curvature.
    """
    if not fit.e_steps:  # the optimiser would make one
        return latent
    history, sizes = trial.history, np.asarray(circuit.sizes, dtype=float)
    scale = np.sqrt(np.maximum(latent[:, history:].mean((0, 1)), 1e-4) / sizes)
    full, last = latent.copy(), []

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        full[:, history:] = x.reshape(latent[:, history:].shape) * scale
        loss = model.loss(circuit, trial, full, fit.scheme)
        last[:] = [loss]
        return loss.total * trial.drive.size, (loss.grad_latent[:, history:] * scale).ravel() * trial.drive.size

    start = (np.clip(latent[:, history:], 1e-5, 1.0) / scale).ravel()
    bounds = np.stack([np.broadcast_to(edge / scale, latent[:, history:].shape).ravel() for edge in (1e-5, 1.0)], axis=1)
    result = minimize(
        value, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=lambda _: seen(last[0]),
        options={"maxiter": fit.e_steps, "ftol": fit.e_tolerance, "gtol": 1e-5},
    )  # fmt: skip
    full[:, history:] = result.x.reshape(latent[:, history:].shape) * scale
    return full


def e_step_adam(state: State, trial: Trial, fit: Fit) -> tuple[Latent, bool]:
    """Published rules: a step counts as best only if both parts of the loss are the lowest ever seen in this fit.

    Ends after `e_patience` steps in a row that are not. Returns the best latent activity of this or an earlier
    E-step, and whether this one found a new best after more than 4 steps.
    """
    latent, best, improved, since, number = state.latent.copy(), state.latent, False, 0, 0
    seen = state.logger("E")
    while number < fit.e_steps and since < fit.e_patience:
        loss = model.loss(state.circuit, trial, latent, fit.scheme)
        seen(loss)
        if loss.spikes < state.lowest[0] and loss.latent < state.lowest[1]:
            best, improved, since = latent.copy(), True, 0
        else:
            since += 1
        state.lowest = min(state.lowest[0], loss.spikes), min(state.lowest[1], loss.latent)
        latent = state.adam.step(latent, loss.grad_latent, fit.e_rate)
        number += 1
    return best, improved and number > 4


def advance(state: State, trial: Trial, box: Box, fit: Fit) -> None:
    """The next step of EM (M, then E, then M ...), changing `state`; sets `done` when there is nothing left to gain."""
    if state.due == "M":
        state.circuit, n_iterations = m_step(state.circuit, trial, state.latent, box, fit, state.logger("M"))
        state.moved, state.due = n_iterations > 1, "E"
        return
    if fit.e_step == "adam":
        state.latent, improved = e_step_adam(state, trial, fit)
    else:
        state.latent, improved = e_step_lbfgs(state.circuit, trial, state.latent, fit, state.logger("E")), True
    state.iteration, state.due = state.iteration + 1, "M"
    state.done = state.iteration >= fit.iterations or not (state.moved and improved)
