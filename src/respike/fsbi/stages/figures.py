"""All figures of one family of rules; each function's docstring names the paper's figure it answers."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from respike.core import files, style
from respike.fsbi import network_figures, pair_figures, rule_figures
from respike.fsbi.command import hidden_layers
from respike.fsbi.params import Simulation
from respike.fsbi.targets import Target, group, meets, plausible


@dataclass(frozen=True)
class Shown:
    """What the figures must know beside the tables."""

    targets: dict[str, Target]
    condition: str  # group of conditions of the correlations and the pair plot
    seconds: float  # length of the longevity test
    simulation: Simulation


def run(
    *,
    tables: list[Path],
    longevity: Path,
    posteriors: list[Path],
    example: Path,
    recordings: list[Path],
    compare: Path,
    folder: Path,
    rule: str,
    settings: Shown,
    hidden: Path | None = None,
) -> None:
    """Write every figure into `folder` as <rule>_<name>.pdf and .png; `hidden` is a file of the fixed layers of mlp."""
    rounds = [files.read_table(path) for path in tables]
    dataset = rounds[0]["dataset"].iloc[0]
    examined = [files.read_arrays(path) for path in posteriors]
    everything = pd.concat(rounds, ignore_index=True)
    good = everything[meets(everything, plausible(settings.targets, group(settings.condition, rule)))]
    one = files.read_table(example).iloc[0]
    layers = hidden_layers(settings.simulation.wiring, hidden) if rule == "mlp" else None
    drawn = {
        "accumulation": rule_figures.accumulation(rounds, rule, settings.targets),
        "components": rule_figures.spectra(rounds, rule),
        "protocol": rule_figures.protocols(one, rule, layers),
        "metrics": rule_figures.histograms(rounds, rule, settings.targets),
        "correlations": rule_figures.correlations(good, examined[-1] if examined else None, rule),
        "pairs": rule_figures.pairs(good, rule),
        "against_rate": pair_figures.against_rate(rounds, rule, settings.targets),
        "heat_maps": pair_figures.heat_maps(rounds, rule),
        "longevity": rule_figures.longevity(files.read_table(longevity), rule, settings.targets, settings.seconds),
        "inference": network_figures.inference(examined, rounds, files.read_table(compare)),
    }
    if rule == "poly":
        drawn["mean_field"] = rule_figures.mean_field(rounds)
    for path in recordings:
        drawn["network"] = network_figures.network(files.read_arrays(path), f"rule{int(one['index'])}")
    for name, figure in drawn.items():
        style.save(figure, folder, f"{rule}_{name}", dataset)
