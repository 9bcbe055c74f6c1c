# Mode-based spiking networks: digits -> one training per network -> fresh trials -> measures -> figures.
include: "base.smk"


from respike.modes import digits, plan

FIGURES = [f"<results>/figures/fig{number}" for number in plan.FIGURES]
SIMULATIONS = plan.simulations(config, f"{RESULTS}/simulations")


wildcard_constraints:
    task="digits|contextual|switch",
    cell="spike|rate",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"{figure}.png" for figure in FIGURES],


use rule stage as standin with:
    output:
        [f"<results>/standin/{name}" for name in digits.FILES],
    log:
        "<logs>/standin.txt",
    params:
        **stage("modes.standin", folder=f"{RESULTS}/standin"),


use rule stage as data with:
    input:
        sources=plan.digit_files(config, f"{RESULTS}/standin"),
    output:
        out="<results>/digits.npz",
    log:
        "<logs>/data.txt",
    params:
        **stage("modes.data", **plan.digit_source(config, f"{RESULTS}/standin")),


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
        networks=lambda wildcards: plan.fits(f"{RESULTS}/fits", **wildcards),
        digits=lambda wildcards: [rules.data.output.out] if wildcards.task == "digits" else [],
    output:
        out="<results>/simulations/{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.npz",
    log:
        "<logs>/simulate_{task}_{cell}_N{neurons}_P{modes}_{first}-{last}.txt",
    params:
        **stage(
            "modes.simulate",
            seed=SEED,
            settings=config["evaluation"],
            device=DEVICE,
        ),


use rule stage as metrics with:
    input:
        simulations=SIMULATIONS,
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    params:
        **stage("modes.metrics"),


use rule stage as spikes with:
    input:
        simulations=plan.shown(config, f"{RESULTS}/simulations"),
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
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
    params:
        **stage("modes.figures", folder=f"{RESULTS}/figures"),
