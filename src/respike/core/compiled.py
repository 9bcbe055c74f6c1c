"""Functions compiled by numba, kept between runs under the fingerprint of the code that they were compiled from.

numba itself watches only the file of a function: a constant or an inlined function that is edited elsewhere would leave the
old machine code in use, and its results would be recorded as those of the new code.
"""

import os
import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

import numba

from respike.core import fingerprint

KEPT = 86400.0  # s that machine code of other code is kept, for programs that still run it


def folder() -> Path:
    """Where machine code of the present code is kept: beside the sources, or where that cannot be written, in the system's
    folder for temporary files. The environment variable NUMBA_CACHE_DIR names another place.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    places = [Path(named)] if named else [fingerprint.SOURCE / "respike/__pycache__"]
    user = os.getuid() if hasattr(os, "getuid") else "user"
    for place in [*places, Path(tempfile.gettempdir()) / f"respike-{user}"]:
        try:
            own = place / "compiled" / fingerprint.compiled()
            _prepare(own)
        except OSError:
            continue
        return own
    raise OSError(f"compiled code can be kept in none of {places}; name a folder that can be written in NUMBA_CACHE_DIR")


def _prepare(own: Path) -> None:
    if own.is_dir() and os.access(own, os.W_OK):
        return
    own.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=own).close()
    for other in own.parent.iterdir():
        if other != own and other.stat().st_mtime < time.time() - KEPT:
            shutil.rmtree(other, ignore_errors=True)


numba.config.CACHE_DIR = str(folder())
njit = partial(numba.njit, cache=True)
