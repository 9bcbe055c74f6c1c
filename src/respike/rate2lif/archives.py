"""Zip archives: the files that a job makes of the networks it treats, replicas of one variant.

A job treats several networks because starting and planning a job costs more than some networks do. What is made of a
network does not depend on the others. The networks that a job has finished wait beside its archive, each with a record
like any other file, until all are there: a job that was killed goes on after the last of them.
"""

import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from respike.core import files, partial

EPOCH = (1980, 1, 1, 0, 0, 0)  # time of every file in an archive: equal content gives equal bytes
COMMAND = ("stage", "code", "arguments", "inputs")  # facts of a record that say what made a file


class Name(NamedTuple):
    """A network: its variant and its number among the variant's replicas."""

    variant: str
    replica: int

    def __str__(self) -> str:
        return f"{self.variant}_{self.replica}"


def replicas(variant: str, first: int, last: int) -> list[Name]:
    """Names of the replicas `first` to `last` of a variant."""
    return [Name(variant, replica) for replica in range(first, last + 1)]


def fill(archive: Path, names: Iterable[Name]) -> Iterator[tuple[Name, Path]]:
    """Yield each network and a folder for its files; write `archive` after the last one.

    Left out are networks that the same command (code, settings, inputs) had finished when it was killed, not what they cost.
    """
    finished = {name: archive.parent / ".partial" / f"{archive.name}.{name}" for name in names}
    for name, path in finished.items():
        if _is_made_by_this_command(path, archive):
            files.maker["cost_before"] = (files.read_record(path) or {}).get("cost", {})
            continue
        with TemporaryDirectory(prefix="rate2lif-") as folder:
            yield name, Path(folder)
            _write(path, ((f"{name}/{file.name}", file.read_bytes()) for file in sorted(Path(folder).glob("[!.]*"))))
    _write(archive, (entry for path in finished.values() for entry in _read(path)))
    for path in finished.values():
        partial.discard(path)


def _is_made_by_this_command(path: Path, archive: Path) -> bool:
    try:
        record = files.read_record(files.checked(path)) or {}
    except (FileNotFoundError, files.CorruptFile):
        return False
    return record.get("arguments") is not None and _command(record, archive) == _command(files.maker, archive)


def _command(facts: dict, archive: Path) -> dict:
    """What made a file; an archive that the command is about to replace is none of its inputs."""
    inputs = {file: digest for file, digest in facts.get("inputs", {}).items() if file != str(archive)}
    return {fact: facts.get(fact) for fact in COMMAND} | {"inputs": inputs}


def _write(archive: Path, content: Iterable[tuple[str, bytes]]) -> None:
    """Zip of files, which are compressed already."""
    with files.whole(archive) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for entry, data in content:
            packed.writestr(zipfile.ZipInfo(entry, EPOCH), data)


def _read(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.namelist():
            yield entry, packed.read(entry)


class Archives:
    """Archives of the same networks, made by several stages. CorruptFile or ValueError when one of them cannot be used."""

    def __init__(self, *paths: Path) -> None:
        self.entries = {path: _entries(path) for path in paths}
        networks = {path: list(dict.fromkeys(name for name, _ in entries)) for path, entries in self.entries.items()}
        first, *rest = paths
        for other in rest:
            if networks[other] != networks[first]:
                there, here = (", ".join(map(str, networks[path])) for path in (other, first))
                raise ValueError(f"{other} holds the networks {there}, but {first} holds {here}")
        self.names: list[Name] = networks[first]

    def __iter__(self) -> Iterator[tuple[Name, Path]]:
        """Every network and a folder with its files."""
        for name in self.names:
            with self.unpacked(name) as folder:
                yield name, folder

    @contextmanager
    def unpacked(self, name: Name) -> Iterator[Path]:
        """A folder with the files of the network `name` in all archives; it vanishes with the block."""
        with TemporaryDirectory(prefix="rate2lif-") as folder:
            for path, entries in self.entries.items():
                with zipfile.ZipFile(path) as packed:
                    for owner, file in entries:
                        if owner == name:
                            (Path(folder) / file).write_bytes(packed.read(f"{owner}/{file}"))
            yield Path(folder)


def _entries(archive: Path) -> list[tuple[Name, str]]:
    """Network and name of each file in an archive."""
    try:
        with zipfile.ZipFile(files.checked(archive)) as packed:
            found = [(entry, re.fullmatch(r"(\w+)_(\d+)/([^/]+)", entry)) for entry in packed.namelist()]
    except zipfile.BadZipFile as error:
        raise ValueError(f"{archive} is not a zip archive ({error})") from error
    for entry, parts in found:
        if not parts:
            raise ValueError(f"{archive} holds {entry!r}, expected files named <variant>_<replica>/<file>")
    return [(Name(parts[1], int(parts[2])), parts[3]) for _, parts in found]
