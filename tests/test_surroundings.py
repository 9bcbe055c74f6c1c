"""Jobs do not see what a user's shell and home folder prefer."""

import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
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
    "PANDAS_FUTURE_INFER_STRING": "0",
    "SKLEARN_WORKING_MEMORY": "1",
    "MATPLOTLIBRC": "/home/someone",
    "PYTHONHASHSEED": "77",
    "PYTHONOPTIMIZE": "2",
    "PYTHONUTF8": "0",
    "LC_ALL": "de_DE.ISO-8859-1",
}
SHELL = {"BASH_ENV": "/home/someone/.bashenv", "SHELLOPTS": "noclobber", "PYTHONWARNINGS": "error", "PYTHONSTARTUP": "/x.py"}
SETTLED = {  # one thread of each library, functions that all processors have, no window, UTF-8, English, one order of sets,
    # no modules of the folder, large pages
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F X86_V4",
    "MPLBACKEND": "agg",
    "MUJOCO_GL": "disable",
    "PYTHONUTF8": "1",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "0",
    "PYTHONSAFEPATH": "1",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
RIVALS = {"path": ("psutil", "yaml", "numpy", "torch"), "folder": ("random", "signal", "psutil", "yaml", "numpy")}
BRIAN = {
    "threads": "devices.cpp_standalone.openmp_threads = 4\ncore.default_float_dtype = float32\n",
    "unknown": "codegen.no_such_thing = 3\n",
    "broken": "[[[ not a file of preferences\n",
}


def test_preferences_are_gone_and_the_rest_stays(tmp_path):
    rest = {"HOME": str(tmp_path), "USER": "someone", "NUMBA_CACHE_DIR": "/scratch", "TZ": "Asia/Kathmandu"}
    rest["PYTHONNOUSERSITE"] = "1"  # asked for where Python is conda's
    environment = {**PREFERENCES, **SHELL, **rest}
    surroundings.settle(environment)
    style = SOURCE / "respike/core/respike.mplstyle"
    assert environment == {**SETTLED, "MATPLOTLIBRC": str(style), **rest}
    assert style.is_file()


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


def figure_and_table(folder: Path, rc: str = "", **more: str) -> tuple[bytes, bytes]:
    """A figure with text and a line, and a table with texts, as a stage would make them."""
    program = f"""
from respike import surroundings
surroundings.settle()
import pandas as pd
from respike.core import style
figure, axes = style.panels()
axes[0, 0].plot([0, 1], [0, 2])
axes[0, 0].set_xlabel("time (s)")
style.save(figure, {str(folder)!r}, "one", "data")
pd.DataFrame({{"study": ["modes", "v1"], "value": [1.5, 2.0]}}).to_parquet({str(folder / "one.parquet")!r})
"""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **more}
    folder.mkdir()
    (folder / "matplotlibrc").write_text(rc)  # a file of this name where a job runs comes first of all
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=folder)
    return (folder / "one.png").read_bytes(), (folder / "one.parquet").read_bytes()


def test_figures_and_tables_are_the_same_bytes_whatever_the_user_prefers(tmp_path):
    config, latin = tmp_path / "config", tmp_path / "latin"
    for folder in (config, latin):
        folder.mkdir()
    (config / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nlines.linewidth: 9\nsavefig.dpi: 31\n")
    (latin / "matplotlibrc").write_bytes("font.size: 30  # größer\n".encode("latin-1"))
    plain = figure_and_table(tmp_path / "plain")
    assert figure_and_table(tmp_path / "here", rc="axes.titlesize: 40\nno.such.key: 3\nbackend: no_such_backend\n") == plain
    preferred = PREFERENCES | {"MPLCONFIGDIR": str(config), "MATPLOTLIBRC": str(config)}
    assert figure_and_table(tmp_path / "own", **preferred) == plain
    dated = {"MPLCONFIGDIR": str(latin), "SOURCE_DATE_EPOCH": "1000000000"}
    assert figure_and_table(tmp_path / "other", **dated) == plain


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="other processors have other functions")
@pytest.mark.parametrize("name", ["exp", "log", "tan", "log1p", "expm1", "sinh", "cbrt"])
def test_functions_round_as_those_of_the_c_library_whatever_the_processor(rng, name):
    values = rng.uniform(0.01, 5, 10_000)
    assert getattr(np, name)(values).tolist() == [getattr(math, name)(value) for value in values.tolist()]


@pytest.mark.parametrize("stage", ["barrel.generate", "v1.figures", "fsbi.build"])
def test_stages_start_under_every_preference(stage):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **PREFERENCES, **SHELL, "PYTHONWARNINGS": "default"}
    done = subprocess.run(
        [sys.executable, "-m", "respike", stage, "--help"], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("where", RIVALS)
def test_modules_of_the_user_do_not_stand_in_for_those_of_the_program(tmp_path, where):
    """Named by PYTHONPATH behind ours, or lying where the program is started."""
    for name in RIVALS[where]:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'this is {__name__} of the user')\n")
    named = [str(SOURCE), *([str(tmp_path)] if where == "path" else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(named), "PYTHONSAFEPATH": ""}
    for arguments in (["modes.fit", "--help"], ["status"]):
        command = [sys.executable, "-m", "respike", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert "of the user" not in done.stderr
        assert "usage: respike modes.fit" in done.stdout or "has no Snakefile" in done.stderr


def test_names_of_files_are_utf_8_whatever_the_language_of_the_shell(tmp_path):
    """Python takes them for texts in the shell's language, and files that the config names would seem not to be there."""
    (tmp_path / "Snakefile").touch()
    shell = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "respike", "status", "--configfile", "größe.yaml"]
    done = subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", env={**os.environ, **shell}, cwd=tmp_path
    )
    assert done.stderr == "respike status: there is no config file größe.yaml; correct its path\n"


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
