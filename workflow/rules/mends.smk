# Three mends of Snakemake (9.27), of its speed alone. No rule.
import gc
import threading
import time
from functools import cache

import snakemake.common
import snakemake.rules
from snakemake.scheduling.job_scheduler import JobScheduler


# After every look for jobs it can start, the scheduler asks for another one a second later (because of its rate limit), and every
# job that ends starts a further series of such looks. After a hundred jobs it looks a hundred times a second, each time computing
# the resources of all waiting jobs anew: half a core of two. One series is enough.
def look_again_once(scheduler, delay):
    """Let the scheduler look again in `delay` seconds, unless it is going to do so anyhow."""
    now = time.monotonic()
    if now >= getattr(scheduler, "looks_again_at", 0):
        scheduler.looks_again_at = now + delay
        timer = threading.Timer(delay, scheduler._open_jobs.release)
        timer.daemon = True  # the end of the run need not wait for it
        timer.start()


if hasattr(JobScheduler, "_schedule_reevalutation"):  # spelt like this there
    JobScheduler._schedule_reevalutation = look_again_once


# For each job and each of its resources, inputs and params Snakemake asks anew which arguments a function takes: a tenth of all
# calls that planning and printing the jobs of the paper's size makes. The answer depends on the function alone.
if hasattr(snakemake.common, "get_function_params"):
    snakemake.common.get_function_params = cache(snakemake.common.get_function_params)
    snakemake.rules.get_function_params = snakemake.common.get_function_params


# What Snakemake has imported by now stays to the end of the run. Told so, Python's garbage collector does not look through it again
# each time that planning has made some more objects: a fifth of a dry run.
gc.freeze()
