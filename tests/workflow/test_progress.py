"""What Snakemake's events become, and what a person sees of them while a run works."""

import io
import json
import logging
import os
import pty
import subprocess
import sys

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

import snakemake_logger_plugin_respike as plugin
from snakemake_logger_plugin_respike import progress
from tests.workflow import bed


def record(event: LogEvent | None, level: int = logging.INFO, message: str = "", **facts) -> logging.LogRecord:
    """A record as Snakemake logs it."""
    made = logging.LogRecord("snakemake", level, "", 0, message, (), None)
    vars(made).update({"event": event} if event else {}, **facts)
    return made


JOB = {"rule_name": "mini_fit", "input": ["a, b"], "output": ["c"], "wildcards": {}, "shellcmd": "python", "reason": "new"}


@pytest.fixture
def events(tmp_path, monkeypatch):
    """A file of events, and a function that adds records to it as the plugin does."""
    monkeypatch.chdir(tmp_path)
    handler = plugin.LogHandler(None, plugin.LogHandlerSettings())

    def happen(*records):
        for each in records:
            handler.emit(each)

    yield happen
    handler.out.close()


def test_events_are_lines_of_json_and_all_else_is_left_out(events):
    several = "Error in rule mini_fit:\n    message: a\n\nb: c\n    jobid: 7"
    events(
        record(None, message="Building DAG of jobs..."),
        record(LogEvent.WORKFLOW_STARTED, message="SNAKEMAKE", cmd="snakemake"),
        record(LogEvent.JOB_INFO, jobid=1, log=["fit.txt"], **JOB),
        record(LogEvent.SHELLCMD, shellcmd="python"),
        record(LogEvent.JOB_FINISHED, job_id=1),
        record(LogEvent.JOB_INFO, jobid=2, log=[], **JOB),
        record(LogEvent.JOB_ERROR, logging.ERROR, several, jobid=2, log=["fit.txt"], **JOB),
        record(None, logging.ERROR, "two\nlines"),
    )
    known = {name: value for name, value in JOB.items() if name != "reason"}
    assert [json.loads(line) for line in plugin.EVENTS.read_text().splitlines()] == [
        {"event": "workflow_started"},
        {"event": "job_info", "jobid": 1, "log": "fit.txt", **known},
        {"event": "job_finished", "job_id": 1},
        {"event": "job_info", "jobid": 2, "log": "", **known},
        {"event": "job_error", "jobid": 2, "log": "fit.txt", "rule_name": "mini_fit"},
        {"event": "error", "message": "two\nlines"},
    ]


def test_the_line_counts_what_is_done_and_names_what_failed(events):
    with open("fit.txt", "w") as log:
        log.write("step 10/40\rstep 20/40\nrespike mini.fit: it went wrong\n")
    shown = io.StringIO()
    display = progress.Display(shown)
    display.jobs = 3
    events(record(LogEvent.WORKFLOW_STARTED), record(LogEvent.JOB_INFO, jobid=3, log=["data.txt"], **JOB))
    display.update()
    assert shown.getvalue() == "\r\033[K0/3 jobs, 0:00 gone, 1 running: mini_fit"
    events(record(LogEvent.JOB_FINISHED, job_id=3), record(LogEvent.JOB_INFO, jobid=1, log=["fit.txt"], **JOB))
    events(record(LogEvent.JOB_ERROR, logging.ERROR, jobid=1, log=["fit.txt"], **JOB))
    display.update()
    assert "FAILED mini_fit: respike mini.fit: it went wrong (fit.txt)\n" in shown.getvalue()
    assert shown.getvalue().endswith("1/3 jobs, 1 FAILED, 0:00 gone, about 0:00 left, none running")


def test_an_event_is_counted_when_its_line_is_whole(events):
    display = progress.Display(io.StringIO())
    events(record(LogEvent.JOB_INFO, jobid=1, log=["fit.txt"], **JOB))
    with plugin.EVENTS.open("a") as file:
        file.write('{"event": "job_fini')
        file.flush()
        display.update()
        assert (display.state.done, list(display.state.running)) == (0, [1])
        file.write('shed", "job_id": 1}\n{"event": "wor')
        file.flush()
        display.update()
    assert (display.state.done, list(display.state.running)) == (1, [])
    assert progress.read() == display.state, "another process sees the same, whatever was cut off"


def test_a_job_that_is_tried_again_has_not_failed(events):
    events(record(LogEvent.JOB_INFO, jobid=1, log=["fit.txt"], **JOB))
    events(record(LogEvent.JOB_ERROR, logging.ERROR, jobid=1, log=["fit.txt"], **JOB))
    assert list(progress.read().failed) == ["fit.txt"]
    events(record(LogEvent.JOB_INFO, jobid=1, log=["fit.txt"], **JOB), record(LogEvent.JOB_FINISHED, job_id=1))
    assert progress.read() == progress.State(done=1)


@pytest.mark.slow
def test_on_a_terminal_a_run_is_one_line_that_is_drawn_over_itself_and_in_the_end_a_sentence(tmp_path):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, rounds=1, pause=0.7)
    text = on_terminal(project, "run", "mini", "--cores", "2")
    drawn = text.split("\r\x1b[K")
    assert len(drawn) > 5
    assert any(line.startswith("1/7 jobs") and "running: " in line for line in drawn), text
    assert any(line.startswith("7/7 jobs") for line in drawn), text
    assert all(len(line.split("\r\n")[0]) < 100 for line in drawn[1:-1])
    assert "Building DAG" not in text
    assert drawn[-1] == "All 7 files of 7 jobs are as they should be; results in results/\r\n"
    (project / "results/mini/data.npz").unlink()
    said = on_terminal(project, "run", "mini", "--", "--nonsense")
    assert "unrecognized arguments: --nonsense" in said
    assert said.endswith("Not every job ended well, see above; the same command goes on from here\r\n")


def on_terminal(project, *arguments: str) -> str:
    """What `python -m respike` shows on a terminal of 100 columns."""
    head, terminal = pty.openpty()
    command = [sys.executable, "-m", "respike", *arguments]
    environment = bed.environment(project, COLUMNS="100")
    process = subprocess.Popen(command, cwd=project, env=environment, stdout=terminal, stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            shown += os.read(head, 1000)
        except OSError:  # the other end was closed
            break
    process.wait()
    return shown.decode()
