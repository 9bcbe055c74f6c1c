# A Snakemake started by hand is alone in this folder, as `respike run` is: a later run knows it and its jobs by note and mark.
import threading
from contextlib import ExitStack

alone = ExitStack()


def leave():
    """End being alone. Snakemake's timers (profiles/default: max-jobs-per-timespan) would hold up the end of the process."""
    alone.close()
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()


onstart:
    if "RESPIKE_RUN" not in os.environ:
        from respike.workflow import head
        from snakemake_logger_plugin_respike import EVENTS

        os.environ.update(RESPIKE_RUN=alone.enter_context(head.only_one()))
        EVENTS.write_text("")  # what an earlier run did; with --logger respike, what this one does is added


onsuccess:
    leave()


onerror:
    leave()
