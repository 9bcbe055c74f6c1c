# Sample-and-measure: stand-in or real recording -> fits -> free runs -> measures -> figures.
# The study of hidden cells is this file once more, for stand-ins with other numbers of hidden cells.
include: "base.smk"


from respike.v1 import plan

VARIANTS = plan.variants(config)
FITS = plan.fits(config)
SHOWN = [f"{variant}_0" for variant in config["shown"]]
FIGURES = [f"<results>/figures/{figure}" for figure in plan.FIGURES]
HIDDEN = plan.hidden_studies(config)
TRUTH = ["<results>/raw/ground_truth.npz"] if plan.is_standin(config) else []


wildcard_constraints:
    variant=r"[a-z0-9+-]+(@nc[0-9.e+-]+)?",
    replicate=r"\d+",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"{figure}.png" for figure in FIGURES],


use rule stage as standin with:
    output:
        movie="<results>/raw/natural_movie.mat",
        events="<results>/raw/data_monkey1_natural_movie.mat",
        ground_truth="<results>/raw/ground_truth.npz",
    log:
        "<logs>/standin.txt",
    params:
        **stage("v1.standin", standin=config["standin"], seed=SEED),


use rule stage as data with:
    input:
        sources=(
            [rules.standin.output.movie, rules.standin.output.events]
            if plan.is_standin(config)
            else plan.raw_files(config)
        ),
    output:
        out="<results>/recording.npz",
    log:
        "<logs>/data.txt",
    params:
        **stage(
            "v1.data",
            folder=f"{RESULTS}/raw" if plan.is_standin(config) else config["data_dir"],
            dataset=plan.dataset(config),
            preprocessing=config["data"],
        ),


use rule stage as fit with:
    input:
        recording=rules.data.output.out,
    output:
        fit="<results>/fits/{variant}_{replicate}.pt",
        history="<results>/fits/{variant}_{replicate}.parquet",
    log:
        "<logs>/fit_{variant}_{replicate}.txt",
    resources:
        runtime=240,
        mem_mb=2000,
    params:
        **stage(
            "v1.fit",
            "replicate",
            network=config["network"],
            variant=lambda wildcards: VARIANTS[wildcards.variant],
            optimiser=config["training"],
            seed=SEED,
            device=DEVICE,
        ),


use rule stage as simulate with:
    input:
        recording=rules.data.output.out,
        fits=[f"<results>/fits/{fit}.pt" for fit in FITS],
    output:
        runs=[f"<results>/runs/{fit}.npz" for fit in FITS],
    log:
        "<logs>/simulate.txt",
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **stage("v1.simulate", sampling=config["sampling"], seed=SEED, device=DEVICE),


use rule stage as metrics with:
    input:
        recording=rules.data.output.out,
        runs=rules.simulate.output.runs,
        ground_truth=TRUTH,
        also=[f"<results>/hidden/{hidden}/metrics.parquet" for hidden in HIDDEN],
        also_facts=[f"<results>/hidden/{hidden}/facts.parquet" for hidden in HIDDEN],
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        **stage("v1.metrics", names=plan.names(config)),


use rule stage as spikes with:
    input:
        recording=rules.data.output.out,
        runs=[f"<results>/runs/{fit}.npz" for fit in SHOWN],
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        **stage("v1.spikes", names=config["shown"]),


use rule stage as figures with:
    input:
        recording=rules.data.output.out,
        runs=[f"<results>/runs/{fit}.npz" for fit in SHOWN],
        histories=[f"<results>/fits/{fit}.parquet" for fit in SHOWN],
        metrics=rules.metrics.output.out,
        ground_truth=TRUTH,
    output:
        [f"{figure}.pdf" for figure in FIGURES],
        [
            report(f"{figure}.png", caption=f"../report/v1_{name}.rst", category="v1")
            for figure, name in zip(FIGURES, plan.FIGURES)
        ],
    log:
        "<logs>/figures.txt",
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        **stage("v1.figures", names=config["shown"], variants=config["variants"], folder=f"{RESULTS}/figures"),


for hidden, changed in HIDDEN.items():
    study, prefix = f"hidden{hidden}", f"hidden{hidden}_"

    module:
        name: study
        pathvars:
            results=f"{RESULTS}/hidden/{hidden}",
            logs=workflow.pathvars.apply(f"<logs>/hidden{hidden}"),
        snakefile:
            "v1.smk"
        config:
            changed

    use rule * from study exclude target, spikes, figures as prefix*
