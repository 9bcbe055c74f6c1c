"""The best of several fits: the one with the lowest total loss; and of those that share parameters, by their free runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.neulvm import fitted, trials
from respike.neulvm.fitted import Fitted
from respike.neulvm.inference import box, choice
from respike.neulvm.params import Choice, Prior


def run(
    *, trial: Path, fits: list[Path], latents: list[Path], shared: list[Path], shared_latents: list[Path], out: Path,
    latent: Path, chosen: Path, candidates: Path, prior: Prior, choose: Choice, seed: int,
) -> None:  # fmt: skip
    """Copy the model with the lowest loss, and its latent activity; write the chosen one, and the table it is chosen from."""
    models, best = ranked(fits)
    fitted.write(out, models[best[0]])
    files.write_arrays(latent, **files.read_arrays(latents[best[0]], "first", "last"))
    models, order = ranked(shared)
    first, recorded = models[order[0]], trials.read(trial).trial
    search = box.build(first.circuit, prior, shared=True)
    circuit, table = choice.choose(
        [models[k].circuit for k in order], [files.read_arrays(shared_latents[k], "last")["last"] for k in order],
        recorded, search, choose, first.kind, [seeds.generator(seed, "neulvm", "choose", k) for k in order],
    )  # fmt: skip
    about = {"candidates": len(table), "at_bound": search.at_bound(circuit)}
    fitted.write(chosen, replace(first, circuit=circuit, about=about))
    files.write_table(candidates, table)


def ranked(paths: list[Path]) -> tuple[list[Fitted], list[int]]:
    """Fits, and their numbers by rising loss; ValueError when none has one."""
    models = [fitted.read(path) for path in paths]
    losses = np.array([model.about["loss"] for model in models])
    if not np.isfinite(losses).any():
        raise ValueError(f"no fit has a finite loss ({losses.tolist()}); narrow neulvm.prior in config.yaml")
    order = np.argsort(np.where(np.isfinite(losses), losses, np.inf), kind="stable")
    return models, order[: np.isfinite(losses).sum()].tolist()
