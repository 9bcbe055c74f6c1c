"""Every way to fit, tried on one more recording of the hidden network: activity, parameters, free runs of what it gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from respike.core import seeds
from respike.neulvm import drives, embedded, freerun, loader, measurement, model, trials
from respike.neulvm.inference import box, choice, em
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Data, Fit, Free, Prior, Window
from respike.neulvm.rivals import hmm, plds
from respike.neulvm.trials import Trials

COLUMNS = ["recording", "model", "metric", "value", "unit", "n"]
FITTED = ("start", "known", "em", "shared", "chosen")  # models that an inference made, by the rules of the config
ROUNDS = 30  # of EM, of the baselines


def ranked(trial: Trial, search: box.Box, fit: Fit, streams: list[np.random.Generator]) -> list[em.State]:
    """Fits by EM from starts in the box, by rising loss."""
    found = [em.State(search.draw(rng), em.first_latent(trial, fit)) for rng in streams]
    for state in found:
        while not state.done:
            em.advance(state, trial, search, fit)
    return sorted(found, key=lambda state: model.loss(state.circuit, trial, state.latent, fit.scheme).total)


def tried(
    circuit: Circuit, prior: Prior, fit: Fit, choose: Choice, window: Window, free: Free,
    network: Float[np.ndarray, "trial bin population"], seed: int, number: int,
) -> list[tuple[int, str, str, float, str, int]]:  # fmt: skip
    """Rows (COLUMNS) of recording `number`: what each model is judged by (`measurement`). `network`: its rates under pulses.

    start: the activity that EM starts from; known: the M-step at the true activity; em: the best of the starts; shared: the
    best of those that share parameters; chosen: of these, by free runs; and the free runs of the baselines that can switch.
    """
    name = ("neulvm", "recordings", number)
    data = Data(seconds=window.end + window.held_out, sampled=window.cells)
    made, _ = embedded.record(circuit, data, window, seed, (*name, "data"))
    read = loader.cut(made, "", circuit, window, seed, Path(f"recording {number}"))
    trial, first = read.trial, read.trial.beginning(circuit)

    def streams(what: str) -> list[np.random.Generator]:
        return [seeds.generator(seed, *name, what, k) for k in range(choose.starts)]

    together = box.build(first, prior, shared=True)
    shared = ranked(trial, together, fit, streams("shared"))
    fits, latents = [state.circuit for state in shared], [state.latent for state in shared]
    chosen, _ = choice.choose(fits, latents, trial, together, choose, fit.scheme, streams("runs"))
    best = ranked(trial, box.build(first, prior), fit, streams("em"))[0]
    found = {"start": list(likeness(em.first_latent(trial, fit), read)), "em": list(likeness(best.latent, read))}
    found["em"].append(("loss", model.loss(best.circuit, trial, best.latent, fit.scheme).total, "nats", choose.starts))
    pulse, history = drives.pulses(free, trial.shape[2], trial.dt), round(choose.history / trial.dt)
    models = {"em": best.circuit, "shared": fits[0], "chosen": chosen, "known": em.at_truth(circuit, read, fit)[0]}
    for kind, each in models.items():
        quiet, pushed = (seeds.generator(seed, *name, what, kind) for what in ("free", "pulsed"))
        rates = freerun.rates(each, choose.seconds, quiet, trial.dt, history, fit.scheme)
        pulsed = freerun.simulate(each, np.tile(pulse, (free.pulses, 1)), pushed, trial.dt, history, fit.scheme) / trial.dt
        rows = found.setdefault(kind, [])
        rows += measurement.ratios(each, circuit)
        rows += measurement.free_run(rates, trial.dt, circuit.has_rivals)
        rows += measurement.response(pulsed.reshape(free.pulses, *pulse.shape), network, trial.dt)
    spikes, n_bins = trials.joined(trial).astype(np.int64), round(choose.seconds / trial.dt)
    rng = seeds.generator(seed, *name, "baselines")
    rivals = {"hmm": hmm.free(hmm.fit(spikes, ROUNDS, trial.dt, rng), n_bins, rng)}
    rivals["plds2"] = plds.free(plds.fit(spikes, min(2, spikes.shape[1]), ROUNDS, trial.dt), n_bins, rng)
    for kind, expected in rivals.items():
        rates = model.population_means(expected, trial.population) / trial.dt
        found[kind] = list(measurement.free_run(rates, trial.dt, circuit.has_rivals))
    return [(number, kind, *row) for kind, rows in found.items() for row in rows]


def likeness(latent: em.Latent, read: Trials) -> Iterator[measurement.Row]:
    """How alike an inferred activity is to the true one in the fitted window."""
    inside = (array[:, read.trial.history :] for array in (latent, read.truth))
    return measurement.likeness(*inside, read.trial.dt)
