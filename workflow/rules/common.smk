# Reads and checks the config; what rules say about code and settings. No rule.
import json
import os
import sys
from functools import cache
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "src"))

from respike.core import chunks as respike_chunks
from respike.core import config as respike_config
from respike.core import fingerprint

# Jobs use the Python that runs Snakemake and the code of this checkout, whatever the shell's PATH says.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.getenv("PATH", os.defpath)]),
    PYTHONPATH=str(ROOT / "src"),
)
# Started by hand, without `respike run`: a later run knows by this the jobs that outlive a killed Snakemake (workflow/head.py).
os.environ.setdefault("RESPIKE_RUN", f"snakemake in {Path.cwd()}")

try:
    schema = (ROOT / "workflow/schemas/config.schema.yaml").read_text()
    checked = respike_config.check(config, yaml.load(schema, Loader=yaml.CSafeLoader))
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


def refuse(check, *values):
    """Call `check(*values)` before any job runs; what it refuses with a ValueError stops the workflow with its message."""
    try:
        check(*values)
    except ValueError as error:
        raise WorkflowError(str(error)) from None


def present(folder, names, standin):
    """Inputs of a stage that reads a user's `folder`: those of its files that exist, so that the stage can say what is missing.

    Without a folder, all `names` in the folder `standin`, which the workflow makes.
    """
    if folder is None:
        return [f"{standin}/{name}" for name in names]
    candidates = [Path(folder) / name for stem in names for name in (stem, f"{stem}.gz")]
    return [str(path) for path in candidates if path.is_file()]


finished_chunks = cache(respike_chunks.finished)  # what a run has made by and by does not change its plan


def chunks_of(folder, name, ending, total, chunk, beyond=False):
    """First and last number of each chunk of `total` items; those finished already keep their size (see core.chunks)."""
    return respike_chunks.ranges(finished_chunks(folder, ending).get(name, []), total, chunk, beyond)


wildcard_constraints:
    seed=r"\d+",
