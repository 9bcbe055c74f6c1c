"""Whether the trained ensemble of a round is calibrated, and how its parameters depend on each other."""

from pathlib import Path

import numpy as np

from respike.core import files, seeds
from respike.fsbi import fitted
from respike.fsbi.inference.posterior import Conditioned, Examination, condition_of, correlations, ranks


def run(
    *,
    training: Path,
    members: list[Path],
    out: Path,
    family: str,
    round: int,
    settings: Examination,
    proposal: Conditioned,
    seed: int,
) -> None:
    """Ranks of held-out rules among posterior draws, and conditional correlations of the parameters."""
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
        ranks=np.concatenate(
            [ranks(member, table, family, settings, rng) for member, rng in zip(ensemble, generators, strict=True)]
        ),
        draws=settings.draws,
        correlations=correlations(ensemble, condition, settings, seeds.generator(*key, "correlations")),
        condition=np.array(list(condition.values())),
        condition_names=np.array(list(condition)),
    )
