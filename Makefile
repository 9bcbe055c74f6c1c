# respike: `make reproduce` runs the whole workflow at quick size, `make test` the tests. Nothing else has to be typed first.
# PYTHON: empty for the newest suitable one (workflow/environment.sh). VENV: a folder for each Python.
PYTHON ?=
VENV ?= .venv
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
UV ?= uv
CONFIG ?=
# a further run to publish; make itself calls the assembler so
AS :=
# read when they are asked for: workflow/Snakefile has the one list of studies
STUDIES = $(shell sed -n 's/^STUDIES = //p' workflow/Snakefile | tr -d '[],"')
CLAIMS = --claims $(STUDIES:%=src/respike/%/claims.csv)
CONFIGS = $(if $(shell test -f "$(CONFIG)" && echo one),"$(CONFIG)",$(CONFIG))
CONFIGFILE = $(if $(CONFIG),--configfile $(CONFIGS))
# a folder with cases of the published programs; tests that need one are skipped without
REFERENCE ?=
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake --profile none --cores $(CORES) $(CONFIGFILE)
export RESPIKE_REFERENCE ?= $(abspath $(REFERENCE))
# What a shell could change in Python itself, before src/respike/surroundings.py has its say
unexport PYTHONHOME PYTHONOPTIMIZE PYTHONWARNINGS PYTHONINSPECT PYTHONPROFILEIMPORTTIME BASH_ENV
export PYTHONUTF8 := 1
export PYTHONPATH := $(CURDIR)/src

.PHONY: help reproduce test test-all test-workflow slurm torture mutants check lint bench peers gpu report rules publish verdicts lock clean asked check-newest newest

help:  ## list the targets
	@awk -F ':.*## *' '/^[a-z-]+:.*##/ {printf "%-15s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

reproduce: $(VENV)/ready  ## run the whole workflow (ONLY=modes for one study, CONFIG=workflow/presets/paper.yaml for another size)
	@$(BIN)/python -m respike run $(ONLY) --cores $(CORES) $(CONFIGFILE)
	@$(BIN)/python -m respike report.where

test: $(VENV)/ready  ## fast tests
	$(BIN)/pytest -n $(CORES) --dist loadfile

test-all: $(VENV)/ready  ## fast and slow tests
	$(BIN)/pytest -n $(CORES) --dist loadfile -m "slow or not slow"

test-workflow: $(VENV)/ready  ## slow tests of the workflow itself (rerun matrix, kills, commands of the pages, Slurm where there is one) and of damaged files
	$(BIN)/pytest -n $(CORES) --dist loadfile tests/workflow tests/test_docs.py tests/test_fuzz.py -m slow -rs --durations=10

slurm: $(VENV)/ready  ## install what a Slurm cluster needs (docs/cluster.md)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-slurm.lock

torture: $(VENV)/ready  ## kill runs at random moments and start them again (KILLS=50 SEED=0 STUDY=modes SLURM=1)
	$(BIN)/python -m tests.workflow.torture --kills $(or $(KILLS),50) --seed $(or $(SEED),0) --study $(or $(STUDY),mini) \
	  $(if $(SLURM),--slurm)

mutants: $(VENV)/ready  ## small changes of the sources, one at a time, in a copy: which does no fast test notice? (COUNT=126 SEED=0 ONLY=modes)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-mutants -r tests/mutants.txt
	PYTHONPATH=.venv-mutants $(BIN)/python tests/mutants.py --cores $(CORES) --count $(or $(COUNT),126) --seed $(or $(SEED),0) \
	  $(if $(ONLY),--only $(ONLY))

check: lint test  ## format, lint, fast tests

check-newest:  ## on the newest Python, in .venv-newest: fast tests, the lock, the simulator's fast loops against stock ones, a small study
	$(MAKE) newest VENV=.venv-newest PYTHON="$(PYTHON)"

newest: test
	$(BIN)/pytest -n $(CORES) -m slow tests/test_machines.py tests/test_fsbi_simulator.py -k "test_machines or same_bits"

lint: $(VENV)/ready  ## format and lint of Python and Snakemake files
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --profile none --lint

bench: $(VENV)/ready  ## CPU seconds and memory of each workload (ONLY=modes for one study)
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

peers: $(VENV)/ready  ## training step of a recurrent LIF layer in snnTorch and Norse beside ours, in an environment of its own
	$(BIN)/python -m venv .venv-peers
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	  "$$(.venv-peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/respike.pth"
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements.txt
	.venv-peers/bin/python benchmarks/peers/run.py

gpu:  ## ten steps of modes, v1 and barrel on a GPU beside the CPU (PYTHON=one with CUDA PyTorch; DEVICE=plain: same operations on the CPU)
	"$(or $(PYTHON),python3)" benchmarks/gpu.py --device $(or $(DEVICE),cuda)

report: $(VENV)/ready  ## one self-contained HTML page of all results
	@$(BIN)/python -m respike run --cores $(CORES) $(CONFIGFILE)
	@$(SNAKEMAKE) --forceall --rulegraph dot > results/rules.dot
	@$(BIN)/python -m respike report.page --results results --captions workflow/report --graph results/rules.dot --out results/report.html
	@echo "report     results/report.html"

rules: $(VENV)/ready  ## draw the rules of each study into docs/images
	@mkdir -p results
	@$(SNAKEMAKE) --nolock --forceall --rulegraph dot > results/rules.dot
	@$(BIN)/python -m respike report.rulegraph --graph results/rules.dot --folder docs/images

publish: $(VENV)/ready  ## copy the small results of a finished run to docs/results, fill the pages (ONLY=a study or bench; CONFIG, RESULTS, COMMIT of the run; AS=name of a further run)
	@$(if $(filter-out $(STUDIES) bench,$(ONLY)),$(error ONLY is $(ONLY); expected one of $(STUDIES) bench))
	@$(if $(RESULTS),echo "not verified: run \`respike verify\` where $(RESULTS) was made",\
	  $(if $(filter bench,$(ONLY)),,$(BIN)/python -m respike verify $(ONLY) $(CONFIGFILE)))
	@$(BIN)/python -m respike report.publish --results "$(or $(RESULTS),results)" --captions workflow/report \
	  --studies $(filter $(STUDIES),$(or $(ONLY),$(STUDIES))) --together $(if $(ONLY),false,true) --config $(CONFIGS) $(CLAIMS) $(if $(AS),--beside $(AS)) \
	  --commit $(or $(COMMIT),$$(git describe --always --dirty --exclude '*')) --fill README.md docs --out docs/results
	@echo "published  docs/results/README.md"

verdicts: $(VENV)/ready  ## judge the published results anew after an edit of a claims.csv, and fill the pages
	@$(BIN)/python -m respike report.judge --out docs/results --fill README.md docs $(CLAIMS)

lock: $(VENV)/ready  ## resolve the packages of pyproject.toml for every Python into requirements.lock and environment.yml (UV=/path/to/uv)
	$(BIN)/python workflow/lock.py $(UV)

clean:  ## remove results and the environment
	@mkdir -p results
	find results/ -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf .snakemake "$(VENV)"

$(VENV)/ready: requirements.lock pyproject.toml
	@CXX="$(CXX)" sh workflow/environment.sh make "$(VENV)" "$(PYTHON)"
	@touch $@

ifeq ($(origin PYTHON),command line)
$(VENV)/ready: | asked
asked:
	@sh workflow/environment.sh check "$(VENV)" "$(PYTHON)"
endif
