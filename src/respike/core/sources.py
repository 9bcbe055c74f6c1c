"""Data that users bring: what a file must be, and where it can be had."""

from dataclasses import dataclass
from pathlib import Path

import pooch


@dataclass(frozen=True)
class Source:
    """One file of a public data set."""

    name: str
    about: str  # what it is
    obtain: str  # where and how a user gets it, licence included
    checksum: str | None = None  # of the published file, when we know it: "sha256:..." or "md5:..."
    url: str | None = None  # where it can be downloaded without an account


def find(folder: str | Path, source: Source, key: str, also: tuple[str, ...] = ()) -> Path:
    """Path of `source` in `folder`, under its name or one of `also`.

    Raises FileNotFoundError that says what is missing, where to get it and which config key names the folder, and
    ValueError when the checksum is known and differs.
    """
    folder = Path(folder)
    candidates = [folder / name for name in (source.name, *also)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        held = sorted(item.name for item in folder.iterdir())[:8] if folder.is_dir() else None
        state = "the folder does not exist" if held is None else f"the folder holds {held or 'nothing'}"
        names = " or ".join(path.name for path in candidates)
        raise FileNotFoundError(
            f"{folder}: no {names} ({source.about}); {state}. {source.obtain} The folder is the config value {key}."
        )
    if source.checksum and not pooch.hashes.hash_matches(path, source.checksum):
        raise ValueError(f"{path}: its checksum is not {source.checksum}; get the file again. {source.obtain}")
    return path


def download(folder: str | Path, source: Source) -> Path:
    """Fetch `source` into `folder` unless it is there already with the right checksum; needs its url and checksum.

    Raises ValueError without them, or when the downloaded file has another checksum.
    """
    if source.url is None or source.checksum is None:
        raise ValueError(f"{source.name} cannot be downloaded by the workflow. {source.obtain}")
    return Path(pooch.retrieve(source.url, source.checksum, fname=source.name, path=folder))
