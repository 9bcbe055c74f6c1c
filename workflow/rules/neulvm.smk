# neuLVM: recording, bins, EM fits, free runs of models and network, baselines, cluster states, measures, figures.

NEULVM = config["neulvm"]
NEULVM_EMBEDDED = NEULVM["data"]["recording"] == "embedded"
NEULVM_RECORDING = "results/neulvm/recording.pickle" if NEULVM_EMBEDDED else NEULVM["data"]["recording"]
NEULVM_DATASET = "embedded winner-take-all network" if NEULVM_EMBEDDED else Path(NEULVM_RECORDING).name
NEULVM_RUNS = (["network", "true"] if NEULVM_EMBEDDED else []) + ["best", "refined", "posterior"]
NEULVM_KNOWN = expand("results/neulvm/known_{scheme}.json", scheme=["exact", "compat"] if NEULVM_EMBEDDED else [])
NEULVM_RECOVERY = ["results/neulvm/recovery.parquet"] if NEULVM_EMBEDDED else []
NEULVM_STARTS = range(NEULVM["starts"])


rule neulvm:
    input:
        multiext("results/neulvm/figures/", "inferred.png", "losses.png", "free.png", "parameters.png"),
        multiext("results/neulvm/figures/", "dwell.png", "clusters.png", "pulses.png", "bins.png", "posterior.png"),
        "results/neulvm/figures/likelihood.png",
        "results/neulvm/metrics.parquet",


