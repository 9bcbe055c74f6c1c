# All studies together: the joined metrics table and the scorecard.


rule metrics_table:
    input:
        tables=expand("results/{study}/metrics.parquet", study=STUDIES),
    output:
        table="results/metrics.parquet",
    log:
        "results/report/log/tables.txt",
    benchmark:
        "results/report/benchmark/tables.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("report.tables"),
    shell:
        "python -m respike report.tables --tables {input.tables} --out {output.table} > {log} 2>&1"


rule scorecard:
    input:
        metrics="results/metrics.parquet",
        claims=expand("src/respike/{study}/claims.csv", study=STUDIES),
    output:
        csv=report("results/scorecard.csv", caption="../report/scorecard.rst", category="scorecard"),
        html="results/scorecard.html",
    log:
        "results/report/log/scorecard.txt",
    benchmark:
        "results/report/benchmark/scorecard.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("report.scorecard"),
        size=config["run"]["size"],
    shell:
        "python -m respike report.scorecard --metrics {input.metrics} --claims {input.claims}"
        " --size {params.size} --csv {output.csv} --html {output.html} > {log} 2>&1"


# A job that failed is tried again with more: many fail because memory or time ran out (retries are set in profiles/slurm).
for each in workflow.rules:
    for name in {"mem_mb", "runtime"} & set(each.resources):
        if isinstance(each.resources[name].raw, int):
            each.resources[name] = lambda wildcards, attempt, first=each.resources[name].raw: first * attempt
