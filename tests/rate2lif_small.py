"""The smallest rate network, on which the tests of rate2lif run, and the LIF network written plainly, as their judge."""

from typing import NamedTuple

import numpy as np

from respike.rate2lif import model, network
from respike.rate2lif.params import Lif, Training

SMALL = Training("go-nogo", cells=12, batch=2, trials=8, check_every=4, check_trials=5)


def untrained(rng: np.random.Generator) -> network.Network:
    """A network of SMALL before its training."""
    return model.initial(SMALL, 1, rng)


class Plain(NamedTuple):
    """One trial. States (step, cell): the current before the step, the others at its end."""

    output: np.ndarray
    fired: list[tuple[int, int]]  # step and cell, counted from 0
    voltage: np.ndarray
    filtered: np.ndarray
    current: np.ndarray


def plain_lif(network, scale: float, options: Lif, columns, start, noise, push) -> Plain:
    """The equations of the LIF network as they are written, step by step, without any compiled code."""
    dt = 5e-5 * options.downsample
    tau, weights = network.decay(), network.recurrent(options.initial_weights) / scale
    n, steps = network.n_cells, len(noise)
    v, last = options.reset + (options.peak - options.reset) * start, np.zeros(n)
    current, h, r, hr = (np.zeros(n) for _ in range(4))
    fired_at, states = [], []
    for i in range(1, steps + 1):
        before = current
        total = current + options.bias + columns[int(np.floor(i / 100 + 0.5))]
        slope = (v**2 + total if options.neuron == "qif" else total - v) / options.tau_membrane
        v = v + dt * np.where(i * dt > last + options.refractory, slope, 0) + noise[i - 1] * options.noise + push[i - 1]
        fired = v >= options.threshold
        received = weights @ fired
        if options.rise:
            current, r = current * np.exp(-dt / tau) + h * dt, r * np.exp(-dt / tau) + hr * dt
            h = h * np.exp(-dt / options.rise) + received / (options.rise * tau)
            hr = hr * np.exp(-dt / options.rise) + fired / (options.rise * tau)
        else:
            current, r = current * np.exp(-dt / tau) + received / tau, r * np.exp(-dt / tau) + fired / tau
        last = last + np.where(fired, i * dt - last, 0)  # the published form, whose rounding decides the last refractory step
        states.append((np.where(fired, options.peak, v), r, before))
        v = np.where(fired, options.reset, v)
        fired_at += [(i - 1, int(cell)) for cell in np.flatnonzero(fired)]
    voltage, filtered, current = (np.array(values) for values in zip(*states, strict=True))
    return Plain(filtered @ network.w_out / scale, fired_at, voltage, filtered, current)
