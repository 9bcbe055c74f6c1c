"""Publishing a run: small files with known content, pages whose marked parts come from them, and clear refusals."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from respike.core import files, measures
from respike.core.measures import Measure
from respike.report import facts
from respike.report.stages import activity, pages, publish, scorecard

MEASURED = measures.table(
    "modes", [Measure("a_P1", seed, "digits", "accuracy", value, "1", 10) for seed, value in ((0, 0.86), (1, 0.9))]
)
CLAIMS = [
    ("modes", "a | b", "table 1", 0.9, 0.88, "1", "digits", "quick", "met", ""),
    ("modes", "c", "table 2", 0.5, 0.4, "Hz", "digits", "quick", "not comparable", "the claim is about MNIST; seeds: 1, 2"),
    ("modes", "d", "table 3", 0.5, np.nan, "", "", "quick", "not comparable", "not measured"),
    ("v1", "e", "abstract", 1.0, 2.0, "s", "stand-in", "quick", "not met", ""),
]


@pytest.fixture
def results(tmp_path):
    """A finished run of two studies, as small as can be."""
    folder = tmp_path / "results"
    files.maker.update(seed=3, time="2026-01-02T03:04:05", versions={"numpy": "2.3"}, stage="modes.fit")
    files.maker["host"] = {"system": "Linux-6-x", "processor": "x86_64", "name": "secret", "user": "me"}
    card = pd.DataFrame(CLAIMS, columns=list(scorecard.COLUMNS))
    files.write_text(folder / "scorecard.csv", card.to_csv(index=False))
    files.write_table(folder / "metrics.parquet", MEASURED)
    lines = [("v1", name, "stand-in", name == "recording", "rate", value, 0.0, 9.0, "Hz", 5, np.nan, 0.04) for name, value in
             (("recording", 4.0), ("mle", 5.0))]  # fmt: skip
    files.write_table(folder / "activity.parquet", pd.DataFrame(lines, columns=list(activity.COLUMNS)))
    for name in ("figures/activity", "modes/figures/fig1", "modes/figures/plain"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / f"{name}.png")
    files.write_text(folder / "modes/benchmark/fit_a.tsv", "s\tmax_rss\tcpu_time\n90.0\t50.0\t60.0\n")
    files.maker.clear()
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "modes_fig1.rst").write_text("The ``first``.\n")
    (captions / "activity.rst").write_text("All of them.\n")
    return folder


@pytest.fixture
def published(results, tmp_path):
    publish.run(results=results, captions=tmp_path / "captions", fill=[], commit="abc", out=tmp_path / "docs" / "results")
    return tmp_path / "docs" / "results"


def filled(published, mark: str) -> str:
    page = published.parent / "page.md"
    page.write_text(f"before\n<!-- results: {mark} -->\nold\n<!-- end -->\nafter\n")
    lines = pages.fill(page, published).splitlines()
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("before", f"<!-- results: {mark} -->", "<!-- end -->", "after")
    return "\n".join(lines[2:-2])


def test_a_run_leaves_its_tables_and_its_captioned_figures(published):
    found = {str(path.relative_to(published)) for path in published.rglob("*") if path.is_file()}
    tables = {"scorecard.csv", "activity.csv", "costs.csv", "run.csv", "figures.csv", "metrics/modes.csv"}
    assert found == {*tables, "README.md", "figures/activity.png", "figures/modes_fig1.png"}
    assert pd.read_csv(published / "metrics/modes.csv")["value"].tolist() == MEASURED["value"].tolist()
    assert [path.name for path in published.parent.iterdir()] == ["results"]  # no temporary folder stays


def test_what_made_the_run_is_told_without_names_of_people_and_machines(published):
    known = pages.known(published)
    assert (known["command"], known["commit"], known["seed"]) == ("make reproduce", "abc", "3")
    assert (known["machine"], known["finished"], known["numpy"]) == ("Linux x86_64", "2026-01-02", "2.3")
    assert "secret" not in "".join(path.read_text() for path in published.rglob("*.csv"))


def test_claims_give_value_verdict_and_reason(published):
    lines = filled(published, "claims | modes").splitlines()
    assert lines[2] == "| a &#124; b | table 1 | 0.9 | 0.88 | **met** |"
    assert lines[3] == "| c | table 2 | 0.5 Hz | 0.4 Hz | not comparable: the claim is about MNIST |"
    assert lines[-1] == "1 more claim was not measured in this run."
    assert filled(published, "claims | modes | c").count("\n") == 2


def test_measures_give_mean_and_sd_over_seeds(published):
    assert filled(published, "measures | modes | a_* | acc*").splitlines()[2] == (
        f"| a_P1 | accuracy | 0.88 | {np.std([0.86, 0.9], ddof=1):.4g} |  | 2 | digits |"
    )
    with pytest.raises(ValueError, match="modes has no measure 'x'"):
        filled(published, "measures | modes | * | x")


def test_variants_stand_in_the_order_of_their_numbers():
    names = ["N100_P30", "N100_P3", "N30_P100", "mle"]
    assert sorted(names, key=pages.by_number) == ["N30_P100", "N100_P3", "N100_P30", "mle"]


def test_verdicts_costs_networks_and_figures(published):
    lines = filled(published, "verdicts").splitlines()
    assert lines[2:] == ["| `modes` | 1 | 0 | 1 | 1 |", "| `v1` | 0 | 1 | 0 | 0 |", "| all | 1 | 1 | 1 | 1 |"]
    assert filled(published, "costs").splitlines()[2] == "| modes | 1 | 1.5 | 50 |"
    assert "| v1 | recording (data) | 4 |" in filled(published, "activity")
    assert filled(published, "figure | modes | fig1") == "![modes: fig1](results/figures/modes_fig1.png)\n\n*The first.*"


def test_marks_that_cannot_be_filled_are_refused(published):
    with pytest.raises(ValueError, match="mark 'nonsense': expected one of"):
        filled(published, "nonsense")
    with pytest.raises(ValueError, match="plain.png does not exist; figures of modes: fig1"):
        filled(published, "figure | modes | plain")
    (published.parent / "good.md").write_text("<!-- results: verdicts -->\n<!-- end -->\n")
    (published.parent / "bad.md").write_text("<!-- results: a -->\n<!-- end -->\n<!-- results: b -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match=r"bad\.md: mark 'a'.*\n.*bad\.md: mark 'b'"):
        pages.fill_all([published.parent / "good.md", published.parent / "bad.md"], published)
    assert "| `modes` |" in (published.parent / "good.md").read_text()  # the others are filled all the same


def test_a_large_picture_is_made_smaller_and_a_large_table_refused(results, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1200, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    content = publish.small(tmp_path / "noise.png")
    assert len(content) <= publish.LARGEST
    rng = np.random.default_rng(0)
    many = [Measure("a", seed, "d", "m", value, "1", 1) for seed, value in enumerate(rng.random(20000))]
    files.write_table(results / "metrics.parquet", measures.table("modes", many))
    with pytest.raises(ValueError, match=r"metrics/modes\.csv: .* kB, expected at most 500 kB"):
        publish.run(results=results, captions=tmp_path / "captions", fill=[], commit="abc", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_captions_are_found_by_figure_and_by_kind(tmp_path):
    for name in ("fsbi_pairs", "v1_movie"):
        (tmp_path / f"{name}.rst").write_text(name)
    assert facts.caption(tmp_path, "fsbi", "poly_pairs") == "fsbi_pairs"
    assert facts.caption(tmp_path, "v1", "movie") == "v1_movie"
    assert not facts.caption(tmp_path, "modes", "fig1")
