"""Whether the trained ensemble of a round is calibrated, and how its parameters depend on each other."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.fsbi import fitted
from respike.fsbi.inference.posterior import Examination, aims, condition_of, correlations, held_out
from respike.fsbi.inference.proposals import Proposal


def run(
    *,
    training: Path,
    members: list[Path],
    out: Path,
    family: str,
    round: int,
    settings: Examination,
    proposal: Proposal,
    seed: int,
) -> None:
    """Diagnostics of the posterior with held-out rules, of its aims, and conditional correlations of the parameters."""
    ensemble = [fitted.read(path) for path in members]
    table = files.read_table(training)
    key = (seed, "fsbi", "examine", family, round)
    generators = [seeds.generator(*key, number) for number in range(len(ensemble))]
    condition = condition_of(settings, proposal)
    files.write_arrays(
        out,
        rule=family,
        round=round,
        dataset=table["dataset"].iloc[0],
        **held_out(ensemble, table, family, settings, generators),
        **aims(table, family, proposal, seeds.generator(*key, "aims")),
        correlations=correlations(ensemble, condition, settings, seeds.generator(*key, "correlations")),
        condition=np.array(list(condition.values())),
        condition_names=np.array(list(condition)),
    )
