# Kim et al. 2019: train rate networks, find the scale that turns each into a LIF network, run it, measure, draw.
# A network is named {variant}_{replica}; a variant with `file` takes a given network in place of a training.
from itertools import product

RATE2LIF = config["rate2lif"]["variants"]
RATE2LIF_GIVEN = [name for name, variant in RATE2LIF.items() if variant["file"]]
RATE2LIF_TRAINED = [name for name in RATE2LIF if name not in RATE2LIF_GIVEN]
RATE2LIF_NETWORKS = [f"{name}_{replica}" for name in RATE2LIF for replica in range(RATE2LIF[name]["replicas"])]

for place, names, known in [
    *((f"variants.{name}.conditions", RATE2LIF[name]["conditions"], "conditions") for name in RATE2LIF),
    *((f"figures.{role}", names, "variants") for role, names in config["rate2lif"]["figures"].items()),
]:
    for name in names if isinstance(names, list) else [names]:
        if name not in config["rate2lif"][known]:
            raise WorkflowError(
                f"config: rate2lif.{place} names {name!r}, which rate2lif.{known} does not have;"
                f" it has {', '.join(config['rate2lif'][known])}"
            )
if RATE2LIF[config["rate2lif"]["figures"]["contextual"]]["training"]["task"] != "mante":
    raise WorkflowError("config: rate2lif.figures.contextual must name a variant whose task is mante")


