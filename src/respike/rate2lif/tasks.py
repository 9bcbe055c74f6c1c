"""The three tasks: Go-NoGo, XOR and contextual integration (Mante). Stimuli, targets, and what counts as correct.

Steps of 5 ms; axes in the order step, trial, channel, as `core.tasks` has them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from respike.core import tasks
from respike.rate2lif.params import QUIET, REACH


@dataclass(frozen=True)
class Task:
    """Lengths in steps; windows in which an output is judged (SI, code)."""

    name: str
    n_steps: int
    n_inputs: int
    rate_window: int  # first of the n_steps - 1 outputs of the rate model that are its response
    lif_window: int  # first step of the LIF network's response
    end: int  # first step after the response
    two_sided: bool  # responses are 1 and -1, else 1 and 0


TASKS = {
    "go-nogo": Task("go-nogo", 200, 1, 75, 100, 200, False),
    "xor": Task("xor", 300, 2, 200, 200, 270, True),
    "mante": Task("mante", 500, 4, 299, 260, 500, True),
}


class Trials(NamedTuple):
    """Stimulus and wanted output of a set of trials."""

    inputs: Float[np.ndarray, "step trial channel"]
    target: Float[np.ndarray, "step trial"]
    wanted: Int[np.ndarray, " trial"]  # response: 1, 0 (none) or -1
    group: list[str]  # kind of trial, in words


def draw(task: Task, rng: np.random.Generator, n_trials: int) -> Trials:
    """Random trials of a task."""
    return {"go-nogo": _go_nogo, "xor": _xor, "mante": _mante}[task.name](task, rng, n_trials)


def _go_nogo(task: Task, rng: np.random.Generator, n_trials: int) -> Trials:
    go = rng.random(n_trials) < 0.5
    inputs, target = _empty(task, n_trials)
    inputs[50:75, go, 0] = 1
    target[75:, go] = 1
    return Trials(inputs, target, go.astype(int), ["Go" if wanted else "NoGo" for wanted in go])


def _xor(task: Task, rng: np.random.Generator, n_trials: int) -> Trials:
    first, second = rng.choice([-1, 1], size=(2, n_trials))
    inputs, target = _empty(task, n_trials)
    inputs[50:100, :, 0] = first
    inputs[110:160, :, 1] = second
    target[170:270] = first * second
    sign = {1: "+", -1: "−"}
    return Trials(inputs, target, first * second, [sign[a] + sign[b] for a, b in zip(first, second, strict=True)])


def _mante(task: Task, rng: np.random.Generator, n_trials: int) -> Trials:
    drawn = tasks.contextual(rng, task.n_steps, n_trials)
    wanted = np.sign(drawn.target[-1]).astype(int)
    group = [f"context {c + 1} {'+' if w > 0 else '−'}" for c, w in zip(drawn.context, wanted, strict=True)]
    return Trials(drawn.inputs, drawn.target, wanted, group)


def _empty(task: Task, n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (task.n_steps, n_trials)
    return np.zeros((*shape, task.n_inputs), dtype=np.float32), np.zeros(shape, dtype=np.float32)


def extra_column(inputs: Float[np.ndarray, "step trial channel"]) -> Float[np.ndarray, "step+1 trial channel"]:
    """The stimulus as the LIF network takes it: one step longer, the last one repeated."""
    return np.concatenate([inputs, inputs[-1:]])


class Responses(NamedTuple):
    """What the output did in the response window of each trial."""

    largest: Float[np.ndarray, " trial"]
    smallest: Float[np.ndarray, " trial"]
    mean: Float[np.ndarray, " trial"]


def responses(output: Float[np.ndarray, "sample trial"], first: int, last: int) -> Responses:
    """Largest and smallest output from sample `first` on; mean output from there to `last` (samples from 0)."""
    window = output[first:]
    return Responses(window.max(0), window.min(0), output[first:last].mean(0))


def is_correct(responses: Responses, wanted: Int[np.ndarray, " trial"], quiet_both_ways: bool) -> Bool[np.ndarray, " trial"]:
    """The published criterion: the output passed 0.7 (or -0.7) at least once, or stayed below 0.3 when none was wanted.

    `quiet_both_ways`: no output below -0.3 either. The published rate program asks for it, the LIF program does not.
    """
    quiet = (responses.largest < QUIET) & (not quiet_both_ways or responses.smallest > -QUIET)
    return np.select([wanted > 0, wanted < 0], [responses.largest > REACH, responses.smallest < -REACH], quiet)


def is_decided(task: Task, mean: Float[np.ndarray, " trial"], wanted: Int[np.ndarray, " trial"]) -> Bool[np.ndarray, " trial"]:
    """A stricter reading: of the outputs that the task knows (1 and 0, or 1 and -1), the wanted one is nearest to the mean."""
    other = -1 if task.two_sided else 0
    return np.where(mean > (1 + other) / 2, 1, other) == wanted
