"""Several configs in one call: the same bytes as each alone, and what they share is made once."""

import json
import os
import re
import signal

import pandas as pd
import pytest

from respike import __main__
from respike.report.stages import side_by_side
from respike.workflow import head
from tests.workflow import bed
from tests.workflow.test_kills import wait_for
from tests.workflow.test_verify import flip

SHARED = ["mini_data", "mini_fit"] + ["mini_simulate"] * 2  # of one round: what does not read eps


def ran_in(done):
    """Rules that ran, by scenario."""
    parts = re.split(r"^scenario (\w+), .*$", done.stdout, flags=re.MULTILINE)
    return {
        name: sorted(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", said, re.MULTILINE))
        for name, said in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.fixture
def project(tmp_path):
    """A fresh project of one round with two overlays."""
    folder = bed.miniature(tmp_path / "project")
    bed.configure(folder, rounds=1)
    (folder / "strict.yaml").write_text("mini: {eps: 0.5}\n")
    (folder / "loose.yaml").write_text("mini: {eps: 50.0}\n")
    return folder


@pytest.mark.slow
def test_what_scenarios_share_is_made_once_and_nothing_else_is_mixed(project, tmp_path):
    done = bed.respike(project, "scenarios", "strict.yaml", "loose.yaml", "--targets", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    ran = ran_in(done)
    own = ["mini_figures", "mini_filter", "mini_metrics"]
    assert ran == {"strict": sorted(own + SHARED), "loose": own}
    assert "4 jobs were done elsewhere with the same inputs: copied" in done.stdout
    alone = bed.miniature(tmp_path / "alone")
    bed.configure(alone, rounds=1, eps=50.0)
    assert bed.respike(alone, "run", "mini", "--cores", "2").returncode == 0
    assert bed.hashes(project / "scenarios/loose") == bed.hashes(alone)
    again = bed.respike(project, "scenarios", "strict.yaml", "loose.yaml", "--targets", "mini", "--cores", "2")
    assert ran_in(again) == {"strict": [], "loose": []}


@pytest.mark.slow
def test_a_stop_ends_the_scenario_at_work_with_its_jobs_and_begins_no_other(project):
    """Ctrl-C is heard by all in the terminal, a polite kill by the one that was told alone."""
    bed.configure(project, pause=1000.0, rounds=1)
    note = project / "scenarios/strict" / head.NOTE
    for tell in (lambda one: os.killpg(one.pid, signal.SIGINT), lambda one: one.send_signal(signal.SIGTERM)):
        process = bed.started(project, "scenarios", "strict.yaml", "loose.yaml", "--targets", "mini", "--cores", "2")
        wait_for(project, "rule mini_simulate", process)
        run = json.loads(note.read_text())["run"]
        assert head.processes_of(run)
        tell(process)
        status, left = process.wait(timeout=500), head.processes_of(run)
        head.end_jobs(run)
        assert (status, left, note.read_text()) == (130, [], "")
        assert "scenario loose" not in (project / "said.txt").read_text()
        (project / "said.txt").unlink()


@pytest.mark.slow
def test_a_damaged_file_is_not_handed_on(project):
    assert bed.respike(project, "run", "mini", "--cores", "2").returncode == 0
    flip(project / "results/mini/fit.pt")
    done = bed.respike(project, "scenarios", "strict.yaml", "--targets", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ran_in(done) == {"strict": ["mini_figures", "mini_filter", "mini_fit", "mini_metrics"]}


def test_a_scenario_without_a_file_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(["scenarios", "nowhere.yaml"]) == 2
    assert "there is no file nowhere.yaml; a scenario is a YAML file" in capsys.readouterr().err


def test_scorecards_stand_side_by_side(tmp_path):
    cards = []
    for name, values in {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0]}.items():
        card = pd.DataFrame({"item": ["rate", "rate", "only in a"][: len(values)], "value": values}).assign(
            study="s", source="Fig. 1", paper_value=7.0, unit="Hz", size="quick", dataset="d", verdict="met", note=""
        )
        cards.append(tmp_path / name / "results/scorecard.csv")
        cards[-1].parent.mkdir(parents=True)
        card.to_csv(cards[-1], index=False)
    side_by_side.run(cards=cards, out=tmp_path / "scorecard.csv")
    joined = pd.read_csv(tmp_path / "scorecard.csv")
    assert joined["value: a"].tolist() == [1.0, 2.0, 3.0]
    assert joined["value: b"].fillna(-1).tolist() == [4.0, 5.0, -1.0]
    page = (tmp_path / "scorecard.html").read_text()
    assert "verdict: b" in page
    assert page.startswith("<!doctype html>\n<html lang='en'><meta charset='utf-8'>"), "or a browser guesses the letters"
