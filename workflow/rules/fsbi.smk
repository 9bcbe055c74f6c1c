# Plasticity rules: drawn, simulated, measured, filtered, and proposed anew, round after round.
include: "fsbi_chunks.smk"


wildcard_constraints:
    network="poly|mlp",
    round=r"\d+",
    part=r"round\d+|longevity|example",
    first=r"\d+",
    member=r"\d+",


rule fsbi:
    input:
        "results/fsbi/metrics.parquet",


rule fsbi_rules:
    input:
        members=fsbi_members,
        thinning=fsbi_thinning,
    output:
        "results/fsbi/{network}/round{round}/rules_{first}.parquet",
    log:
        "results/fsbi/log/{network}_round{round}_rules_{first}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_rules_{first}.tsv"
    params:
        code=code("fsbi.data"),
        settings=fsbi_proposal,
        how_many=lambda wildcards: FSBI[wildcards.network]["chunk"],
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    shell:
        "python -m respike fsbi.data --out {output} --members {input.members} --thinning {input.thinning}"
        " --rule {wildcards.network} --round {wildcards.round} --first {wildcards.first} --count {params.how_many}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_surrogate:
    input:
        "results/fsbi/{network}/{part}/rules_{first}.parquet",
    output:
        "results/fsbi/{network}/{part}/surrogate_{first}.parquet",
    log:
        "results/fsbi/log/{network}_{part}_surrogate_{first}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_{part}_surrogate_{first}.tsv"
    params:
        code=code("fsbi.surrogate"),
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    shell:
        "python -m respike fsbi.surrogate --rules {input} --out {output} --rule {wildcards.network} > {log} 2>&1"


rule fsbi_table:
    input:
        rules=fsbi_proposed,
        chunks=fsbi_found,
    output:
        table="results/fsbi/{network}/round{round}/table.parquet",
        records="results/fsbi/{network}/round{round}/table.npy",
    log:
        "results/fsbi/log/{network}_round{round}_table.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_table.tsv"
    params:
        code=code("fsbi.table"),
        dataset=fsbi_dataset,
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    shell:
        "python -m respike fsbi.table --rules {input.rules} --chunks {input.chunks} --out {output.table}"
        " --records {output.records} --rule {wildcards.network} --round {wildcards.round}"
        " --dataset {params.dataset:q} > {log} 2>&1"


