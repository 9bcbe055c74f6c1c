"""Jobs do not see what a user's shell and home folder prefer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from respike import surroundings

SOURCE = Path(__file__).resolve().parents[1] / "src"
PREFERENCES = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MUJOCO_GL": "osmesa",
    "OMP_NUM_THREADS": "7",
    "OMP_DYNAMIC": "true",
    "NUMBA_DISABLE_JIT": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "KMP_AFFINITY": "compact",
    "PYTHONHASHSEED": "77",
    "PYTHONOPTIMIZE": "2",
    "PYTHONUTF8": "0",
    "LC_ALL": "de_DE.ISO-8859-1",
}
SHELL = {"BASH_ENV": "/home/someone/.bashenv", "SHELLOPTS": "noclobber", "PYTHONWARNINGS": "error", "PYTHONSTARTUP": "/x.py"}
BRIAN = {
    "threads": "devices.cpp_standalone.openmp_threads = 4\ncore.default_float_dtype = float32\n",
    "unknown": "codegen.no_such_thing = 3\n",
    "broken": "[[[ not a file of preferences\n",
}


def test_preferences_are_gone_and_the_rest_stays(tmp_path):
    rest = {"HOME": str(tmp_path), "USER": "someone", "NUMBA_CACHE_DIR": "/scratch", "TZ": "Asia/Kathmandu"}
    environment = {**PREFERENCES, **SHELL, **rest}
    surroundings.settle(environment)
    assert environment == {**surroundings.FIXED, **rest}


def test_caches_get_a_place_where_the_home_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for home in (tmp_path / "file/home", "/dev/null/home"):
        environment = {"HOME": str(home)}
        surroundings.settle(environment)
        caches = Path(environment["XDG_CACHE_HOME"])
        assert str(os.getuid()) in caches.name
        assert Path(environment["MPLCONFIGDIR"]).parent == caches
    elsewhere = {"HOME": "/dev/null/home", "XDG_CACHE_HOME": str(tmp_path / "caches/mine")}
    surroundings.settle(elsewhere)
    assert elsewhere["XDG_CACHE_HOME"] == str(tmp_path / "caches/mine")


def test_a_user_without_a_name_gets_a_number(tmp_path, monkeypatch):
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4321")

    monkeypatch.setattr(surroundings.getpass, "getuser", unknown)
    environment = {"HOME": str(tmp_path)}
    surroundings.settle(environment)
    assert environment["USER"] == str(os.getuid())


def figure(folder: Path, rc: str = "", **more: str) -> bytes:
    """A figure with text and a line, as a stage would make it."""
    program = f"""
from respike import surroundings
surroundings.settle()
from respike.core import style
figure, axes = style.panels()
axes[0, 0].plot([0, 1], [0, 2])
axes[0, 0].set_xlabel("time (s)")
style.save(figure, {str(folder)!r}, "one", "data")
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **more}
    folder.mkdir()
    (folder / "matplotlibrc").write_text(rc)  # a file of this name where a job runs comes first of all
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=folder)
    return (folder / "one.png").read_bytes()


def test_figures_are_the_same_bytes_whatever_the_user_prefers(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nlines.linewidth: 9\nsavefig.dpi: 31\n")
    plain = figure(tmp_path / "plain")
    assert figure(tmp_path / "here", rc="axes.titlesize: 40\nno.such.key: 3\nbackend: no_such_backend\n") == plain
    assert figure(tmp_path / "own", MPLCONFIGDIR=str(config), MATPLOTLIBRC=str(config), **PREFERENCES) == plain


@pytest.mark.parametrize("stage", ["barrel.generate", "v1.figures", "fsbi.build"])
def test_stages_start_under_every_preference(stage):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **PREFERENCES, **SHELL, "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [sys.executable, "-m", "respike", stage, "--help"], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", BRIAN.values(), ids=BRIAN)
def test_brian_is_the_one_that_is_delivered(tmp_path, text):
    """Whether the preferences lie in the home folder or where the job runs; and both folders are afterwards what they were."""
    (tmp_path / ".brian").mkdir()
    for name in (".brian/user_preferences", "brian_preferences"):
        (tmp_path / name).write_text(text)
    program = """
import os
from respike.fsbi.simulator import codegen
from respike.fsbi.simulator.brian import brian2
registered = {f"{base}.{name}": one for base, (held, _) in brian2.prefs.pref_register.items() for name, one in held.items()}
assert len(registered) > 30
print([name for name, one in registered.items() if brian2.prefs[name] != one.default], os.getcwd(), os.environ["HOME"])
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.stdout == f"[] {tmp_path} {tmp_path}\n", done.stderr
