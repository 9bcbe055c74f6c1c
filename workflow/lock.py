"""`make lock`: resolve the packages that pyproject.toml asks for, once for every Python and system, with uv.

Versions in requirements.lock stay unless pyproject.toml excludes them; to move to newer ones, delete their lines first.
Writes requirements.lock and environment.yml, its conda face: the same versions, installed by pip, compilers included.
"""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Written by `make lock`: one lock for Python 3.11 and later, Linux and macOS; after a semicolon stands where a line counts.
# The CUDA libraries of torch are not listed: on Linux torch itself pins them, and a CPU build of torch goes without.
"""
LEFT_OUT = re.compile(r"^(cuda-|nvidia-|triton==|#)|^$| == 'win32'$")
RESOLVE = "pip compile pyproject.toml --extra test --extra slurm --universal --python-version 3.11"
AS = "--fork-strategy requires-python --no-annotate --no-header --quiet --output-file requirements.lock"

uv = sys.argv[1]
subprocess.run([uv, *RESOLVE.split(), *AS.split()], cwd=ROOT, check=True)
lock = ROOT / "requirements.lock"
pins = [line for line in lock.read_text().splitlines() if not LEFT_OUT.search(line)]
lock.write_text(HEAD + "".join(f"{pin}\n" for pin in pins))
environment = {
    "name": "respike",
    "channels": ["conda-forge", "nodefaults"],
    "dependencies": ["python=3.11", "cxx-compiler", "make", "pip", {"pip": pins}],
}
(ROOT / "environment.yml").write_text(
    "# Written by `make lock`: the versions of requirements.lock for conda users.\n"
    + yaml.safe_dump(environment, sort_keys=False, width=1000)
)
