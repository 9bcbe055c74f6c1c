"""The rerun matrix: many edits of the whole workflow, and exactly the rules that each must make stale.

Nothing is computed: a finished run of all studies at quick size is pretended (see pretend.py).
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow import bed

HERE = Path(__file__).parent
EDITS = yaml.safe_load((HERE / "edits.yaml").read_text())

pytestmark = pytest.mark.slow


def program(project, name, *arguments):
    """Run a program of this folder in the project."""
    command = [sys.executable, str(HERE / name), *arguments]
    done = subprocess.run(command, cwd=project, env=bed.environment(project), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pretended(tmp_path_factory):
    """A project all of whose studies seem to have run."""
    folder = bed.copy(tmp_path_factory.mktemp("pretended") / "project")
    program(folder, "pretend.py")
    return folder


@pytest.fixture(scope="module")
def rule_of(pretended):
    """The rule that makes each file."""
    return {file: job[0] for job in json.loads((pretended / "jobs.json").read_text()) for file in job[2]}


def test_edited_modules_make_stale_exactly_the_stages_that_load_them(pretended):
    said = json.loads(program(pretended, "matrix.py"))
    rules = {}
    for rule, *_, stage, _ in json.loads((pretended / "jobs.json").read_text()):
        rules.setdefault(stage, set()).add(rule)
    assert len(said["stale"]) >= 40
    wrong = {}
    for edit, stale in said["stale"].items():
        loading = [stage for stage, modules in said["imports"].items() if edit in modules]
        expected = sorted(set().union(*(rules[stage] for stage in loading)))
        if stale != expected:
            wrong[edit] = {"missing": sorted(set(expected) - set(stale)), "needless": sorted(set(stale) - set(expected))}
    assert not wrong, json.dumps(wrong, indent=1)


@pytest.mark.parametrize("group", EDITS)
def test_edited_config(pretended, rule_of, group):
    edits = {study: edit for study, edit in EDITS[group].items() if f"results/{study}/metrics.parquet" in rule_of}
    overlay = pretended / "overlay.yaml"
    overlay.write_text(yaml.safe_dump({study: edit["change"] for study, edit in edits.items()}))
    said = bed.respike(pretended, "verify", "--configfile", "overlay.yaml")
    assert not said.stderr
    stale = {rule_of[file] for file in re.findall(r"^stale +(.*?): ", said.stdout, re.MULTILINE)}
    new = set(re.findall(r"^missing .*: rule (\w+) makes it$", said.stdout, re.MULTILINE))
    assert stale == {rule for edit in edits.values() for rule in edit["stale"]}
    assert new == {rule for edit in edits.values() for rule in edit.get("new", ())}


def test_plain_snakemake_has_nothing_to_do_either(pretended):
    for log in (pretended / "results").glob("*/log"):
        log.rename(log.with_name("moved"))
    (pretended / "results/scorecard.csv").touch()
    (pretended / "results/modes/metrics.parquet").touch()
    said = bed.snakemake(pretended, "-n")
    assert "Nothing to be done" in said.stdout + said.stderr


def test_one_flipped_byte_in_any_output_of_the_quick_run_is_found(pretended, rule_of):
    kept = {}
    for file in rule_of:
        path = pretended / file
        kept[path] = path.read_bytes()
        path.write_bytes(bytes([kept[path][0] ^ 1]) + kept[path][1:])
    said = bed.respike(pretended, "verify")
    for path, content in kept.items():
        path.write_bytes(content)
    assert set(re.findall(r"^corrupt +(.*?): ", said.stdout, re.MULTILINE)) == set(rule_of)
