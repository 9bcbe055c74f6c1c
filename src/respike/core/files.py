"""Files made by the workflow: written whole or not at all, and checked when they are read.

Beside each file, in the folder `.made`, stands a small record with the hash of its content and of what made it.
A file without a record was brought by the user and is taken as it is.
"""

import hashlib
import json
import os
import socket
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # most of a second to import, and rules and arrays do not need it
    import pandas as pd

# What is running: stage, code, arguments, inputs, versions, and the cost so far as a function; set by the command line.
# `training.device` adds where it trains, `partial` what this very job had cost before it was cut off.
maker: dict[str, Any] = {}


class CorruptFile(ValueError):
    """A file does not hold what was written into it."""


def record_path(path: Path) -> Path:
    """Where the record of `path` stands: results/modes/fit.pt -> results/modes/.made/fit.pt.json."""
    return path.parent / ".made" / f"{path.name}.json"


def below(folder: Path, pattern: str) -> list[Path]:
    """What matches `pattern` at any depth in `folder`, in folders that are links too, sorted."""
    found: list[Path] = []
    for here, inside, _ in os.walk(folder, followlinks=True):
        above = {os.path.realpath(each) for each in (here, *Path(here).parents)}  # a link to one of these leads round for ever
        inside[:] = [name for name in inside if os.path.realpath(os.path.join(here, name)) not in above]
        found += Path(here).glob(pattern)
    return sorted(found)


def recorded(folder: Path) -> list[Path]:
    """Files at any depth in `folder` that have a record; saved parts of jobs that have not ended are left out."""
    paths = (record.parent.parent / record.name.removesuffix(".json") for record in below(folder, ".made/*.json"))
    return [path for path in paths if path.is_file() and ".partial" not in path.parts]


def digest(path: Path) -> str:
    """SHA-256 of the file's bytes, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def temporary_prefix() -> str:
    """Beginning of the names of this process's unfinished files: says whose they are when it is killed."""
    return f".tmp-{socket.gethostname()}-{os.getpid()}-"


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=temporary_prefix(), suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _write_record(path, temporary)
        _publish(temporary, path)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and temporary.exists():
            raise  # another file is missing
        raise OSError(f"{path} was not written ({error.strerror or error}); free space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_record(path: Path, content: Path) -> None:
    record = record_path(path)
    record.parent.mkdir(exist_ok=True)
    made = {name: fact() if callable(fact) else fact for name, fact in maker.items()}
    facts = {"sha256": digest(content), "bytes": content.stat().st_size, **made}
    temporary = record.with_name(f"{content.name}.json")  # begins like that of the file, and so says whose it is
    try:
        temporary.write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")
        _publish(temporary, record)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Sync and rename. Temporary files are private to their owner; the result gets the usual mode."""
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def read_record(path: Path) -> dict[str, Any] | None:
    """Record of `path`, None when it has none; CorruptFile when the record cannot be read."""
    record = record_path(path)
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        if not isinstance(facts["sha256"], str):
            raise TypeError("sha256 is not text")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:  # not JSON, not UTF-8, or not what we write
        raise CorruptFile(f"{record} is damaged ({error}); `python -m respike verify --fix` removes it") from error
    return facts


def checked(path: str | Path, key: str = "the path") -> Path:
    """`path`, which the config value `key` may name, after comparing its content with its record.

    Raises FileNotFoundError if it is missing and CorruptFile if it is the user's and empty, or changed since it was written.
    """
    path = Path(path)
    if not path.is_file():
        state = "is a folder, expected a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {state}; run the rule that makes it, or correct {key} in config.yaml")
    record = read_record(path)
    if record is None and not path.stat().st_size:
        raise CorruptFile(f"{path} is empty (0 bytes); copy it again, or correct {key} in config.yaml")
    if record is not None:
        expected, actual = record["sha256"], digest(path)
        if actual != expected:
            raise CorruptFile(
                f"{path} was changed after it was written (sha256 {actual[:12]}, expected {expected[:12]}); "
                f"`python -m respike verify --fix` removes it, then run the workflow again"
            )
    return path


def write_table(path: str | Path, table: "pd.DataFrame") -> None:
    """Parquet file of `table`, without its index."""
    with whole(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """Table in the Parquet file `path`; ValueError when one of `columns` is missing."""
    import pandas as pd  # noqa: PLC0415

    table = pd.read_parquet(checked(path))
    if missing := set(columns or ()) - set(table.columns):
        raise ValueError(f"{path} has no column {sorted(missing)}; it has {list(table.columns)}")
    return table


def write_arrays(path: str | Path, **arrays: Any) -> None:
    """Compressed npz file of the named arrays. Arrays of objects are refused."""
    if objects := [name for name, array in arrays.items() if np.asarray(array).dtype == object]:
        raise ValueError(f"{path}: {objects} are arrays of objects; write plain numbers or text")
    with whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_arrays(path: str | Path, *names: str) -> dict[str, np.ndarray]:
    """Arrays in the npz file `path`; ValueError when it is none, and when one of `names` is missing."""
    if not zipfile.is_zipfile(checked(path)):
        raise ValueError(f"{path} is not a whole .npz file; expected the arrays {', '.join(names) or 'that a stage wrote'}")
    with np.load(path, allow_pickle=False) as stored:
        if missing := set(names) - set(stored.files):
            raise ValueError(f"{path} has no array {sorted(missing)}; it has {stored.files}")
        return {name: stored[name] for name in stored.files}


def read_tuple(kind: type, path: str | Path) -> Any:
    """Named tuple of `kind` in the npz file of its fields; numbers and texts that stand alone are those of Python."""
    stored = read_arrays(path, *kind._fields)
    return kind(*(stored[name] if stored[name].ndim else stored[name].item() for name in kind._fields))


def write_text(path: str | Path, text: str) -> None:
    """Text file in UTF-8."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_checkpoint(path: str | Path, content: dict[str, Any]) -> None:
    """Torch file of a plain dict: tensors, numbers, text, lists and dicts of them. Equal content makes equal bytes."""
    import torch  # noqa: PLC0415  (a second to import, and tables and figures do not need it)

    # a file object: given a path, torch writes its name into the archive, and it is a new one each time
    with whole(path) as temporary, temporary.open("wb") as file:
        torch.save(_unshared(content), file)


def _unshared(content: Any) -> Any:
    """Copy in which equal texts are one object and nothing else is shared.

    Pickle writes an object that it meets again as a reference, so that what was read from a file, as a training that goes on
    after a kill reads its state, would be written differently from what was computed in one go.
    """
    if isinstance(content, str):
        return sys.intern(str(content))
    if isinstance(content, dict):
        return {_unshared(key): _unshared(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(_unshared(value) for value in content)
    return content.detach().clone() if hasattr(content, "detach") else content


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Content of a torch file, on the CPU; CorruptFile when it holds anything but plain data or cannot be read."""
    import torch  # noqa: PLC0415

    path = checked(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different class for each way a file can be broken
        kind = type(error).__name__
        raise CorruptFile(f"{path} is not a checkpoint of respike ({kind}); delete it and run again") from error
