"""A trained mode-based network on a new trial of contextual integration: rate, irregularity, a raster."""

from pathlib import Path

import numpy as np
import torch

from respike.core import spikes, statistics, style
from respike.core.tasks import contextual
from respike.modes import fitted, model
from respike.modes.params import DT

fit = fitted.read(sorted(Path("results/modes/fits").glob("contextual_spike_*.pt"))[0])
trials = contextual(np.random.default_rng(1), n_steps=500, n_trials=1)
with torch.no_grad():
    activity, _ = fit.run(model.drive_of(fit.network, torch.from_numpy(trials.inputs)))
fired = spikes.from_raster(activity.spikes.transpose(0, 1).numpy(), DT)
print(f"rate {statistics.rate(fired).mean():.1f} Hz, CV of intervals {np.nanmean(statistics.isi_cv(fired)):.2f}")
figure, axes = style.panels()
style.raster(axes[0, 0], fired.times, fired.cells)
figure.savefig("modes.png")
