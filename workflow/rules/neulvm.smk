# neuLVM: recording, bins, EM fits, free runs of models and network, baselines, cluster states, measures, figures.
include: "base.smk"


from functools import partial

from respike.neulvm import plan

config.update(plan.derived(config))
plan.check(config)
settings = partial(plan.settings, config)
RECORDING = plan.recording(config, RESULTS)
FITS = [f"<results>/fits/start{start}" for start in range(config["starts"])]
SHARED = [f"<results>/fits/shared{start}" for start in range(config["choose"]["starts"])]
FIGURES = {name: f"<results>/figures/{name}.png" for name in plan.FIGURES}


rule target:
    input:
        FIGURES.values(),
        "<results>/metrics.parquet",
        "<results>/spikes.npz",


use rule stage as data with:
    output:
        out="<results>/recording.pickle",
    log:
        "<logs>/data.txt",
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        **stage("neulvm.data", **settings("circuit", "data", "window")),


use rule stage as preprocess with:
    input:
        recording=RECORDING.path,
    output:
        out="<results>/trial.npz",
    log:
        "<logs>/preprocess.txt",
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        **stage("neulvm.preprocess", dataset=RECORDING.dataset, **settings("circuit", "data", "window")),


use rule stage as fit with:
    input:
        trial=rules.preprocess.output.out,
    output:
        out="<results>/fits/{form,[a-z]+}{start,[0-9]+}.json",
        latent="<results>/fits/{form,[a-z]+}{start,[0-9]+}.npz",
        log="<results>/fits/{form,[a-z]+}{start,[0-9]+}.parquet",
    log:
        "<logs>/fit_{form}{start}.txt",
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        **stage("neulvm.fit", "form", "start", **settings("circuit", "prior", "fit")),


use rule stage as select with:
    input:
        trial=rules.preprocess.output.out,
        fits=[f"{fit}.json" for fit in FITS],
        latents=[f"{fit}.npz" for fit in FITS],
        shared=[f"{fit}.json" for fit in SHARED],
        shared_latents=[f"{fit}.npz" for fit in SHARED],
    output:
        out="<results>/models/best.json",
        latent="<results>/best.npz",
        chosen="<results>/models/chosen.json",
        candidates="<results>/candidates.parquet",
    log:
        "<logs>/select.txt",
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        **stage("neulvm.select", **settings("prior", "choose")),


use rule stage as refine with:
    input:
        trial=rules.preprocess.output.out,
        best=rules.select.output.out,
    output:
        out="<results>/models/refined.json",
        log="<results>/refined.parquet",
    log:
        "<logs>/refine.txt",
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        **stage("neulvm.refine", **settings("prior", "refine")),


use rule stage as posterior with:
    input:
        trial=rules.preprocess.output.out,
    output:
        pairs="<results>/posterior.npz",
        out="<results>/posterior.parquet",
        nearest="<results>/models/posterior.json",
        calibration="<results>/calibration.parquet",
        diagnostics="<results>/diagnostics.npz",
    log:
        "<logs>/posterior.txt",
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        **stage("neulvm.posterior", **settings("circuit", "prior", "posterior")),


use rule stage as recovery with:
    input:
        trial=rules.preprocess.output.out,
        pairs=rules.posterior.output.pairs,
        network="<results>/runs/network.npz",
    output:
        out="<results>/recovery.parquet",
        models="<results>/recordings.parquet",
    log:
        "<logs>/recovery.txt",
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        **stage("neulvm.recovery", **settings("circuit", "prior", "posterior", "window", "fit", "choose", "free")),


use rule stage as known with:
    input:
        trial=rules.preprocess.output.out,
    output:
        exact="<results>/known_exact.json",
        compat="<results>/known_compat.json",
    log:
        "<logs>/known.txt",
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        **stage("neulvm.known", circuit=config["circuit"], fit=config["fit"]),


use rule stage as truth with:
    output:
        network="<results>/models/network.json",
        meso="<results>/models/true.json",
    log:
        "<logs>/truth.txt",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        **stage("neulvm.truth", dataset=RECORDING.dataset, circuit=config["circuit"], window=config["window"]),


use rule stage as simulate with:
    input:
        model="<results>/models/{model}.json",
    output:
        out="<results>/runs/{model}.npz",
    log:
        "<logs>/simulate_{model}.txt",
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **stage("neulvm.simulate", **settings("free")),


use rule stage as baselines with:
    input:
        trial=rules.preprocess.output.out,
    output:
        out="<results>/baselines.npz",
    log:
        "<logs>/baselines.txt",
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        **stage("neulvm.baselines", **settings("baselines")),


use rule stage as binning with:
    output:
        out="<results>/binning.parquet",
    log:
        "<logs>/binning.txt",
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        **stage("neulvm.binning", **settings("circuit", "binning")),


use rule stage as clusters with:
    output:
        out="<results>/clusters.npz",
    log:
        "<logs>/clusters.txt",
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        **stage("neulvm.clusters", **settings("clusters")),


JUDGED = {  # what measures and figures are made of
    "trial": rules.preprocess.output.out,
    "fits": [f"{fit}.json" for fit in FITS],
    "best": rules.select.output.out,
    "refined": rules.refine.output.out,
    "chosen": rules.select.output.chosen,
    "diagnostics": rules.posterior.output.diagnostics,
    "latent": rules.select.output.latent,
    "samples": rules.posterior.output.out,
    "runs": [f"<results>/runs/{model}.npz" for model in RECORDING.runs],
    "baselines": rules.baselines.output.out,
    "clusters": rules.clusters.output.out,
    "binning": rules.binning.output.out,
}


use rule stage as metrics with:
    input:
        **JUDGED,
        intervals=rules.posterior.output.calibration,
        known=[f"<results>/known_{scheme}.json" for scheme in RECORDING.known],
        recovery=[rules.recovery.output.out] if RECORDING.embedded else [],
        recordings=[rules.recovery.output.models] if RECORDING.embedded else [],
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        **stage("neulvm.metrics", embedded=RECORDING.embedded, **config["particles"], **settings("circuit")),


use rule stage as spikes with:
    input:
        trial=rules.preprocess.output.out,
        runs="<results>/runs/best.npz",
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    resources:
        runtime=5,
        mem_mb=2000,
    params:
        **stage("neulvm.spikes"),


use rule stage as figures with:
    input:
        **JUDGED,
        logs=[f"{fit}.parquet" for fit in FITS],
        rounds=rules.refine.output.log,
    output:
        [report(path, caption=f"../report/neulvm_{name}.rst", category="neulvm") for name, path in FIGURES.items()],
        [path.replace(".png", ".pdf") for path in FIGURES.values()],
    log:
        "<logs>/figures.txt",
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        **stage("neulvm.figures", circuit=config["circuit"], embedded=RECORDING.embedded, folder=f"{RESULTS}/figures"),
