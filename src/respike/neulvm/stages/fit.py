"""Recorded spikes in; one EM fit from one start out: the model, the latent activity and the log of the losses."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from respike.core import files, seeds, training
from respike.neulvm import box, em, model, models, trials
from respike.neulvm.model import Trial
from respike.neulvm.params import Circuit, Fit, Prior


def run(
    *, trial: Path, out: Path, latent: Path, log: Path, circuit: Circuit, prior: Prior, fit: Fit, start: int, seed: int
) -> None:
    """Fit the recording `trial` from start number `start`; parameters of `circuit` that are fitted count only as a start."""
    recorded = trials.read(trial)
    search = box.build(circuit, prior)
    first = replace(circuit, typical_rates=tuple(recorded.trial.early_rates.mean(0).tolist()))
    if fit.start == "circuit":
        box.check_start(first, search)
    else:
        first = search.draw(first, seeds.generator(seed, "neulvm", "fit", start))
    begin = em.first_latent(recorded.trial, fit)
    state = em.State(first, begin)
    finish(state, recorded.trial, search, fit, out, {"seed": seed, "start": start, "trial": files.digest(trial)})
    loss = model.loss(state.circuit, recorded.trial, state.latent, fit.scheme)
    about = {
        "start": start, "loss": loss.total, "loss_spikes": loss.spikes, "loss_latent": loss.latent,
        "iterations": state.iteration, "at_bound": search.at_bound(state.circuit),
    }  # fmt: skip
    found = models.Model(state.circuit, fit.scheme, recorded.trial.dt, recorded.trial.history, recorded.dataset, about)
    models.write(out, found)
    files.write_arrays(
        latent, first=model.with_history(begin, recorded.trial), last=model.with_history(state.latent, recorded.trial)
    )
    files.write_table(log, pd.DataFrame(state.rows).assign(start=start))
    training.forget(out)


def finish(state: em.State, trial: Trial, search: box.Box, fit: Fit, out: Path, key: dict[str, int | str]) -> None:
    """Take the steps that are left of the fit `key` of `out`; one that was cut off goes on after its last whole step."""

    def step(_: int) -> dict[str, float]:
        em.advance(state, trial, search, fit)
        return {"done": float(state.done)}

    settings = {**key, "fit": repr(fit), "box": repr((search.low.tolist(), search.high.tolist()))}
    training.train({"fit": state}, step, 2 * fit.iterations, out, settings, until=lambda row: bool(row["done"]))