rule neulvm_data:
    output:
        recording="results/neulvm/recording.pickle",
    log:
        "results/neulvm/log/data.txt",
    benchmark:
        "results/neulvm/benchmark/data.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        code=code("neulvm.data"),
        circuit=settings("neulvm", "circuit"),
        data=settings("neulvm", "data"),
        window=settings("neulvm", "window"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.data --out {output.recording} --circuit {params.circuit:q} --data {params.data:q}"
        " --window {params.window:q} --seed {params.seed} > {log} 2>&1"


rule neulvm_preprocess:
    input:
        recording=NEULVM_RECORDING,
    output:
        trial="results/neulvm/trial.npz",
    log:
        "results/neulvm/log/preprocess.txt",
    benchmark:
        "results/neulvm/benchmark/preprocess.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=4000,
    params:
        code=code("neulvm.preprocess"),
        circuit=settings("neulvm", "circuit"),
        window=settings("neulvm", "window"),
        dataset=NEULVM_DATASET,
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.preprocess --recording {input.recording:q} --out {output.trial} --dataset {params.dataset:q}"
        " --circuit {params.circuit:q} --window {params.window:q} --seed {params.seed} > {log} 2>&1"


rule neulvm_fit:
    input:
        trial="results/neulvm/trial.npz",
    output:
        model="results/neulvm/fits/start{start}.json",
        latent="results/neulvm/fits/start{start}.npz",
        log="results/neulvm/fits/start{start}.parquet",
    log:
        "results/neulvm/log/fit_start{start}.txt",
    benchmark:
        "results/neulvm/benchmark/fit_start{start}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        code=code("neulvm.fit"),
        circuit=settings("neulvm", "circuit"),
        prior=settings("neulvm", "prior"),
        fit=settings("neulvm", "fit"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.fit --trial {input.trial} --out {output.model} --latent {output.latent} --log {output.log}"
        " --circuit {params.circuit:q} --prior {params.prior:q} --fit {params.fit:q} --start {wildcards.start}"
        " --seed {params.seed} > {log} 2>&1"


rule neulvm_select:
    input:
        fits=expand("results/neulvm/fits/start{start}.json", start=NEULVM_STARTS),
        latents=expand("results/neulvm/fits/start{start}.npz", start=NEULVM_STARTS),
    output:
        model="results/neulvm/models/best.json",
        latent="results/neulvm/best.npz",
    log:
        "results/neulvm/log/select.txt",
    benchmark:
        "results/neulvm/benchmark/select.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("neulvm.select"),
    shell:
        "python -m respike neulvm.select --fits {input.fits} --latents {input.latents} --out {output.model}"
        " --latent {output.latent} > {log} 2>&1"


rule neulvm_refine:
    input:
        trial="results/neulvm/trial.npz",
        best="results/neulvm/models/best.json",
    output:
        model="results/neulvm/models/refined.json",
        log="results/neulvm/refined.parquet",
    log:
        "results/neulvm/log/refine.txt",
    benchmark:
        "results/neulvm/benchmark/refine.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        code=code("neulvm.refine"),
        prior=settings("neulvm", "prior"),
        refine=settings("neulvm", "refine"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.refine --trial {input.trial} --best {input.best} --out {output.model} --log {output.log}"
        " --prior {params.prior:q} --refine {params.refine:q} --seed {params.seed} > {log} 2>&1"


rule neulvm_posterior:
    input:
        trial="results/neulvm/trial.npz",
    output:
        pairs="results/neulvm/posterior.npz",
        samples="results/neulvm/posterior.parquet",
        model="results/neulvm/models/posterior.json",
        calibration="results/neulvm/calibration.parquet",
    log:
        "results/neulvm/log/posterior.txt",
    benchmark:
        "results/neulvm/benchmark/posterior.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=120,
        mem_mb=2000,
    params:
        code=code("neulvm.posterior"),
        circuit=settings("neulvm", "circuit"),
        prior=settings("neulvm", "prior"),
        posterior=settings("neulvm", "posterior"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.posterior --trial {input.trial} --pairs {output.pairs} --out {output.samples}"
        " --nearest {output.model} --calibration {output.calibration} --circuit {params.circuit:q} --prior {params.prior:q}"
        " --posterior {params.posterior:q} --seed {params.seed} > {log} 2>&1"


rule neulvm_recovery:
    input:
        trial="results/neulvm/trial.npz",
        pairs="results/neulvm/posterior.npz",
    output:
        table="results/neulvm/recovery.parquet",
    log:
        "results/neulvm/log/recovery.txt",
    benchmark:
        "results/neulvm/benchmark/recovery.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("neulvm.recovery"),
        circuit=settings("neulvm", "circuit"),
        prior=settings("neulvm", "prior"),
        posterior=settings("neulvm", "posterior"),
        window=settings("neulvm", "window"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.recovery --trial {input.trial} --pairs {input.pairs} --out {output.table}"
        " --circuit {params.circuit:q} --prior {params.prior:q} --settings {params.posterior:q} --window {params.window:q}"
        " --seed {params.seed} > {log} 2>&1"


rule neulvm_known:
    input:
        trial="results/neulvm/trial.npz",
    output:
        exact="results/neulvm/known_exact.json",
        compat="results/neulvm/known_compat.json",
    log:
        "results/neulvm/log/known.txt",
    benchmark:
        "results/neulvm/benchmark/known.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        code=code("neulvm.known"),
        circuit=settings("neulvm", "circuit"),
        fit=settings("neulvm", "fit"),
    shell:
        "python -m respike neulvm.known --trial {input.trial} --exact {output.exact} --compat {output.compat}"
        " --circuit {params.circuit:q} --fit {params.fit:q} > {log} 2>&1"


rule neulvm_truth:
    output:
        network="results/neulvm/models/network.json",
        meso="results/neulvm/models/true.json",
    log:
        "results/neulvm/log/truth.txt",
    benchmark:
        "results/neulvm/benchmark/truth.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        code=code("neulvm.truth"),
        circuit=settings("neulvm", "circuit"),
        window=settings("neulvm", "window"),
        dataset=NEULVM_DATASET,
    shell:
        "python -m respike neulvm.truth --network {output.network} --meso {output.meso} --dataset {params.dataset:q}"
        " --circuit {params.circuit:q} --window {params.window:q} > {log} 2>&1"


rule neulvm_simulate:
    input:
        model="results/neulvm/models/{model}.json",
    output:
        run="results/neulvm/runs/{model}.npz",
    log:
        "results/neulvm/log/simulate_{model}.txt",
    benchmark:
        "results/neulvm/benchmark/simulate_{model}.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        code=code("neulvm.simulate"),
        free=settings("neulvm", "free"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.simulate --model {input.model} --out {output.run} --free {params.free:q}"
        " --seed {params.seed} > {log} 2>&1"


rule neulvm_baselines:
    input:
        trial="results/neulvm/trial.npz",
    output:
        baselines="results/neulvm/baselines.npz",
    log:
        "results/neulvm/log/baselines.txt",
    benchmark:
        "results/neulvm/benchmark/baselines.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=2000,
    params:
        code=code("neulvm.baselines"),
        baselines=settings("neulvm", "baselines"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.baselines --trial {input.trial} --out {output.baselines}"
        " --baselines {params.baselines:q} --seed {params.seed} > {log} 2>&1"


rule neulvm_binning:
    output:
        table="results/neulvm/binning.parquet",
    log:
        "results/neulvm/log/binning.txt",
    benchmark:
        "results/neulvm/benchmark/binning.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=60,
        mem_mb=4000,
    params:
        code=code("neulvm.binning"),
        circuit=settings("neulvm", "circuit"),
        sweep=settings("neulvm", "binning"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.binning --out {output.table} --circuit {params.circuit:q} --sweep {params.sweep:q}"
        " --seed {params.seed} > {log} 2>&1"


rule neulvm_clusters:
    output:
        clusters="results/neulvm/clusters.npz",
    log:
        "results/neulvm/log/clusters.txt",
    benchmark:
        "results/neulvm/benchmark/clusters.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=20,
        mem_mb=2000,
    params:
        code=code("neulvm.clusters"),
        cases=settings("neulvm", "clusters"),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.clusters --out {output.clusters} --cases {params.cases:q} --seed {params.seed}"
        " > {log} 2>&1"


rule neulvm_metrics:
    input:
        trial="results/neulvm/trial.npz",
        fits=expand("results/neulvm/fits/start{start}.json", start=NEULVM_STARTS),
        best="results/neulvm/models/best.json",
        refined="results/neulvm/models/refined.json",
        latent="results/neulvm/best.npz",
        known=NEULVM_KNOWN,
        samples="results/neulvm/posterior.parquet",
        calibration="results/neulvm/calibration.parquet",
        recovery=NEULVM_RECOVERY,
        runs=expand("results/neulvm/runs/{model}.npz", model=NEULVM_RUNS),
        baselines="results/neulvm/baselines.npz",
        clusters="results/neulvm/clusters.npz",
        binning="results/neulvm/binning.parquet",
    output:
        table="results/neulvm/metrics.parquet",
    log:
        "results/neulvm/log/metrics.txt",
    benchmark:
        "results/neulvm/benchmark/metrics.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=30,
        mem_mb=2000,
    params:
        code=code("neulvm.metrics"),
        circuit=settings("neulvm", "circuit"),
        particle=settings("neulvm", "particles"),
        embedded=json.dumps(NEULVM_EMBEDDED),
        seed=config["run"]["seed"],
    shell:
        "python -m respike neulvm.metrics --trial {input.trial} --fits {input.fits} --best {input.best} --refined {input.refined}"
        " --latent {input.latent} --known {input.known} --samples {input.samples} --calibration {input.calibration}"
        " --recovery {input.recovery} --runs {input.runs} --baselines {input.baselines} --clusters {input.clusters} --binning {input.binning}"
        " --out {output.table} --circuit {params.circuit:q} --particle {params.particle:q} --embedded {params.embedded}"
        " --seed {params.seed} > {log} 2>&1"


rule neulvm_figures:
    input:
        trial="results/neulvm/trial.npz",
        logs=expand("results/neulvm/fits/start{start}.parquet", start=NEULVM_STARTS),
        fits=expand("results/neulvm/fits/start{start}.json", start=NEULVM_STARTS),
        best="results/neulvm/models/best.json",
        refined="results/neulvm/models/refined.json",
        rounds="results/neulvm/refined.parquet",
        latent="results/neulvm/best.npz",
        samples="results/neulvm/posterior.parquet",
        runs=expand("results/neulvm/runs/{model}.npz", model=NEULVM_RUNS),
        baselines="results/neulvm/baselines.npz",
        clusters="results/neulvm/clusters.npz",
        binning="results/neulvm/binning.parquet",
    output:
        report("results/neulvm/figures/inferred.png", caption="../report/neulvm_inferred.rst", category="neulvm"),
        report("results/neulvm/figures/losses.png", caption="../report/neulvm_losses.rst", category="neulvm"),
        report("results/neulvm/figures/free.png", caption="../report/neulvm_free.rst", category="neulvm"),
        report("results/neulvm/figures/parameters.png", caption="../report/neulvm_parameters.rst", category="neulvm"),
        report("results/neulvm/figures/dwell.png", caption="../report/neulvm_dwell.rst", category="neulvm"),
        report("results/neulvm/figures/clusters.png", caption="../report/neulvm_clusters.rst", category="neulvm"),
        report("results/neulvm/figures/pulses.png", caption="../report/neulvm_pulses.rst", category="neulvm"),
        report("results/neulvm/figures/posterior.png", caption="../report/neulvm_posterior.rst", category="neulvm"),
        report("results/neulvm/figures/likelihood.png", caption="../report/neulvm_likelihood.rst", category="neulvm"),
        report("results/neulvm/figures/bins.png", caption="../report/neulvm_bins.rst", category="neulvm"),
    log:
        "results/neulvm/log/figures.txt",
    benchmark:
        "results/neulvm/benchmark/figures.tsv"
    conda:
        "../../environment.yml"
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        code=code("neulvm.figures"),
        circuit=settings("neulvm", "circuit"),
        embedded=json.dumps(NEULVM_EMBEDDED),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "python -m respike neulvm.figures --trial {input.trial} --logs {input.logs} --fits {input.fits} --best {input.best}"
        " --refined {input.refined} --rounds {input.rounds} --latent {input.latent} --samples {input.samples}"
        " --runs {input.runs} --baselines {input.baselines}"
        " --clusters {input.clusters}"
        " --binning {input.binning} --folder {params.folder} --circuit {params.circuit:q} --embedded {params.embedded}"
        " > {log} 2>&1"
