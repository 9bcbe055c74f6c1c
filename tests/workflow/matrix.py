"""Where the workflow has been pretended to run: edit modules, one after another, and say which rules each makes stale.

`python matrix.py` prints JSON: {"stale": {module: [rules]}, "imports": {stage: [modules]}}. The imports are what Python really
loads for a stage, found by importing it in a child process; they are the judge of the fingerprints, which read the sources.
"""

import ast
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from respike import fingerprint
from respike.workflow import plan, verify

SOURCE = Path("src/respike")
HEAVY = (
    "torch",
    "scipy.signal",
    "pandas",
    "matplotlib.pyplot",
    "numba",
    "brian2",
    "sbi.inference",
    "mujoco",
    "sklearn",
    "h5py",
)
MEANING = "\nEDITED = 1\n"
COMMENTED = {"files", "fit"}  # one in core, one in each study
NO_MEANING = "\n\n# A comment.\n\n"


def loaded_by(stage: str) -> list[str]:
    """Files of respike that importing `stage` loads, and what their functions import when they are called."""
    module = fingerprint.module(stage)
    read, write = os.pipe()
    if not os.fork():
        for name in [name for name in sys.modules if name.split(".")[0] == "respike"]:  # what this program itself needs
            del sys.modules[name]
        importlib.import_module(module)
        files: set[str] = set()
        while new := {sys.modules[name].__file__ for name in list(sys.modules) if name.split(".")[0] == "respike"} - files:
            files |= new
            for name in set().union(*(imported_in_functions(Path(file)) for file in new)):
                importlib.import_module(name)
        os.write(write, json.dumps(sorted(os.path.relpath(file, SOURCE) for file in files)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        return json.loads(said.read())


def imported_in_functions(file: Path) -> set[str]:
    """Modules of respike that stand in import statements inside functions."""
    functions = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)]
    statements = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{alias.name}" for node in statements for alias in node.names}
    names |= {node.module for node in statements if node.module}
    return {name for name in names if SOURCE.parent.joinpath(*name.split(".")).with_suffix(".py").is_file()}


@contextmanager
def edited(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """The file changed for the time of the block; nothing that was read before is remembered."""
    text = path.read_text()
    path.write_text(change(text))
    try:
        for function in vars(fingerprint).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
        yield
    finally:
        path.write_text(text)


def stale_rules(graph: plan.Graph) -> list[str]:
    """Rules with a file at fault."""
    return sorted({graph.maker[file].rule for file in verify.faults(graph)})


def modules(studies: set[str]) -> list[Path]:
    """Every module of core, and some modules and stages of each study."""
    judges = {"fingerprint.py", "provenance.py"}  # loaded here anyway; they set no numbers
    chosen = sorted(path for path in (SOURCE / "core").glob("*.py") if path.name not in judges)
    for study in sorted(studies):
        chosen += [SOURCE / study / f"{name}.py" for name in ("__init__", "params", "model", "fitted")]
        chosen += [SOURCE / study / "stages" / f"{name}.py" for name in ("data", "fit", "simulate", "metrics", "figures")]
    return [path for path in chosen if path.is_file()]


def main() -> None:
    """Print what each edit makes stale, and what each stage loads."""
    jobs = [
        plan.Job(r, tuple(i), tuple(o), log, s, tuple(a)) for r, i, o, log, s, a in json.loads(Path("jobs.json").read_text())
    ]
    graph = plan.Graph(jobs)
    for name in HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    stages = sorted({job.stage for job in jobs})
    imports = {stage: loaded_by(stage) for stage in stages}
    stale = {}
    for path in modules({stage.split(".")[0] for stage in stages}):
        name = os.path.relpath(path, SOURCE)
        if path.stem in COMMENTED:
            with edited(path, lambda text: text + NO_MEANING):
                stale[f"comment in {name}"] = stale_rules(graph)
        with edited(path, lambda text: text + MEANING):
            stale[name] = stale_rules(graph)
    print(json.dumps({"stale": stale, "imports": imports}))


if __name__ == "__main__":
    main()
