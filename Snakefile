# respike: reproduce six published studies of recurrent spiking networks.
# `snakemake --cores 2` makes everything, `snakemake --cores 2 modes` one study. Rules are in workflow/rules.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


STUDIES = ["modes", "v1", "fsbi", "rate2lif", "barrel", "neulvm"]


include: "workflow/rules/mends.smk"
include: "workflow/rules/common.smk"


for study in STUDIES:

    include: f"workflow/rules/{study}.smk"


include: "workflow/rules/activity.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        [getattr(rules, study).input for study in STUDIES],
        "results/metrics.parquet",
        "results/scorecard.csv",
        "results/scorecard.html",
        "results/activity.parquet",
