"""Data that users bring: what a file must be, and where it can be had."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """One file of a public data set."""

    name: str
    about: str  # what it is
    obtain: str  # where and how a user gets it, licence included


def find(folder: str | Path, source: Source, key: str, also: Sequence[str] = ()) -> Path:
    """Path of `source` in `folder`, under its name or one of `also`.

    Raises FileNotFoundError that says what is missing, where to get it and which config key names the folder.
    """
    candidates = [Path(folder) / name for name in (source.name, *also)]
    for path in candidates:
        if path.is_file():
            return path
    present = sorted(item.name for item in Path(folder).iterdir())[:8] if Path(folder).is_dir() else None
    state = "the folder does not exist" if present is None else f"the folder holds {present or 'nothing'}"
    names = " or ".join((source.name, *also[:2]))
    raise FileNotFoundError(
        f"{folder}: no {names} ({source.about}); {state}. {source.obtain} The folder is the config value {key}."
    )
