"""A rate network at the scale found for it runs as a LIF network: one new trial, rates, a raster and the output."""

from pathlib import Path

import numpy as np

from respike.core import measures, statistics, style
from respike.core.config import build
from respike.rate2lif import archives, conversion, fitted, tasks
from respike.rate2lif.params import LIF_STEP, Lif

path = sorted(Path("results/rate2lif/searches").glob("gonogo_0-*.zip"))[0]
searched, options = archives.Archives(path), build(Lif, measures.ran(path, "rate2lif.search")[0]["options"])
with searched.unpacked(searched.names[0]) as folder:
    network, scale = fitted.read_scaled(folder / "scaled.mat")
trials = tasks.draw(tasks.TASKS["go-nogo"], np.random.default_rng(1), 1)
((run,),) = conversion.play(network, trials, [scale], options, (1,))
train = conversion.fired([run], options)
print(f"wanted {trials.wanted[0]}, largest output {run.output.max():.2f}, rate {statistics.rate(train).mean():.1f} Hz")
figure, axes = style.panels(2, 1)
style.raster(axes[0, 0], train.times, train.cells)
axes[1, 0].plot(np.arange(len(run.output)) * LIF_STEP * options.downsample, run.output)
axes[1, 0].set(xlabel="time (s)", ylabel="output")
figure.savefig("rate2lif.png")
