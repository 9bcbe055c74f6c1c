"""What Snakemake says while it works, as events, and one line that shows how far the run is."""

import queue
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TextIO

SHOWN_EVERY = 0.5  # s between two drawings of the line


class Event(NamedTuple):
    """One thing that happened: a job started, finished or failed; or the number of jobs is known."""

    what: str  # "total", "started", "finished" or "failed"
    job: int = 0  # Snakemake's number; for "total" the number of jobs
    rule: str = ""
    log: str = ""


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Events in what Snakemake prints (or has written to .snakemake/log)."""
    what, rule, log = "", "", ""
    for line in lines:
        if found := re.match(r"total\s+(\d+)\s*$", line):
            yield Event("total", int(found[1]))
        elif found := re.match(r"(?:local)?rule (\w+):", line):
            what, rule, log = "started", found[1], ""
        elif found := re.match(r"Error in (?:group |rule )(\w+)", line):
            what, rule, log = "failed", found[1], ""
        elif found := re.match(r"\s+log: (\S+)", line):
            log = found[1].rstrip(",")
        elif (found := re.match(r"\s+jobid: (\d+)", line)) and what == "started":
            yield Event("started", int(found[1]), rule, log)
            what = ""
        elif (found := re.match(r"\s+jobid: (\d+)", line)) and what == "failed":
            number = int(found[1])
        elif what == "failed" and not line.startswith(" "):
            yield Event("failed", number, rule, log)
            what = ""
        if found := re.match(r"Finished jobid: (\d+) \(Rule: (\w+)\)", line):
            yield Event("finished", int(found[1]), found[2])


@dataclass
class State:
    """Where a run stands."""

    total: int = 0
    done: int = 0
    running: dict[int, Event] = field(default_factory=dict)
    failed: dict[int, Event] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        """Count one event."""
        if event.what == "total":
            self.total = event.job
        elif event.what == "started":
            self.running[event.job] = event
            self.failed.pop(event.job, None)
        elif event.what == "finished":
            self.running.pop(event.job, None)
            self.done += 1
        else:
            self.failed[event.job] = self.running.pop(event.job, event)


def last_words(log: str) -> str:
    """Last line that a job has written to its log; trainings say there how far they are."""
    path = Path(log)
    if not log or not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2000))
        lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Display:
    """The state of the whole run in one line that is drawn over itself on a terminal."""

    def __init__(self, out: TextIO, jobs: int) -> None:
        self.out, self.jobs, self.before = out, jobs, 0
        self.state, self.started, self.drawn = State(), time.monotonic(), 0.0

    def follow(self, lines: Iterable[str]) -> None:
        """Show what one call of Snakemake says until it ends; failures stay readable above the line."""
        self.before += self.state.done
        self.state = State()
        waiting: queue.Queue[Event | None] = queue.Queue()

        def read() -> None:
            for event in events(lines):
                waiting.put(event)
            waiting.put(None)

        threading.Thread(target=read, daemon=True).start()
        while True:
            try:
                event = waiting.get(timeout=1.0)  # the line moves on while nothing is said
            except queue.Empty:
                self.draw()
                continue
            if event is None:
                break
            self.take(event)
        self.out.write(f"\r\033[K{self.line()}\n")

    def take(self, event: Event) -> None:
        """Count an event and draw the line; a failure gets a line of its own."""
        self.state.take(event)
        if event.what == "failed":
            self.out.write(f"\r\033[KFAILED {event.rule}: {last_words(event.log)} ({event.log})\n")
        self.draw()

    def line(self) -> str:
        """For instance: 12/44 jobs, 2 running: v1_fit (step 150/400 ...), 1:20 gone, 3:10 left."""
        done, running = self.before + self.state.done, list(self.state.running.values())
        gone = time.monotonic() - self.started
        left = f", about {_clock(gone * (self.jobs - done) / done)} left" if done else ""
        shown = "; ".join(f"{event.rule} {last_words(event.log)}".strip() for event in running[:2])
        failed = f", {len(self.state.failed)} FAILED" if self.state.failed else ""
        return f"{done}/{self.jobs} jobs{failed}, {_clock(gone)} gone{left}, {len(running)} running: {shown}"

    def draw(self) -> None:
        """Draw the line anew unless that was done a moment ago."""
        if time.monotonic() - self.drawn > SHOWN_EVERY:
            self.drawn = time.monotonic()
            self.out.write(f"\r\033[K{self.line()[: shutil.get_terminal_size().columns - 1]}")
            self.out.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"
