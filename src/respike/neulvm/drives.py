"""External drives, in potential/s: one value per bin and population."""

import numpy as np
from jaxtyping import Float

from respike.neulvm.params import Free

OU_TAU = 0.003  # s
EVERY, LENGTH = 1.0, 0.5  # s: a window of 0.5 s opens every second, from the first second on
STRENGTH = 20.0


def windows(n_bins: int, dt: float) -> np.ndarray:
    """True in the bins of the windows; the last one closes at least 1 s before the end."""
    time = np.arange(n_bins) * dt + 1e-9
    return (time >= 1) & (time % EVERY < LENGTH) & (np.floor(time) <= n_bins * dt - 1.5)


def pozzorini(rng: np.random.Generator, n_bins: int, n_populations: int, dt: float) -> Float[np.ndarray, "bin population"]:
    """Ornstein-Uhlenbeck drive, the same for all populations, of slowly changing strength, inside the windows.

    Stepped exactly; the published Euler step is unstable when dt is longer than the time constant of 3 ms.
    """
    sigma = np.abs(STRENGTH * (1 + 20 * np.sin(2 * np.pi * 0.2 * np.arange(n_bins) * dt)))
    keep = np.exp(-dt / OU_TAU)
    kicks = np.sqrt(1 - keep**2) * rng.standard_normal(n_bins)
    inside, values, value = windows(n_bins, dt), np.zeros(n_bins), 0.0
    for c in np.flatnonzero(inside):
        value = keep * value * inside[c - 1] + sigma[c] * kicks[c]
        values[c] = value
    return np.repeat(values[:, None], n_populations, axis=1)


def white(rng: np.random.Generator, n_bins: int, n_populations: int, dt: float) -> Float[np.ndarray, "bin population"]:
    """White noise into the first population, inside the windows."""
    current = np.zeros((n_bins, n_populations))
    current[:, 0] = STRENGTH * rng.standard_normal(n_bins) * windows(n_bins, dt)
    return current


def pulses(free: Free, n_populations: int, dt: float) -> Float[np.ndarray, "bin population"]:
    """Of one trial, as light would evoke: a pulse that makes a winner, then the one that is evaluated."""
    current = np.zeros((round(free.trial / dt), n_populations))
    time = (np.arange(len(current)) + 0.5) * dt
    for target, start in ((free.pulse_first, free.pulse_start / 3), (free.pulse_target, free.pulse_start)):
        current[:, target] += free.pulse_size * ((time >= start) & (time < start + free.pulse_length))
    return current


def draw(
    kind: str, rng: np.random.Generator, n_bins: int, n_populations: int, dt: float
) -> Float[np.ndarray, "bin population"]:
    """Drive of a kind: none, random or pozzorini."""
    if kind == "none":
        return np.zeros((n_bins, n_populations))
    return {"random": white, "pozzorini": pozzorini}[kind](rng, n_bins, n_populations, dt)
