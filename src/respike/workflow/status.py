"""How far the workflow is: per study what is done, running, waiting and failed, and why it failed."""

from collections.abc import Sequence

from respike.workflow import head, plan, verify
from respike.workflow.plan import Job
from snakemake_logger_plugin_respike.progress import State, last_words, read


def main(arguments: list[str]) -> int:
    """`python -m respike status`."""
    graph = plan.graph(plan.parser("status", __doc__).parse_args(arguments))
    state, todo = read(), {graph.maker[file] for file in verify.faults(graph)}
    if living := head.current():
        head.say(f"at work: {head.who(living)}")
    else:
        state.running.clear()
    head.say("\n".join(table(graph.jobs, todo, state)))
    return 0


def table(jobs: Sequence[Job], todo: set[Job], state: State) -> list[str]:
    """A line per study, and below it a line per running and per failed job with the last words of its log."""
    lines, running = [], {event["log"] for event in state.running.values()}
    for study in dict.fromkeys(job.stage.split(".")[0] for job in jobs):
        members = [job for job in jobs if job.stage.startswith(f"{study}.")]
        left = [job for job in members if job in todo]
        at_work = [job for job in left if job.log in running]
        failed = [job for job in left if job.log in state.failed]
        counts = f"{len(at_work)} running, {len(failed)} failed, {len(left) - len(at_work) - len(failed)} to do"
        lines.append(f"{study:10} {len(members) - len(left):4} of {len(members):4} done, {counts}")
        lines += [f"  running  {job.rule}: {last_words(job.log)}" for job in at_work]
        lines += [f"  failed   {job.rule}: {last_words(job.log)} ({job.log})" for job in failed]
    return lines
