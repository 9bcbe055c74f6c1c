"""`make bench`: CPU seconds on one thread and peak memory of every workload; one table, also in results/bench.csv.

Each study has a file here with a function `workloads()`. Every workload runs in a process of its own: once to warm up,
then at least three times; the median counts.
"""

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "src")]

from respike import surroundings  # noqa: E402  (found by the path above)

surroundings.settle()  # and of the processes in which the workloads are measured
COLUMNS = ["workload", "cpu_s", "peak_mb", "yardstick", "yardstick_cpu_s", "ratio"]
LEAST_RUNS, LEAST_SECONDS = 3, 1.0


def studies() -> list[str]:
    """Studies that have a benchmark file."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in {"run", "workload", "__init__"})


def cpu_seconds() -> float:
    """CPU time of this process and its ended children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def peak_mb() -> float:
    """Highest memory of this process or one of its children, MB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def median_cpu(run) -> float:
    """Median CPU seconds of one `run()`, after a warm-up."""
    run()
    spent = []
    while len(spent) < LEAST_RUNS or (sum(spent) < LEAST_SECONDS and len(spent) < 50):
        before = cpu_seconds()
        run()
        spent.append(cpu_seconds() - before)
    return statistics.median(spent)


def measure(study: str, index: int) -> dict:
    """One row of the table, measured in this process."""
    workload = importlib.import_module(f"benchmarks.{study}").workloads()[index]
    cpu, memory = median_cpu(workload.run), peak_mb()
    other = median_cpu(workload.yardstick_run) if workload.yardstick_run else workload.yardstick_cpu_s
    return dict(
        zip(COLUMNS, [workload.name, cpu, memory, workload.yardstick, other, cpu / other if other else None], strict=True)
    )


def measured_apart(study: str, index: int) -> dict:
    """`measure` in a process of its own, so that memory and caches are those of one workload."""
    command = [sys.executable, __file__, "--measure", study, str(index)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main() -> None:
    """Measure every workload, one after the other, and print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=studies(), help="one study")
    parser.add_argument("--measure", nargs=2, metavar=("STUDY", "INDEX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure[0], int(options.measure[1]))))
        return
    import pandas as pd  # noqa: PLC0415  (not in the measured processes)

    rows = []
    for study in [options.only] if options.only else studies():
        for index in range(len(importlib.import_module(f"benchmarks.{study}").workloads())):
            rows.append(measured_apart(study, index))
            print(f"{rows[-1]['workload']}: {rows[-1]['cpu_s']:.4g} CPU s", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows, columns=COLUMNS)
    Path("results").mkdir(exist_ok=True)
    table.to_csv("results/bench.csv", index=False)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3g}", na_rep="-"))


if __name__ == "__main__":
    main()
