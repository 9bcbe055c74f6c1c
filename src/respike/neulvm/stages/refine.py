"""The best EM fit in; the circuit near it under which the spikes are likeliest, whatever the activity, out."""

from dataclasses import asdict, replace
from pathlib import Path

from respike.core import files, training
from respike.neulvm import ascent, box, model, models, trials
from respike.neulvm.params import Prior, Refine


def run(*, trial: Path, best: Path, out: Path, log: Path, prior: Prior, refine: Refine, seed: int) -> None:
    """Write the refined model, and a table of the rounds: `log_likelihood` (nats) of the spikes at the start of each.

    A run that was cut off goes on after the last round that was saved.
    """
    recorded, found = trials.read(trial), models.read(best)
    short = recorded.trial.shortened(model.bins(refine.history, recorded.trial.dt))
    search = box.build(found.circuit, prior)
    state = ascent.begin(found.circuit, search)
    place = (seed, "neulvm", "refine")

    def step(number: int) -> dict[str, float]:
        ascent.advance(state, number, found.circuit, short, search, found.kind, refine, place)
        return {"log_likelihood": state.likelihood[-1]}

    key = {**asdict(refine), "seed": seed, "trial": files.digest(trial), "best": files.digest(best)}
    key["box"] = repr((search.low.tolist(), search.high.tolist()))
    rounds = training.train({"ascent": state}, step, refine.rounds, out, key, report_every=1)
    circuit = ascent.result(state, found.circuit, search)
    about = {"start": found.about["start"], "rounds": ascent.counted(state), "at_bound": search.at_bound(circuit)}
    models.write(out, replace(found, circuit=circuit, about=about))
    files.write_table(log, rounds)
    training.forget(out)
