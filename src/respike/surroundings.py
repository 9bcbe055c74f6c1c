"""What a job runs in: one thread, memory in large pages, and none of the user's preferences.

Results must depend neither on the machine nor on what stands in a user's shell or home folder.
"""

import getpass
import os
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

SOURCE = str(Path(__file__).resolve().parents[1])
FIXED = {
    # One thread per job: on small networks two threads cost many times the CPU time; parallel jobs are faster.
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "VECLIB_MAXIMUM_THREADS": "1",  # of Apple's library
    # What NumPy has for AVX-512 alone rounds otherwise than what it runs on other x86 processors: exp, log, tan and
    # more; simulated whiskers that meet an object make that grow. The second name is that of NumPy 2.4 and later.
    "NPY_DISABLE_CPU_FEATURES": "AVX512F X86_V4",
    # No window: figures go to files, and MuJoCo computes forces without drawing.
    "MPLBACKEND": "agg",
    "MUJOCO_GL": "disable",
    # In place of the user's matplotlibrc, which need not even be a text
    "MATPLOTLIBRC": f"{SOURCE}/respike/core/respike.mplstyle",
    # Texts are UTF-8 whatever the language, compilers speak English, and sets of texts have one order in all jobs.
    "PYTHONUTF8": "1",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "0",
    "PYTHONSAFEPATH": "1",  # no module is taken from the folder in which a job runs
    # A training step takes hundreds of megabytes from the system and gives them back. In pages of 2 MB instead of 4 kB that
    # costs a third less of a step of `modes` at the size of the paper. glibc reads it when a process starts; others ignore it.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
# Switches by which a shell could change numbers, figures or how a job is started; where caches lie is the user's business.
REMOVED = (
    *("NUMBA_", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "DNNL_", "ATEN_", "TORCH_", "PYTORCH_"),
    *("NPY_", "NUMPY_", "SCIPY_", "SKLEARN_", "PANDAS_", "ARROW_", "JOBLIB_", "LOKY_", "SYMPY_", "JAXTYPING_", "MPL_"),
    *("PYTHON", "BASH_", "BASHOPTS", "SHELLOPTS"),
)
KEPT = (
    *("NUMBA_CACHE_DIR", "TORCH_HOME", "JOBLIB_TEMP_FOLDER"),
    *("PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED"),
)


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make `environment` that of a job. To be called before NumPy, PyTorch, Numba or Matplotlib are imported."""
    for name in [name for name in environment if name.startswith(REMOVED) and name not in KEPT]:
        del environment[name]
    environment.update(FIXED)
    try:
        getpass.getuser()
    except (KeyError, OSError):  # a number without a name, in some containers; Snakemake asks for it
        environment["USER"] = str(os.getuid())
    caches = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".cache")
    if not _writable(caches):  # in some containers; Snakemake would not start, and Matplotlib look for its fonts in every job
        own = os.path.join(tempfile.gettempdir(), f"respike-{os.getuid()}")
        environment.update(XDG_CACHE_HOME=own, MPLCONFIGDIR=os.path.join(own, "matplotlib"))


def begin_anew() -> None:
    """Start this program again where the shell gave it modules that are not ours or a language other than UTF-8.

    Both count from the start of a program. To be called after `settle`, before more is imported.
    """
    named = {os.path.realpath(folder) for folder in os.environ.get("PYTHONPATH", SOURCE).split(os.pathsep)}
    if named != {SOURCE} or sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONPATH"] = SOURCE
        os.execv(sys.executable, [sys.executable, "-m", "respike", *sys.argv[1:]])


def _writable(folder: str) -> bool:
    """Whether `folder` is there and can be written, or could be made."""
    while not os.path.exists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK)
