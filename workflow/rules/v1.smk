# Sample-and-measure: stand-in or real recording, fits, free runs, measures, figures.

V1 = config["v1"]
V1_STANDIN = V1["data_dir"] == "standin"
V1_RAW = "results/v1/raw" if V1_STANDIN else V1["data_dir"]
V1_UNKNOWN = {*V1["shown"], *V1["pareto"], *V1["hidden_study"]["variants"]} - set(V1["variants"])
if V1_UNKNOWN:
    raise WorkflowError(f"config: {sorted(V1_UNKNOWN)} of v1.shown, pareto or hidden_study are not among v1.variants")
V1_REPLICATES = range(V1["seeds"])
# fits of the study, of the sweep over the weight of the noise correlation, and of the study of hidden cells
V1_VARIANTS = expand("{variant}_{replicate}", variant=V1["variants"], replicate=V1_REPLICATES)
V1_PARETO = [f"{variant}@nc{weight:g}" for variant, weights in V1["pareto"].items() for weight in weights]
V1_FITS = V1_VARIANTS + [f"{point}_0" for point in V1_PARETO]
V1_HIDDEN = V1["hidden_study"]["hidden"] if V1_STANDIN else []
V1_FIGURES = (
    "movie rasters training psth correlation_matrices correlation_scatter couplings self_couplings methods".split()
)
V1_FIGURES += ["pareto", "hidden_cells"]


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
        dataset="stand-in" if V1_STANDIN else V1["dataset"],
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
        variant="[a-z0-9+-]+",
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
        "python -m respike v1.fit --recording {input.recording} --out {output.fit} --log-tables {output.log_table}"
        " --network {params.network:q} --variants {params.variant:q} --optimiser {params.training:q}"
        " --seed {params.seed} --replicate {wildcards.replicate} --device {params.device} > {log} 2>&1"


rule v1_pareto:
    input:
        recording=rules.v1_data.output.recording,
    output:
        fits=expand("results/v1/fits/{point}_0.pt", point=V1_PARETO),
        log_tables=expand("results/v1/fits/{point}_0.parquet", point=V1_PARETO),
    log:
        "results/v1/log/pareto.txt",
    benchmark:
        "results/v1/benchmark/pareto.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=1000,
        mem_mb=2000,
    params:
        code=code("v1.fit"),
        network=settings("v1", "network"),
        training=settings("v1", "training"),
        variants=[
            json.dumps(
                V1["variants"][variant]
                | {"objective": V1["variants"][variant]["objective"] | {"noise_correlation": w}}
            )
            for variant, weights in V1["pareto"].items()
            for w in weights
        ],
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike v1.fit --recording {input.recording} --out {output.fits} --log-tables {output.log_tables}"
        " --network {params.network:q} --variants {params.variants:q} --optimiser {params.training:q}"
        " --seed {params.seed} --replicate 0 --device {params.device} > {log} 2>&1"


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
        also=expand("results/v1/hidden/{hidden}/metrics.parquet", hidden=V1_HIDDEN),
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
        " --ground-truth {input.ground_truth} --also {input.also} --out {output.table} > {log} 2>&1"


rule v1_figures:
    input:
        recording=rules.v1_data.output.recording,
        runs=rules.v1_simulate.output.runs,
        logs=expand("results/v1/fits/{fit}.parquet", fit=V1_FITS),
        metrics=rules.v1_metrics.output.table,
        ground_truth=[rules.v1_standin.output.ground_truth] if V1_STANDIN else [],
    output:
        pdf=expand("results/v1/figures/{figure}.pdf", figure=V1_FIGURES),
        png=[
            report(f"results/v1/figures/{figure}.png", caption=f"../report/v1_{figure}.rst", category="v1")
            for figure in V1_FIGURES
        ],
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
        shown=V1["shown"],
    shell:
        "python -m respike v1.figures --recording {input.recording} --runs {input.runs} --logs {input.logs}"
        " --names {params.names} --shown {params.shown} --metrics {input.metrics} --ground-truth {input.ground_truth}"
        " --folder results/v1/figures > {log} 2>&1"


# The study of hidden cells: the chain once more for stand-ins with other numbers of hidden cells.


