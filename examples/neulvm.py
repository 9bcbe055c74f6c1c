"""The fitted mesoscopic model runs freely, and so does a network of cells with the same parameters: who wins, how often."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from respike.core import style
from respike.neulvm import fitted, simulation, states

refined = fitted.read(Path("results/neulvm/models/refined.json"))
rng, seconds = np.random.default_rng(1), 30.0
quiet = np.zeros((round(seconds / refined.dt), len(refined.circuit.sizes)))
model = simulation.rates(refined, quiet, rng)
network = simulation.rates(replace(refined, kind="network"), quiet, rng)
figure, axes = style.panels(2, 1)
for panel, name, rates in zip(axes[:, 0], ("model", "network"), (model, network), strict=True):
    found = states.find(rates, refined.dt)
    print(f"{name}: winner {found.up:.1f} Hz, loser {found.down:.1f} Hz, {found.n_switches} switches in {seconds:g} s")
    panel.plot(np.arange(len(rates)) * refined.dt, rates, linewidth=0.3)
    panel.set(title=name, xlabel="time (s)", ylabel="rate (Hz)")
figure.savefig("neulvm.png")