rule rate2lif_data:
    input:
        source=lambda wildcards: RATE2LIF[wildcards.variant]["file"],
    output:
        network="results/rate2lif/networks/{variant}_{replica}.mat",
        history="results/rate2lif/histories/{variant}_{replica}.parquet",
        activity="results/rate2lif/activities/{variant}_{replica}.npz",
    log:
        "results/rate2lif/log/data_{variant}_{replica}.txt",
    benchmark:
        "results/rate2lif/benchmark/data_{variant}_{replica}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF_GIVEN) or "none",
        replica=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("rate2lif.data"),
        settings=lambda wildcards: settings("rate2lif", "variants", wildcards.variant, "training"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.data --source {input.source:q} --network {output.network} --history {output.history}"
        " --activity {output.activity} --settings {params.settings:q} --variant {wildcards.variant}"
        " --replica {wildcards.replica} --seed {params.seed} > {log} 2>&1"


rule rate2lif_fit:
    output:
        network="results/rate2lif/networks/{variant}_{replica}.mat",
        history="results/rate2lif/histories/{variant}_{replica}.parquet",
        activity="results/rate2lif/activities/{variant}_{replica}.npz",
    log:
        "results/rate2lif/log/fit_{variant}_{replica}.txt",
    benchmark:
        "results/rate2lif/benchmark/fit_{variant}_{replica}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF_TRAINED) or "none",
        replica=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("rate2lif.fit"),
        settings=lambda wildcards: settings("rate2lif", "variants", wildcards.variant, "training"),
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike rate2lif.fit --network {output.network} --history {output.history} --activity {output.activity}"
        " --settings {params.settings:q} --variant {wildcards.variant} --replica {wildcards.replica}"
        " --seed {params.seed} --device {params.device} > {log} 2>&1"


rule rate2lif_search:
    input:
        network="results/rate2lif/networks/{variant}_{replica}.mat",
        activity="results/rate2lif/activities/{variant}_{replica}.npz",
    output:
        table="results/rate2lif/searches/{variant}_{replica}.parquet",
        scaled="results/rate2lif/scaled/{variant}_{replica}.mat",
    log:
        "results/rate2lif/log/search_{variant}_{replica}.txt",
    benchmark:
        "results/rate2lif/benchmark/search_{variant}_{replica}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF),
        replica=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=1000,
    params:
        code=code("rate2lif.search"),
        settings=settings("rate2lif", "search"),
        scales=lambda wildcards: settings("rate2lif", "variants", wildcards.variant, "scales"),
        options=settings("rate2lif", "conditions", "standard"),
        task=lambda wildcards: RATE2LIF[wildcards.variant]["training"]["task"],
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.search --network {input.network} --activity {input.activity} --task {params.task}"
        " --table {output.table} --scaled {output.scaled} --settings {params.settings:q} --scales {params.scales:q}"
        " --options {params.options:q} --variant {wildcards.variant} --replica {wildcards.replica}"
        " --seed {params.seed} > {log} 2>&1"


rule rate2lif_simulate:
    input:
        network="results/rate2lif/scaled/{variant}_{replica}.mat",
        activity="results/rate2lif/activities/{variant}_{replica}.npz",
    output:
        table="results/rate2lif/trials/{variant}_{replica}.parquet",
        shown="results/rate2lif/shown/{variant}_{replica}.npz",
        spikes="results/rate2lif/spikes/{variant}_{replica}.npz",
    log:
        "results/rate2lif/log/simulate_{variant}_{replica}.txt",
    benchmark:
        "results/rate2lif/benchmark/simulate_{variant}_{replica}.tsv"
    wildcard_constraints:
        variant="|".join(RATE2LIF),
        replica=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        code=code("rate2lif.simulate"),
        settings=settings("rate2lif", "simulate"),
        conditions=lambda wildcards: json.dumps(
            {name: config["rate2lif"]["conditions"][name] for name in RATE2LIF[wildcards.variant]["conditions"]}
        ),
        task=lambda wildcards: RATE2LIF[wildcards.variant]["training"]["task"],
        seed=config["run"]["seed"],
    shell:
        "python -m respike rate2lif.simulate --network {input.network} --activity {input.activity} --task {params.task}"
        " --table {output.table} --shown {output.shown} --spike-file {output.spikes} --settings {params.settings:q}"
        " --conditions {params.conditions:q} --variant {wildcards.variant} --replica {wildcards.replica}"
        " --seed {params.seed} > {log} 2>&1"


rule rate2lif_metrics:
    input:
        histories=expand("results/rate2lif/histories/{name}.parquet", name=RATE2LIF_NETWORKS),
        activities=expand("results/rate2lif/activities/{name}.npz", name=RATE2LIF_NETWORKS),
        networks=expand("results/rate2lif/scaled/{name}.mat", name=RATE2LIF_NETWORKS),
        searches=expand("results/rate2lif/searches/{name}.parquet", name=RATE2LIF_NETWORKS),
        trials=expand("results/rate2lif/trials/{name}.parquet", name=RATE2LIF_NETWORKS),
        shown=expand("results/rate2lif/shown/{name}.npz", name=RATE2LIF_NETWORKS),
        spikes=expand("results/rate2lif/spikes/{name}.npz", name=RATE2LIF_NETWORKS),
    output:
        table="results/rate2lif/metrics.parquet",
    log:
        "results/rate2lif/log/metrics.txt",
    benchmark:
        "results/rate2lif/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("rate2lif.metrics"),
        training=json.dumps({name: variant["training"] for name, variant in RATE2LIF.items()}, sort_keys=True),
        names=" ".join(RATE2LIF_NETWORKS),
    shell:
        "python -m respike rate2lif.metrics --folder results/rate2lif --names {params.names}"
        " --training {params.training:q} --table {output.table} > {log} 2>&1"


RATE2LIF_FIGURES = {
    "fig1_training": "Fig. 1B",
    "fig1_fig2_sizes": "Fig. 1C, 2C",
    "fig2_scale": "Fig. 2B",
    "fig2_tau": "Fig. 2D, 2E",
    "fig4_contextual": "Fig. 3, 4",
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
        networks=rules.rate2lif_metrics.input,
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
        roles=settings("rate2lif", "figures"),
    shell:
        "python -m respike rate2lif.figures --folder results/rate2lif --metrics {input.metrics} --roles {params.roles:q}"
        " --out results/rate2lif/figures > {log} 2>&1"


rule rate2lif:
    input:
        rules.rate2lif_figures.output,
        "results/rate2lif/metrics.parquet",