rule v1_hidden_standin:
    output:
        movie="results/v1/hidden/{hidden}/raw/natural_movie.mat",
        events="results/v1/hidden/{hidden}/raw/data_monkey1_natural_movie.mat",
        ground_truth="results/v1/hidden/{hidden}/raw/ground_truth.npz",
    log:
        "results/v1/log/hidden_standin_{hidden}.txt",
    benchmark:
        "results/v1/benchmark/hidden_standin_{hidden}.tsv"
    wildcard_constraints:
        hidden=r"\d+",
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("v1.standin"),
        settings=lambda wildcards: json.dumps(
            {**V1["standin"], "hidden": int(wildcards.hidden), "least_correlation": 0.0}, sort_keys=True
        ),
        seed=config["run"]["seed"],
    shell:
        "python -m respike v1.standin --movie {output.movie} --events {output.events}"
        " --ground-truth {output.ground_truth} --standin {params.settings:q} --seed {params.seed} > {log} 2>&1"


rule v1_hidden_data:
    input:
        raw=[rules.v1_hidden_standin.output.movie, rules.v1_hidden_standin.output.events],
    output:
        recording="results/v1/hidden/{hidden}/recording.npz",
    log:
        "results/v1/log/hidden_data_{hidden}.txt",
    benchmark:
        "results/v1/benchmark/hidden_data_{hidden}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        code=code("v1.data"),
        settings=settings("v1", "data"),
    shell:
        "python -m respike v1.data --folder results/v1/hidden/{wildcards.hidden}/raw --out {output.recording}"
        " --dataset 'stand-in with {wildcards.hidden} hidden cells' --preprocessing {params.settings:q} > {log} 2>&1"


rule v1_hidden_fit:
    input:
        recording=rules.v1_hidden_data.output.recording,
    output:
        fits=[f"results/v1/hidden/{{hidden}}/{variant}.pt" for variant in V1["hidden_study"]["variants"]],
        log_tables=[f"results/v1/hidden/{{hidden}}/{variant}.parquet" for variant in V1["hidden_study"]["variants"]],
    log:
        "results/v1/log/hidden_fit_{hidden}.txt",
    benchmark:
        "results/v1/benchmark/hidden_fit_{hidden}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=1000,
        mem_mb=2000,
    params:
        code=code("v1.fit"),
        network=settings("v1", "network"),
        training=settings("v1", "training"),
        variants=[settings("v1", "variants", variant) for variant in V1["hidden_study"]["variants"]],
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike v1.fit --recording {input.recording} --out {output.fits} --log-tables {output.log_tables}"
        " --network {params.network:q} --variants {params.variants:q} --optimiser {params.training:q}"
        " --seed {params.seed} --replicate 0 --device {params.device} > {log} 2>&1"


rule v1_hidden_simulate:
    input:
        recording=rules.v1_hidden_data.output.recording,
        fits=rules.v1_hidden_fit.output.fits,
    output:
        runs=[f"results/v1/hidden/{{hidden}}/{variant}.npz" for variant in V1["hidden_study"]["variants"]],
    log:
        "results/v1/log/hidden_simulate_{hidden}.txt",
    benchmark:
        "results/v1/benchmark/hidden_simulate_{hidden}.tsv"
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


rule v1_hidden_metrics:
    input:
        recording=rules.v1_hidden_data.output.recording,
        runs=rules.v1_hidden_simulate.output.runs,
        ground_truth=rules.v1_hidden_standin.output.ground_truth,
    output:
        table="results/v1/hidden/{hidden}/metrics.parquet",
    log:
        "results/v1/log/hidden_metrics_{hidden}.txt",
    benchmark:
        "results/v1/benchmark/hidden_metrics_{hidden}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        code=code("v1.metrics"),
        names=lambda wildcards: [f"{name}@hidden{wildcards.hidden}_0" for name in V1["hidden_study"]["variants"]],
    shell:
        "python -m respike v1.metrics --recording {input.recording} --runs {input.runs} --names {params.names}"
        " --ground-truth {input.ground_truth} --also --out {output.table} > {log} 2>&1"
