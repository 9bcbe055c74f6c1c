# Kim et al. 2019: train rate networks, find the scale that turns each into a LIF network, run it, measure, draw.
# Networks are made in chunks called {variant}_{first}-{last}, archives of the replicas first ... last of a variant.
# A variant with `file` takes a given network in place of a training.
include: "rate2lif_chunks.smk"


wildcard_constraints:
    first=r"\d+",
    last=r"\d+",


rule rate2lif_data:
    input:
        source=lambda wildcards: RATE2LIF[wildcards.variant]["file"],
    output:
        "results/rate2lif/networks/{variant}_{first}-{last}.zip",
    log:
        "results/rate2lif/log/data_{variant}_{first}-{last}.txt",
    benchmark:
        "results/rate2lif/benchmark/data_{variant}_{first}-{last}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF_GIVEN) or "none",
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("rate2lif.data"),
        settings=rate2lif_training,
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.data --source {input.source:q} --archive {output} --settings {params.settings:q}"
        " --seed {params.seed} > {log} 2>&1"


rule rate2lif_fit:
    output:
        "results/rate2lif/networks/{variant}_{first}-{last}.zip",
    log:
        "results/rate2lif/log/fit_{variant}_{first}-{last}.txt",
    benchmark:
        "results/rate2lif/benchmark/fit_{variant}_{first}-{last}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF_TRAINED) or "none",
    conda:
        "../../environment.yml"
    resources:
        runtime=600,
        mem_mb=2000,
    params:
        code=code("rate2lif.fit"),
        settings=rate2lif_training,
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike rate2lif.fit --archive {output} --settings {params.settings:q} --seed {params.seed}"
        " --device {params.device} > {log} 2>&1"


rule rate2lif_search:
    input:
        "results/rate2lif/networks/{variant}_{first}-{last}.zip",
    output:
        "results/rate2lif/searches/{variant}_{first}-{last}.zip",
    log:
        "results/rate2lif/log/search_{variant}_{first}-{last}.txt",
    benchmark:
        "results/rate2lif/benchmark/search_{variant}_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=1000,
    params:
        code=code("rate2lif.search"),
        settings=settings("rate2lif", "search"),
        scales=lambda wildcards: settings("rate2lif", "variants", wildcards.variant, "scales"),
        options=settings("rate2lif", "conditions", "standard"),
        task=rate2lif_task,
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.search --source {input} --archive {output} --task {params.task}"
        " --settings {params.settings:q} --scales {params.scales:q} --options {params.options:q}"
        " --seed {params.seed} > {log} 2>&1"


rule rate2lif_simulate:
    input:
        "results/rate2lif/networks/{variant}_{first}-{last}.zip",
        "results/rate2lif/searches/{variant}_{first}-{last}.zip",
    output:
        "results/rate2lif/trials/{variant}_{first}-{last}.zip",
    log:
        "results/rate2lif/log/simulate_{variant}_{first}-{last}.txt",
    benchmark:
        "results/rate2lif/benchmark/simulate_{variant}_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=2000,
    params:
        code=code("rate2lif.simulate"),
        settings=settings("rate2lif", "simulate"),
        conditions=rate2lif_conditions,
        task=rate2lif_task,
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.simulate --sources {input} --archive {output} --task {params.task}"
        " --settings {params.settings:q} --conditions {params.conditions:q} --seed {params.seed} > {log} 2>&1"


rule rate2lif_metrics:
    input:
        expand("results/rate2lif/{kind}/{chunk}.zip", kind=["networks", "searches", "trials"], chunk=RATE2LIF_CHUNKS),
    output:
        table="results/rate2lif/metrics.parquet",
    log:
        "results/rate2lif/log/metrics.txt",
    benchmark:
        "results/rate2lif/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("rate2lif.metrics"),
        training=json.dumps({name: variant["training"] for name, variant in RATE2LIF.items()}, sort_keys=True),
        chunks=" ".join(RATE2LIF_CHUNKS),
    shell:
        "python -m respike rate2lif.metrics --folder results/rate2lif --chunks {params.chunks}"
        " --training {params.training:q} --table {output.table} > {log} 2>&1"


RATE2LIF_FIGURES = {
    "fig1_training": "Fig. 1B",
    "fig1_fig2_sizes": "Fig. 1C, 2C",
    "fig2_scale": "Fig. 2B",
    "fig2_tau": "Fig. 2D, 2E",
    "fig4_contextual": "Fig. 3B, 3C, 4A",
    "fig4_cells": "Fig. 4C-E",
    "fig5_decay": "Fig. 5",
    "fig6_conditions": "Fig. 6",
    "fig7_activations": "Fig. 7",
    "figS1_rates": "Fig. S1",
    "figS2_components": "Fig. S2",
    "figS3_motif": "Fig. S3",
    "figS5_axes": "Fig. S5",
    "evaluation": "evaluation script",
    "tasks": "all tasks",
}


rule rate2lif_figures:
    input:
        chunks=rules.rate2lif_metrics.input,
        metrics="results/rate2lif/metrics.parquet",
    output:
        [
            report(
                f"results/rate2lif/figures/{name}.png",
                caption=f"../report/rate2lif_{name}.rst",
                category="rate2lif",
                subcategory=answers,
            )
            for name, answers in RATE2LIF_FIGURES.items()
        ],
        expand("results/rate2lif/figures/{name}.pdf", name=RATE2LIF_FIGURES),
    log:
        "results/rate2lif/log/figures.txt",
    benchmark:
        "results/rate2lif/benchmark/figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=1000,
    params:
        code=code("rate2lif.figures"),
        chunks=" ".join(RATE2LIF_CHUNKS),
        roles=settings("rate2lif", "figures"),
    shell:
        "python -m respike rate2lif.figures --folder results/rate2lif --chunks {params.chunks} --metrics {input.metrics}"
        " --roles {params.roles:q} --out results/rate2lif/figures > {log} 2>&1"


rule rate2lif:
    input:
        rules.rate2lif_figures.output,
        "results/rate2lif/metrics.parquet",
