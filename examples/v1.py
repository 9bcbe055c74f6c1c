"""A fitted V1 model runs freely under the movie: its trial-averaged rates beside the recorded ones."""

from pathlib import Path

import torch

from respike.core import statistics, style
from respike.v1 import fitted, trials
from respike.v1.stages import simulate

record = trials.read(Path("results/v1/recording.npz"))
model = fitted.read(Path("results/v1/fits/sm_0.pt"), torch.device("cpu")).model
test = trials.cut(record.movie, record.of("test"), model.network)
with torch.no_grad():
    runs = simulate.free_runs(model, model.drive(test.windows), 100, seed=1, place=("example",), n_probabilities=1)
recorded, simulated = (statistics.psth(spikes, 0.04) for spikes in (test.y.numpy(), runs.spikes))
print(f"R2 of the trial average: {statistics.r2(recorded, simulated[:, : recorded.shape[1]]):.2f}")
figure, axes = style.panels()
axes[0, 0].plot(recorded.mean(1), label="recorded")
axes[0, 0].plot(simulated.mean(1), label="model")
axes[0, 0].set(xlabel="bin of 40 ms", ylabel="mean rate (Hz)")
axes[0, 0].legend()
figure.savefig("v1.png")
