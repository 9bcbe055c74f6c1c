"""What a job runs in: one thread, memory in large pages, and none of the user's preferences.

Results must depend neither on the machine nor on what stands in a user's shell or home folder.
"""

import os
from collections.abc import MutableMapping

FIXED = {
    # One thread per job: on small networks two threads cost many times the CPU time; parallel jobs are faster.
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    # No window: figures go to files, and MuJoCo computes forces without drawing.
    "MPLBACKEND": "agg",
    "MUJOCO_GL": "disable",
    # A training step takes hundreds of megabytes from the system and gives them back. In pages of 2 MB instead of 4 kB that
    # costs a third less of a step of `modes` at the size of the paper. glibc reads it when a process starts; others ignore it.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
# Switches of libraries by which a shell could change numbers or figures; where caches lie is the user's business.
REMOVED = ("NUMBA_", "MATPLOTLIBRC", "KMP_", "GOMP_", "TORCH_", "PYTORCH_")
KEPT = ("NUMBA_CACHE_DIR", "TORCH_HOME")


def settle(environment: MutableMapping[str, str] = os.environ) -> None:
    """Make `environment` that of a job. To be called before NumPy, PyTorch, Numba or Matplotlib are imported."""
    for name in [name for name in environment if name.startswith(REMOVED) and name not in KEPT]:
        del environment[name]
    environment.update(FIXED)
