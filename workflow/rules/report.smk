# All studies together: the joined metrics table, the scorecard, and the spikes of every network.
include: "base.smk"


# Lines of the table
SHOWN = [study for study in ("v1", "neulvm", "fsbi", "modes", "rate2lif", "barrel") if study in STUDIES]


use rule stage as metrics_table with:
    input:
        tables=[f"<results>/{study}/metrics.parquet" for study in STUDIES],
    output:
        out="<results>/metrics.parquet",
    log:
        "<logs>/tables.txt",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        **stage("report.tables"),


use rule stage as scorecard with:
    input:
        metrics=rules.metrics_table.output.out,
        facts=[f"<results>/{study}/facts.parquet" for study in STUDIES],
        claims=[f"src/respike/{study}/claims.csv" for study in STUDIES],
    output:
        csv=report("<results>/scorecard.csv", caption="../report/scorecard.rst", category="scorecard"),
        page="<results>/scorecard.html",
    log:
        "<logs>/scorecard.txt",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        **stage("report.scorecard", size=config["run"]["size"]),


use rule stage as activity with:
    input:
        networks=[f"<results>/{study}/spikes.npz" for study in SHOWN],
    output:
        [f"<results>/figures/{name}.pdf" for name in ("activity", "rasters")],
        [
            report(f"<results>/figures/{name}.png", caption=f"../report/{name}.rst", category="all studies")
            for name in ("activity", "rasters")
        ],
        table="<results>/activity.parquet",
    log:
        "<logs>/activity.txt",
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        **stage("report.activity", folder=f"{RESULTS}/figures"),
