"""One lock and one Makefile for every machine: played by a PATH with a few tools and programs that only say who they are."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement

from tests import small

ROOT = Path(__file__).resolve().parents[1]
FILES = ("Makefile", "requirements.lock", "requirements-slurm.lock", "pyproject.toml", "workflow/environment.sh")
TOOLS = ("sh", "touch", "awk", "rm")  # of those that only Linux has (nproc, free, sha256sum), none
MACHINES = [(version, system) for version in ("3.11", "3.12", "3.13", "3.14") for system in ("linux", "darwin")]
COMPILER = "#!/bin/sh\nexec cat > /dev/null\n"
BROKEN = "#!/bin/sh\necho 'xcode-select: no developer tools were found' >&2\nexit 1\n"
PYTHON = """#!/bin/sh
# Says that it is {version}, and makes an environment whose Python is this program again and logs what it is asked.
case "$*" in
*--version*) echo "Python {version}" ;;
*ensurepip*) {suitable} && echo "$0" ;;
*base_prefix*) echo "Python {version} of {home}" ;;
"-m venv"*) mkdir -p "$3/bin" && cp {home}/{name} "$3/bin/python" && echo "{name} venv" >> {log} ;;
*) echo "{name} $*" >> {log} ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >> {log}
for last; do :; done
mkdir -p "$last/bin" && cp {home}/template "$last/bin/python"
"""


def pins(version: str, system: str, file: str = "requirements.lock") -> dict[str, str]:
    """What pip would install there: name and version."""
    full = f"{version}.4"
    machine = {**default_environment(), "python_version": version, "python_full_version": full, "sys_platform": system}
    lines = [Requirement(line) for line in (ROOT / file).read_text().splitlines() if line and not line.startswith("#")]
    wanted = [line for line in lines if not line.marker or line.marker.evaluate(machine)]
    assert len({line.name for line in wanted}) == len(wanted), "a package twice"
    return {line.name: str(line.specifier).removeprefix("==") for line in wanted}


@pytest.mark.parametrize(("version", "system"), MACHINES)
def test_the_lock_holds_what_the_project_asks_for_on_every_machine(version, system):
    project = (ROOT / "pyproject.toml").read_text()
    asked = [Requirement(text) for text in re.findall(r'^ +"([a-z].*)",(?: #.*)?$', project.split("[tool")[0], re.M)]
    assert len(asked) > 20
    machine = {**default_environment(), "python_version": version, "python_full_version": f"{version}.4"}
    locked = pins(version, system)
    for one in asked:
        if not one.marker or one.marker.evaluate(machine):
            assert locked[one.name] in one.specifier, one
    assert not [name for name in locked if name.startswith(("nvidia", "cuda", "triton"))], "torch pins these itself"


def test_versions_differ_by_python_where_they_must():
    assert pins("3.11", "linux")["brian2"] == "2.9.0"
    assert pins("3.11", "linux")["numpy"].startswith("2.3.")
    assert pins("3.13", "linux")["brian2"] == "2.11.0"
    plugin = "snakemake-executor-plugin-slurm"
    for version in ("3.11", "3.12", "3.13"):
        assert (plugin in pins(version, "linux")) != (plugin in pins(version, "linux", "requirements-slurm.lock"))


def test_the_packages_of_this_environment_are_those_of_the_lock():
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    found = {}
    for name, locked in pins(f"{sys.version_info[0]}.{sys.version_info[1]}", sys.platform).items():
        try:
            found[name] = (version(name).split("+")[0], locked)
        except PackageNotFoundError:
            continue  # told by whatever imports it
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}


def test_environment_file_has_the_locked_versions():
    locked = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"][-1]["pip"] == locked
    assert "python=3.11" in environment["dependencies"]


class Machine:
    """A copy of the Makefile, and a PATH with nothing but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools, self.log = folder, folder / "bin", folder / "log.txt"
        for name in FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        self.tools.mkdir()
        for name in (*TOOLS, "mkdir", "cp", "cat"):  # the last three for the programs below
            (self.tools / name).symlink_to(shutil.which(name))

    def program(self, name: str, text: str) -> Path:
        path = self.tools / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, name: str, version: str, suitable: bool = True) -> Path:
        home = (self.tools / name).parent
        text = PYTHON.format(
            name=Path(name).name, version=version, home=home, log=self.log, suitable="true" if suitable else "false"
        )
        return self.program(name, text)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        command = [shutil.which("make"), "--no-print-directory", *arguments]
        here = {"PATH": str(self.tools), "HOME": str(self.folder), **environment}
        return subprocess.run(command, cwd=self.folder, env=here, capture_output=True, text=True, check=False)

    def done(self) -> list[str]:
        """What was asked of the pretended programs, in order."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    made.program("g++", COMPILER)
    return made


READY = ".venv/ready"


def test_the_newest_suitable_python_is_taken(machine):
    machine.python("python3", "3.12.1")
    machine.python("python3.12", "3.12.1")
    machine.python("python3.13", "3.13.0")
    machine.python("python3.14", "3.14.0")  # the tests were not run on it: only when there is no other
    done = machine.make(READY)
    assert done.returncode == 0, done.stderr
    assert machine.done()[0] == "python3.13 venv"
    assert "-r requirements.lock" in machine.done()[1]
    assert "--editable ." in machine.done()[2]
    again = machine.make(READY)
    assert "up to date" in again.stdout
    assert len(machine.done()) == 3


def test_a_shim_that_fails_an_old_python_and_one_without_venv_are_passed_over(machine):
    machine.program("python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    machine.python("python3.12", "3.12.1", suitable=False)
    machine.python("python3", "3.9.6", suitable=False)
    machine.python("python", "3.11.2")
    assert machine.make(READY).returncode == 0
    assert machine.done()[0] == "python venv"


def test_a_python_of_pyenv_that_is_not_on_the_path_is_found(machine):
    machine.python("python3", "3.9.6", suitable=False)
    machine.python("../.pyenv/versions/3.13.0/bin/python3.13", "3.13.0")
    assert machine.make(READY).returncode == 0
    assert machine.done()[0] == "python3.13 venv"


def test_a_python_that_is_asked_for_by_name_is_found_behind_a_shim_that_fails(machine):
    machine.program("python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    done = machine.make(READY, "PYTHON=python3.13")
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert "PYTHON=python3.13 is not one (pyenv: python3.13: command not found)" in line
    machine.python("../.pyenv/versions/3.13.0/bin/python3.13", "3.13.0")
    assert machine.make(READY, "PYTHON=python3.13").returncode == 0
    assert machine.done()[0] == "python3.13 venv"


def test_uv_fetches_a_python_when_there_is_no_suitable_one(machine):
    machine.python("template", "3.13.0")
    machine.python("python3", "3.9.6", suitable=False)
    machine.program("uv", UV.format(log=machine.log, home=machine.tools))
    done = machine.make(READY)
    assert done.returncode == 0, done.stderr
    assert machine.done()[0].startswith("uv venv")
    assert machine.done()[1].startswith("template -m pip")


def test_without_a_suitable_python_and_uv_one_line_names_the_ways(machine):
    machine.python("python3", "3.9.6", suitable=False)
    done = machine.make("test")
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert "needs Python 3.11 to 3.13 (found: Python 3.9.6)" in line
    assert all(way in line for way in ("install one", "uv", "PYTHON=/path/to/python3.13"))
    assert not (machine.folder / ".venv").exists()


def test_an_asked_python_is_taken_or_refused(machine):
    machine.python("python3.13", "3.13.0")
    machine.python("python3.12", "3.12.1")
    machine.python("python3.10", "3.10.1", suitable=False)
    done = machine.make(READY, "PYTHON=python3.10")
    assert "PYTHON=python3.10 is not one (Python 3.10.1)" in done.stderr
    done = machine.make(".venv-3.12/ready", "PYTHON=python3.12", "VENV=.venv-3.12")
    assert done.returncode == 0, done.stderr
    assert machine.done()[0] == "python3.12 venv"
    assert machine.make(".venv-3.12/ready", "PYTHON=python3.12", "VENV=.venv-3.12").returncode == 0


def test_an_environment_of_another_python_is_not_used_in_its_place(machine):
    machine.python("python3.13", "3.13.0")
    machine.python("python3.12", "3.12.1")
    machine.make(READY, "PYTHON=python3.12")
    done = machine.make("test", "PYTHON=python3.13")
    assert done.returncode != 0
    assert ".venv holds Python 3.12.1" in done.stderr
    assert "VENV=.venv-python3.13" in done.stderr


def test_a_new_lock_is_installed_with_the_python_that_is_there(machine):
    machine.python("python3.12", "3.12.1")
    machine.make(READY)
    machine.python("python3.13", "3.13.0")
    os.utime(machine.folder / ".venv/ready", (0, 0))
    assert machine.make(READY).returncode == 0
    assert [line.split()[0] for line in machine.done()] == ["python3.12"] * 5


def test_a_bundle_is_installed_without_the_network_by_the_python_that_it_is_for(machine):
    machine.python("python3.13", "3.13.0")
    machine.python("python3.11", "3.11.9")
    (machine.folder / "wheels").mkdir()
    (machine.folder / "wheels/python.txt").write_text("python3.11\n")
    assert machine.make(READY).returncode == 0
    assert machine.done()[0] == "python3.11 venv"
    assert "--no-index --find-links wheels -r requirements.lock" in machine.done()[1]


def test_a_compiler_that_is_missing_or_does_not_work_is_one_line(machine):
    machine.python("python3.13", "3.13.0")
    machine.program("g++", BROKEN)
    for arguments in ((), ("CXX=/no/such/c++",)):
        done = machine.make("test", *arguments)
        (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert "respike needs a C++ compiler" in line
    assert machine.done() == []


def test_a_compiler_may_have_arguments(machine):
    machine.python("python3.13", "3.13.0")
    machine.program("g++", BROKEN)
    machine.program("cache", '#!/bin/sh\n[ "$1" = c++ ] && exec cat > /dev/null\n')
    assert machine.make(READY, "CXX=cache c++").returncode == 0
    machine.folder.joinpath(READY).unlink()
    assert machine.make(READY, CXX="cache c++").returncode == 0


def test_help_needs_no_tool_of_one_system(machine):
    done = machine.make("help")
    assert re.search(r"^test +fast tests$", done.stdout, re.M)
    assert not done.stderr


def test_snakemake_is_never_asked_without_our_profile(machine):
    """Else one in the user's configuration folder would be heard."""
    machine.python("python3.13", "3.13.0")
    asked = [line for target in ("rules", "report", "lint") for line in machine.make("-n", target).stdout.splitlines()]
    calls = [line for line in asked if re.search(r"bin/snakemake\b", line)]
    assert len(calls) == 3
    assert all("--profile none" in line for line in calls)


@pytest.mark.slow
def test_a_study_runs_at_the_smallest_size_on_this_python(tmp_path):
    folder = small.project(tmp_path / "project")
    done = small.shell(folder, "make reproduce ONLY=modes")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert (folder / "results/modes/metrics.parquet").exists()
    assert small.shell(folder, ".venv/bin/python -m respike verify modes").returncode == 0
