"""fsbi as a workflow, on the surrogate: adding rules, changing bounds and files, refusing configs, the authors' files."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow import bed

ROOT = Path(__file__).resolve().parents[1]
FIT = {"members": 1, "hidden": 4, "transforms": 1, "bins": 3, "batch": 20, "max_epochs": 2, "log_metrics": True}
SPACE = {
    "data": "surrogate",
    "rounds": 2,
    "chunk": 20,
    "draw": 30,  # the second chunk of the first round reads two files
    "schedule": [{"rules": 40}, {"rules": 20, "metrics": ["rate"], "thin": "aim"}],
    "fit": FIT,
}
TABLE = "results/fsbi/mlp/round1/table.parquet"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project."""
    return bed.copy(tmp_path_factory.mktemp("project"))


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


REFUSED = [  # by the plan, whose refusals are in test_fsbi_plan.py, and by the schema
    ({"rounds": 3}, "fsbi.mlp.rounds = 3: schedule has only 2 entries"),
    ({"data": "auryn"}, "fsbi.mlp.data = 'auryn'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("space", "message"), REFUSED, ids=["plan", "schema"])
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
    assert jobs == {"fsbi_filter": 1, "fsbi_fit": 1, "fsbi_data": 1, "fsbi_surrogate": 1, "fsbi_table": 1}
    # a plausible bound: no rule of any round drawn or simulated again
    targets = yaml.safe_load((ROOT / "config.yaml").read_text())["fsbi"]["targets"]
    assert planned(project, {}, "--", TABLE, targets={**targets, "fft": {"aim": [0, 1], "plausible": [0, 2]}}) == {}
    # more rules: only the new ones, in chunks of any size
    assert planned(project, {"chunk": 7, "draw": 9}, "--", TABLE) == {}
    more = {"schedule": [first, {**second, "rules": 55}]}
    assert planned(project, more, "--", TABLE) == {"fsbi_data": 2, "fsbi_surrogate": 2, "fsbi_table": 1}
    cuts = {"chunk": 100, "draw": 10}
    assert planned(project, {**more, **cuts}, "--", TABLE) == {"fsbi_data": 4, "fsbi_surrogate": 1, "fsbi_table": 1}
    # fewer: those that were drawn are enough
    fewer = {"schedule": [first, {**second, "rules": 10}]}
    assert planned(project, fewer, "--", TABLE) == {"fsbi_surrogate": 1, "fsbi_table": 1}
    # files of rules that a kill took away: finished simulations go on reading those, none of another size
    lots = sorted((project / "results/fsbi/mlp/round0").glob("rules_*.parquet"))
    for path in lots:
        path.rename(path.with_name("moved_" + path.name))
    assert planned(project, {"draw": 100}, "--", TABLE) == {}
    for path in lots:
        path.with_name("moved_" + path.name).rename(path)


@pytest.mark.slow
def test_files_of_the_authors_take_the_place_of_simulations(project):
    done = snakemake(project, {}, "--", TABLE)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in (0, 1):
        shutil.copy(project / f"results/fsbi/mlp/round{number}/table.npy", project / f"pi{number}.npy")
    space = {"data": "released", "released": ["pi0.npy", "pi1.npy"], "released_longevity": "pi1.npy"}
    before = pd.read_parquet(project / TABLE)
    done = snakemake(project, space, "--", TABLE)
    assert done.returncode == 0, done.stdout + done.stderr
    after = pd.read_parquet(project / TABLE)
    assert set(after["dataset"]) == {"released"}
    pd.testing.assert_series_equal(before["rate"], after["rate"])


@pytest.mark.slow
def test_an_edited_file_of_hidden_layers_makes_its_simulations_stale(project):
    """Nothing is computed: a finished run is pretended (tests/workflow/pretend.py)."""
    (project / "hidden.txt").write_text("0.1 " * 500)
    mlp = {**SPACE, "data": "simulate", "hidden_file": "hidden.txt"}
    (project / "hidden.yaml").write_text(yaml.safe_dump({"fsbi": {"networks": ["mlp"], "mlp": mlp}}))
    program = [sys.executable, ROOT / "tests/workflow/pretend.py", "fsbi", "--configfile", "hidden.yaml"]
    subprocess.run(program, cwd=project, env=bed.environment(project), check=True)
    rule_of = {file: job[0] for job in json.loads((project / "jobs.json").read_text()) for file in job[2]}
    stale = {}
    for word in ("0.1", "0.2"):
        (project / "hidden.txt").write_text(f"{word} " * 500)
        said = bed.respike(project, "verify", "fsbi", "--configfile", "hidden.yaml").stdout
        stale[word] = {rule_of[file] for file in re.findall(r"^stale +(.*?): ", said, re.MULTILINE)}
    assert stale == {"0.1": set(), "0.2": {"fsbi_simulate", "fsbi_record", "fsbi_figures", "fsbi_network"}}
