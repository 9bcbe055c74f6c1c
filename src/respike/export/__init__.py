"""What leaves the project: a run that others take up, the project for a machine without network, spikes for other tools.

`python -m respike export crate FOLDER`, `export bundle FILE` and `export nwb STUDY FOLDER`, each with --help.
"""

import argparse
import inspect
import sys
from collections.abc import Callable

from respike.export import bundle, crate, nwb

# A kind is a function of texts and paths: its parameters without a default stand in a row on the command line, the others
# are options (one that is an empty tuple takes several words). It returns a line that says what was written.
KINDS: dict[str, Callable[..., str]] = {"crate": crate.write, "bundle": bundle.write, "nwb": nwb.write}


def main(arguments: list[str]) -> int:
    """`python -m respike export`: 0 when it was written; ValueError or OSError when it could not be."""
    parser = argparse.ArgumentParser(prog="respike export", description=__doc__, allow_abbrev=False)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, write in KINDS.items():
        about = inspect.getdoc(write) or kind
        own = kinds.add_parser(kind, help=about.partition("\n")[0], description=about, allow_abbrev=False)
        for name, parameter in inspect.signature(write).parameters.items():
            _add(own, name, parameter)
    values = vars(parser.parse_args(arguments))
    kind = values.pop("kind")
    sys.stdout.write(f"{KINDS[kind](**values)}\n")
    return 0


def _add(parser: argparse.ArgumentParser, name: str, parameter: inspect.Parameter) -> None:
    if parameter.default is inspect.Parameter.empty:
        parser.add_argument(name, type=parameter.annotation, metavar=name.upper())
    elif isinstance(parameter.default, tuple):
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="+", metavar=name.upper(), default=parameter.default)
    else:
        parser.add_argument(f"--{name.replace('_', '-')}", type=parameter.annotation, default=parameter.default)
