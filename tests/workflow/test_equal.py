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


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Results of whole studies at a tiny size for a number of cores and a chunk size of fsbi's simulations."""

    def make(cores, chunk):
        project = bed.copy(tmp_path_factory.mktemp("studies") / "project")
        tiny = yaml.safe_load((bed.ROOT / "tests/workflow/tiny.yaml").read_text())
        drawn = {"data": "surrogate", "rounds": 1, "chunk": chunk, "schedule": [{"rules": 24}]}
        (project / "tiny.yaml").write_text(yaml.safe_dump({**tiny, "fsbi": {"poly": drawn}}))
        targets = ["results/modes/metrics.parquet", "results/fsbi/poly/round0/table.parquet"]
        done = bed.respike(project, "run", *targets, "--configfile", "tiny.yaml", "--cores", str(cores))
        assert done.returncode == 0, done.stdout + done.stderr
        found = bed.hashes(project)
        shutil.rmtree(project)
        return {name: found[name.removeprefix("results/")] for name in targets}

    return make


def test_tables_of_studies_do_not_depend_on_cores_and_chunks(studies):
    assert studies(1, 24) == studies(2, 10) == studies(2, 7)
