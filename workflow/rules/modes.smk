# Mode-based spiking networks: digits -> one training per network -> fresh trials -> measures -> figures.
include: "modes_chunks.smk"


MODES_FIGURES = ["1", "2a", "2b", "2c", "2d", "2e", "3a", "3b", "3c", "3d", "3e", "4a", "4b", "4c", "4d", "5"]


wildcard_constraints:
    task="digits|contextual|switch",
    cell="spike|rate",
    neurons=r"\d+",
    modes=r"\d+",
    replica=r"\d+",
    first=r"\d+",
    last=r"\d+",


rule modes:
    input:
        "results/modes/metrics.parquet",
        expand("results/modes/figures/fig{number}.{form}", number=MODES_FIGURES, form=["pdf", "png"]),


rule modes_standin:
    output:
        expand("results/modes/standin/{name}", name=idx.FILES),
    log:
        "results/modes/log/standin.txt",
    benchmark:
        "results/modes/benchmark/standin.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("modes.standin"),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m respike modes.standin --folder {params.folder} > {log} 2>&1"


rule modes_data:
    input:
        lambda wildcards: present(MODES["digits_dir"], idx.FILES, "results/modes/standin"),
    output:
        digits="results/modes/digits.npz",
    log:
        "results/modes/log/data.txt",
    benchmark:
        "results/modes/benchmark/data.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=2000,
    params:
        code=code("modes.data"),
        folder=MODES["digits_dir"] or "results/modes/standin",
        standin="" if MODES["digits_dir"] else "--standin 'scikit-learn digits'",
    shell:
        "python -m respike modes.data --folder {params.folder:q} {params.standin}" " --out {output.digits} > {log} 2>&1"


rule modes_fit:
    input:
        digits=lambda wildcards: "results/modes/digits.npz" if wildcards.task == "digits" else [],
    output:
        network="results/modes/fits/{task}_{cell}_N{neurons}_P{modes}_replica{replica}.pt",
    log:
        "results/modes/log/fit_{task}_{cell}_N{neurons}_P{modes}_replica{replica}.txt",
    benchmark:
        "results/modes/benchmark/fit_{task}_{cell}_N{neurons}_P{modes}_replica{replica}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        code=code("modes.fit"),
        settings=lambda wildcards: settings("modes", wildcards.task),
        redundant=settings("modes", "redundant_modes"),
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike modes.fit --digits {input.digits:q} --out {output.network}"
        " --task {wildcards.task} --cell {wildcards.cell} --neurons {wildcards.neurons} --modes {wildcards.modes}"
        " --replica {wildcards.replica} --seed {params.seed} --settings {params.settings:q}"
        " --redundant-modes {params.redundant} --device {params.device} > {log} 2>&1"


rule modes_simulate:
    input:
        networks=lambda wildcards: [
            "results/modes/fits/{task}_{cell}_N{neurons}_P{modes}".format(**wildcards) + f"_replica{replica}.pt"
            for replica in range(int(wildcards.first), int(wildcards.last) + 1)
        ],
        digits=lambda wildcards: "results/modes/digits.npz" if wildcards.task == "digits" else [],
    output:
        trials="results/modes/simulations/{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.npz",
    log:
        "results/modes/log/simulate_{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.txt",
    benchmark:
        "results/modes/benchmark/simulate_{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        code=code("modes.simulate"),
        settings=settings("modes", "evaluation"),
        steps=lambda wildcards: MODES[wildcards.task]["steps"],
        seed=config["run"]["seed"],
        device=config["run"]["device"],
    shell:
        "python -m respike modes.simulate --networks {input.networks} --digits {input.digits:q} --out {output.trials}"
        " --seed {params.seed} --steps {params.steps} --settings {params.settings:q} --device {params.device} > {log} 2>&1"


rule modes_metrics:
    input:
        simulations=MODES_SIMULATIONS,
    output:
        table="results/modes/metrics.parquet",
    log:
        "results/modes/log/metrics.txt",
    benchmark:
        "results/modes/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        code=code("modes.metrics"),
    shell:
        "python -m respike modes.metrics --simulations {input.simulations}" " --out {output.table} > {log} 2>&1"


rule modes_figures:
    input:
        simulations=MODES_SIMULATIONS,
        metrics="results/modes/metrics.parquet",
    output:
        expand("results/modes/figures/fig{number}.pdf", number=MODES_FIGURES),
        *[
            report(
                f"results/modes/figures/fig{number}.png",
                caption=f"../report/modes_fig{number}.rst",
                category="modes",
                labels={"figure": number},
            )
            for number in MODES_FIGURES
        ],
    log:
        "results/modes/log/figures.txt",
    benchmark:
        "results/modes/benchmark/figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        code=code("modes.figures"),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m respike modes.figures --simulations {input.simulations}"
        " --metrics {input.metrics} --folder {params.folder} > {log} 2>&1"
