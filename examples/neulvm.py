"""The fitted mesoscopic model runs freely, and so does a network of cells with the same parameters: who wins, how often."""

from pathlib import Path

import numpy as np

from respike.core import style
from respike.neulvm import freerun, microscopic, models, states

best = models.read(Path("results/neulvm/models/best.json"))
rng, seconds, fine = np.random.default_rng(1), 30.0, 0.0002
quiet = np.zeros((round(seconds / best.dt), len(best.circuit.sizes)))
model = freerun.simulate(best.circuit, quiet, rng, best.dt, best.history, best.kind) / best.dt
cells = microscopic.simulate(best.circuit, seconds, rng, fine)
network = microscopic.rates(cells.counts, best.circuit, fine, round(best.dt / fine))
figure, axes = style.panels(2, 1)
for panel, name, rates in zip(axes[:, 0], ("model", "network"), (model, network), strict=True):
    found = states.find(rates, best.dt)
    print(f"{name}: winner {found.up:.1f} Hz, loser {found.down:.1f} Hz, {found.n_switches} switches in {seconds:g} s")
    panel.plot(np.arange(len(rates)) * best.dt, rates, linewidth=0.3)
    panel.set(title=name, xlabel="time (s)", ylabel="rate (Hz)")
figure.savefig("neulvm.png")
