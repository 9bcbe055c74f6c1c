# Sample-and-measure: stand-in or real recording, fits, free runs, measures, figures.

V1_FITS = [
    f"{variant}_{replicate}" for variant in config["v1"]["variants"] for replicate in range(config["v1"]["seeds"])
]
V1_STANDIN = config["v1"]["data_dir"] == "standin"
V1_RAW = "results/v1/raw" if V1_STANDIN else config["v1"]["data_dir"]
V1_FIGURES = ["movie", "rasters", "training", "psth", "correlation_matrices", "correlation_scatter", "couplings"]
V1_FIGURES += ["self_couplings", "methods"]


rule v1:
    input:
        expand("results/v1/figures/{figure}.png", figure=V1_FIGURES),
        "results/v1/metrics.parquet",


rule v1_standin:
    output:
        movie="results/v1/raw/natural_movie.mat",
        events="results/v1/raw/data_monkey1_natural_movie.mat",
        ground_truth="results/v1/raw/ground_truth.npz",
    log:
        "results/v1/log/standin.txt",
    benchmark:
        "results/v1/benchmark/standin.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("v1.standin"),
        settings=settings("v1", "standin"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike v1.standin --movie {output.movie} --events {output.events}"
        " --ground-truth {output.ground_truth} --standin {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule v1_data:
    input:
        raw=(
            [rules.v1_standin.output.movie, rules.v1_standin.output.events]
            if V1_STANDIN
            # files that are not there are missed by the stage, which says where to get them
            else sorted(str(path) for path in Path(V1_RAW).glob("*") if path.suffix in {".mat", ".npy"})
        ),
    output:
        recording="results/v1/recording.npz",
    log:
        "results/v1/log/data.txt",
    benchmark:
        "results/v1/benchmark/data.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        code=code("v1.data"),
        settings=settings("v1", "data"),
        folder=lambda wildcards: V1_RAW,
        dataset="stand-in" if V1_STANDIN else config["v1"]["dataset"],
    shell:
        "python -m respike v1.data --folder {params.folder:q} --out {output.recording} --dataset {params.dataset:q}"
        " --preprocessing {params.settings:q} > {log} 2>&1"


rule v1_fit:
    input:
        recording=rules.v1_data.output.recording,
    output:
        fit="results/v1/fits/{variant}_{replicate}.pt",
        log_table="results/v1/fits/{variant}_{replicate}.parquet",
    log:
        "results/v1/log/fit_{variant}_{replicate}.txt",
    benchmark:
        "results/v1/benchmark/fit_{variant}_{replicate}.tsv"
    wildcard_constraints:
        replicate=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=2000,
    params:
        code=code("v1.fit"),
        network=settings("v1", "network"),
        training=settings("v1", "training"),
        variant=lambda wildcards: settings("v1", "variants", wildcards.variant),
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike v1.fit --recording {input.recording} --out {output.fit} --log-table {output.log_table}"
        " --network {params.network:q} --variant {params.variant:q} --optimiser {params.training:q}"
        " --seed {params.seed} --replicate {wildcards.replicate} --device {params.device} > {log} 2>&1"


rule v1_simulate:
    input:
        recording=rules.v1_data.output.recording,
        fits=expand("results/v1/fits/{fit}.pt", fit=V1_FITS),
    output:
        runs=expand("results/v1/runs/{fit}.npz", fit=V1_FITS),
    log:
        "results/v1/log/simulate.txt",
    benchmark:
        "results/v1/benchmark/simulate.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        code=code("v1.simulate"),
        settings=settings("v1", "sampling"),
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike v1.simulate --recording {input.recording} --fits {input.fits} --out {output.runs}"
        " --sampling {params.settings:q} --seed {params.seed} --device {params.device} > {log} 2>&1"


rule v1_metrics:
    input:
        recording=rules.v1_data.output.recording,
        runs=rules.v1_simulate.output.runs,
        ground_truth=[rules.v1_standin.output.ground_truth] if V1_STANDIN else [],
    output:
        table="results/v1/metrics.parquet",
    log:
        "results/v1/log/metrics.txt",
    benchmark:
        "results/v1/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        code=code("v1.metrics"),
        names=V1_FITS,
    shell:
        "python -m respike v1.metrics --recording {input.recording} --runs {input.runs} --names {params.names}"
        " --ground-truth {input.ground_truth} --out {output.table} > {log} 2>&1"


rule v1_figures:
    input:
        recording=rules.v1_data.output.recording,
        runs=rules.v1_simulate.output.runs,
        logs=expand("results/v1/fits/{fit}.parquet", fit=V1_FITS),
        metrics=rules.v1_metrics.output.table,
        ground_truth=[rules.v1_standin.output.ground_truth] if V1_STANDIN else [],
    output:
        pdf=expand("results/v1/figures/{figure}.pdf", figure=V1_FIGURES),
        png=report(
            expand("results/v1/figures/{figure}.png", figure=V1_FIGURES),
            caption="../report/v1_figures.rst",
            category="v1",
        ),
    log:
        "results/v1/log/figures.txt",
    benchmark:
        "results/v1/benchmark/figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        code=code("v1.figures"),
        names=V1_FITS,
        shown=config["v1"]["shown"],
    shell:
        "python -m respike v1.figures --recording {input.recording} --runs {input.runs} --logs {input.logs}"
        " --names {params.names} --shown {params.shown} --metrics {input.metrics} --ground-truth {input.ground_truth}"
        " --folder results/v1/figures > {log} 2>&1"
