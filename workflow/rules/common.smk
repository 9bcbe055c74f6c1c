# Reads and checks the config; what rules say about code and settings. No rule.
import json
import os
import sys
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from respike.core import config as respike_config
from respike.core import fingerprint

# Jobs use the Python that runs Snakemake and the code of this checkout, whatever the shell's PATH says.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["PYTHONPATH"] = str(ROOT / "src")

try:
    checked = respike_config.check(config, yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text()))
except respike_config.ConfigError as error:
    raise WorkflowError(str(error)) from None
config.clear()
config.update(checked)


def code(stage):
    """Fingerprint of the code behind `stage`; as a param it makes an edit rerun exactly the stages it can change."""
    return fingerprint.code(stage)


def settings(*path):
    """The part of the config at `path` as JSON text: the smallest slice a rule reads, for instance settings("modes", "fit")."""
    part = config
    for key in path:
        part = part[key]
    return json.dumps(part, sort_keys=True)


wildcard_constraints:
    seed=r"\d+",
