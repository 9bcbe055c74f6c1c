"""A fitted V1 model runs freely under the movie: its trial-averaged rates beside the recorded ones."""

from pathlib import Path

import torch

from respike.core import statistics, style
from respike.v1 import fitted, recorded, simulation, trials

record = recorded.read(Path("results/v1/recording.npz"))
model = fitted.read(Path("results/v1/fits/sm_0.pt"), torch.device("cpu")).model
test = trials.cut(record.movie, record.of("test"), model.network)
with torch.no_grad():
    runs, _ = simulation.free_runs(model, model.drive(test.movie), 100, seed=1, stream=("example",), n_probabilities=1)
spikes = {"recorded": test.y.numpy(), "model": runs[:, :, : model.n_recorded]}
psth = {name: trains.mean(0) / record.bin_seconds for name, trains in spikes.items()}
print(f"R2 of the trial average: {statistics.r2(*psth.values()):.2f}")
figure, axes = style.panels()
for name, rates in psth.items():
    axes[0, 0].plot(rates.mean(1), label=name)
axes[0, 0].set(xlabel=f"bin of {record.bin_ms:g} ms", ylabel="mean rate (Hz)")
axes[0, 0].legend()
figure.savefig("v1.png")
