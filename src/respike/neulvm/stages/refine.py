"""The best EM fit in; the circuit near it under which the spikes are likeliest, whatever the activity, out."""

from dataclasses import asdict, replace
from pathlib import Path

from respike.core import files, partial, training
from respike.neulvm import fitted, trials
from respike.neulvm.inference import ascent, box
from respike.neulvm.params import Prior, Refine, age_bins


def run(*, trial: Path, best: Path, out: Path, log: Path, prior: Prior, refine: Refine, seed: int) -> None:
    """Write the refined model, and a table of the rounds: `log_likelihood` (nats) of the spikes at the start of each.

    A run that was cut off goes on after the last round that was saved.
    """
    recorded, model = trials.read(trial).trial, fitted.read(best)
    short = recorded.shortened(age_bins("neulvm.refine.history", refine.history, recorded.dt, model.circuit))
    search = box.build(model.circuit, prior)
    state = ascent.begin(search)

    def step(number: int) -> dict[str, float]:
        ascent.advance(state, number, short, search, model.kind, refine, (seed, "neulvm", "refine"))
        return {"log_likelihood": state.log_likelihood[-1]}

    key = {**asdict(refine), "seed": seed, "prior": asdict(prior)}
    rounds = training.train({"ascent": state}, step, refine.rounds, out, key, report_every=1)
    circuit = ascent.result(state, search)
    about = {"start": model.about["start"], "rounds": ascent.counted(state), "at_bound": search.at_bound(circuit)}
    files.write_table(log, rounds)
    fitted.write(out, replace(model, circuit=circuit, about=about))
    partial.forget(out)
