# Plasticity rules: drawn, simulated, measured, filtered, and proposed anew, round after round.
include: "base.smk"


from respike.fsbi import plan

plan.check(config)

FAMILIES = config["networks"]
PART, ROUND = ("family", "part"), ("family", "round")
CHUNK = (*PART, "first", "last")

# What functions of the plan say of the config, given these wildcards; of files, with the folder in which they lie.
told = lambda function, *names: lambda w: function(config, *(int(w[n]) if w[n].isdigit() else w[n] for n in names))
listed = lambda function, *names: told(lambda config, *given: function(config, RESULTS, *given), *names)
# Params of a workflow rule that draws some figures, and one of these with its caption in Snakemake's report.
SHOWN = {"folder": f"{RESULTS}/figures", "settings": told(plan.shown, "family")}
png = lambda name: report(
    f"<results>/figures/{{family}}_{name}.png",
    caption=f"../report/fsbi_{name}.rst",
    category="fsbi",
    labels={"network": "{family}", "figure": name},
)


wildcard_constraints:
    family="poly|mlp",
    round=r"\d+",
    part=r"round\d+|longevity|whole",
    first=r"\d+",
    last=r"\d+",
    member=r"\d+",


rule target:
    input:
        "<results>/metrics.parquet",
        "<results>/spikes.npz",
        [f"<results>/figures/{family}_{name}.png" for family in FAMILIES for name in plan.figures(config, family)],


use rule stage as data with:
    input:
        members=listed(plan.members, *ROUND),
        thinning=listed(plan.thinning, *ROUND),
    output:
        out="<results>/{family}/round{round}/rules_{first}-{last}.parquet",
    log:
        "<logs>/{family}_round{round}_rules_{first}-{last}.txt",
    params:
        **stage("fsbi.data", *ROUND, "first", "last", settings=told(plan.proposal, *ROUND), seed=SEED),


use rule stage as surrogate with:
    input:
        rules=listed(plan.drawn, *CHUNK),
    output:
        out="<results>/{family}/{part}/surrogate_{first}-{last}.parquet",
    log:
        "<logs>/{family}_{part}_surrogate_{first}-{last}.txt",
    params:
        **stage("fsbi.surrogate", "family", rows=listed(plan.rows, *CHUNK)),


use rule stage as build with:
    output:
        out="<results>/build/{family}.json",
    log:
        "<logs>/{family}_build.txt",
    params:
        **stage("fsbi.build", network=told(plan.network, "family"), folder=f"{RESULTS}/build"),


use rule stage as simulate with:
    input:
        rules=listed(plan.drawn, *CHUNK),
        binary=rules.build.output.out,
        hidden=told(plan.hidden, "family"),
    output:
        out="<results>/{family}/{part}/simulated_{first}-{last}.parquet",
    log:
        "<logs>/{family}_{part}_simulated_{first}-{last}.txt",
    resources:
        runtime=lambda w, attempt: attempt * told(plan.minutes, *CHUNK)(w),
        mem_mb=1000,
    params:
        **stage("fsbi.simulate", rows=listed(plan.rows, *CHUNK), settings=told(plan.simulation, *PART)),


use rule stage as table with:
    input:
        rules=listed(plan.drawn, *PART),
        chunks=listed(plan.results, *PART),
    output:
        out="<results>/{family}/{part}/table.parquet",
        records="<results>/{family}/{part}/table.npy",
    log:
        "<logs>/{family}_{part}_table.txt",
    params:
        **stage("fsbi.table", "family", round=lambda w: plan.number(w.part), dataset=told(plan.dataset, *PART)),


use rule stage as filter with:
    input:
        tables=listed(plan.tables, *ROUND),
    output:
        out="<results>/{family}/round{round}/training.parquet",
    log:
        "<logs>/{family}_round{round}_filter.txt",
    params:
        **stage("fsbi.filter", *ROUND, settings=told(plan.training, *ROUND)),


use rule stage as classify with:
    input:
        tables=listed(plan.tables, *ROUND),
    output:
        out="<results>/{family}/round{round}/classifier.npz",
        predictor="<results>/{family}/round{round}/predictor.npz",
    log:
        "<logs>/{family}_round{round}_classify.txt",
    params:
        **stage("fsbi.classify", *ROUND, settings=told(plan.labels, *ROUND), seed=SEED),


