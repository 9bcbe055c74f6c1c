"""Archives: the files that one stage makes of the networks <variant>_<first> ... <variant>_<last>, in one zip.

A job treats a chunk of networks, because starting and planning a job costs more than some networks do. What is made of
a network does not depend on its chunk. Networks that the same code has made from the same settings and files are taken
over, out of what a killed job left in `.partial` or out of the archive of another chunk: more replicas or chunks of
another size make only what is new.
"""

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from respike.core import files

KINDS = ("networks", "searches", "trials")  # folders of archives, one per stage
EPOCH = (1980, 1, 1, 0, 0, 0)  # time of every file in an archive: equal content gives equal bytes


class Chunk(NamedTuple):
    """Networks of one variant that a job treats; the name of an archive without its ending."""

    variant: str
    first: int
    last: int

    @classmethod
    def named(cls, name: str) -> "Chunk":
        """The chunk called <variant>_<first>-<last>; ValueError for any other name."""
        found = re.fullmatch(r"(\w+)_(\d+)-(\d+)", name)
        if not found:
            raise ValueError(f"{name}.zip: expected an archive named <variant>_<first replica>-<last replica>.zip")
        return cls(found[1], int(found[2]), int(found[3]))

    def stems(self) -> list[str]:
        """Names of the networks."""
        return [f"{self.variant}_{replica}" for replica in range(self.first, self.last + 1)]


def make(
    archive: Path, settings: Mapping[str, Any], one: Callable[[int, Path, Path], None], sources: Sequence[Path] = ()
) -> None:
    """Write `archive`. `one(replica, given, made)` puts the files of one network in the folder `made`.

    The folder `given` holds the files of that network in the archives `sources`.
    """
    for source in sources:
        files.checked(source)
    chunk, note = Chunk.named(archive.stem), f"{archive.parent.name}.json"
    folders = [archive.parent / ".partial" / stem for stem in chunk.stems()]
    for replica, folder in enumerate(folders, chunk.first):
        with unpacked(folder.name, sources) as given:
            origin = described(settings, given)
            if not is_made(folder / note, origin) and not take_over(archive, folder, note, origin):
                one(replica, given, folder)
                files.write_text(folder / note, origin)
    pack(archive, folders)
    for folder in folders:
        shutil.rmtree(folder)


def described(settings: Mapping[str, Any], given: Path) -> str:
    """JSON text of what a network's files are made from: the settings, and the content of the files in `given`."""
    content = {file.name: files.digest(file) for file in sorted(given.iterdir()) if file.suffix != ".json"}
    return json.dumps({"settings": settings, "files": content}, sort_keys=True)


def is_made(note: Path, origin: str) -> bool:
    """Whether the folder of `note` holds all files of a network, undamaged, made by the present code from `origin`."""
    try:
        if not made_by_this_code(note):
            return False
        for file in note.parent.iterdir():
            if file.is_file():
                files.checked(file)
    except files.CorruptFile:
        return False
    return note.read_text() == origin


def made_by_this_code(file: Path) -> bool:
    """Whether `file` has a record that names the code that is running."""
    record = files.read_record(file)
    return record is not None and record.get("code") == files.maker.get("code")


def take_over(archive: Path, folder: Path, note: str, origin: str) -> bool:
    """Copy the network called as `folder` into it, out of the archive of another chunk; False when none has it."""
    for other in sorted(archive.parent.glob("[!.]*.zip")):
        if other == archive or folder.name not in Chunk.named(other.stem).stems():
            continue
        try:
            if not made_by_this_code(files.checked(other)):
                continue
        except files.CorruptFile:
            continue
        with unpacked(folder.name, [other]) as found:
            if (found / note).read_text() == origin:
                shutil.copytree(found, folder, dirs_exist_ok=True)
                return True
    return False


def pack(archive: Path, folders: Sequence[Path]) -> None:
    """Zip of the files of `folders`, each under the name of its folder. They are compressed already."""
    with files.whole(archive) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for folder in folders:
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                packed.writestr(zipfile.ZipInfo(f"{folder.name}/{file.name}", EPOCH), file.read_bytes())


@contextmanager
def unpacked(stem: str, archives: Sequence[Path]) -> Iterator[Path]:
    """A folder with the files of the network `stem` in all of `archives`; it vanishes with the block."""
    with TemporaryDirectory(prefix="rate2lif-") as folder:
        for archive in archives:
            with zipfile.ZipFile(archive) as packed:
                for member in packed.namelist():
                    owner, name = member.split("/")
                    if owner == stem:
                        (Path(folder) / name).write_bytes(packed.read(member))
        yield Path(folder)


def read(folder: Path, chunk: str) -> Iterator[tuple[str, Path]]:
    """Name of each network of a chunk and a folder with all its files, out of the archives in the result folder `folder`."""
    archives = [files.checked(folder / kind / f"{chunk}.zip") for kind in KINDS]
    for stem in Chunk.named(chunk).stems():
        with unpacked(stem, archives) as unfolded:
            yield stem, unfolded
