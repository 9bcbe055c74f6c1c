# The rules of the study in miniature.
MINI = config["mini"]


def mini_chunks(wildcards):
    return [f"results/mini/round{wildcards.number}/rows_{c * MINI['rows']}.parquet" for c in range(MINI["chunks"])]


def mini_previous(wildcards):
    n = int(wildcards.number)
    return f"results/mini/round{n - 1}/kept.npz" if n else "results/mini/data.npz"


rule mini:
    input:
        "results/mini/figures/summary.txt",
        "results/mini/metrics.parquet",
        [f"results/mini/trouble{n}.txt" for n in range(MINI["troubles"])],


rule mini_data:
    input:
        MINI["source"],
    output:
        out="results/mini/data.npz",
    log:
        "results/mini/log/data.txt",
    benchmark:
        "results/mini/benchmark/data.tsv"
    resources:
        runtime=5,
        mem_mb=500,
    params:
        code=code("mini.data"),
    shell:
        "python -m respike mini.data --source {input} --out {output.out} > {log} 2>&1"


rule mini_simulate:
    input:
        previous=mini_previous,
    output:
        out="results/mini/round{number}/rows_{first}.parquet",
    log:
        "results/mini/log/round{number}_{first}.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        code=code("mini.simulate"),
        rows=MINI["rows"],
        seed=config["run"]["seed"],
        pause=MINI["pause"],
    shell:
        "python -m respike mini.simulate --previous {input.previous} --out {output.out} --number {wildcards.number}"
        " --first {wildcards.first} --rows {params.rows} --seed {params.seed} --pause {params.pause} > {log} 2>&1"


rule mini_filter:
    input:
        mini_chunks,
    output:
        out="results/mini/round{number}/kept.npz",
    log:
        "results/mini/log/kept{number}.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        code=code("mini.filter"),
        eps=MINI["eps"],
    shell:
        "python -m respike mini.filter --chunks {input} --out {output.out} --eps {params.eps} > {log} 2>&1"


rule mini_fit:
    input:
        "results/mini/data.npz",
    output:
        out="results/mini/fit.pt",
    log:
        "results/mini/log/fit.txt",
    resources:
        runtime=5,
        mem_mb=1500,
    params:
        code=code("mini.fit"),
        steps=MINI["steps"],
        seed=config["run"]["seed"],
        pause=MINI["pause"],
    shell:
        "python -m respike mini.fit --numbers {input} --out {output.out} --steps {params.steps} --seed {params.seed}"
        " --pause {params.pause} > {log} 2>&1"


rule mini_metrics:
    input:
        rounds=[f"results/mini/round{n}/kept.npz" for n in range(MINI["rounds"])],
        fit="results/mini/fit.pt",
    output:
        out="results/mini/metrics.parquet",
    log:
        "results/mini/log/metrics.txt",
    resources:
        runtime=5,
        mem_mb=1500,
    params:
        code=code("mini.metrics"),
    shell:
        "python -m respike mini.metrics --rounds {input.rounds} --fit {input.fit} --out {output.out} > {log} 2>&1"


rule mini_figures:
    input:
        "results/mini/metrics.parquet",
    output:
        out="results/mini/figures/summary.txt",
    log:
        "results/mini/log/figures.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        code=code("mini.figures"),
    shell:
        "python -m respike mini.figures --table {input} --out {output.out} > {log} 2>&1"


rule mini_trouble:
    output:
        out="results/mini/trouble{n}.txt",
    log:
        "results/mini/log/trouble{n}.txt",
    resources:
        runtime=5,
        mem_mb=lambda wildcards, attempt: MINI["ask_mb"] * attempt,
    params:
        code=code("mini.trouble"),
        kind=MINI["trouble"],
        megabytes=MINI["take_mb"],
    shell:
        "python -m respike mini.trouble --out {output.out} --kind {params.kind} --megabytes {params.megabytes} > {log} 2>&1"
