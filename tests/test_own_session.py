"""From a session file to a fitted model by the commands of the pages: two steps, and their result read back."""

import re

import numpy as np
import pytest

from respike.neulvm import fitted as models
from respike.v1 import fitted, recorded
from tests import sessions, small
from tests.test_docs import ROOT

STUDIES = ("v1", "neulvm")


def commands(study):
    """What the page of a study says to type."""
    return re.findall(r"^```bash session\n(.*?)^```$", (ROOT / f"docs/{study}.md").read_text(), re.DOTALL | re.MULTILINE)


def session_file(path):
    """30 trials of 4 s that show one movie, 8 units of two types; two units in three fire in bursts, as the movie has it."""
    rng = np.random.default_rng(5)
    starts = 10 + 5.0 * np.arange(30)
    times = sessions.spike_trains(rng, units=8, seconds=165.0, rate=7.0)
    movie = {"movie": (sessions.film(rng, n=100, shape=(20, 24)), 0.0, 25.0)}
    return (
        times,
        starts,
        sessions.write(path, times, starts, starts + 4, {"cell_type": np.array([b"E", b"I"] * 4)}, movies=movie),
    )


@pytest.mark.parametrize("study", STUDIES)
def test_there_are_two_steps(study):
    (block,) = commands(study)
    assert len(re.findall(r"^cat > mine.yaml|^\.venv/bin/python ", block, re.MULTILINE)) == 2


@pytest.mark.slow
def test_from_file_to_fit(tmp_path):
    folder = small.project(tmp_path / "project")
    times, starts, _ = session_file(folder / "session.nwb")
    for study in STUDIES:
        (block,) = commands(study)
        done = small.shell(folder, block)
        assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    found = recorded.read(folder / "results/v1/recording.npz")
    np.testing.assert_array_equal(found.spikes, sessions.binned(times, starts, 100, 0.04))
    assert fitted.read(folder / "results/v1/fits/mle_0.pt", "cpu").dataset == "my session"
    model = models.read(folder / "results/neulvm/models/best.json")
    assert (model.circuit.sizes, model.dataset) == ((400, 100), "session.nwb")
