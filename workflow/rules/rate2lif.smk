# Kim et al. 2019: train rate networks, find the scale that turns each into a LIF network, run it, measure, draw.
# A job treats a chunk of networks, the replicas first ... last of a variant; a variant with `file` takes a given network.
include: "base.smk"


from respike.rate2lif import plan

plan.check(config)
of = lambda function: lambda wildcards: function(config, wildcards.variant)


wildcard_constraints:
    first=r"\d+",
    last=r"\d+",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"<results>/figures/{name}.png" for name in plan.FIGURES],


use rule stage as fit with:
    output:
        out="<results>/networks/{variant}_{first}-{last}.zip",
    log:
        "<logs>/fit_{variant}_{first}-{last}.txt",
    wildcard_constraints:
        variant=plan.pattern(config, given=False),
    resources:
        runtime=600,
        mem_mb=2000,
    params:
        **stage("rate2lif.fit", "variant", "first", "last", settings=of(plan.training), seed=SEED, device=DEVICE),


use rule fit as data with:
    input:
        source=lambda wildcards: config["variants"][wildcards.variant]["file"],
    log:
        "<logs>/data_{variant}_{first}-{last}.txt",
    wildcard_constraints:
        variant=plan.pattern(config, given=True),
    params:
        **stage("rate2lif.data", "variant", "first", "last", settings=of(plan.training), seed=SEED),


use rule stage as search with:
    input:
        networks="<results>/networks/{variant}_{first}-{last}.zip",
    output:
        out="<results>/searches/{variant}_{first}-{last}.zip",
    log:
        "<logs>/search_{variant}_{first}-{last}.txt",
    resources:
        runtime=240,
        mem_mb=1000,
    params:
        **stage("rate2lif.search", settings=of(plan.search), options=config["conditions"]["standard"], seed=SEED),


use rule stage as simulate with:
    input:
        networks="<results>/networks/{variant}_{first}-{last}.zip",
        searches="<results>/searches/{variant}_{first}-{last}.zip",
    output:
        out="<results>/trials/{variant}_{first}-{last}.zip",
    log:
        "<logs>/simulate_{variant}_{first}-{last}.txt",
    resources:
        runtime=240,
        mem_mb=2000,
    params:
        **stage("rate2lif.simulate", settings=config["simulate"], conditions=of(plan.conditions), seed=SEED),


use rule stage as metrics with:
    input:
        **plan.archives(config, RESULTS),
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        **stage("rate2lif.metrics", training={name: plan.training(config, name) for name in config["variants"]}),


use rule stage as spikes with:
    input:
        trials=plan.of_tasks(config, RESULTS),
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        **stage("rate2lif.spikes"),


use rule stage as figures with:
    input:
        **plan.of_examples(config, RESULTS),
        metrics=rules.metrics.output.out,
        facts=rules.metrics.output.facts,
    output:
        [f"<results>/figures/{name}.pdf" for name in plan.FIGURES],
        [
            report(f"<results>/figures/{name}.png", f"../report/rate2lif_{name}.rst", "rate2lif", subcategory=answers)
            for name, answers in plan.FIGURES.items()
        ],
    log:
        "<logs>/figures.txt",
    resources:
        runtime=10,
        mem_mb=1000,
    params:
        **stage("rate2lif.figures", roles=config["figures"], folder=f"{RESULTS}/figures"),
