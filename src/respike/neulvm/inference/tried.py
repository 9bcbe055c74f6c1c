"""Every way to fit, tried on one more recording of the hidden network: free runs and couplings of the models it gives."""

from pathlib import Path

import numpy as np

from respike.core import seeds
from respike.neulvm import embedded, freerun, loader, model, states, trials
from respike.neulvm.inference import box, choice, em
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Data, Fit, Prior, Window
from respike.neulvm.rivals import hmm, plds

COLUMNS = ["recording", "model", "up", "down", "others", "switch_rate", "seconds", "coupling"]
ROUNDS = 30  # of EM, of the baselines


def ranked(trial: Trial, search: box.Box, fit: Fit, streams: list[np.random.Generator]) -> list[em.State]:
    """Fits by EM from starts in the box, by rising loss."""
    found = [em.State(search.draw(rng), em.first_latent(trial, fit)) for rng in streams]
    for state in found:
        while not state.done:
            em.advance(state, trial, search, fit)
    return sorted(found, key=lambda state: model.loss(state.circuit, trial, state.latent, fit.scheme).total)


def tried(
    circuit: Circuit, prior: Prior, fit: Fit, choose: Choice, window: Window, seed: int, number: int
) -> list[dict[str, float | str]]:
    """Rows (COLUMNS) of recording `number`: rates in the states, switches, and excitatory couplings over the true ones.

    em: the best of the starts; shared: the best of those that share parameters; chosen: of these, by free runs; and the
    baselines that can switch.
    """
    name = ("neulvm", "recordings", number)
    data = Data(seconds=window.end + window.held_out, sampled=window.cells)
    made, _ = embedded.record(circuit, data, window, seed, (*name, "data"))
    trial = loader.cut(made, "", circuit, window, seed, Path(f"recording {number}")).trial

    def streams(what: str) -> list[np.random.Generator]:
        return [seeds.generator(seed, *name, what, k) for k in range(choose.starts)]

    first = trial.beginning(circuit)
    together = box.build(first, prior, shared=True)
    shared = ranked(trial, together, fit, streams("shared"))
    fits, latents = [state.circuit for state in shared], [state.latent for state in shared]
    chosen, _ = choice.choose(fits, latents, trial, together, choose, fit.scheme, streams("runs"))
    best = ranked(trial, box.build(first, prior), fit, streams("em"))[0].circuit
    true, history, rows = circuit.weights > 0, round(choose.history / trial.dt), []
    for kind, each in (("em", best), ("shared", fits[0]), ("chosen", chosen)):
        rates = freerun.rates(each, choose.seconds, seeds.generator(seed, *name, "free", kind), trial.dt, history, fit.scheme)
        coupling = np.median(each.weights[true] / circuit.weights[true])
        rows.append({"model": kind, **states.find(rates, trial.dt).summary(), "coupling": coupling})
    spikes, n_bins = trials.joined(trial).astype(np.int64), round(choose.seconds / trial.dt)
    rng = seeds.generator(seed, *name, "baselines")
    rivals = {"hmm": hmm.free(hmm.fit(spikes, ROUNDS, trial.dt, rng), n_bins, rng)}
    rivals["plds2"] = plds.free(plds.fit(spikes, 2, ROUNDS, trial.dt), n_bins, rng)
    for kind, expected in rivals.items():
        rates = model.population_means(expected, trial.population) / trial.dt
        rows.append({"model": kind, **states.find(rates, trial.dt).summary(), "coupling": np.nan})
    return [{"recording": number, **row} for row in rows]
