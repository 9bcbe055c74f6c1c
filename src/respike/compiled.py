"""Functions compiled by numba, kept between runs under the fingerprint of the code that they were compiled from.

numba itself watches only the file of a function: a constant or an inlined function that is edited elsewhere would leave the
old machine code in use, and its results would be recorded as those of the new code.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numba
from numba.core import config

from respike import fingerprint

config._config_fname = ""  # a file .numba_config.yaml where a job runs: with it loops could come out otherwise, and be kept
config.reload_config()
KEPT = 7 * 86400.0  # s that the machine code of other code is kept after its last use, for programs that still run it


def folder() -> Path:
    """Folder of the machine code of the present code: beside the sources, or in the folder that NUMBA_CACHE_DIR names.

    Where that cannot be written it is a folder of the user's among the system's temporary files. Raises OSError when that
    cannot be written either.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    beside = Path(named) if named else fingerprint.SOURCE / "respike/__pycache__"
    with suppress(OSError):
        return _prepared(beside)
    private = Path(tempfile.gettempdir()) / f"respike-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.lstat().st_uid != os.getuid():  # numba unpickles what it finds
        raise PermissionError(f"{private} belongs to another user; name a folder that can be written in NUMBA_CACHE_DIR")
    return _prepared(private)


def _prepared(parent: Path) -> Path:
    """The present code's folder in `parent`, marked as used now; folders of other code that nobody uses are removed."""
    present = parent / "compiled" / fingerprint.compiled()
    present.mkdir(parents=True, exist_ok=True)
    os.utime(present)
    tempfile.TemporaryFile(dir=present).close()
    for other in present.parent.iterdir():
        with suppress(FileNotFoundError):  # another process removes it as well
            if other.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(other, ignore_errors=True)
    return present


FOLDER = folder()


def njit(function: Callable | None = None, **options: Any) -> Callable:
    """`numba.njit` whose machine code is kept in FOLDER; the settings of numba stay as they are for everyone else."""
    if function is None:
        return partial(njit, **options)
    usual, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(FOLDER)
    try:
        return numba.njit(**{"cache": True, **options})(function)
    finally:
        numba.config.CACHE_DIR = usual
