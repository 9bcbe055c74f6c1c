"""One plasticity rule in a recurrent network: simulate it, measure it, look at its weights."""

from pathlib import Path

from respike.core import measures, style
from respike.core.config import build
from respike.fsbi import rules, summary
from respike.fsbi.params import Simulation
from respike.fsbi.simulator.binary import Simulator

(job, *_) = measures.ran(Path("results/fsbi/poly/round0/table.parquet"), "fsbi.simulate")  # what the run was told
simulator = Simulator(Path("results/fsbi/build/poly.json"), build(Simulation, job["settings"]))
rule = rules.read_checked([Path("results/fsbi/poly/example/rules_0-0.parquet")], "poly")[0]
recording, seconds = simulator.record(rule)
for name, value in summary.summarise(recording).items():
    print(f"{name:20} {value:.3g}")
figure, axes = style.panels()
for kind, samples in recording.weights.items():
    axes[0, 0].plot(recording.weight_times, samples.mean(1), label=kind)
axes[0, 0].set(xlabel="time (s)", ylabel="mean weight")
axes[0, 0].legend()
figure.savefig("fsbi.png")