use rule stage as fit with:
    input:
        training=rules.filter.output.out,
    output:
        out="<results>/{family}/round{round}/member{member}.pt",
    log:
        "<logs>/{family}_round{round}_fit_{member}.txt",
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        **stage(
            "fsbi.fit",
            *ROUND,
            "member",
            metrics=told(plan.metrics, *ROUND),
            settings=lambda w: config[w.family]["fit"],
            device=DEVICE,
            seed=SEED,
        ),


use rule stage as examine with:
    input:
        training=rules.filter.output.out,
        members=listed(plan.members, *ROUND),
    output:
        out="<results>/{family}/round{round}/posterior.npz",
    log:
        "<logs>/{family}_round{round}_examine.txt",
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        **stage("fsbi.examine", *ROUND, settings=config["examine"], proposal=told(plan.aims, *ROUND), seed=SEED),


use rule stage as compare with:
    output:
        out="<results>/compare.parquet",
    log:
        "<logs>/compare.txt",
    params:
        **stage("fsbi.compare", settings=config["compare"], seed=SEED),


use rule stage as survivors with:
    input:
        tables=listed(plan.tables, "family"),
    output:
        out="<results>/{family}/longevity/rules_{first}-{last}.parquet",
    log:
        "<logs>/{family}_survivors_{first}-{last}.txt",
    params:
        **stage("fsbi.survivors", "family", "first", "last", settings=plan.survival(config), seed=SEED),


use rule stage as metrics with:
    input:
        tables=[plan.tables(config, RESULTS, family) for family in FAMILIES],
        longevity=[f"<results>/{family}/longevity/table.parquet" for family in FAMILIES],
        whole=plan.whole(config, RESULTS),
        posteriors=[plan.posteriors(config, RESULTS, family) for family in FAMILIES],
        compare=rules.compare.output.out,
    output:
        out="<results>/metrics.parquet",
        facts="<results>/facts.parquet",
    log:
        "<logs>/metrics.txt",
    params:
        **stage("fsbi.metrics", settings=plan.measured(config), seed=SEED),


use rule stage as example with:
    input:
        tables=listed(plan.tables, "family"),
    output:
        out="<results>/{family}/example/rules_0-0.parquet",
    log:
        "<logs>/{family}_example.txt",
    params:
        **stage("fsbi.example", "family", targets=config["targets"], seed=SEED),


use rule stage as record with:
    input:
        rules=rules.example.output.out,
        binary=rules.build.output.out,
        hidden=told(plan.hidden, "family"),
    output:
        out="<results>/{family}/example/recorded_0-0.parquet",
        recordings="<results>/{family}/example/recordings_0-0.npz",
    log:
        "<logs>/{family}_example_recorded.txt",
    params:
        **stage("fsbi.record", settings=told(plan.simulation, "family")),


use rule stage as spikes with:
    input:
        recordings=plan.recordings(config, RESULTS, *FAMILIES),
    output:
        out="<results>/spikes.npz",
    log:
        "<logs>/spikes.txt",
    params:
        **stage("fsbi.spikes"),


use rule stage as figures with:
    input:
        tables=listed(plan.tables, "family"),
        longevity="<results>/{family}/longevity/table.parquet",
        posteriors=listed(plan.posteriors, "family"),
        example=rules.example.output.out,
        recordings=listed(plan.recordings, "family"),
        compare=rules.compare.output.out,
        hidden=told(plan.hidden, "family"),
    output:
        [f"<results>/figures/{{family}}_{name}.pdf" for name in plan.FIGURES],
        [png(name) for name in plan.FIGURES],
    log:
        "<logs>/{family}_figures.txt",
    params:
        **stage("fsbi.figures", "family", names=plan.FIGURES, **SHOWN),


use rule figures as mean_field with:
    output:
        "<results>/figures/{family}_mean_field.pdf",
        png("mean_field"),
    log:
        "<logs>/{family}_mean_field.txt",
    params:
        **stage("fsbi.figures", "family", names=["mean_field"], **SHOWN),


use rule figures as network with:
    output:
        "<results>/figures/{family}_network.pdf",
        png("network"),
    log:
        "<logs>/{family}_network.txt",
    params:
        **stage("fsbi.figures", "family", names=["network"], **SHOWN),