rule fsbi_filter:
    input:
        fsbi_before,
    output:
        "results/fsbi/{network}/round{round}/training.parquet",
    log:
        "results/fsbi/log/{network}_round{round}_filter.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_filter.tsv"
    params:
        code=code("fsbi.filter"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        margins=lambda wildcards: json.dumps(fsbi_entry(wildcards)["filter"], sort_keys=True),
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.filter --tables {input} --out {output} --rule {wildcards.network}"
        " --round {wildcards.round} --metrics {params.metrics} --margins {params.margins:q} > {log} 2>&1"


rule fsbi_classify:
    input:
        fsbi_before,
    output:
        "results/fsbi/{network}/round{round}/classifier.npz",
    log:
        "results/fsbi/log/{network}_round{round}_classify.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_classify.tsv"
    params:
        code=code("fsbi.classify"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        thin=lambda wildcards: fsbi_entry(wildcards)["thin"],
        targets=lambda wildcards: json.dumps(fsbi_targets(wildcards), sort_keys=True),
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.classify --tables {input} --out {output} --rule {wildcards.network}"
        " --round {wildcards.round} --metrics {params.metrics} --targets {params.targets:q} --thin {params.thin}"
        " --seed {params.seed} > {log} 2>&1"


rule fsbi_fit:
    input:
        "results/fsbi/{network}/round{round}/training.parquet",
    output:
        "results/fsbi/{network}/round{round}/member{member}.pt",
    log:
        "results/fsbi/log/{network}_round{round}_fit_{member}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_fit_{member}.tsv"
    params:
        code=code("fsbi.fit"),
        settings=lambda wildcards: settings("fsbi", wildcards.network, "fit"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        device=config["run"]["device"],
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.fit --training {input} --out {output} --rule {wildcards.network}"
        " --round {wildcards.round} --member {wildcards.member} --metrics {params.metrics}"
        " --settings {params.settings:q} --device {params.device} --seed {params.seed} > {log} 2>&1"


rule fsbi_examine:
    input:
        training="results/fsbi/{network}/round{round}/training.parquet",
        members=fsbi_members,
    output:
        "results/fsbi/{network}/round{round}/posterior.npz",
    log:
        "results/fsbi/log/{network}_round{round}_examine.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_examine.tsv"
    params:
        code=code("fsbi.examine"),
        settings=settings("fsbi", "examine"),
        targets=fsbi_proposal,
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.examine --training {input.training} --members {input.members} --out {output}"
        " --rule {wildcards.network} --round {wildcards.round} --settings {params.settings:q}"
        " --proposal {params.targets:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_compare:
    output:
        "results/fsbi/compare.parquet",
    log:
        "results/fsbi/log/compare.txt",
    benchmark:
        "results/fsbi/benchmark/compare.tsv"
    params:
        code=code("fsbi.compare"),
        settings=settings("fsbi", "compare"),
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.compare --out {output} --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_survivors:
    input:
        fsbi_tables,
    output:
        "results/fsbi/{network}/longevity/rules_0.parquet",
    log:
        "results/fsbi/log/{network}_survivors.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_survivors.tsv"
    params:
        code=code("fsbi.survivors"),
        settings=fsbi_survival(),
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.survivors --tables {input} --out {output} --rule {wildcards.network}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_longevity:
    input:
        rules=fsbi_longevity_rules,
        chunks=fsbi_longevity_found,
    output:
        table="results/fsbi/{network}/longevity/table.parquet",
        records="results/fsbi/{network}/longevity/table.npy",
    log:
        "results/fsbi/log/{network}_longevity_table.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_longevity_table.tsv"
    params:
        code=code("fsbi.table"),
        dataset=fsbi_dataset,
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    shell:
        "python -m respike fsbi.table --rules {input.rules} --chunks {input.chunks} --out {output.table}"
        " --records {output.records} --rule {wildcards.network} --round -1"
        " --dataset {params.dataset:q} > {log} 2>&1"


rule fsbi_whole:
    input:
        chunks=lambda wildcards: FSBI[wildcards.network]["released_whole"],
    output:
        table="results/fsbi/{network}/whole/table.parquet",
        records="results/fsbi/{network}/whole/table.npy",
    log:
        "results/fsbi/log/{network}_whole_table.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_whole_table.tsv"
    params:
        code=code("fsbi.table"),
        dataset="released",
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    shell:
        "python -m respike fsbi.table --rules --chunks {input.chunks} --out {output.table}"
        " --records {output.records} --rule {wildcards.network} --round -2"
        " --dataset {params.dataset:q} > {log} 2>&1"


rule fsbi_metrics:
    input:
        tables=[path for network in FSBI_NETWORKS for path in fsbi_tables_of(network)],
        longevity=expand("results/fsbi/{network}/longevity/table.parquet", network=FSBI_NETWORKS),
        whole=fsbi_whole_tables(),
        posteriors=[path for network in FSBI_NETWORKS for path in fsbi_posteriors(network)],
        compare="results/fsbi/compare.parquet",
    output:
        "results/fsbi/metrics.parquet",
    log:
        "results/fsbi/log/metrics.txt",
    benchmark:
        "results/fsbi/benchmark/metrics.tsv"
    params:
        code=code("fsbi.metrics"),
        settings=fsbi_measured(),
        seed=config["run"]["seed"],
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    shell:
        "python -m respike fsbi.metrics --tables {input.tables} --longevity {input.longevity}"
        " --whole {input.whole} --posteriors {input.posteriors} --compare {input.compare} --out {output}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"
