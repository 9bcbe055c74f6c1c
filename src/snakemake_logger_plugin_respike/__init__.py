"""A logger plugin of Snakemake (`snakemake --logger respike`): what it plans and does, as data instead of text.

One line of JSON per event: "workflow_started", "job_info" (planned in a dry run, else started), "job_finished", "job_error",
and "error" with a message. Profiles that ask Snakemake to be quiet change nothing here.
"""

import json
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

EVENTS = Path(".snakemake/respike-events.jsonl")  # where they are written if nothing else is said
KEPT = {
    LogEvent.WORKFLOW_STARTED: (),
    LogEvent.JOB_INFO: ("jobid", "rule_name", "input", "output", "log", "wildcards", "shellcmd"),
    LogEvent.JOB_FINISHED: ("job_id",),
    LogEvent.JOB_ERROR: ("jobid", "rule_name", "log"),
    LogEvent.ERROR: (),
}


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of Snakemake's command line: --logger-respike-events."""

    events: Path = field(default=EVENTS, metadata={"help": "File to add events to; - writes them in place of text."})


class LogHandler(LogHandlerBase):
    """Writes each event as it happens, so that another process can follow."""

    writes_to_file = False  # Snakemake would tell of it after every run
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Open the file."""
        if not self.writes_to_stream:
            self.settings.events.parent.mkdir(exist_ok=True)
        self.out = sys.stdout if self.writes_to_stream else self.settings.events.open("a", encoding="utf-8")

    @property
    def writes_to_stream(self) -> bool:
        """Whether Snakemake leaves the terminal to this handler."""
        return self.settings.events == Path("-")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event; what is none of those above is left out."""
        event = described(record)
        if event:
            self.out.write(f"{json.dumps(event)}\n")
            self.out.flush()


def described(record: logging.LogRecord) -> dict[str, Any]:
    """The facts of an event that are kept; empty for any other record."""
    event = getattr(record, "event", None)
    if event is None and record.levelno >= logging.ERROR:
        event = LogEvent.ERROR
    if event not in KEPT:
        return {}
    facts = {name: getattr(record, name) for name in KEPT[event]}
    if "log" in facts:
        facts["log"] = next(iter(facts["log"]), "")  # a job of ours has one
    if event == LogEvent.ERROR:
        facts["message"] = record.getMessage()
    return {"event": str(event), **facts}
