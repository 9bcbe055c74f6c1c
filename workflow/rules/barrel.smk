# Barrel cortex: sweeps -> input -> trainings -> responses, deprivation, other classifiers -> measures -> figures.
include: "base.smk"


from respike.barrel import plan

plan.check(config)
SWEEPS = plan.sweep_files(config["recording"], f"{RESULTS}/sweeps")
SIMULATION = plan.simulation(config["sweeps"])
CODING = plan.coding(config, "spiking")
TRAININGS = plan.trainings(config)
HISTORIES = plan.histories(config, RESULTS)
RESPONSES = [f"<results>/responses/spiking_{number}.npz" for number in range(config["seeds"]["spiking"])]


wildcard_constraints:
    form="spiking|real",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"<results>/figures/{name}.png" for name in plan.FIGURES],


use rule stage as generate with:
    input:
        meshes=plan.mesh_files(config["sweeps"]["meshes"]),
    output:
        out="<results>/sweeps/shard{shard}.npz",
    log:
        "<logs>/generate_shard{shard}.txt",
    resources:
        runtime=120,
        mem_mb=4000,
    params:
        **stage("barrel.generate", "shard", shards=config["shards"], settings=SIMULATION, seed=SEED),


use rule stage as gather with:
    input:
        shards=[f"<results>/sweeps/shard{shard}.npz" for shard in range(config["shards"])],
    output:
        train="<results>/sweeps/train.h5",
        test="<results>/sweeps/test.h5",
    log:
        "<logs>/gather.txt",
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        **stage("barrel.gather", settings=config["sweeps"], seed=SEED),


use rule stage as data with:
    input:
        **SWEEPS,
    output:
        out="<results>/inputs/{form}.npz",
    log:
        "<logs>/data_{form}.txt",
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        **stage(
            "barrel.data",
            "form",
            normalise=lambda wildcards: config["real"]["encoding"]["normalise"] if wildcards.form == "real" else None,
        ),


use rule stage as fit with:
    input:
        inputs=lambda wildcards: f"{RESULTS}/inputs/{TRAININGS[wildcards.training]['form']}.npz",
        scan=lambda wildcards: [rules.scan.output.out] if "start" in TRAININGS[wildcards.training] else [],
    output:
        history="<results>/fits/{training}.parquet",
        fit="<results>/fits/{training}.pt",
    log:
        "<logs>/fit_{training}.txt",
    resources:
        runtime=2880,
        mem_mb=8000,
    params:
        **stage(
            "barrel.fit",
            variant=lambda wildcards: TRAININGS[wildcards.training],
            settings=lambda wildcards: plan.training(config, TRAININGS[wildcards.training]["form"]),
            seed=SEED,
            device=DEVICE,
        ),


# the same without keeping the network: folds, other wirings, other initial values
use rule fit as course with:
    output:
        history="<results>/courses/{training}.parquet",
    log:
        "<logs>/course_{training}.txt",


use rule stage as scan with:
    input:
        inputs="<results>/inputs/spiking.npz",
    output:
        out="<results>/scan.parquet",
    log:
        "<logs>/scan.txt",
    resources:
        runtime=2880,
        mem_mb=8000,
    params:
        **stage("barrel.scan", **plan.scan(config), seed=SEED, device=DEVICE),


use rule stage as deprive with:
    input:
        inputs="<results>/inputs/spiking.npz",
        fit="<results>/fits/spiking_0.pt",
    output:
        out="<results>/deprivation.parquet",
    log:
        "<logs>/deprive.txt",
    resources:
        runtime=1440,
        mem_mb=8000,
    params:
        **stage("barrel.deprive", coding=CODING, draws=config["deprivation"]["draws"], seed=SEED),


use rule stage as simulate with:
    input:
        inputs="<results>/inputs/spiking.npz",
        fit="<results>/fits/{training}.pt",
    output:
        out="<results>/responses/{training}.npz",
    log:
        "<logs>/simulate_{training}.txt",
    resources:
        runtime=240,
        mem_mb=8000,
    params:
        **stage("barrel.simulate", coding=CODING),


use rule stage as baselines with:
    input:
        inputs="<results>/inputs/{form}.npz",
    output:
        out="<results>/baselines/{form}.parquet",
    log:
        "<logs>/baselines_{form}.txt",
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        **stage(
            "barrel.baselines",
            "form",
            coding=lambda wildcards: plan.coding(config, wildcards.form),
            **{key: config["crossval"][key] for key in ("repeats", "folds")},
            seed=SEED,
        ),


use rule stage as metrics with:
    input:
        **HISTORIES,
        baselines=[f"<results>/baselines/{form}.parquet" for form in config["crossval"]["forms"]],
        scan=rules.scan.output.out,
        deprivation=rules.deprive.output.out,
        responses=RESPONSES,
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        **stage("barrel.metrics", seed=SEED),


use rule stage as spikes with:
    input:
        responses=RESPONSES[0],
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    resources:
        runtime=5,
        mem_mb=4000,
    params:
        **stage("barrel.spikes"),


use rule stage as figures with:
    input:
        **{key: HISTORIES[key] for key in ("histories", "wirings", "starts")},
        scan=rules.scan.output.out,
        deprivation=rules.deprive.output.out,
        responses=RESPONSES[0],
        inputs="<results>/inputs/spiking.npz",
        meshes=rules.generate.input.meshes,
    output:
        "<results>/figures/sweep.gif",
        [f"<results>/figures/{name}.pdf" for name in plan.FIGURES],
        [
            report(
                f"<results>/figures/{name}.png",
                caption=f"../report/barrel_{name}.rst",
                category="barrel",
                labels={"figure": name.replace("_", " ")},
            )
            for name in plan.FIGURES
        ],
    log:
        "<logs>/figures.txt",
    resources:
        runtime=30,
        mem_mb=8000,
    params:
        **stage("barrel.figures", repeats=CODING["repeats"], sweeps=SIMULATION, seed=SEED, folder=f"{RESULTS}/figures"),
