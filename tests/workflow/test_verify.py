"""Every output can be verified, and what is wrong is mended by exactly the jobs that made it."""

import json
import shutil

import pytest

from tests.workflow import bed


def flip(path, place=-30):
    content = bytearray(path.read_bytes())
    content[max(place, -len(content))] ^= 1
    path.write_bytes(content)


def edit(project, name, old, new):
    path = project / "src/respike" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def make_again(project, *more):
    """Run the workflow and say which rules it ran."""
    done = bed.respike(project, "run", "mini", "--cores", "2", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return bed.ran(done)


def test_a_record_says_what_made_a_file(project):
    record = json.loads((project / "results/mini/round1/.made/rows_2.parquet.json").read_text())
    assert record["stage"] == "mini.simulate"
    assert record["arguments"][:2] == ["--previous", "results/mini/round0/kept.npz"]
    before = project / "results/mini/round0/kept.npz"
    made = json.loads((before.parent / ".made/kept.npz.json").read_text())
    assert record["inputs"] == {"results/mini/round0/kept.npz": made["sha256"]}
    assert record["seed"] == 0
    assert {"python", "respike", "numpy", "pandas"} <= record["versions"].keys()
    assert record["host"]["name"]


def test_what_is_in_order_is_left_alone(project):
    found = bed.respike(project, "verify", "mini")
    assert (found.returncode, found.stdout) == (0, "All 10 files of 10 jobs are as they should be\n")


@pytest.mark.parametrize("gone", [["raw.txt"], ["raw.txt", "results/mini/data.npz"]], ids=["source", "its reader too"])
def test_a_job_whose_source_is_missing_is_not_dropped(project, gone):
    """Snakemake would take what was made from it for a source, and all that remains would be in order."""
    for name in gone:
        (project / name).unlink()
    done = bed.respike(project, "verify", "mini")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Missing input files for rule mini_data" in done.stderr
    assert "raw.txt" in done.stderr


def test_a_file_in_results_that_no_job_makes_is_told(project):
    (project / "raw.txt").rename(project / "results/raw.txt")
    bed.configure(project, source="results/raw.txt")
    done = bed.respike(project, "verify", "mini")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "respike verify: No rule to produce results/raw.txt\n"


def test_one_flipped_byte_in_each_file_is_found_and_mended(project):
    before = bed.hashes(project)
    for name in before:
        flip(project / "results" / name)
    found = bed.respike(project, "verify", "mini", "--fix")
    assert all(f"corrupt  results/{name}: " in found.stdout for name in before)
    assert not bed.hashes(project)
    make_again(project)
    assert bed.hashes(project) == before


def test_a_corrupt_intermediate_is_made_again_and_nothing_else(project):
    before = bed.hashes(project)
    flip(project / "results/mini/round0/kept.npz")
    assert make_again(project) == ["mini_filter"]
    assert bed.hashes(project) == before


def test_foreign_missing_and_damaged_records_are_told_apart(project):
    results = project / "results/mini"
    shutil.copy(results / "data.npz", results / "round0/kept.npz")
    (results / "round1/.made/rows_0.parquet.json").write_text('{"sha256": ')
    (results / "round1/.made/rows_2.parquet.json").unlink()
    (results / "metrics.parquet").unlink()
    said = bed.respike(project, "verify", "mini").stdout
    assert "corrupt  results/mini/round0/kept.npz: results/mini/round0/kept.npz was changed" in said
    assert "corrupt  results/mini/round1/rows_0.parquet: results/mini/round1/.made/rows_0.parquet.json is damaged" in said
    assert "foreign  results/mini/round1/rows_2.parquet: it has no record" in said
    assert "missing  results/mini/metrics.parquet: rule mini_metrics makes it" in said


def test_without_the_memory_of_snakemake_stale_files_are_still_known(project):
    shutil.rmtree(project / ".snakemake")
    bed.configure(project, eps=0.5)
    found = bed.respike(project, "verify", "mini")
    assert found.returncode == 1
    stale = {line.split(":")[0].split()[1] for line in found.stdout.splitlines() if line.startswith("stale")}
    assert stale == {"results/mini/round0/kept.npz", "results/mini/round1/kept.npz"}
    assert "made with 5.0, now 0.5" in found.stdout
    plain = bed.snakemake(project, "-n", "mini")
    assert "Nothing to be done" in plain.stdout + plain.stderr, "Snakemake alone has forgotten"


@pytest.mark.slow
def test_a_refactoring_reruns_the_edited_stage_only(project):
    before = bed.hashes(project)
    edit(project, "mini/noise.py", "return SCALE * ", "return 1.0 * SCALE * ")
    assert make_again(project) == ["mini_metrics"] + ["mini_simulate"] * 4
    assert bed.hashes(project) == before


@pytest.mark.slow
def test_results_that_come_out_otherwise_go_on_to_their_readers(project):
    edit(project, "mini/stages/simulate.py", ".mean() + offset", ".mean() + 2 * offset")
    all_but_data_and_fit = ["mini_figures"] + ["mini_filter"] * 2 + ["mini_metrics"] + ["mini_simulate"] * 4
    ran = make_again(project)
    assert ran in (
        all_but_data_and_fit,
        [rule for rule in all_but_data_and_fit if rule not in {"mini_figures", "mini_metrics"}],
    )


@pytest.mark.slow
def test_another_content_of_the_raw_data_is_noticed_and_a_touch_is_not(project):
    (project / "raw.txt").touch()
    assert make_again(project) == []
    (project / "raw.txt").write_text("1\n2\n4\n")
    assert {"mini_data", "mini_fit", "mini_simulate"} <= set(make_again(project))


@pytest.mark.slow
def test_more_rounds_make_the_new_round_only(project):
    bed.configure(project, rounds=3)
    new = ["mini_filter", "mini_metrics", "mini_simulate", "mini_simulate"]
    assert make_again(project) in (new, ["mini_figures", *new])
