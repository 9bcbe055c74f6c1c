"""What a benchmark is: a piece of work, and what to compare its cost with."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """`run()` does the work once. The yardstick is a plain or stock version run side by side, or a published figure."""

    name: str
    run: Callable[[], object]
    yardstick: str = ""  # what the yardstick is
    yardstick_run: Callable[[], object] | None = None
    yardstick_cpu_s: float | None = None  # CPU seconds of the published program, where it cannot be run here
    prepare: Callable[[], object] = lambda: None  # what is done once before, and not measured
