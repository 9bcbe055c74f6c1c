"""What a person sees while a run works."""

import io
import os
import pty
import subprocess
import sys

import pytest

from respike.workflow import progress
from tests.workflow import bed

SAID = """Job stats:
total        3

[Sat Nov 21 15:28:21 2026]
localrule mini_data:
    input: raw.txt
    log: results/mini/log/data.txt
    jobid: 3
[Sat Nov 21 15:28:23 2026]
Finished jobid: 3 (Rule: mini_data)
[Sat Nov 21 15:28:23 2026]
rule mini_fit:
    log: results/mini/log/fit.txt
    jobid: 1
[Sat Nov 21 15:28:24 2026]
Error in rule mini_fit:
    jobid: 1
    log: results/mini/log/fit.txt (check log file(s) for error details)
Select jobs to execute...
"""


def test_events_in_what_snakemake_says():
    assert [(event.what, event.job, event.rule) for event in progress.events(SAID.splitlines(keepends=True))] == [
        ("total", 3, ""),
        ("started", 3, "mini_data"),
        ("finished", 3, "mini_data"),
        ("started", 1, "mini_fit"),
        ("failed", 1, "mini_fit"),
    ]


def test_the_line_counts_what_is_done_and_names_what_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "results/mini/log/fit.txt"
    log.parent.mkdir(parents=True)
    log.write_text("step 10/40\rstep 20/40\nrespike mini.fit: it went wrong\n")
    shown = io.StringIO()
    progress.Display(shown, 3).follow(SAID.splitlines(keepends=True))
    assert "FAILED mini_fit: respike mini.fit: it went wrong (results/mini/log/fit.txt)\n" in shown.getvalue()
    assert shown.getvalue().rstrip().split("\r\033[K")[-1].startswith("1/3 jobs, 1 FAILED, 0:00 gone")


@pytest.mark.slow
def test_on_a_terminal_a_run_is_one_line_that_is_drawn_over_itself(tmp_path):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, rounds=1, pause=0.7)
    head, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "respike", "run", "mini", "--cores", "2"],
        cwd=project,
        env=bed.environment(project, COLUMNS="100"),
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(head, 1000)
        except OSError:  # the other end was closed
            break
    assert process.wait() == 0
    text = shown.decode()
    drawn = text.split("\r\x1b[K")
    assert len(drawn) > 5
    assert any(line.startswith("1/7 jobs") and "running: " in line for line in drawn), text
    assert "7/7 jobs" in drawn[-1]
    assert all(len(line.split("\r\n")[0]) < 100 for line in drawn[1:-1])
    assert "Building DAG" not in text
