# Plasticity rules: drawn, simulated, measured, filtered, and proposed anew, round after round.
include: "fsbi_chunks.smk"


wildcard_constraints:
    network="poly|mlp",
    round=r"\d+",
    part=r"round\d+|longevity|example",
    first=r"\d+",
    last=r"\d+",
    member=r"\d+",


include: "fsbi_simulator.smk"


rule fsbi:
    input:
        [f"results/fsbi/figures/{network}_{name}.png" for network in FSBI_NETWORKS for name in fsbi_figures_of(network)],
        "results/fsbi/metrics.parquet",


rule fsbi_rules:
    input:
        members=fsbi_members,
        thinning=fsbi_thinning,
    output:
        "results/fsbi/{network}/round{round}/rules_{first}-{last}.parquet",
    log:
        "results/fsbi/log/{network}_round{round}_rules_{first}-{last}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_rules_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("fsbi.data"),
        settings=fsbi_proposal,
        how_many=fsbi_count,
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.data --out {output} --members {input.members} --thinning {input.thinning}"
        " --rule {wildcards.network} --round {wildcards.round} --first {wildcards.first} --count {params.how_many}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_surrogate:
    input:
        fsbi_drawn_files,
    output:
        "results/fsbi/{network}/{part}/surrogate_{first}-{last}.parquet",
    log:
        "results/fsbi/log/{network}_{part}_surrogate_{first}-{last}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_{part}_surrogate_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("fsbi.surrogate"),
        skipped=fsbi_skipped,
        how_many=fsbi_count,
    shell:
        "python -m respike fsbi.surrogate --rules {input} --first {params.skipped} --count {params.how_many}"
        " --out {output} --rule {wildcards.network} > {log} 2>&1"


