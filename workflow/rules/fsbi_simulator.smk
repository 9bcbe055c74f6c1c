# The simulator of fsbi: one binary per network, chunks of rules run by it.
# Included by fsbi.smk, which defines the wildcards, FSBI and fsbi_simulation.


rule fsbi_build:
    output:
        binary="results/fsbi/build/{network}.json",
    log:
        "results/fsbi/log/{network}_build.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_build.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("fsbi.build"),
        settings=lambda wildcards: json.dumps(FSBI[wildcards.network]["network"], sort_keys=True),
    shell:
        "python -m respike fsbi.build --network {params.settings:q} --folder results/fsbi/build"
        " --out {output.binary} > {log} 2>&1"


rule fsbi_simulate:
    input:
        rules=fsbi_drawn_files,
        binary="results/fsbi/build/{network}.json",
        hidden=lambda wildcards: fsbi_hidden(wildcards.network),
    output:
        chunk="results/fsbi/{network}/{part}/simulated_{first}-{last}.parquet",
    log:
        "results/fsbi/log/{network}_{part}_simulated_{first}-{last}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_{part}_simulated_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=fsbi_minutes,
        mem_mb=1000,
    params:
        code=code("fsbi.simulate"),
        settings=fsbi_simulation,
        skipped=fsbi_skipped,
        how_many=fsbi_count,
    shell:
        "python -m respike fsbi.simulate --rules {input.rules} --first {params.skipped} --count {params.how_many}"
        " --binary {input.binary} --out {output.chunk}"
        " --hidden {input.hidden:q} --settings {params.settings:q} > {log} 2>&1"


rule fsbi_record:
    input:
        rules="results/fsbi/{network}/example/rules_{first}-{last}.parquet",
        binary="results/fsbi/build/{network}.json",
        hidden=lambda wildcards: fsbi_hidden(wildcards.network),
    output:
        chunk="results/fsbi/{network}/example/recorded_{first}-{last}.parquet",
        recordings="results/fsbi/{network}/example/recordings_{first}-{last}.npz",
    log:
        "results/fsbi/log/{network}_example_recorded_{first}-{last}.txt",
    benchmark:
        "results/fsbi/benchmark/{network}_example_recorded_{first}-{last}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=1000,
    params:
        code=code("fsbi.simulate"),
        settings=lambda wildcards: json.dumps(FSBI[wildcards.network]["simulation"], sort_keys=True),
    shell:
        "python -m respike fsbi.simulate --rules {input.rules} --binary {input.binary} --out {output.chunk}"
        " --hidden {input.hidden:q} --recordings {output.recordings} --settings {params.settings:q} > {log} 2>&1"
