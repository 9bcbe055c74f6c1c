"""Brian2 as it is delivered: without what ~/.brian/user_preferences and a file brian_preferences in this folder ask for.

Brian2 reads these files when it is imported: threads, types of numbers, compiler flags and more.
"""

import os
import tempfile
from pathlib import Path
from types import ModuleType

import matplotlib as mpl


def delivered() -> ModuleType:
    """The package brian2, imported in an empty folder with an empty home."""
    mpl.get_configdir(), mpl.get_cachedir()  # Brian2 imports Matplotlib, whose folders stay those of the user
    here, home = Path.cwd(), os.environ.get("HOME")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["HOME"] = empty
        os.chdir(empty)
        try:
            import brian2  # noqa: PLC0415
        finally:
            os.chdir(here)
            os.environ.pop("HOME")
            os.environ.update({} if home is None else {"HOME": home})
    return brian2


brian2 = delivered()
