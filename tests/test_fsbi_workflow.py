"""fsbi as a workflow, on the surrogate: adding rules, changing bounds, refusing configs, the authors' files."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FIT = {"members": 1, "hidden": 4, "transforms": 1, "bins": 3, "batch": 20, "max_epochs": 2, "log_metrics": True}
SPACE = {
    "data": "surrogate",
    "rounds": 2,
    "chunk": 20,
    "schedule": [{"rules": 40}, {"rules": 20, "metrics": ["rate"], "thin": "aim"}],
    "fit": FIT,
}
TABLE = "results/fsbi/mlp/round1/table.parquet"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("src", "workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "config.yaml", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def snakemake(folder: Path, space: dict, *arguments: str, **other: object) -> subprocess.CompletedProcess:
    """Run Snakemake with the given block of mlp."""
    overlay = {"fsbi": {"networks": ["mlp"], "mlp": {**SPACE, **space}, **other}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)


def planned(folder: Path, space: dict, *arguments: str, **other: object) -> dict[str, int]:
    """Jobs of a dry run, by rule."""
    done = snakemake(folder, space, "-n", *arguments, **other)
    assert done.returncode == 0, done.stderr
    table = re.search(r"Job stats:\n.*?\n-+.*?\n(.*?)\ntotal", done.stdout + done.stderr, re.S)
    return {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines()} if table else {}


REFUSED = [
    ({"rounds": 3}, "fsbi.mlp.rounds = 3: schedule has only 2 entries"),
    ({"data": "released", "released": ["a.npy"]}, "expected 2 .npy files of the authors"),
    ({"data": "auryn"}, "fsbi.mlp.data = 'auryn'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("space", "message"), REFUSED, ids=["rounds", "released", "data"])
def test_config_is_refused_before_any_job(project, space, message):
    done = snakemake(project, space, "-n", "--", TABLE)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@pytest.mark.slow
def test_reruns(project):
    done = snakemake(project, {}, "--", TABLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pd.read_parquet(project / TABLE)) == 20
    assert planned(project, {}, "--", TABLE) == {}
    first, second = SPACE["schedule"]
    # a filter bound: filter and fit again, nothing of round 0 simulated again
    narrower = {"schedule": [first, {**second, "filter": {"rate": [1, 50]}}]}
    jobs = planned(project, narrower, "--", TABLE)
    assert jobs == {"fsbi_filter": 1, "fsbi_fit": 1, "fsbi_rules": 1, "fsbi_surrogate": 1, "fsbi_table": 1}
    # a plausible bound: no rule of any round drawn or simulated again
    targets = yaml.safe_load((ROOT / "config.yaml").read_text())["fsbi"]["targets"]
    assert planned(project, {}, "--", TABLE, targets={**targets, "fft": {"aim": [0, 1], "plausible": [0, 2]}}) == {}
    # more rules: only the new ones, in chunks of any size
    assert planned(project, {"chunk": 7}, "--", TABLE) == {}
    more = {"schedule": [first, {**second, "rules": 55}]}
    assert planned(project, more, "--", TABLE) == {"fsbi_rules": 2, "fsbi_surrogate": 2, "fsbi_table": 1}
    assert planned(project, {**more, "chunk": 100}, "--", TABLE) == {"fsbi_rules": 1, "fsbi_surrogate": 1, "fsbi_table": 1}


@pytest.mark.slow
def test_files_of_the_authors_take_the_place_of_simulations(project):
    done = snakemake(project, {}, "--", TABLE)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in (0, 1):
        shutil.copy(project / f"results/fsbi/mlp/round{number}/table.npy", project / f"pi{number}.npy")
    space = {"data": "released", "released": ["pi0.npy", "pi1.npy"]}
    before = pd.read_parquet(project / TABLE)
    done = snakemake(project, space, "--", TABLE)
    assert done.returncode == 0, done.stdout + done.stderr
    after = pd.read_parquet(project / TABLE)
    assert set(after["dataset"]) == {"released"}
    pd.testing.assert_series_equal(before["rate"], after["rate"])
