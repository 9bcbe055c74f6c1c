"""Every way to fit, tried on one more recording of the hidden network: free runs and couplings of the models it gives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from respike.core import seeds
from respike.neulvm import embedded, freerun, loader, model, states, trials
from respike.neulvm.inference import box, choice, em
from respike.neulvm.model import Trial
from respike.neulvm.params import Choice, Circuit, Data, Fit, Prior, Window
from respike.neulvm.rivals import hmm, plds

COLUMNS = ["recording", "model", "up", "down", "others", "switch_rate", "seconds", "coupling"]
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
    circuit: Circuit, prior: Prior, fit: Fit, choose: Choice, window: Window, seed: int, number: int
) -> list[dict[str, float | str]]:
    """Rows (COLUMNS) of recording `number`: rates in the states, switches, and excitatory couplings over the true ones.

    em: the best of the starts; shared: the best of those that share parameters; chosen: of these, by free runs; baselines.
    """
    name = ("neulvm", "recordings", number)
    made, _ = embedded.record(
        circuit, Data(seconds=window.end + window.held_out, sampled=window.cells), window, seed, (*name, "data")
    )
    trial = loader.cut(made, "", circuit, window, seed, Path(f"recording {number}")).trial

    def streams(what: str) -> list[np.random.Generator]:
        return [seeds.generator(seed, *name, what, k) for k in range(choose.starts)]

    together = box.build(circuit, prior, shared=True)
    shared = ranked(trial, circuit, together, fit, streams("shared"))
    fits, latents = [each[1] for each in shared], [each[2] for each in shared]
    chosen, _ = choice.choose(fits, latents, trial, together, choose, fit.scheme, streams("runs"))
    best = ranked(trial, circuit, box.build(circuit, prior), fit, streams("em"))[0][1]
    models = {"em": best, "shared": fits[0], "chosen": chosen}
    n_bins, history = round(choose.seconds / trial.dt), round(choose.history / trial.dt)
    runs = {
        kind: freerun.simulate(
            each, np.zeros((n_bins, trial.shape[2])), seeds.generator(seed, *name, "free", kind), trial.dt, history, fit.scheme
        ) / trial.dt
        for kind, each in models.items()
    }  # fmt: skip
    runs |= rivals(trial, n_bins, seeds.generator(seed, *name, "baselines"))
    true = circuit.weights > 0
    couplings = {kind: np.median(each.weights[true] / circuit.weights[true]) for kind, each in models.items()}
    return [
        {"recording": number, "model": kind, **states.find(rates, trial.dt).summary(), "coupling": couplings.get(kind, np.nan)}
        for kind, rates in runs.items()
    ]


def rivals(trial: Trial, n_bins: int, rng: np.random.Generator) -> dict[str, Float[np.ndarray, "bin population"]]:
    """Free runs (Hz) of the baselines that can switch."""
    spikes: Int[np.ndarray, "bin cell"] = trials.joined(trial).astype(np.int64)
    free = {
        "hmm": hmm.free(hmm.fit(spikes, ROUNDS, trial.dt, rng), n_bins, rng),
        "plds2": plds.free(plds.fit(spikes, 2, ROUNDS, trial.dt), n_bins, rng),
    }
    columns = [trial.population == m for m in range(trial.shape[2])]
    return {name: np.stack([each[:, mine].mean(1) for mine in columns], axis=1) / trial.dt for name, each in free.items()}
