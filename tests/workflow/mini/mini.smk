# The study in miniature: data -> rounds of chunks and a filter, and a training -> table -> figures.
include: "base.smk"


def chunks(wildcards):
    return [
        f"{RESULTS}/round{wildcards.number}/rows_{chunk * config['rows']}.parquet" for chunk in range(config["chunks"])
    ]


def previous(wildcards):
    number = int(wildcards.number)
    return f"{RESULTS}/round{number - 1}/kept.npz" if number else f"{RESULTS}/data.npz"


rule target:
    input:
        "<results>/figures/summary.txt",
        "<results>/metrics.parquet",
        [f"<results>/trouble{n}.txt" for n in range(config["troubles"])],


use rule stage as data with:
    input:
        source=config["source"],
    output:
        out="<results>/data.npz",
    log:
        "<logs>/data.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        **stage("mini.data"),


use rule stage as simulate with:
    input:
        previous=previous,
    output:
        out="<results>/round{number}/rows_{first}.parquet",
    log:
        "<logs>/round{number}_{first}.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        **stage("mini.simulate", *("number", "first"), rows=config["rows"], seed=SEED, pause=config["pause"]),


use rule stage as filter with:
    input:
        chunks=chunks,
    output:
        out="<results>/round{number}/kept.npz",
    log:
        "<logs>/kept{number}.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        **stage("mini.filter", eps=config["eps"]),


use rule stage as fit with:
    input:
        numbers="<results>/data.npz",
    output:
        out="<results>/fit.pt",
    log:
        "<logs>/fit.txt",
    resources:
        runtime=5,
        mem_mb=1500,
    params:
        **stage("mini.fit", steps=config["steps"], seed=SEED, pause=config["pause"]),


use rule stage as metrics with:
    input:
        rounds=[f"<results>/round{n}/kept.npz" for n in range(config["rounds"])],
        fit="<results>/fit.pt",
    output:
        out="<results>/metrics.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=5,
        mem_mb=1500,
    params:
        **stage("mini.metrics"),


use rule stage as figures with:
    input:
        table="<results>/metrics.parquet",
    output:
        out="<results>/figures/summary.txt",
    log:
        "<logs>/figures.txt",
    resources:
        runtime=5,
        mem_mb=500,
    params:
        **stage("mini.figures"),


use rule stage as trouble with:
    output:
        out="<results>/trouble{n}.txt",
    log:
        "<logs>/trouble{n}.txt",
    resources:
        runtime=5,
        mem_mb=lambda wildcards, attempt: config["ask_mb"] * attempt,
    params:
        **stage("mini.trouble", kind=config["trouble"], megabytes=config["take_mb"]),
