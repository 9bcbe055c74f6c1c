"""What all tests share: a fixed seed, one thread, no left-over global state, and the folder of reference cases."""

import os
from pathlib import Path

from respike import surroundings

surroundings.settle()  # as in every job; before numpy is imported

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from respike.core import files  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SLURM = os.environ.setdefault("RESPIKE_SLURM", os.environ.get("SLURM_CONF", ""))  # of this machine; workers inherit it
os.environ["SLURM_CONF"] = os.devnull  # the plugin asks it whenever Snakemake starts, for 10 s where it is down
# What a make that runs the tests was told is not meant for a make that a test runs (make VENV=mine test, then make clean)
for told in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "VENV", "PYTHON", "CONFIG", "ONLY", "RESULTS", "CORES"):
    os.environ.pop(told, None)


@pytest.fixture
def rng():
    """Random number generator with a fixed seed."""
    return np.random.default_rng(20240601)


@pytest.fixture(autouse=True)
def _no_job():
    """No job runs when a test begins, whatever the one before has called in this process."""
    files.maker.clear()


@pytest.fixture(autouse=True)
def _no_figure_stays():
    """Figures that a test has drawn and not saved are closed: too many open ones warn, and a warning fails."""
    yield
    plt.close("all")


def reference_cases(study: str, pattern: str) -> list:
    """Cases of the published program for `study` whose file name fits `pattern`; a skip with its reason when there are none.

    For use as pytest.mark.parametrize("case", reference_cases("modes", "mante_*.npz")).
    """
    folder = os.environ.get("RESPIKE_REFERENCE")
    if not folder:
        return [pytest.param(None, marks=pytest.mark.skip(reason="RESPIKE_REFERENCE names no folder of reference cases"))]
    cases = sorted((Path(folder) / study).glob(pattern))
    if not cases:
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no {pattern} in {folder}/{study}"))]
    return [pytest.param(case, id=case.stem) for case in cases]
