"""A trained barrel column sees the test sweeps: accuracy, rates of its populations, a raster."""

from pathlib import Path

from respike.barrel import fitted, learning, samples
from respike.barrel.params import STEP, Fit
from respike.core import measures, spikes, statistics, style
from respike.core.config import build

(job,) = measures.ran(Path("results/barrel/fits/spiking_0.parquet"), "barrel.fit")  # what its training was told
coding = build(Fit, job["settings"]).encoding
network = fitted.read(Path("results/barrel/fits/spiking_0.pt")).network("trained")
sweeps, is_test = samples.read(Path("results/barrel/inputs/spiking.npz"), "spiking", coding)
output = learning.play(network, sweeps.part(is_test), seed=1)
correct = output.votes.argmax(1).numpy() == sweeps.label[is_test]
fired = spikes.from_raster(output.spikes.permute(2, 0, 1).numpy()[:, :, network.n_thalamic :] > 0, dt=STEP)
print(f"accuracy {correct.mean():.2f}, rate {statistics.rate(fired).mean():.1f} Hz")
figure, axes = style.panels()
first = fired.trial == 0
style.raster(axes[0, 0], fired.times[first], fired.cells[first])
figure.savefig("barrel.png")
