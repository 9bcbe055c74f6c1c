# Barrel cortex: sweeps -> input -> trainings -> responses, deprivation, scan, ablation, baselines -> measures -> figures.
from respike.barrel import sources as barrel_sources

BARREL = config["barrel"]
refuse(barrel_sources.chosen, BARREL["recording"])
BARREL_FILES = barrel_sources.chosen(BARREL["recording"])
BARREL_FITS = [f"{form}_seed{k}" for form in ("spiking", "real") for k in range(BARREL["seeds"][form])]
BARREL_SEED, BARREL_DEVICE = config["run"]["seed"], config["run"]["device"]
BARREL_FIGURES = {
    "array": "whisker array and objects",
    "encoding": "1 encoding",
    "initialisation": "2 initialisation",
    "raster": "3 raster and rates",
    "selectivity": "4 selectivity",
    "time_constants": "5 time constants of L4",
    "time_constants_all": "5 time constants of all",
    "rates": "6 driven rates",
    "degrees": "7 degrees",
    "deprivation": "8 deprivation",
    "ablation": "9 ablation",
    "training": "training",
}


wildcard_constraints:
    form="spiking|real",
    wiring="anatomical|random|full|fixed",
    shard=r"\d+",


rule barrel:
    input:
        "results/barrel/metrics.parquet",
        expand("results/barrel/figures/{name}.{suffix}", name=BARREL_FIGURES, suffix=["pdf", "png"]),
        "results/barrel/figures/sweep.gif",


rule barrel_generate:
    output:
        shard="results/barrel/sweeps/shard{shard}.npz",
    log:
        "results/barrel/log/generate_shard{shard}.txt",
    benchmark:
        "results/barrel/benchmark/generate_shard{shard}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=120,
        mem_mb=4000,
    params:
        code=code("barrel.generate"),
        shards=BARREL["shards"],
        settings=settings("barrel", "sweeps"),
        seed=BARREL_SEED,
    shell:
        "python -m respike barrel.generate --out {output.shard} --shard {wildcards.shard} --shards {params.shards}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule barrel_gather:
    input:
        shards=expand("results/barrel/sweeps/shard{shard}.npz", shard=range(BARREL["shards"])),
    output:
        train="results/barrel/sweeps/train.h5",
        test="results/barrel/sweeps/test.h5",
    log:
        "results/barrel/log/gather.txt",
    benchmark:
        "results/barrel/benchmark/gather.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        code=code("barrel.gather"),
        settings=settings("barrel", "sweeps"),
        seed=BARREL_SEED,
    shell:
        "python -m respike barrel.gather --shards {input.shards} --train {output.train} --test {output.test}"
        " --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule barrel_data:
    input:
        train=BARREL_FILES["train"],
        test=BARREL_FILES["test"],
    output:
        inputs="results/barrel/inputs/{form}.npz",
    log:
        "results/barrel/log/data_{form}.txt",
    benchmark:
        "results/barrel/benchmark/data_{form}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        code=code("barrel.data"),
        normalise=BARREL["real"]["encoding"]["normalise"],
    shell:
        "python -m respike barrel.data --train {input.train:q} --test {input.test:q} --form {wildcards.form}"
        " --normalise {params.normalise} --out {output.inputs} > {log} 2>&1"


rule barrel_fit:
    input:
        inputs="results/barrel/inputs/{form}.npz",
    output:
        fit="results/barrel/fits/{form}_seed{seed}.pt",
        history="results/barrel/fits/{form}_seed{seed}.parquet",
    log:
        "results/barrel/log/fit_{form}_seed{seed}.txt",
    benchmark:
        "results/barrel/benchmark/fit_{form}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=2880,
        mem_mb=8000,
    params:
        code=code("barrel.fit"),
        settings=lambda wildcards: settings("barrel", wildcards.form),
        seed=lambda wildcards: BARREL_SEED + int(wildcards.seed),
        device=BARREL_DEVICE,
    shell:
        "python -m respike barrel.fit --inputs {input.inputs} --form {wildcards.form} --out {output.fit} --history {output.history}"
        " --settings {params.settings:q} --seed {params.seed} --device {params.device} > {log} 2>&1"


