"""What the workflow rules of rate2lif are asked for: networks that can be, in chunks of replicas that one job treats."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from respike.core import chunks
from respike.rate2lif.params import RATE_STEP, Lif, Training
from respike.rate2lif.tasks import TASKS

KINDS = ("networks", "searches", "trials")  # folders of archives: of fit or data, of search, of simulate
finished = cache(chunks.finished)  # what a run has made by and by does not change its plan
EXAMPLES = ("example", "contextual", "motif")  # roles of networks that the figures show one by one
FIGURES = {  # name of each figure, and what it answers
    "fig1_training": "Fig. 1B", "fig1_fig2_sizes": "Fig. 1C, 2C", "fig2_scale": "Fig. 2B", "fig2_tau": "Fig. 2D, 2E",
    "fig4_contextual": "Fig. 3B, 3C, 4A", "fig4_cells": "Fig. 4C-E", "fig5_decay": "Fig. 5", "fig6_conditions": "Fig. 6",
    "fig7_activations": "Fig. 7", "figS1_rates": "Fig. S1", "figS2_components": "Fig. S2", "figS3_motif": "Fig. S3",
    "figS5_axes": "Fig. S5", "evaluation": "evaluation script", "tasks": "all tasks", "training_loss": "Fig. 2E, 7",
}  # fmt: skip


def check(config: Mapping[str, Any]) -> None:
    """ValueError with key, value and what was expected, when networks or figures are asked for that cannot be."""
    variants, figures = config["variants"], config["figures"]
    lifs = {name: _built(f"conditions.{name}", Lif, settings) for name, settings in config["conditions"].items()}
    for name, variant in variants.items():
        _known(f"variants.{name}.conditions", variant["conditions"], "conditions", config)
        trained = _built(f"variants.{name}.training", Training, variant["training"])
        if variant["file"] and variant["replicas"] > 1:
            said = f"config: rate2lif.variants.{name}.replicas = {variant['replicas']}: {variant['file']} holds one network"
            raise ValueError(f"{said}, which would count as several; expected 1, or a variant for each file")
        for each, lif in ((each, lifs[each]) for each in variant["conditions"]):
            said, begin, cells = f"config: rate2lif.conditions.{each}", lif.stimulus_begin, list(lif.stimulated_cells)
            if cells and begin >= (end := TASKS[trained.task].n_steps * RATE_STEP):
                raise ValueError(f"{said}.stimulus_begin = {begin:g} s: expected less than {end:g}, a trial of {name}")
            if not variant["file"] and max(cells, default=0) >= trained.cells:
                raise ValueError(f"{said}.stimulated_cells = {cells}: expected less than {trained.cells}, the cells of {name}")
    for role, names in figures.items():
        _known(f"figures.{role}", [names] if isinstance(names, str) else names, "variants", config)
    for role, expected in {"example": "go-nogo", "contextual": "mante"}.items():
        task = training(config, figures[role])["task"]
        if task != expected:
            raise ValueError(f"config: rate2lif.figures.{role} = {figures[role]!r}, whose task is {task}: expected {expected}")


def _built(key: str, kind: type[Lif] | type[Training], settings: Mapping[str, Any]) -> Any:
    try:
        return kind(**settings)
    except ValueError as error:
        raise ValueError(f"config: rate2lif.{key}: {error}") from None


def _known(key: str, names: Iterable[str], part: str, config: Mapping[str, Any]) -> None:
    for name in names:
        if name not in config[part]:
            expected = f"expected one of rate2lif.{part}, {', '.join(config[part])}"
            raise ValueError(f"config: rate2lif.{key} names {name!r}: {expected}")


def pattern(config: Mapping[str, Any], given: bool) -> str:
    """Regular expression of the variants whose network is `given` in a file of the user's, or of those that are trained."""
    return "|".join(name for name, variant in config["variants"].items() if bool(variant["file"]) == given) or "none"


def archives(config: Mapping[str, Any], results: str) -> dict[str, list[str]]:
    """Archives of all networks by KINDS, chunk by chunk."""
    return {kind: [path for name in config["variants"] for path in _of(name, kind, config, results)] for kind in KINDS}


def of_examples(config: Mapping[str, Any], results: str) -> dict[str, list[str]]:
    """By role in EXAMPLES the archives of all KINDS that hold the network which plays it, the first of its variant."""
    return {role: [_of(config["figures"][role], kind, config, results)[0] for kind in KINDS] for role in EXAMPLES}


def of_tasks(config: Mapping[str, Any], results: str) -> list[str]:
    """Archives of trials that hold the first network of each variant which the figures show for its task."""
    return [_of(name, "trials", config, results)[0] for name in config["figures"]["tasks"]]


def _of(variant: str, kind: str, config: Mapping[str, Any], results: str) -> list[str]:
    """Archives of a variant. Chunks whose networks are finished stay as they are."""
    done = finished(f"{results}/networks", "zip").get(variant, [])
    ranges = chunks.ranges(done, config["variants"][variant]["replicas"], config["chunk"])
    return [f"{results}/{kind}/{variant}_{first}-{last}.zip" for first, last in ranges]


def training(config: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """How a variant is trained."""
    return config["variants"][variant]["training"]


def search(config: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """How the scale of a variant is found: its own values take the place of the common ones."""
    return {**config["search"], "scales": config["variants"][variant]["scales"] or config["search"]["scales"]}


def conditions(config: Mapping[str, Any], variant: str) -> list[dict[str, Any]]:
    """The LIF networks to be run for a variant, in the order of the config."""
    return [{"name": name, "lif": config["conditions"][name]} for name in config["variants"][variant]["conditions"]]
