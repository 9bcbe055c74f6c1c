"""One plasticity rule in a recurrent network: simulate it, measure it, look at its weights."""

from pathlib import Path

from respike.core import style
from respike.fsbi import rules, summary
from respike.fsbi.params import Protocol, Simulation, Wiring
from respike.fsbi.simulator.binary import Simulator

settings = Simulation(
    wiring=Wiring(p_recurrent=0.8), protocol=Protocol(settle=5, record=5, n_recorded_e=512, n_recorded_i=128)
)
simulator = Simulator(Path("results/fsbi/build/poly.json"), settings)
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
