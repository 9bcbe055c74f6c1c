# respike: `make reproduce` runs the whole workflow at quick size, `make test` the tests. Nothing else has to be typed first.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell command -v $(name))))
CORES ?= $(shell nproc)
CONFIG ?=
REFERENCE := $(wildcard ../shared/golden)
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))
export RESPIKE_REFERENCE ?= $(abspath $(REFERENCE))

.PHONY: help reproduce test test-all test-workflow slurm torture check lint bench peers gpu report rules publish lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

reproduce: .venv/ready  ## run the whole workflow (ONLY=modes for one study, CONFIG=workflow/presets/paper.yaml for another size)
	@$(BIN)/python -m respike run $(ONLY) --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))
	@$(BIN)/python -m respike report.where

test: .venv/ready  ## fast tests
	$(BIN)/pytest -n $(CORES) --dist loadfile

test-all: .venv/ready  ## fast and slow tests
	$(BIN)/pytest -n $(CORES) --dist loadfile -m "slow or not slow"

test-workflow: .venv/ready  ## slow tests of the workflow itself: rerun matrix, kills, commands of the pages, Slurm where there is one
	$(BIN)/pytest -n $(CORES) --dist loadfile tests/workflow tests/test_docs.py -m slow -rs --durations=10

slurm: .venv/ready  ## install what a Slurm cluster needs (docs/cluster.md)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-slurm.lock

torture: .venv/ready  ## kill runs at random moments and start them again (KILLS=50 SEED=0 STUDY=modes SLURM=1)
	$(BIN)/python -m tests.workflow.torture --kills $(or $(KILLS),50) --seed $(or $(SEED),0) --study $(or $(STUDY),mini) \
	  $(if $(SLURM),--slurm)

check: lint test  ## format, lint, fast tests

lint: .venv/ready  ## format and lint of Python and Snakemake files
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

bench: .venv/ready  ## CPU seconds and memory of each workload (ONLY=modes for one study)
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

peers: .venv/ready  ## training step of a recurrent LIF layer in snnTorch and Norse beside ours, in an environment of its own
	"$(PYTHON)" -m venv .venv-peers
	echo "$(abspath .venv)/lib/python3.11/site-packages" > .venv-peers/lib/python3.11/site-packages/respike.pth
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements.txt
	.venv-peers/bin/python benchmarks/peers/run.py

gpu:  ## ten steps of modes, v1 and barrel on a GPU beside the CPU (PYTHON=one with CUDA PyTorch; DEVICE=plain: same operations on the CPU)
	"$(PYTHON)" benchmarks/gpu.py --device $(or $(DEVICE),cuda)

report: .venv/ready  ## one self-contained HTML page of all results
	@$(BIN)/python -m respike run --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))
	@$(SNAKEMAKE) --forceall --rulegraph dot > results/rules.dot
	@$(BIN)/python -m respike report.page --results results --captions workflow/report --graph results/rules.dot --out results/report.html
	@echo "report     results/report.html"

rules: .venv/ready  ## draw the rules of each study into docs/images
	@mkdir -p results
	@$(SNAKEMAKE) --nolock --forceall --rulegraph dot > results/rules.dot
	@$(BIN)/python -m respike report.rulegraph --graph results/rules.dot --folder docs/images

publish: .venv/ready  ## copy the small results of a finished run to docs/results and fill the pages (RESULTS=results COMMIT=that of the run)
	@$(BIN)/python -m respike report.publish --results $(or $(RESULTS),results) --captions workflow/report \
	  --commit $(or $(COMMIT),$$(git describe --always --dirty --exclude '*')) --fill README.md docs --out docs/results
	@echo "published  docs/results/README.md"

lock: .venv/ready  ## write the versions installed now to requirements.lock and environment.yml
	$(BIN)/pip freeze --all --exclude-editable | sed 's/+cpu//' | grep -v '^pip==\|^snakemake-executor-plugin' > requirements.lock
	$(BIN)/python workflow/write_environment.py

clean:  ## remove results and the environment
	rm -rf results .snakemake .venv

.venv/ready: requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "respike needs Python 3.11, found: $$("$(PYTHON)" --version 2>/dev/null || echo none); install it or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@command -v $(or $(CXX),g++) >/dev/null || \
	  { echo "respike needs a C++ compiler ($(or $(CXX),g++) not found); install g++ or run make CXX=/path/to/compiler" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
