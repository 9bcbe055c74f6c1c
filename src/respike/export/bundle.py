"""The project for a machine without network: one archive with its files and, in `wheels`, every package of the lock.

Embedded data need no file of their own: stages make them. Unpacked there, `make reproduce` installs from `wheels`
(workflow/environment.sh); it needs the same system and minor version of Python as here, a C++ compiler and make.
"""

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

LOCK = Path("requirements.lock")
TOP = "respike"  # the folder in the archive
PACKED = {".gz", ".tgz"}


def write(file: Path) -> str:
    """Project and packages as one archive FILE, .tar or .tar.gz, for a machine without network.

    It takes the files that git knows as they are now, and wheels for this system and Python; torch as it is installed here
    (a CPU build stays one). Making it needs the network. Raises ValueError when git or pip cannot give what is asked for.
    """
    if file.exists():
        raise ValueError(f"{file} exists; name a new file")
    if not LOCK.is_file():
        raise ValueError(f"{Path.cwd()} has no {LOCK}; go to the top folder of the project")
    sources = tracked()
    with tempfile.TemporaryDirectory(dir=file.absolute().parent) as folder:
        wheels = Path(folder) / "wheels"
        collect(wheels)
        (wheels / "python.txt").write_text(f"python{sys.version_info[0]}.{sys.version_info[1]}\n")
        unfinished = Path(folder) / file.name
        mode = "w:gz" if file.suffix in PACKED else "w"
        with tarfile.open(unfinished, mode, **({"compresslevel": 1} if file.suffix in PACKED else {})) as archive:
            for name in sources:
                archive.add(name, f"{TOP}/{name}", recursive=False)
            for wheel in sorted(wheels.iterdir()):
                archive.add(wheel, f"{TOP}/wheels/{wheel.name}")
        count = len(list(wheels.glob("*.whl")))
        unfinished.rename(file)
    return f"{file}: {len(sources)} files of the project, {count} packages, {file.stat().st_size / 1e6:.0f} MB"


def tracked() -> list[str]:
    """Names of the project's files, as git knows them."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", "") or error
        raise ValueError(f"git does not tell which files are of the project ({told}); work in a clone of it") from error
    return [name for name in done.stdout.split("\0") if name and Path(name).is_file()]


def collect(wheels: Path) -> None:
    """Have pip put wheels of all packages of the lock into a folder, built where only sources are to be had."""
    build = importlib.metadata.version("torch")  # 2.13.0+cpu when it is one without CUDA
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--wheel-dir", str(wheels)]
    try:
        subprocess.run([*command, "--requirement", str(LOCK), f"torch=={build}"], check=True)
    except subprocess.CalledProcessError as error:
        raise ValueError(f"pip could not get the packages of {LOCK} with torch {build}; what it said stands above") from error
