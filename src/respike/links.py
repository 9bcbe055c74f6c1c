"""Links in place of what is meant: copies of a project that hold no copies, and paths under a name that Snakemake can take."""

import os
import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

LINKS = Path(".snakemake/linked")
SPECIAL = re.compile(r"\{.*\}|<.*>")
SIGNS = str.maketrans("{}<>", "()()")


def linked(config: Any) -> Any:
    """`config` in which each text that is an existing path with {} or <> is the path of a link to it.

    To Snakemake what stands in braces is a wildcard, and what stands between < and > a variable.
    """
    if isinstance(config, dict):
        return {key: linked(value) for key, value in config.items()}
    if isinstance(config, list):
        return [linked(value) for value in config]
    if not isinstance(config, str) or not SPECIAL.search(config) or not Path(config).expanduser().exists():
        return config
    path = Path(config).expanduser()
    link = LINKS / sha256(config.encode()).hexdigest()[:8] / path.name.translate(SIGNS)
    link.parent.mkdir(parents=True, exist_ok=True)
    meant = Path(os.path.relpath(Path.cwd(), link.parent.resolve()), path)  # relative as in the config: a project can be moved
    if not link.is_symlink() or link.readlink() != meant:
        new = link.with_name(f"{link.name}.{os.getpid()}")
        new.symlink_to(meant)
        new.replace(link)  # at once: a job may read it
    return str(link)


def fill(folder: Path, source: Path, but: Container[str] = ()) -> None:
    """Make `folder` hold links to all that is in `source`, but for some names."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        link = folder / entry.name
        if entry.name not in but and not link.is_symlink():
            link.symlink_to(os.path.relpath(entry.absolute(), folder.resolve()))


@contextmanager
def writable(project: Path) -> Iterator[Path]:
    """A folder to plan the workflow of `project` in: itself, or where it cannot be written a copy of links for a while.

    Snakemake keeps notes, and plans to write no file that it cannot write.
    """
    written = [path if path.exists() else project for path in (project / ".snakemake", project / "results")]
    if all(os.access(path, os.W_OK) for path in written):
        yield project
        return
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, project.name)
        with suppress(PermissionError):  # for ../data
            fill(Path(name), project.parent, but={project.name})
        fill(copy, project, but={".snakemake", "results"})
        if (project / "results").exists():
            shutil.copytree(project / "results", copy / "results", copy_function=os.symlink)
        yield copy
