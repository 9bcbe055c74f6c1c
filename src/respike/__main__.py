"""Command line: `python -m respike modes.fit --seed 0 ...` calls `run(seed=0, ...)` in src/respike/modes/stages/fit.py.

Every rule of the workflow is such a line and can be pasted into a terminal. `python -m respike modes.fit --help` shows
what a stage takes. Settings are given as JSON.

The workflow as a whole: `python -m respike run`, `scenarios`, `verify` and `status`, each with --help.
What others take up: `python -m respike export crate | bundle | nwb`.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the folder in which we are: a file random.py there is not Python's

import gc  # noqa: E402
import importlib  # noqa: E402
import itertools  # noqa: E402
import os  # noqa: E402
from collections.abc import Callable  # noqa: E402

from respike import surroundings  # noqa: E402

surroundings.settle()
if __name__ == "__main__":
    surroundings.begin_anew()

from respike import fingerprint, provenance, stage  # noqa: E402  (the surroundings come first)
from respike.core import files  # noqa: E402

REFUSED = 2  # exit status when the input cannot be used
COMMANDS = {name: f"respike.workflow.{name}" for name in ("run", "scenarios", "verify", "status")} | {
    "export": "respike.export"
}


def main(arguments: list[str]) -> int:
    """Run one stage or command; 0 when it ended well, 2 with a message when its input cannot be used."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n{_stages()}\n")
        return 0
    chosen, *rest = arguments
    try:
        if chosen in COMMANDS:
            return importlib.import_module(COMMANDS[chosen]).main(rest)
        stage.check(chosen)
        run = _imported(chosen)
        values = stage.parse(chosen, run, rest)
        files.maker.update(provenance.facts(chosen, rest, values))
        run(**values)
    except (ValueError, FileNotFoundError, OSError, MemoryError) as error:
        if os.environ.get("RESPIKE_TRACEBACK"):
            raise
        sys.stderr.write(f"respike {chosen}: {error}\n")
        return REFUSED
    return 0


def _stages() -> str:
    """What there is, study by study."""
    lines = ["Stages:"]
    for study, group in itertools.groupby(stage.names(), key=lambda entry: entry[0].partition(".")[0]):
        lines += ["", study, *(f"  {name:22} {about}" for name, about in group)]
    return "\n".join(lines)


def _imported(name: str) -> Callable[..., None]:
    """The function of a stage. What is imported here stays: it is not searched for garbage, which takes 0.25 CPU-s a job."""
    gc.disable()
    try:
        return importlib.import_module(fingerprint.module(name)).run
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
