"""Brian2 as it is delivered: without what ~/.brian/user_preferences and a file brian_preferences in this folder ask for.

Brian2 reads these files when it is imported: threads, types of numbers, compiler flags and more.
"""

import os
import tempfile
from contextlib import chdir
from types import ModuleType

import matplotlib as mpl


def delivered() -> ModuleType:
    """The package brian2, imported in an empty folder with an empty home."""
    mpl.get_configdir(), mpl.get_cachedir()  # Brian2 imports Matplotlib, whose folders stay those of the user
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as empty, chdir(empty):
        os.environ["HOME"] = empty
        try:
            import brian2  # noqa: PLC0415
        finally:
            os.environ.pop("HOME")
            os.environ.update(before)
    return brian2


brian2 = delivered()
