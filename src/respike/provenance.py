"""What made a file: the facts that stand beside its hash in its record (see `files`).

Nothing that sets numbers is here, so that an edit of this module reruns no stage.
"""

import getpass
import platform
import resource
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

import respike
from respike import fingerprint
from respike.core import files

HASHED_BYTES = 1_000_000_000  # larger inputs are known by size and time, as Snakemake does (max-checksum-file-size)


def facts(stage: str, arguments: list[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about the command `stage arguments` that a record keeps; `values` are its arguments as Python values.

    The cost is a function, because it grows until the record is written.
    """
    return {
        "stage": stage,
        "code": fingerprint.code(stage),
        "arguments": arguments,
        "inputs": inputs(stage, arguments, values.values()),
        "seed": values.get("seed"),
        "versions": versions(stage),
        "host": host(),
        "cost": cost,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def inputs(stage: str, arguments: list[str], values: Iterable[Any]) -> dict[str, str]:
    """Content of the files among `values`, and of those in folders among them, that this very command did not make.

    Of a folder count the files right in it that are not hidden, and deeper those that the workflow made.
    """
    named = [path for value in values for path in (value if isinstance(value, list) else [value]) if isinstance(path, Path)]
    paths = [file for path in named for file in (_files_in(path) if path.is_dir() else [path])]
    return {str(file): content(file) for file in paths if file.is_file() and not _made_by(file, stage, arguments)}


def _files_in(folder: Path) -> list[Path]:
    return sorted({*folder.glob("[!.]*"), *files.recorded(folder)})


def _made_by(file: Path, stage: str, arguments: list[str]) -> bool:
    try:
        record = files.read_record(file)
    except files.CorruptFile:
        return False
    return record is not None and (record.get("stage"), record.get("arguments")) == (stage, arguments)


def content(file: Path) -> str:
    """SHA-256 of a file, or its size and time when it is very large."""
    state = file.stat()
    return files.digest(file) if state.st_size <= HASHED_BYTES else f"{state.st_size} bytes of {state.st_mtime_ns}"


def versions(stage: str) -> dict[str, str]:
    """Exact versions of Python, respike and the packages that set the numbers of `stage`."""
    used = fingerprint.packages(fingerprint.closure(fingerprint.module(stage)))
    exact = {package: fingerprint.exact_version(package) for package in sorted(used)}
    return {"python": platform.python_version(), "respike": respike.__version__, **exact}


def host() -> dict[str, str]:
    """Which machine and who."""
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "interpreter": sys.executable,
        "user": _user(),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, in some containers
        return "unknown"


def cost() -> dict[str, float]:
    """What the job has used: wall and CPU time in s, memory of the largest process in MB; of this process and its children
    since its start and, where it goes on with work that was cut off, of those that did that work."""
    before = files.maker.get("cost_before", {})
    process, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes in which ru_maxrss counts
    largest = max(_peak() or process.ru_maxrss * unit, children.ru_maxrss * unit)
    return {
        "wall_s": round(before.get("wall_s", 0) + time.time() - psutil.Process().create_time(), 2),
        "cpu_s": round(before.get("cpu_s", 0) + sum(used.ru_utime + used.ru_stime for used in (process, children)), 2),
        "memory_mb": round(max(before.get("memory_mb", 0), largest / 1e6), 1),
    }


def _peak() -> int:
    """Largest memory of this program in bytes, as Linux tells it; 0 elsewhere.

    ru_maxrss will not do there: it begins with the memory of the program that started this one, which is Snakemake.
    """
    try:
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return 0
