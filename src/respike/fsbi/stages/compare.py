"""Ways to propose rules, compared at equal budget on the surrogate, where the best possible answer is known."""

from pathlib import Path

from respike.core import files, seeds
from respike.fsbi.inference.comparison import Comparison, compare


def run(*, out: Path, settings: Comparison, seed: int) -> None:
    """Table of the share of proposals whose rate falls into the aim, per way of proposing."""
    files.write_table(out, compare(settings, seeds.of(seed, "fsbi", "compare")))
