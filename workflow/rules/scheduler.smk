# One mend of Snakemake's scheduler (9.27). No rule.
# After every look for jobs it can start, the scheduler asks for another one a second later (because of its rate limit), and every
# job that ends starts a further series of such looks. After a hundred jobs it looks a hundred times a second, each time computing
# the resources of all waiting jobs anew: half a core of two. One series is enough.
import threading
import time

from snakemake.scheduling.job_scheduler import JobScheduler


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
