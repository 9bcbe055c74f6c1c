"""The study in miniature leaves the same bytes whatever the shell, the home folder and the user are like."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.workflow import bed

pytestmark = pytest.mark.slow

SHELL = {
    "BASH_ENV": "bash.env",  # sourced by each shell that runs a job
    "SHELLOPTS": "braceexpand:hashall:interactive-comments:noclobber",  # a log that is there would stop its job
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "4242",
    "PYTHONWARNINGS": "error::UserWarning",
    "LC_ALL": "de_DE.ISO-8859-1",
    "TZ": "Asia/Kathmandu",
    "HOME": "/dev/null/home",
    "OMP_NUM_THREADS": "5",
    "PANDAS_FUTURE_INFER_STRING": "0",  # tables with another type of texts
    "MALLOC_PERTURB_": "165",  # memory that is read before it is written
    "CDPATH": "/:/tmp",
    "PYTHONDEVMODE": "1",
}


def test_a_hostile_shell_changes_nothing(finished, tmp_path):
    project, blank = bed.miniature(tmp_path / "project"), tmp_path / "for a while"
    blank.mkdir()
    (project / "bash.env").write_text("python() { echo 'not this one' >&2; return 9; }\n")
    done = bed.respike(project, "run", "mini", "--cores", "2", TMPDIR=str(blank), **SHELL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bed.hashes(project) == bed.hashes(finished)
    for log in (project / "results").rglob("log/*.txt"):
        log.write_text("")
    next(path for path in sorted((project / "results/mini").glob("*")) if path.is_file()).unlink()
    again = bed.respike(project, "run", "mini", "--cores", "2", TMPDIR=str(blank), **SHELL)
    assert again.returncode == 0, again.stdout + again.stderr
    assert bed.hashes(project) == bed.hashes(finished)


def test_an_edited_file_is_noticed_in_every_language(tmp_path):
    project = bed.miniature(tmp_path / "project")
    raw = (project / "raw.txt").rename(project / "größe.txt")
    bed.configure(project, source=raw.name)
    posix = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = bed.respike(project, "run", "results/mini/data.npz", "--cores", "1", **posix)
    assert done.returncode == 0, done.stdout + done.stderr
    raw.write_text("1\n2\n4\n")
    assert "made from another größe.txt" in bed.respike(project, "verify", "results/mini/data.npz", **posix).stdout


@pytest.fixture
def open_folder():
    """A folder that everyone may enter; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_user_without_a_name_runs_code_that_only_others_may_write(finished, open_folder):
    """Root is not bound by the modes of files: the run belongs to a number."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    project = bed.miniature(open_folder / "project")
    os.chown(project, 4321, 4321)
    environment = bed.environment(project, HOME="/nonexistent", PYTHONDONTWRITEBYTECODE="")

    def as_number(*arguments: str) -> subprocess.CompletedProcess:
        command = ["setpriv", "--reuid=4321", "--regid=4321", "--clear-groups", sys.executable, *arguments]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    if as_number("-c", "import sys; open(sys.executable, 'rb')").returncode:
        pytest.skip("this Python lies where only root may go")
    done = as_number("-m", "respike", "run", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bed.hashes(project) == bed.hashes(finished)
