"""How far a run is: its events counted, and shown in one line."""

import json
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from snakemake_logger_plugin_respike import EVENTS

CLEARED = "\r\033[K"
DRAWN_EVERY = 0.5  # s

Event = dict[str, Any]


@dataclass
class State:
    """Where a run stands. Jobs are known by Snakemake's number while they run, then by their log."""

    done: int = 0
    running: dict[int, Event] = field(default_factory=dict)
    failed: dict[str, Event] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Count one event."""
        match event["event"]:
            case "workflow_started":  # each call of Snakemake counts anew
                self.running.clear()
            case "job_info":
                self.running[event["jobid"]] = event
                self.failed.pop(event["log"], None)
            case "job_finished":
                self.done += self.running.pop(event["job_id"], None) is not None
            case "job_error":
                self.failed[event["log"]] = self.running.pop(event["jobid"], event)


def read() -> State:
    """Where the last run in this folder stands, or stood when it ended."""
    state = State()
    for line in EVENTS.read_text(encoding="utf-8").split("\n") if EVENTS.is_file() else []:
        with suppress(json.JSONDecodeError):  # cut off when Snakemake was killed
            state.take(json.loads(line))
    return state


class Display:
    """Calls of Snakemake: on a terminal a line that is drawn over itself with failures above it, else what they say."""

    def __init__(self, out: TextIO) -> None:
        EVENTS.write_text("")
        self.out, self.started, self.state, self.jobs = out, time.monotonic(), State(), 0
        self.events, self.rest = EVENTS.open(encoding="utf-8"), ""
        self.said = tempfile.TemporaryFile("w+") if out.isatty() else None  # noqa: SIM115  (where Snakemake is to speak)

    def follow(self, process: subprocess.Popen, jobs: int) -> None:
        """Wait for the end of a call when so many jobs are still to do."""
        self.jobs = self.state.done + jobs
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(DRAWN_EVERY)
            if self.said:
                self.update()
        if self.said:
            self.said.seek(0)
            said = self.said.read() if process.returncode and not self.state.failed else ""  # else the line has told it all
            self.said.seek(0)
            self.said.truncate()
            self.out.write(f"{CLEARED}{said}")

    def update(self) -> None:
        """Count what has happened and draw the line anew."""
        *lines, self.rest = (self.rest + self.events.read()).split("\n")
        for event in map(json.loads, lines):
            self.state.take(event)
            if event["event"] == "job_error":
                log = event["log"]
                self.out.write(f"{CLEARED}FAILED {event['rule_name']}: {last_words(log)} ({log})\n")
        self.out.write(f"{CLEARED}{self.line()[: shutil.get_terminal_size().columns - 1]}")
        self.out.flush()

    def line(self) -> str:
        """For instance: 12/44 jobs, 1:20 gone, about 3:10 left, 2 running: v1_fit step 150/400; v1_fit step 20/400."""
        done, running, gone = self.state.done, self.state.running.values(), time.monotonic() - self.started
        failed = f", {len(self.state.failed)} FAILED" if self.state.failed else ""
        left = f", about {_clock(gone * (self.jobs - done) / done)} left" if done else ""
        shown = "; ".join(f"{event['rule_name']} {last_words(event['log'])}".strip() for event in list(running)[:2])
        now = f"{len(running)} running: {shown}" if running else "none running"
        return f"{done}/{self.jobs} jobs{failed}, {_clock(gone)} gone{left}, {now}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def last_words(log: str) -> str:
    """Last line that a job has written to its log; trainings say there how far they are."""
    path = Path(log)
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
