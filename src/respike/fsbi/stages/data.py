"""The rules of one chunk of a round: drawn from the prior box, or proposed by the estimator of the round."""

from pathlib import Path
from typing import Any

import pandas as pd

from respike.core import files
from respike.fsbi import classifier
from respike.fsbi.proposals import Proposal, propose


def run(
    *,
    out: Path,
    members: list[Path],
    thinning: list[Path],
    rule: str,
    round: int,
    first: int,
    count: int,
    settings: Proposal,
    seed: int,
) -> None:
    """Rules number `first` to `first + count - 1` of `round`, from the ensemble `members` and thinned by `thinning`.

    The table holds what a simulation needs and, for the checks that follow, the metric values a rule was drawn for
    (`aim_<metric>`), how many candidates that took (`drawn`) and how many of them lay in the prior box (`inside`).
    """
    thin = [classifier.read(path) for path in thinning]
    nets = ensemble(members)
    rows = [propose(rule, round, index, nets, thin, settings, seed) for index in range(first, first + count)]
    files.write_table(out, pd.DataFrame(rows))


def ensemble(members: list[Path]) -> list[Any]:
    """The members of the ensemble; none for the prior."""
    if not members:
        return []
    from respike.fsbi import flow  # noqa: PLC0415  (seconds to import, and the prior does not need it)

    return [flow.read(path) for path in members]
