# What every rule shares. A rule names its inputs, outputs, log and settings; the command line is made from these names.
import sys
from pathlib import Path

ROOT = Path(workflow.current_basedir).parents[1]
sys.path.insert(0, str(ROOT / "src"))

from respike.stage import params as stage

RESULTS = workflow.pathvars.apply("<results>")
SEED = config["run"]["seed"]
DEVICE = config["run"]["device"]


rule stage:
    log:
        "<logs>/stage.txt",
    conda:
        "../../environment.yml"
    resources:  # of a rule that names none
        runtime=60,
        mem_mb=4000,
    shell:
        "python -m respike {params.stage} {params.options} > {log:q} 2>&1"
