"""`make bench`: CPU seconds on one thread and peak memory of every workload; one table, also in results/bench.csv.

Each study has a file here with a function `workloads()`. Every workload runs in a process of its own: once to warm up (what is
compiled is compiled then), then three times or until eight seconds are spent; the median counts.
"""

import argparse
import importlib
import os
import resource
import statistics
import sys
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "src")]

from respike import surroundings  # noqa: E402  (found by the path above)

if os.environ.get("GLIBC_TUNABLES") != surroundings.FIXED["GLIBC_TUNABLES"]:  # is read when a process starts: start anew
    surroundings.settle()
    os.execv(sys.executable, [sys.executable, *sys.argv])
surroundings.settle()

import pandas as pd  # noqa: E402

STUDIES = sorted(path.parent.name for path in Path(__file__).parents[1].glob("src/respike/*/claims.csv"))
COLUMNS = ["workload", "cpu_s", "peak_mb", "yardstick", "yardstick_cpu_s", "ratio", "wall_s", "load"]
LEAST_RUNS, MOST_RUNS, LEAST_SECONDS, LONG = 3, 50, 1.0, 8.0


def cpu_seconds() -> float:
    """CPU time of this process and its ended children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def peak_mb() -> float:
    """Highest memory of this process or one of its children, MB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def cost(run) -> tuple[float, float]:
    """CPU and wall seconds of one `run()`."""
    cpu, wall = cpu_seconds(), time.monotonic()
    run()
    return cpu_seconds() - cpu, time.monotonic() - wall


def medians(run) -> tuple[float, float]:
    """Median CPU and wall seconds of one `run()`, after a warm-up."""
    cost(run)
    spent, total = [], 0.0
    while total < LEAST_SECONDS and len(spent) < MOST_RUNS or total < LONG and len(spent) < LEAST_RUNS:
        spent.append(cost(run))
        total += spent[-1][0]
    return tuple(map(statistics.median, zip(*spent, strict=True)))


def measure(study: str, index: int) -> dict:
    """One row of the table, measured in this process; `load`: processes that wanted a core, by the end."""
    workload = importlib.import_module(f"benchmarks.{study}").workloads()[index]
    workload.prepare()
    (cpu, wall), memory = medians(workload.run), peak_mb()
    other = medians(workload.yardstick_run)[0] if workload.yardstick_run else workload.yardstick_cpu_s
    ratio = cpu / other if other else None
    row = [workload.name, cpu, memory, workload.yardstick, other, ratio, wall, os.getloadavg()[0]]
    return dict(zip(COLUMNS, row, strict=True))


def main() -> None:
    """Measure every workload, one after the other, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=STUDIES, help="one study")
    options = parser.parse_args()
    rows = []
    Path("results").mkdir(exist_ok=True)
    for study in [options.only] if options.only else STUDIES:
        count = len(importlib.import_module(f"benchmarks.{study}").workloads())
        # a process of its own for each, so that memory and caches are its own; a copy of this one, so that imports are not
        with get_context("fork").Pool(1, maxtasksperchild=1) as apart:
            for row in apart.imap(partial(measure, study), range(count)):
                rows.append(row)
                print(f"{row['workload']}: {row['cpu_s']:.4g} CPU s", file=sys.stderr, flush=True)
                (table := pd.DataFrame(rows, columns=COLUMNS)).to_csv("results/bench.csv", index=False)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))


if __name__ == "__main__":
    main()
