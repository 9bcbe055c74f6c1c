"""How far the workflow is: per study what is done, running, waiting and failed, and why it failed."""

import sys
from collections.abc import Iterable
from pathlib import Path

from respike.workflow import head, plan, progress, verify
from respike.workflow.plan import Graph, Job
from respike.workflow.progress import Event, State

LOGS = Path(".snakemake/log")


def main(arguments: list[str]) -> int:
    """`python -m respike status`: 0, or 2 when the config cannot be used."""
    options = plan.parser("status", __doc__).parse_args(arguments)
    try:
        graph = Graph(plan.jobs(options.targets, plan.config_options(options)))
    except plan.PlanError as error:
        sys.stderr.write(f"respike status: {error}\n")
        return 2
    living = head.current()
    state = last_state()
    state.running = state.running if living or head.plain_snakemake() else {}
    todo = {graph.maker[file] for file in verify.faults(graph)}
    sys.stdout.write(f"at work: {head.who(living)}\n" if living else "")
    sys.stdout.write("\n".join(table(graph.jobs, todo, state)) + "\n")
    return 0


def last_state() -> State:
    """What Snakemake's last log in this folder tells."""
    state = State()
    logs = sorted(LOGS.glob("*.log"), key=lambda path: path.stat().st_mtime)
    if logs:
        with logs[-1].open(errors="replace") as lines:
            for event in progress.events(lines):
                state.take(event)
    return state


def table(jobs: Iterable[Job], todo: set[Job], state: State) -> list[str]:
    """A line per study, and below it a line per running and per failed job with the last words of its log."""
    by_study: dict[str, list[Job]] = {}
    for job in jobs:
        by_study.setdefault(job.study, []).append(job)
    lines = []
    for study, its in by_study.items():
        logs = {job.log for job in its if job in todo}
        running, failed = (_of(events.values(), logs) for events in (state.running, state.failed))
        done = sum(job not in todo for job in its)
        waiting = len(its) - done - len(running) - len(failed)
        lines.append(
            f"{study:10} {done:4} of {len(its):4} done, {len(running)} running, {len(failed)} failed, {waiting} to do"
        )
        lines += [f"  running  {event.rule}: {progress.last_words(event.log)}" for event in running]
        lines += [f"  failed   {event.rule}: {progress.last_words(event.log)} ({event.log})" for event in failed]
    return lines


def _of(events: Iterable[Event], logs: set[str]) -> list[Event]:
    return [event for event in events if event.log in logs]
