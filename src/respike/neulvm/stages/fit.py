"""Recorded spikes in; one EM fit from one start out: the model, the latent activity and the log of the losses."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from respike.core import files, partial, seeds, training
from respike.neulvm import fitted, model, trials
from respike.neulvm.inference import box, em
from respike.neulvm.params import Circuit, Fit, Prior


def run(
    *, trial: Path, out: Path, latent: Path, log: Path, circuit: Circuit, prior: Prior, fit: Fit, form: str, start: int,
    seed: int,
) -> None:  # fmt: skip
    """Fit the recording `trial` from start number `start`; parameters of `circuit` that are fitted do not count.

    In the form `shared` populations of a kind share their parameters, in the form `start` each has its own. A fit that
    was cut off goes on after its last whole step.
    """
    read = trials.read(trial)
    recorded, search = read.trial, box.build(read.trial.beginning(circuit), prior, form == "shared")
    begin = em.first_latent(recorded, fit)
    state = em.State(search.draw(seeds.generator(seed, "neulvm", "fit", start)), begin)

    def step(_: int) -> dict[str, float]:
        em.advance(state, recorded, search, fit)
        return {"done": float(state.done)}

    key = {"seed": seed, "form": form, "start": start, "circuit": asdict(circuit), "prior": asdict(prior), "fit": asdict(fit)}
    training.train({"fit": state}, step, 2 * fit.iterations, out, key, until=lambda row: bool(row["done"]))
    loss = model.loss(state.circuit, recorded, state.latent, fit.scheme)
    about = {
        "start": start, "loss": loss.total, "loss_spikes": loss.spikes, "loss_latent": loss.latent,
        "iterations": state.iteration, "at_bound": search.at_bound(state.circuit),
    }  # fmt: skip
    activity = {"first": begin, "last": state.latent}
    files.write_arrays(latent, **{name: model.with_history(array, recorded) for name, array in activity.items()})
    files.write_table(log, pd.DataFrame(state.rows).assign(start=start))
    fitted.write(out, fitted.Fitted(state.circuit, fit.scheme, recorded.dt, recorded.history, read.dataset, about))
    partial.forget(out)