rule fsbi_table:
    input:
        rules=lambda wildcards: fsbi_proposed(wildcards.network, f"round{wildcards.round}"),
        chunks=lambda wildcards: fsbi_found(wildcards.network, f"round{wildcards.round}"),
    output:
        table="results/fsbi/{network}/round{round}/table.parquet",
        records="results/fsbi/{network}/round{round}/table.npy",
    log:
        "results/fsbi/log/{network}_round{round}_table.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_table.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("fsbi.table"),
        dataset=fsbi_dataset,
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
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        code=code("fsbi.filter"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        margins=lambda wildcards: json.dumps(fsbi_entry(wildcards)["filter"], sort_keys=True),
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
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        code=code("fsbi.classify"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        thin=lambda wildcards: fsbi_entry(wildcards)["thin"],
        sees=lambda wildcards: fsbi_entry(wildcards)["thin_by"],
        targets=fsbi_labels,
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.classify --tables {input} --out {output} --rule {wildcards.network}"
        " --round {wildcards.round} --metrics {params.metrics} --targets {params.targets:q} --thin {params.thin}"
        " --sees {params.sees} --seed {params.seed} > {log} 2>&1"


rule fsbi_fit:
    input:
        "results/fsbi/{network}/round{round}/training.parquet",
    output:
        "results/fsbi/{network}/round{round}/member{member}.pt",
    log:
        "results/fsbi/log/{network}_round{round}_fit_{member}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_round{round}_fit_{member}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        code=code("fsbi.fit"),
        settings=lambda wildcards: settings("fsbi", wildcards.network, "fit"),
        metrics=lambda wildcards: fsbi_entry(wildcards)["metrics"],
        device=config["run"]["device"],
        seed=config["run"]["seed"],
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
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        code=code("fsbi.examine"),
        settings=settings("fsbi", "examine"),
        targets=fsbi_conditioned,
        seed=config["run"]["seed"],
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
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        code=code("fsbi.compare"),
        settings=settings("fsbi", "compare"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.compare --out {output} --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_survivors:
    input:
        fsbi_tables,
    output:
        "results/fsbi/{network}/longevity/rules_{first}-{last}.parquet",
    log:
        "results/fsbi/log/{network}_survivors_{first}-{last}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_survivors_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        code=code("fsbi.survivors"),
        settings=fsbi_survival(),
        how_many=fsbi_count,
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.survivors --tables {input} --out {output} --rule {wildcards.network}"
        " --first {wildcards.first} --count {params.how_many} --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_longevity:
    input:
        rules=lambda wildcards: fsbi_proposed(wildcards.network, "longevity"),
        chunks=lambda wildcards: fsbi_found(wildcards.network, "longevity"),
    output:
        table="results/fsbi/{network}/longevity/table.parquet",
        records="results/fsbi/{network}/longevity/table.npy",
    log:
        "results/fsbi/log/{network}_longevity_table.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_longevity_table.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("fsbi.table"),
        dataset=fsbi_dataset,
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
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("fsbi.table"),
        dataset="released",
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
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        code=code("fsbi.metrics"),
        settings=fsbi_measured(),
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.metrics --tables {input.tables} --longevity {input.longevity}"
        " --whole {input.whole} --posteriors {input.posteriors} --compare {input.compare} --out {output}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_example:
    input:
        fsbi_tables,
    output:
        "results/fsbi/{network}/example/rules_0-0.parquet",
    log:
        "results/fsbi/log/{network}_example.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_example.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        code=code("fsbi.example"),
        targets=settings("fsbi", "targets"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike fsbi.example --tables {input} --out {output} --rule {wildcards.network}"
        " --targets {params.targets:q} --seed {params.seed} > {log} 2>&1"


rule fsbi_figures_poly:
    input:
        tables=fsbi_tables_of("poly"),
        longevity="results/fsbi/poly/longevity/table.parquet",
        posteriors=fsbi_posteriors("poly"),
        example="results/fsbi/poly/example/rules_0-0.parquet",
        recordings=fsbi_recordings("poly"),
        compare="results/fsbi/compare.parquet",
    output:
        [f"results/fsbi/figures/poly_{name}.pdf" for name in fsbi_figures_of("poly")],
        [
            report(
                f"results/fsbi/figures/poly_{name}.png",
                caption=f"../report/fsbi_{name}.rst",
                category="fsbi",
                labels={"network": "poly", "figure": name},
            )
            for name in fsbi_figures_of("poly")
        ],
    log:
        "results/fsbi/log/poly_figures.txt",
    benchmark:
        "results/fsbi/benchmark/poly_figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        code=code("fsbi.figures"),
        settings=fsbi_shown("poly"),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "python -m respike fsbi.figures --tables {input.tables} --longevity {input.longevity}"
        " --posteriors {input.posteriors} --example {input.example} --recordings {input.recordings}"
        " --compare {input.compare} --folder {params.folder} --rule poly --settings {params.settings:q} > {log} 2>&1"


rule fsbi_figures_mlp:
    input:
        tables=fsbi_tables_of("mlp"),
        longevity="results/fsbi/mlp/longevity/table.parquet",
        posteriors=fsbi_posteriors("mlp"),
        example="results/fsbi/mlp/example/rules_0-0.parquet",
        recordings=fsbi_recordings("mlp"),
        compare="results/fsbi/compare.parquet",
        hidden=fsbi_hidden("mlp"),
    output:
        [f"results/fsbi/figures/mlp_{name}.pdf" for name in fsbi_figures_of("mlp")],
        [
            report(
                f"results/fsbi/figures/mlp_{name}.png",
                caption=f"../report/fsbi_{name}.rst",
                category="fsbi",
                labels={"network": "mlp", "figure": name},
            )
            for name in fsbi_figures_of("mlp")
        ],
    log:
        "results/fsbi/log/mlp_figures.txt",
    benchmark:
        "results/fsbi/benchmark/mlp_figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        code=code("fsbi.figures"),
        settings=fsbi_shown("mlp"),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
    shell:
        "python -m respike fsbi.figures --tables {input.tables} --longevity {input.longevity}"
        " --posteriors {input.posteriors} --example {input.example} --recordings {input.recordings}"
        " --compare {input.compare} --hidden {input.hidden:q} --folder {params.folder} --rule mlp --settings {params.settings:q} > {log} 2>&1"
