"""How far the workflow is: per study what is done, running, waiting and failed, and why it failed."""

from respike.workflow import head, plan, verify
from respike.workflow.plan import Graph, Job
from snakemake_logger_plugin_respike.progress import State, last_words, read


def main(arguments: list[str]) -> int:
    """`python -m respike status`."""
    graph = plan.graph(plan.parser("status", __doc__).parse_args(arguments))
    state, todo = read(), {graph.maker[file] for file in verify.faults(graph)}
    if living := head.current():
        head.say(f"at work: {head.who(living)}")
    else:
        state.running.clear()
    head.say("\n".join(table(graph, todo, state)))
    return 0


def table(graph: Graph, todo: set[Job], state: State) -> list[str]:
    """A line per study, and below it a line per running and per failed job with the last words of its log."""
    lines, running, below = [], {event["log"] for event in state.running.values()}, graph.below(todo)
    for study in dict.fromkeys(job.stage.split(".")[0] for job in graph.jobs):
        members = [job for job in graph.jobs if job.stage.startswith(f"{study}.")]
        left, again = ([job for job in members if job in group] for group in (todo, below))
        at_work = [job for job in left if job.log in running]
        failed = [job for job in left if job.log in state.failed]
        counts = f"{len(at_work)} running, {len(failed)} failed, {len(left) - len(at_work) - len(failed)} to do"
        judged = f", {len(again)} to be judged again" if again else ""
        lines.append(f"{study:10} {len(members) - len(left) - len(again):4} of {len(members):4} done, {counts}{judged}")
        lines += [f"  running  {job.rule}: {last_words(job.log)}" for job in at_work]
        lines += [f"  failed   {job.rule}: {last_words(job.log)} ({job.log})" for job in failed]
    return lines
