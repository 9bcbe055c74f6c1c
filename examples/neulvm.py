"""The fitted mesoscopic model runs freely, and so does a network of cells with the same parameters: who wins, how often."""

from pathlib import Path

import numpy as np

from respike.core import style
from respike.neulvm import freerun, microscopic, models, states

fitted = models.read(Path("results/neulvm/models/refined.json"))
rng, seconds, fine = np.random.default_rng(1), 30.0, 0.0002
quiet = np.zeros((round(seconds / fitted.dt), len(fitted.circuit.sizes)))
model = freerun.simulate(fitted.circuit, quiet, rng, fitted.dt, fitted.history, fitted.kind) / fitted.dt
cells = microscopic.simulate(fitted.circuit, seconds, rng, fine)
network = microscopic.rates(cells.counts, fitted.circuit, fine, round(fitted.dt / fine))
figure, axes = style.panels(2, 1)
for panel, name, rates in zip(axes[:, 0], ("model", "network"), (model, network), strict=True):
    found = states.find(rates, fitted.dt)
    print(f"{name}: winner {found.up:.1f} Hz, loser {found.down:.1f} Hz, {found.n_switches} switches in {seconds:g} s")
    panel.plot(np.arange(len(rates)) * fitted.dt, rates, linewidth=0.3)
    panel.set(title=name, xlabel="time (s)", ylabel="rate (Hz)")
figure.savefig("neulvm.png")
