"""Write environment.yml, the conda face of requirements.lock: the same versions, installed by pip, compilers included."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
pins = [line.strip() for line in (ROOT / "requirements.lock").read_text().splitlines() if line.strip()]
environment = {
    "name": "respike",
    "channels": ["conda-forge", "nodefaults"],
    "dependencies": ["python=3.11", "cxx-compiler", "make", "pip", {"pip": pins}],
}
(ROOT / "environment.yml").write_text(
    "# Written by `make lock`: the versions of requirements.lock for conda users.\n"
    + yaml.safe_dump(environment, sort_keys=False)
)
