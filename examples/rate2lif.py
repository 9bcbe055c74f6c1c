"""A rate network at the scale found for it runs as a LIF network: one new trial, rates, a raster and the output."""

from pathlib import Path

import numpy as np

from respike.core import statistics, style
from respike.rate2lif import archives, lif, network, tasks
from respike.rate2lif.params import LIF_STEP, Lif
from respike.rate2lif.stages.simulate import fired

searched = sorted(Path("results/rate2lif/searches").glob("gonogo_0-*.zip"))
with archives.unpacked("gonogo_0", searched[:1]) as folder:
    trained = network.read(folder / "scaled.mat")
trials = tasks.draw(tasks.TASKS["go-nogo"], np.random.default_rng(1), 1)
wiring = lif.wire(trained, float(trained.extra["opt_scaling_factor"].item()), Lif())
run = lif.run([wiring], lif.drive(trained, tasks.extra_column(trials.inputs)[:, 0], Lif(), 1), Lif())[0]
train = fired([run], Lif())
print(f"wanted {trials.wanted[0]}, largest output {run.output.max():.2f}, rate {statistics.rate(train).mean():.1f} Hz")
figure, axes = style.panels(2, 1)
style.raster(axes[0, 0], train.times, train.cells)
axes[1, 0].plot(np.arange(len(run.output)) * LIF_STEP, run.output)
axes[1, 0].set(xlabel="time (s)", ylabel="output")
figure.savefig("rate2lif.png")
