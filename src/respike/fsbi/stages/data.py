"""The rules of one chunk of a round: drawn from the prior box, or proposed by the estimator of the round."""

from pathlib import Path

import pandas as pd

from respike.core import files
from respike.fsbi.inference import classifier
from respike.fsbi.inference.proposals import Proposal, propose


def run(
    *,
    out: Path,
    members: list[Path],
    thinning: list[Path],
    family: str,
    round: int,
    first: int,
    last: int,
    settings: Proposal,
    seed: int,
) -> None:
    """Rules number `first` to `last` of `round`, from the ensemble `members` and thinned by `thinning`."""
    ensemble = []
    if members:
        from respike.fsbi import fitted  # noqa: PLC0415  (seconds to import, and the prior does not need it)

        ensemble = [fitted.read(path) for path in members]
    thin = [classifier.read(path) for path in thinning]
    rows = [propose(family, round, index, ensemble, thin, settings, seed) for index in range(first, last + 1)]
    files.write_table(out, pd.DataFrame(rows))