rule barrel_crossval:
    input:
        inputs="results/barrel/inputs/{form}.npz",
    output:
        table="results/barrel/crossval/{form}.parquet",
    log:
        "results/barrel/log/crossval_{form}.txt",
    benchmark:
        "results/barrel/benchmark/crossval_{form}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10000,
        mem_mb=8000,
    params:
        code=code("barrel.crossval"),
        settings=lambda wildcards: settings("barrel", wildcards.form),
        folds='{{"repeats": {repeats}, "folds": {folds}}}'.format(**BARREL["crossval"]),
        seed=BARREL_SEED,
        device=BARREL_DEVICE,
    shell:
        "python -m respike barrel.crossval --inputs {input.inputs} --form {wildcards.form} --out {output.table}"
        " --settings {params.settings:q} --folds {params.folds:q} --seed {params.seed} --device {params.device} > {log} 2>&1"


rule barrel_baselines:
    input:
        inputs="results/barrel/inputs/{form}.npz",
    output:
        table="results/barrel/baselines/{form}.parquet",
    log:
        "results/barrel/log/baselines_{form}.txt",
    benchmark:
        "results/barrel/benchmark/baselines_{form}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        code=code("barrel.baselines"),
        folds='{{"repeats": {repeats}, "folds": {folds}}}'.format(**BARREL["crossval"]),
        seed=BARREL_SEED,
    shell:
        "python -m respike barrel.baselines --inputs {input.inputs} --form {wildcards.form} --out {output.table}"
        " --folds {params.folds:q} --seed {params.seed} > {log} 2>&1"


rule barrel_ablation:
    input:
        inputs="results/barrel/inputs/spiking.npz",
    output:
        table="results/barrel/ablation/{wiring}.parquet",
    log:
        "results/barrel/log/ablation_{wiring}.txt",
    benchmark:
        "results/barrel/benchmark/ablation_{wiring}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10000,
        mem_mb=8000,
    params:
        code=code("barrel.ablation"),
        settings=settings("barrel", "spiking"),
        networks=BARREL["ablation"]["networks"],
        seed=BARREL_SEED,
        device=BARREL_DEVICE,
    shell:
        "python -m respike barrel.ablation --inputs {input.inputs} --form spiking --wiring {wildcards.wiring} --out {output.table}"
        " --settings {params.settings:q} --networks {params.networks} --seed {params.seed} --device {params.device} > {log} 2>&1"


rule barrel_scan:
    input:
        inputs="results/barrel/inputs/spiking.npz",
    output:
        table="results/barrel/scan/cv.parquet",
        history="results/barrel/scan/history.parquet",
    log:
        "results/barrel/log/scan.txt",
    benchmark:
        "results/barrel/benchmark/scan.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=2880,
        mem_mb=8000,
    params:
        code=code("barrel.scan"),
        settings=settings("barrel", "spiking"),
        grid=settings("barrel", "scan"),
        seed=BARREL_SEED,
        device=BARREL_DEVICE,
    shell:
        "python -m respike barrel.scan --inputs {input.inputs} --out {output.table} --history {output.history}"
        " --settings {params.settings:q} --grid {params.grid:q} --seed {params.seed} --device {params.device} > {log} 2>&1"


rule barrel_deprive:
    input:
        inputs="results/barrel/inputs/spiking.npz",
        fit="results/barrel/fits/spiking_seed0.pt",
    output:
        table="results/barrel/deprivation.parquet",
    log:
        "results/barrel/log/deprive.txt",
    benchmark:
        "results/barrel/benchmark/deprive.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=1440,
        mem_mb=8000,
    params:
        code=code("barrel.deprive"),
        coding=settings("barrel", "spiking", "encoding"),
        settings=settings("barrel", "deprivation"),
        seed=BARREL_SEED,
    shell:
        "python -m respike barrel.deprive --fit {input.fit} --inputs {input.inputs} --out {output.table}"
        " --coding {params.coding:q} --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule barrel_simulate:
    input:
        inputs="results/barrel/inputs/{form}.npz",
        fit="results/barrel/fits/{form}_seed{seed}.pt",
    output:
        responses="results/barrel/responses/{form}_seed{seed}.npz",
    log:
        "results/barrel/log/simulate_{form}_seed{seed}.txt",
    benchmark:
        "results/barrel/benchmark/simulate_{form}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=8000,
    params:
        code=code("barrel.simulate"),
        coding=lambda wildcards: settings("barrel", wildcards.form, "encoding"),
    shell:
        "python -m respike barrel.simulate --fit {input.fit} --inputs {input.inputs} --out {output.responses} --coding {params.coding:q} > {log} 2>&1"


