"""The same bytes, however the work is cut and shared out. (From Slurm: test_slurm.py.)"""

import shutil

import pytest
import yaml

from tests.workflow import bed

pytestmark = pytest.mark.slow
MADE = {"mini/metrics.parquet", "mini/round0/kept.npz", "mini/round1/kept.npz", "mini/fit.pt", "mini/figures/summary.txt"}


@pytest.mark.parametrize(("cores", "rows", "chunks"), [(1, 2, 2), (2, 1, 4), (2, 4, 1)])
def test_results_do_not_depend_on_cores_and_chunks(finished, tmp_path, cores, rows, chunks):
    project = bed.miniature(tmp_path / "project")
    bed.configure(project, rows=rows, chunks=chunks)  # `finished`: two cores, two chunks of two rows
    done = bed.respike(project, "run", "mini", "--cores", str(cores))
    assert done.returncode == 0, done.stdout + done.stderr
    expected, found = bed.hashes(finished), bed.hashes(project)
    assert {name: found[name] for name in MADE} == {name: expected[name] for name in MADE}


SIMULATED = {  # rules of fsbi that take a tenth of a second each, once their network is compiled
    "data": "simulate",
    "rounds": 1,
    "schedule": [{"rules": 24}],
    "network": {"n_e": 64, "n_i": 16, "n_input": 500},
    "simulation": {"wiring": {"p_recurrent": 0.8, "w_input": 0.75}, "protocol": {"settle": 0.5, "record": 1.0}},
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Results at a tiny size: on `cores` with as many replicas of modes in a chunk, and two cuttings of fsbi's rules."""
    compiled = tmp_path_factory.mktemp("compiled") / "build"

    def make(cores, chunk, draw):
        project = bed.copy(tmp_path_factory.mktemp("studies") / "project")
        tiny = yaml.safe_load((bed.ROOT / "tests/workflow/tiny.yaml").read_text())
        (kind, *_) = tiny["modes"]["networks"]
        modes = {**tiny["modes"], "networks": [{**kind, "replicas": 2}], "chunk": cores}
        fsbi = {"poly": {**SIMULATED, "chunk": chunk, "draw": draw}}
        (project / "tiny.yaml").write_text(yaml.safe_dump({"modes": modes, "fsbi": fsbi}))
        if compiled.exists():
            shutil.copytree(compiled, project / "results/fsbi/build")
        tables = ["modes/metrics.parquet", "fsbi/poly/round0/table.parquet", "rate2lif/searches/gonogo_0-0.zip"]
        targets = [f"results/{name}" for name in tables]
        done = bed.respike(project, "run", *targets, "--configfile", "tiny.yaml", "--cores", str(cores))
        assert done.returncode == 0, done.stdout + done.stderr
        found = bed.hashes(project)
        shutil.copytree(project / "results/fsbi/build", compiled, dirs_exist_ok=True)
        shutil.rmtree(project)
        return {name: found[name] for name in tables}

    return make


def test_tables_of_studies_do_not_depend_on_cores_and_chunks(studies):
    assert studies(1, 24, 24) == studies(2, 10, 9) == studies(2, 7, 16)
