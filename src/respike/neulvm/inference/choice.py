"""Among circuits that explain the spikes, one that also does what the recording does: approximate Bayesian model checking.

The likelihood of ten seconds hardly tells circuits apart that switch ten times as often as others. So each fit is a family,
the excitatory couplings times some factors with the rest moved so that the mean input stays; each member runs freely, and
counts as much as the recording's switches and its spikes in the two states are likely at the member's rates.
"""

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import xlogy
from scipy.stats import poisson

from respike.neulvm import freerun, model, states, trials
from respike.neulvm.inference.box import Box
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Scheme


class Seen(NamedTuple):
    """What a recording or a free run shows: switches of the winner in `seconds`; winner, loser and last population."""

    switches: int
    seconds: float
    rates: Float[np.ndarray, " 3"]  # Hz
    exposure: Float[np.ndarray, " 3"]  # s, of all cells; of the last population 0 where it is one of the two that can win


def seen(
    activity: Float[np.ndarray, "bin population"], rates: Float[np.ndarray, "bin population"], dt: float,
    cells: Int[np.ndarray, " population"],
) -> Seen:  # fmt: skip
    """`rates` (Hz; means of the `cells` of each population) in the states that `activity` (Hz) shows."""
    found, usual = states.find(activity, dt), cells.mean()
    winner = np.repeat(found.winner, round(states.WIDTH / dt))
    known = np.flatnonzero(winner >= 0)
    first = winner[known]
    which = np.stack([first, 1 - first, np.full(len(first), len(cells) - 1)])
    weights = (cells / usual)[which]  # 1 where all populations have as many cells
    shares = weights.sum(1)
    means = np.divide((rates[known, which] * weights).sum(1), shares, where=shares > 0, out=np.full(3, np.nan))
    return Seen(found.n_switches, found.duration, means, shares * dt * usual * [1, 1, len(cells) > 2])


def recorded(trial: Trial, latent: Float[np.ndarray, "batch bin population"]) -> Seen:
    """The fitted window, with the states that an inferred activity shows."""
    m = trial.shape[2]
    rates = model.population_means(trials.joined(trial), trial.population) / trial.dt
    activity = latent[:, trial.history :].reshape(-1, m) / trial.dt
    return seen(activity, rates, trial.dt, np.bincount(trial.population))


def log_likelihood(data: Seen, run: Seen) -> float:
    """Of the recording's switches and spike counts, all Poisson, at the rates of a free run; -inf if it has no states."""
    if not np.isfinite(run.rates).all():
        return -np.inf
    expected = (run.switches + 0.5) / run.seconds * data.seconds  # half a switch: a run without any may be too short
    spikes = data.rates * data.exposure
    return float(poisson.logpmf(data.switches, expected) + (xlogy(spikes, run.rates) - run.rates * data.exposure).sum())


def scaled(circuit: Circuit, factor: float, rates: Float[np.ndarray, " population"], box: Box) -> Circuit:
    """`circuit` with its excitatory couplings times a factor, and the same mean input at `rates` (Hz)."""
    excitatory = circuit.weights.sum(1) > 0
    new = replace(circuit, coupling=tuple(np.where(excitatory, factor, 1.0) * circuit.coupling))
    moved = np.asarray(circuit.rest) + rates @ (circuit.weights - new.weights) / np.asarray(circuit.mem_rate)
    return box.circuit(box.inside(box.vector(replace(new, rest=tuple(moved.tolist())))))


def choose(
    fits: list[Circuit], latents: list[np.ndarray], trial: Trial, box: Box, choice: Choice, scheme: Scheme,
    streams: list[np.random.Generator],
) -> tuple[Circuit, pd.DataFrame]:  # fmt: skip
    """The member, of all families, whose rate of switches is the median of the probabilities; and a table of all members.

    The first fit where no two populations excite, and, with a warning, where no member does what the recording does.
    `latents`: inferred activity of each fit, the best fit first, whose states count as those of the recording.
    """
    if not box.template.has_rivals:  # nobody to switch with
        return fits[0], pd.DataFrame({"fit": [0], "factor": [1.0], "switch_rate": [0.0], "probability": [1.0]})
    data, table, circuits = recorded(trial, latents[0]), [], []
    for k, (fit, latent, rng) in enumerate(zip(fits, latents, streams, strict=True)):
        rates = latent[:, trial.history :].mean((0, 1)) / trial.dt
        for factor in choice.factors:
            circuits.append(scaled(fit, factor, rates, box))
            free = freerun.rates(circuits[-1], choice.seconds, rng, trial.dt, round(choice.history / trial.dt), scheme)
            run = seen(free, free, trial.dt, np.ones(trial.shape[2]))
            table.append((k, factor, run.switches / run.seconds, *run.rates, log_likelihood(data, run)))
    columns = ["fit", "factor", "switch_rate", "rate_up", "rate_down", "rate_last", "log_likelihood"]
    rows = pd.DataFrame(table, columns=columns)
    if not np.isfinite(rows["log_likelihood"]).any():
        said = "neulvm.choose: no free run, or not the recording, has a winner and a loser; the best fit is chosen as it is"
        logging.getLogger(__name__).warning(said)
        return fits[0], rows.assign(probability=np.nan)
    rows["probability"] = probabilities(rows["log_likelihood"].to_numpy())
    return circuits[middle(rows)], rows


def probabilities(logs: Float[np.ndarray, " member"]) -> Float[np.ndarray, " member"]:
    """Probability of each member, all being as likely before."""
    shares = np.exp(logs - logs.max())
    return shares / shares.sum()


def middle(table: pd.DataFrame) -> int:
    """Row of the weighted median of the switch rate."""
    order = np.argsort(table["switch_rate"].to_numpy(), kind="stable")
    return int(order[np.searchsorted(np.cumsum(table["probability"].to_numpy()[order]), 0.5)])
