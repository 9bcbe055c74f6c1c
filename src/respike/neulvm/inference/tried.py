"""Every way to fit, tried on one more recording of the hidden network: activity, parameters and free runs of what it gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from respike.core import seeds
from respike.neulvm import embedded, freerun, loader, measurement, model, simulation, trials
from respike.neulvm.inference import box, choice, em
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Data, Fit, Free, Prior, Window
from respike.neulvm.rivals import hmm, plds

COLUMNS = ["recording", "model", "metric", "value", "unit", "n"]
FITTED = ("start", "known", "em", "shared", "chosen")  # models that an inference made, by the rules of the config
ROUNDS = 30  # of EM, of the baselines
Found = tuple[float, Circuit, np.ndarray]  # loss, circuit, activity


def ranked(trial: Trial, circuit: Circuit, search: box.Box, fit: Fit, streams: list[np.random.Generator]) -> list[Found]:
    """Fits by EM from starts in the box, by rising loss."""
    found = []
    first = replace(circuit, typical_rates=tuple(trial.early_rates.mean(0).tolist()))
    for rng in streams:
        state = em.State(search.draw(first, rng), em.first_latent(trial, fit))
        while not state.done:
            em.advance(state, trial, search, fit)
        found.append((model.loss(state.circuit, trial, state.latent, fit.scheme).total, state.circuit, state.latent))
    return sorted(found, key=lambda each: each[0])


def tried(
    circuit: Circuit, prior: Prior, fit: Fit, choose: Choice, window: Window, free: Free,
    network: Float[np.ndarray, "trial bin population"], seed: int, number: int,
) -> list[tuple[int, str, str, float, str, int]]:  # fmt: skip
    """Rows (COLUMNS) of recording `number`: what each model is judged by (`measurement`). `network`: its rates under pulses.

    start: the activity that EM starts from; known: the M-step at the true activity; em: the best of the starts; shared: the
    best of those that share parameters; chosen: of these, by free runs; and the free runs of the baselines.
    """
    name = ("neulvm", "recordings", number)
    made, _ = embedded.record(
        circuit, Data(seconds=window.end + window.held_out, sampled=window.cells), window, seed, (*name, "data")
    )
    read = loader.cut(made, "", circuit, window, seed, Path(f"recording {number}"))
    trial = read.trial

    def streams(what: str) -> list[np.random.Generator]:
        return [seeds.generator(seed, *name, what, k) for k in range(choose.starts)]

    def run(kind: str, current: Float[np.ndarray, "bin population"]) -> Float[np.ndarray, "bin population"]:
        rng = seeds.generator(seed, *name, "pulsed" if current.any() else "free", kind)
        history = round(choose.history / trial.dt)
        return freerun.simulate(models[kind], current, rng, trial.dt, history, fit.scheme) / trial.dt

    together = box.build(circuit, prior, shared=True)
    shared = ranked(trial, circuit, together, fit, streams("shared"))
    fits, latents = [each[1] for each in shared], [each[2] for each in shared]
    chosen, _ = choice.choose(fits, latents, trial, together, choose, fit.scheme, streams("runs"))
    loss, best, latent = ranked(trial, circuit, box.build(circuit, prior), fit, streams("em"))[0]
    models = {"em": best, "shared": fits[0], "chosen": chosen}
    quiet = np.zeros((round(choose.seconds / trial.dt), trial.shape[2]))
    found = {kind: list(measurement.free_run(run(kind, quiet), trial.dt, circuit.has_rivals)) for kind in models}
    for kind, rates in rivals(trial, len(quiet), seeds.generator(seed, *name, "baselines")).items():
        found[kind] = list(measurement.free_run(rates, trial.dt, circuit.has_rivals))
    models["known"] = em.at_truth(circuit, read, fit)[0]
    pulse = simulation.pulses(free, trial.shape[2], trial.dt)
    for kind, each in models.items():
        found.setdefault(kind, []).extend(measurement.ratios(each, circuit))
        pulsed = run(kind, np.tile(pulse, (free.pulses, 1))).reshape(free.pulses, *pulse.shape)
        found[kind] += measurement.response(pulsed, network, trial.dt)
    activities = {"start": em.first_latent(trial, fit), "em": latent}
    for kind, activity in activities.items():
        inside = (array[:, trial.history :] for array in (activity, read.truth))
        found.setdefault(kind, []).extend(measurement.likeness(*inside, trial.dt))
    found["em"].append(("loss", loss, "nats", choose.starts))
    return [(number, kind, *row) for kind, rows in found.items() for row in rows]


def rivals(trial: Trial, n_bins: int, rng: np.random.Generator) -> dict[str, Float[np.ndarray, "bin population"]]:
    """Free runs (Hz) of the baselines that can switch."""
    spikes: Int[np.ndarray, "bin cell"] = trials.joined(trial).astype(np.int64)
    free = {
        "hmm": hmm.free(hmm.fit(spikes, ROUNDS, trial.dt, rng), n_bins, rng),
        "plds2": plds.free(plds.fit(spikes, 2, ROUNDS, trial.dt), n_bins, rng),
    }
    columns = [trial.population == m for m in range(trial.shape[2])]
    return {name: np.stack([each[:, mine].mean(1) for mine in columns], axis=1) / trial.dt for name, each in free.items()}
