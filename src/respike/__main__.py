"""Command line: `python -m respike modes.fit --out fit.pt --seed 0 ...` calls `respike.modes.fit.run(out=..., seed=0, ...)`.

Every rule of the workflow is such a line and can be pasted into a terminal. `python -m respike modes.fit --help` shows
what a stage takes. Settings are given as JSON.

The workflow as a whole: `python -m respike run`, `scenarios`, `verify` and `status`, each with --help.
"""

import argparse
import gc
import importlib
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# One thread per job: on small networks two threads cost many times the CPU time; parallel jobs are faster.
# Set before numpy and torch are imported, and by every job in the same way, so that results do not depend on the machine.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from respike.core import config, files, provenance  # noqa: E402  (the threads come first)

REFUSED = 2  # exit status when the input cannot be used
COMMANDS = ("run", "scenarios", "verify", "status")  # the workflow as a whole: respike.workflow.<command>


def main(arguments: list[str]) -> int:
    """Run one stage; 0 when it ended well, 2 with a message when its input cannot be used."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    stage, *rest = arguments
    if stage in COMMANDS:
        return importlib.import_module(f"respike.workflow.{stage}").main(rest)
    try:
        run = _stage(stage)
        values = _parse(stage, run, rest)
        files.maker.update(provenance.facts(stage, rest, values))
        run(**values)
    except (ValueError, FileNotFoundError, OSError, MemoryError) as error:
        if os.environ.get("RESPIKE_TRACEBACK"):
            raise
        sys.stderr.write(f"respike {stage}: {error}\n")
        return REFUSED
    return 0


def _stage(name: str) -> Callable[..., None]:
    module = f"respike.{name}"
    try:
        with _lasting():
            return importlib.import_module(module).run
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(error.name + ".")):
            raise ValueError(f"there is no stage {name!r}; stages are named <study>.<stage>, as in modes.fit") from error
        raise
    except AttributeError as error:
        raise ValueError(f"{module} is not a stage: it has no function run") from error


@contextmanager
def _lasting() -> Iterator[None]:
    """What is imported here stays: it is not searched for garbage again and again, a quarter of a second of CPU time a job."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _parse(stage: str, run: Callable[..., None], arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog=f"respike {stage}", description=inspect.getdoc(run), allow_abbrev=False)
    hints = typing.get_type_hints(run)
    for name, parameter in inspect.signature(run).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        many = {"nargs": "*"} if typing.get_origin(hints[name]) is list else {"nargs": "?"} if _optional(hints[name]) else {}
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, required=required, default=argparse.SUPPRESS, **many)
    given = vars(parser.parse_args(arguments))
    return {name: _value(text, hints[name], name) for name, text in given.items()}


def _optional(hint: Any) -> bool:
    """Whether a value may be left out, as in `--digits` alone: rules write it where a job has no such input."""
    return type(None) in typing.get_args(hint)


def _value(text: Any, hint: Any, name: str) -> Any:
    if _optional(hint):
        return None if text is None else _value(text, typing.get_args(hint)[0], name)
    if isinstance(text, list):
        return [_value(part, typing.get_args(hint)[0], name) for part in text]
    if hint in (str, Path):
        return hint(text)
    if typing.get_origin(hint) is typing.Literal:
        return config.convert(text, hint, f"--{name.replace('_', '-')}")
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise config.ConfigError(f"--{name.replace('_', '-')} {text!r} is not JSON ({error})") from error
    return config.convert(plain, hint, f"--{name.replace('_', '-')}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
