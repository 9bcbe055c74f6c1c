"""Contextual integration (Mante et al. 2013), the task that mode-based and rate-to-LIF networks share."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

SILENCE, EVIDENCE_END = 0.1, 0.5  # shares of the trial: silence, then evidence, then response
OFFSET = 0.5  # mean of the evidence in each of the two channels, positive or negative


class Trials(NamedTuple):
    """Stimulus and wanted output of a batch of trials."""

    inputs: Float[np.ndarray, "step trial 4"]  # channels 0, 1 evidence, 2, 3 context
    target: Float[np.ndarray, "step trial"]
    context: Int[np.ndarray, " trial"]  # cued evidence channel
    offsets: Float[np.ndarray, "trial 2"]  # mean evidence of each channel


def windows(n_steps: int) -> tuple[int, int]:
    """First step of the evidence and first step of the response."""
    return int(n_steps * SILENCE), int(n_steps * EVIDENCE_END)


def contextual(
    rng: np.random.Generator, n_steps: int, n_trials: int, switch_probability: float = 0.0, switch_steps: int = 200
) -> Trials:
    """Trials of contextual integration: report the sign of the cued channel's mean evidence.

    With `switch_probability` a trial swaps its context channels in the last `switch_steps` steps, and the target there
    becomes the sign of the other channel.
    """
    begin, end = windows(n_steps)
    offsets = OFFSET * rng.choice([-1.0, 1.0], size=(n_trials, 2))
    context = rng.integers(2, size=n_trials)
    inputs = np.zeros((n_steps, n_trials, 4), dtype=np.float32)
    inputs[begin:end, :, :2] = rng.standard_normal((end - begin, n_trials, 2)) + offsets
    trial = np.arange(n_trials)
    inputs[:, trial, 2 + context] = 1
    target = np.zeros((n_steps, n_trials), dtype=np.float32)
    target[end:] = np.sign(offsets[trial, context])
    if switch_probability:
        if not 0 < switch_steps <= n_steps - end:
            raise ValueError(f"switch_steps {switch_steps}: expected 1 to {n_steps - end}, the length of the response")
        swapped = trial[rng.random(n_trials) < switch_probability]
        tail = slice(n_steps - switch_steps, None)
        inputs[tail, swapped, 2:] = inputs[tail, swapped, :1:-1]
        target[tail, swapped] = np.sign(offsets[swapped, 1 - context[swapped]])
    return Trials(inputs, target, context, offsets)
