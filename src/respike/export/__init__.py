"""What leaves the project: results that others take up, the project for a machine without network, spikes for other tools.

`python -m respike export crate FOLDER` and `export bundle FILE`, each with --help.
"""

import argparse
import inspect
import sys
from pathlib import Path

from respike.export import bundle, crate

KINDS = {"crate": crate.write, "bundle": bundle.write}
REFUSED = 2  # exit status when nothing was exported


def main(arguments: list[str]) -> int:
    """`python -m respike export`: 0 when it was written, 2 with a message when it could not be."""
    parser = argparse.ArgumentParser(prog="respike export", description=__doc__, allow_abbrev=False)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind, write in KINDS.items():
        about = inspect.getdoc(write)
        own = kinds.add_parser(kind, help=about.partition("\n")[0], description=about, allow_abbrev=False)
        own.add_argument("target", type=Path)
    options = parser.parse_args(arguments)
    try:
        written = KINDS[options.kind](options.target)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"respike export {options.kind}: {error}\n")
        return REFUSED
    sys.stdout.write(f"{written}\n")
    return 0
