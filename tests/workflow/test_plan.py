"""Snakemake's plan comes through as data, whatever stands in paths and whoever asks."""

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256

import pytest

from respike import __main__
from respike.workflow import plan
from tests.workflow import bed

# What could split texts of Snakemake, of a shell and of us: ", ", quotes, blanks, signs of a shell, an umlaut
HARD = """Kohn, Smith's "data" $y; >log 2>&1 #1 & Größe (x)"""
# What Snakemake takes for wildcards and variables, and what stands for it
BRACED, LINK = "a{b}c {{d}} <x>", "a(b)c ((d)) (x)"


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """A project of which nothing has been made."""
    return bed.miniature(tmp_path_factory.mktemp("plan") / "project")


def graph(*arguments: str) -> plan.Graph:
    return plan.graph(plan.parser("test", "").parse_args(arguments))


def test_jobs_are_what_the_rules_say(mini, monkeypatch):
    monkeypatch.chdir(mini)
    monkeypatch.setattr(plan.fingerprint, "SOURCE", mini / "src")
    jobs = {job.outputs: job for job in graph("results/mini/round0/rows_2.parquet").jobs}
    assert set(jobs) == {("results/mini/data.npz",), ("results/mini/round0/rows_2.parquet",)}
    job = jobs["results/mini/round0/rows_2.parquet",]
    assert (job.rule, job.stage, job.log) == ("mini_simulate", "mini.simulate", "results/mini/log/round0_2.txt")
    assert job.inputs == ("results/mini/data.npz",)
    previous = ["--previous", "results/mini/data.npz", "--out", "results/mini/round0/rows_2.parquet"]
    assert list(job.arguments) == [*previous, "--number", "0", "--first", "2", "--rows", "2", "--seed", "0", "--pause", "0.0"]


@pytest.mark.parametrize("name", [HARD, BRACED])
def test_any_path_is_planned_run_and_verified(tmp_path, name):
    project = bed.miniature(tmp_path / "project")
    source, target = project / name, "results/mini/data.npz"
    (project / "raw.txt").rename(source)
    bed.configure(project, source=name)
    done = bed.respike(project, "run", target)
    assert done.returncode == 0, done.stdout + done.stderr
    (known_as,) = json.loads((project / "results/mini/.made/data.npz.json").read_text())["inputs"]
    assert known_as == (name if name == HARD else f".snakemake/linked/{sha256(name.encode()).hexdigest()[:8]}/{LINK}")
    assert bed.respike(project, "verify", target).returncode == 0
    source.write_text("1\n2\n4\n")
    assert f"stale    {target}: made from another {known_as}" in bed.respike(project, "verify", target).stdout


@pytest.mark.parametrize(("name", "given"), [(".hidden", ".hidden"), ("deep/raw.txt", "./deep//raw.txt")])
def test_a_path_is_one_file_however_it_is_written(tmp_path, name, given):
    project = bed.miniature(tmp_path / "project")
    (project / "deep").mkdir()
    (project / "raw.txt").rename(project / name)
    bed.configure(project, source=given)
    done = bed.respike(project, "run", "results/mini/data.npz")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(json.loads((project / "results/mini/.made/data.npz.json").read_text())["inputs"]) == [name]


def test_a_plan_without_jobs_is_an_error(mini, monkeypatch, capsys):
    """Snakemake's part is played by a program that says nothing and ends well."""
    monkeypatch.chdir(mini)
    monkeypatch.setattr(plan.fingerprint, "SOURCE", mini / "src")
    monkeypatch.setattr(plan, "SNAKEMAKE", [sys.executable, "-c", "pass"])
    for command in ("run", "verify", "status"):
        assert __main__.main([command, "mini"]) == 2
        assert capsys.readouterr() == ("", f"respike {command}: no job makes mini; name files, workflow rules or studies\n")


def test_slurm_is_asked_by_runs_that_use_it_alone(monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/etc/mine.conf")
    assert plan.environment()["SLURM_CONF"] == plan.environment(["--cores", "2"])["SLURM_CONF"] == os.devnull
    for options in (["--slurm-jobname-prefix", "a"], ["--executor", "slurm"], ["--workflow-profile", "profiles/slurm"]):
        assert plan.environment(options)["SLURM_CONF"] == "/etc/mine.conf"


@pytest.mark.parametrize("where", ["variable", "folder"])
def test_a_profile_of_the_user_is_not_heard(mini, tmp_path, where):
    profile = tmp_path / "snakemake" / ("mine" if where == "variable" else "default")
    profile.mkdir(parents=True)
    (profile / "config.yaml").write_text("quiet: [rules, progress]\nconfigfile: [nowhere.yaml]\n")
    more = {"SNAKEMAKE_PROFILE": str(profile)} if where == "variable" else {"XDG_CONFIG_HOME": str(tmp_path)}
    found = bed.respike(mini, "verify", "mini", **more)
    assert found.stdout.endswith("Of 10 files of 10 jobs: 10 missing\n")
    done = bed.respike(mini, "run", "results/mini/data.npz", **more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bed.ran(done) == ["mini_data"]
    shutil.rmtree(mini / "results")


def test_what_snakemake_complains_of_is_told_without_its_traces(mini):
    (mini / "many.yaml").write_text("mini: {steps: many}\n")
    done = bed.respike(mini, "verify", "mini", "--configfile", "many.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (
        *(2, ""),
        "respike verify: config: mini.steps = 'many': 'many' is not of type 'integer'\n"
        f"The last that names a key counts of: config.yaml, {mini}/many.yaml, --config of Snakemake\n",
    )
    missing = bed.respike(mini, "status", "--configfile", "nowhere.yaml")
    assert (missing.returncode, missing.stderr) == (
        2,
        "respike status: there is no config file nowhere.yaml; correct its path\n",
    )


def test_a_tree_that_cannot_be_written_is_verified_and_told(finished, tmp_path):
    """Without Snakemake's notes, as results are handed on; with data beside the project."""
    tree = tmp_path / "tree"
    tree.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tree], check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a disk here")
    try:
        project = shutil.copytree(finished, tree / "project", ignore=shutil.ignore_patterns(".snakemake"))
        subprocess.run(["mount", "-o", "remount,ro", tree], check=True)
        assert not os.access(project, os.W_OK)
        found = bed.respike(project, "verify", "mini")
        assert (found.returncode, found.stdout) == (0, "All 10 files of 10 jobs are as they should be\n"), found.stderr
        told = bed.respike(project, "status", "mini")
        assert told.stdout == "mini         10 of   10 done, 0 running, 0 failed, 0 to do\n", told.stderr
    finally:
        subprocess.run(["umount", tree], check=True)
