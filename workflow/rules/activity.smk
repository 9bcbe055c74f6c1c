# The spikes of all studies' networks in one table. Reads the files of every study, so it comes after their rules.


# of each task of modes the spiking network with a number of modes near three, the paper's example
SPIKING = [
    (kind["task"], kind["cell"], neurons, modes, kind["replicas"])
    for kind in MODES["networks"]
    if kind["cell"] == "spike"
    for neurons, modes in product(kind["neurons"], kind["modes"])
]
ACTIVE_MODES = [
    min((own for own in SPIKING if own[0] == task), key=lambda own: (abs(own[3] - 3), own))
    for task in dict.fromkeys(own[0] for own in SPIKING)
]


rule activity:
    input:
        modes=[modes_chunks(*network)[0] for network in ACTIVE_MODES],
        v1_recording=rules.v1_data.output.recording,
        v1_runs=expand("results/v1/runs/{variant}_0.npz", variant=V1["shown"]),
        fsbi=[path for network in FSBI_NETWORKS for path in fsbi_recordings(network)],
        rate2lif=[
            f"results/rate2lif/trials/{rate2lif_chunks(variant)[0]}.zip"
            for variant in config["rate2lif"]["figures"]["tasks"]
        ],
        barrel="results/barrel/responses/spiking_seed0.npz",
        neulvm_trial="results/neulvm/trial.npz",
        neulvm_runs="results/neulvm/runs/best.npz",
    output:
        table="results/activity.parquet",
        pdf=["results/figures/activity.pdf", "results/figures/rasters.pdf"],
        activity=report("results/figures/activity.png", caption="../report/activity.rst", category="all studies"),
        rasters=report("results/figures/rasters.png", caption="../report/rasters.rst", category="all studies"),
    log:
        "results/report/log/activity.txt",
    benchmark:
        "results/report/benchmark/activity.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=4000,
    params:
        code=code("report.activity"),
        folder=lambda wildcards, output: os.path.dirname(output.activity),
    shell:
        "python -m respike report.activity --modes {input.modes} --v1-recording {input.v1_recording}"
        " --v1-runs {input.v1_runs} --fsbi {input.fsbi} --rate2lif {input.rate2lif} --barrel {input.barrel}"
        " --neulvm-trial {input.neulvm_trial} --neulvm-runs {input.neulvm_runs} --table {output.table}"
        " --folder {params.folder} > {log} 2>&1"
