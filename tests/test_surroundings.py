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
    "NUMBA_DISABLE_JIT": "1",
    "KMP_AFFINITY": "compact",
}


def test_preferences_are_gone_and_the_rest_stays():
    environment = {**PREFERENCES, "HOME": "/home/someone", "NUMBA_CACHE_DIR": "/scratch"}
    surroundings.settle(environment)
    assert environment == {**surroundings.FIXED, "HOME": "/home/someone", "NUMBA_CACHE_DIR": "/scratch"}


def figure(folder: Path, **more: str) -> bytes:
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
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    return (folder / "one.png").read_bytes()


def test_figures_are_the_same_bytes_whatever_the_user_prefers(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    (config / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nlines.linewidth: 9\nsavefig.dpi: 31\n")
    plain = figure(tmp_path / "plain")
    assert figure(tmp_path / "own", MPLCONFIGDIR=str(config), MATPLOTLIBRC=str(config), **PREFERENCES) == plain


@pytest.mark.parametrize("stage", ["barrel.generate", "v1.figures", "fsbi.build"])
def test_stages_start_under_every_preference(stage):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **PREFERENCES}
    done = subprocess.run(
        [sys.executable, "-m", "respike", stage, "--help"], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
