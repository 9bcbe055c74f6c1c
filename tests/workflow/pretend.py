"""Pretend that the workflow in this folder has run: files with true records, in seconds.

`python pretend.py [target ...] [--configfile FILE ...]`
What a run would do next depends on records and on Snakemake's memory, not on what stands in the files.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from respike import provenance
from respike.core import files
from respike.workflow import plan


def main(arguments: list[str]) -> None:
    """Write every output, its record and Snakemake's memory of it, and the plan as jobs.json."""
    os.fsync = lambda handle: None  # nothing here has to outlive a power cut
    options = plan.parser("pretend", __doc__).parse_args(arguments)
    graph = plan.graph(options)
    for job in sorted(graph.jobs, key=lambda job: len(graph.ancestors(job))):
        named = [Path(file) for file in job.inputs if told(file, job)]
        facts = provenance.facts(job.stage, list(job.arguments), {"inputs": named})
        files.maker.clear()
        files.maker.update(facts)
        for output in job.outputs:
            files.write_text(output, f"{job.rule} {output}\n")
    jobs = [[job.rule, job.inputs, job.outputs, job.log, job.stage, job.arguments] for job in graph.jobs]
    Path("jobs.json").write_text(json.dumps(jobs))
    touch = [sys.executable, "-m", "snakemake", *options.targets, "--touch", "--forceall", "--cores", "1"]
    subprocess.run([*touch, *plan.config_options(options)], check=True, capture_output=True)


def told(file: str, job: plan.Job) -> bool:
    """Whether a file of a job, or a folder it is in, stands on the job's command line: a job knows of no other."""
    words = {os.path.normpath(word) for word in job.arguments}
    return not words.isdisjoint(map(str, (Path(file), *Path(file).parents)))


if __name__ == "__main__":
    main(sys.argv[1:])
