# Mode-based spiking networks: digits -> one training per network -> fresh trials -> measures -> figures.
include: "base.smk"


from respike.modes import idx, plan

FIGURES = [f"<results>/figures/fig{number}" for number in plan.FIGURES]
SIMULATIONS = plan.simulations(config, f"{RESULTS}/simulations")


wildcard_constraints:
    task="digits|contextual|switch",
    cell="spike|rate",
    neurons=r"\d+",
    modes=r"\d+",
    replica=r"\d+",
    first=r"\d+",
    last=r"\d+",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"{figure}.png" for figure in FIGURES],


use rule stage as standin with:
    output:
        [f"<results>/standin/{name}" for name in idx.FILES],
    log:
        "<logs>/standin.txt",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        **stage("modes.standin", folder=f"{RESULTS}/standin"),


use rule stage as data with:
    input:
        plan.digit_files(config, f"{RESULTS}/standin"),
    output:
        out="<results>/digits.npz",
    log:
        "<logs>/data.txt",
    resources:
        runtime=5,
        mem_mb=2000,
    params:
        **stage(
            "modes.data",
            folder=config["digits_dir"] or f"{RESULTS}/standin",
            standin="" if config["digits_dir"] else "scikit-learn digits",
        ),


use rule stage as fit with:
    input:
        digits=lambda wildcards: [rules.data.output.out] if wildcards.task == "digits" else [],
    output:
        out="<results>/fits/{task}_{cell}_N{neurons}_P{modes}_replica{replica}.pt",
    log:
        "<logs>/fit_{task}_{cell}_N{neurons}_P{modes}_replica{replica}.txt",
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        **stage(
            "modes.fit",
            *("task", "cell", "neurons", "modes", "replica"),
            seed=SEED,
            settings=lambda wildcards: config[wildcards.task],
            redundant_modes=config["redundant_modes"],
            device=DEVICE,
        ),


use rule stage as simulate with:
    input:
        networks=lambda wildcards: [
            f"{RESULTS}/fits/{wildcards.task}_{wildcards.cell}_N{wildcards.neurons}_P{wildcards.modes}_replica{replica}.pt"
            for replica in range(int(wildcards.first), int(wildcards.last) + 1)
        ],
        digits=lambda wildcards: [rules.data.output.out] if wildcards.task == "digits" else [],
    output:
        out="<results>/simulations/{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.npz",
    log:
        "<logs>/simulate_{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.txt",
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        **stage(
            "modes.simulate",
            seed=SEED,
            steps=lambda wildcards: config[wildcards.task]["steps"],
            settings=config["evaluation"],
            device=DEVICE,
        ),


use rule stage as metrics with:
    input:
        simulations=SIMULATIONS,
    output:
        out="<results>/metrics.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        **stage("modes.metrics"),


use rule stage as spikes with:
    input:
        simulations=plan.shown(config, f"{RESULTS}/simulations"),
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    resources:
        runtime=5,
        mem_mb=4000,
    params:
        **stage("modes.spikes"),


use rule stage as figures with:
    input:
        simulations=SIMULATIONS,
        metrics=rules.metrics.output.out,
    output:
        [f"{figure}.pdf" for figure in FIGURES],
        [
            report(
                f"{figure}.png",
                caption=f"../report/modes_fig{number}.rst",
                category="modes",
                labels={"figure": number},
            )
            for figure, number in zip(FIGURES, plan.FIGURES)
        ],
    log:
        "<logs>/figures.txt",
    resources:
        runtime=30,
        mem_mb=4000,
    params:
        **stage("modes.figures", folder=f"{RESULTS}/figures"),