rule barrel_metrics:
    input:
        histories=expand("results/barrel/fits/{fit}.parquet", fit=BARREL_FITS),
        crossval=expand("results/barrel/crossval/{form}.parquet", form=BARREL["crossval"]["forms"]),
        ablation=expand("results/barrel/ablation/{wiring}.parquet", wiring=BARREL["ablation"]["wirings"]),
        baselines=expand("results/barrel/baselines/{form}.parquet", form=BARREL["crossval"]["forms"]),
        scan="results/barrel/scan/cv.parquet",
        scan_history="results/barrel/scan/history.parquet",
        deprivation="results/barrel/deprivation.parquet",
        responses=expand("results/barrel/responses/spiking_seed{k}.npz", k=range(BARREL["seeds"]["spiking"])),
    output:
        table="results/barrel/metrics.parquet",
    log:
        "results/barrel/log/metrics.txt",
    benchmark:
        "results/barrel/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        code=code("barrel.metrics"),
        seed=BARREL_SEED,
    shell:
        "python -m respike barrel.metrics --histories {input.histories} --crossval {input.crossval} --ablation {input.ablation}"
        " --baselines {input.baselines} --scan {input.scan} --scan-history {input.scan_history}"
        " --deprivation {input.deprivation} --responses {input.responses} --seed {params.seed} --out {output.table} > {log} 2>&1"


rule barrel_figures:
    input:
        histories=expand("results/barrel/fits/{fit}.parquet", fit=BARREL_FITS),
        ablation=expand("results/barrel/ablation/{wiring}.parquet", wiring=BARREL["ablation"]["wirings"]),
        scan="results/barrel/scan/cv.parquet",
        scan_history="results/barrel/scan/history.parquet",
        deprivation="results/barrel/deprivation.parquet",
        responses="results/barrel/responses/spiking_seed0.npz",
        inputs="results/barrel/inputs/spiking.npz",
    output:
        expand("results/barrel/figures/{name}.pdf", name=[name for name in BARREL_FIGURES if name != "array"]),
        *[
            report(
                f"results/barrel/figures/{name}.png",
                caption=f"../report/barrel_{name}.rst",
                category="barrel",
                labels={"figure": label},
            )
            for name, label in BARREL_FIGURES.items()
            if name != "array"
        ],
    log:
        "results/barrel/log/figures.txt",
    benchmark:
        "results/barrel/benchmark/figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        code=code("barrel.figures"),
        coding=settings("barrel", "spiking", "encoding"),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m respike barrel.figures --histories {input.histories} --ablation {input.ablation} --scan {input.scan}"
        " --scan-history {input.scan_history} --deprivation {input.deprivation} --responses {input.responses}"
        " --inputs {input.inputs} --coding {params.coding:q} --folder {params.folder} > {log} 2>&1"


rule barrel_array:
    output:
        pdf="results/barrel/figures/array.pdf",
        png=report(
            "results/barrel/figures/array.png",
            caption="../report/barrel_array.rst",
            category="barrel",
            labels={"figure": BARREL_FIGURES["array"]},
        ),
        movie="results/barrel/figures/sweep.gif",
    log:
        "results/barrel/log/array.txt",
    benchmark:
        "results/barrel/benchmark/array.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=15,
        mem_mb=2000,
    params:
        code=code("barrel.array"),
        settings=settings("barrel", "sweeps"),
        seed=BARREL_SEED,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m respike barrel.array --folder {params.folder} --settings {params.settings:q} --seed {params.seed} > {log} 2>&1"
