"""Publishing a run: small files with known content, pages whose marked parts come from them, and clear refusals."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from respike.core import files, measures, spikes
from respike.core.measures import Measure
from respike.report import cards, markdown, marks, pictures, published, records
from respike.report.claims import Claim
from respike.report.stages import judge as stage
from respike.report.stages import publish

MEASURED = measures.table(
    "modes", [Measure("a_P1", seed, "digits", "accuracy", value, "1", 10) for seed, value in ((0, 0.86), (1, 0.9))]
)
CLAIMS = {
    "whose": ["paper", "paper", "paper", "paper", "goal", "paper"],
    "study": ["modes", "modes", "modes", "modes", "v1", "v1"],
    "item": ["a | b", "c", "c2", "d", "e", "f"],
    "source": ["table 1", "table 2", "table 2", "table 3", "abstract", "abstract"],
    "verdict": ["reproduced", "not comparable", "not comparable", "not measured", "not reproduced", "not reproduced"],
    "paper": ["0.9", "0.5", "0.6", "0.5", "1", "1"],
    "ours": ["0.88", "0.4", "0.5", "", "2", "2"],
    "unit": ["1", "Hz", "Hz", "", "s", "s"],
    "low": [-0.05, np.nan, np.nan, np.nan, 0.5, -np.inf],
    "high": [0.01, np.nan, np.nan, np.nan, 1.5, -0.25],
    "compared": ["this with that", "", "", "", "this with that", "this with that"],
    "why": ["", "batches 200, needed 3000", "batches 200, needed 3000", "not measured in this run", "", ""],
    "size": ["quick"] * 6,
}


def job(folder, stage: str, number: int, cost: tuple[float, float, float], *names: str) -> None:
    """Files of one job, each with the record that its stage leaves; those written before the last know of less CPU time."""
    for name in names:
        files.write_text(folder / name, name)
        spent = dict(zip(("wall_s", "cpu_s", "memory_mb"), cost, strict=True))
        spent["cpu_s"] -= 0.5 * (len(names) - 1 - names.index(name))
        facts = files.read_record(folder / name) | {"stage": stage, "arguments": [str(number)], "cost": spent}
        files.record_path(folder / name).write_text(json.dumps(facts))


def made_from(results, name: str, stage: str, *sources: str, **facts) -> None:
    """The record beside a file of `results` that a job leaves which read the `sources`."""
    known = files.read_record(results / name) or {"sha256": files.digest(results / name)}
    inputs = {f"results/{source}": files.digest(results / source) for source in sources}
    files.record_path(results / name).parent.mkdir(exist_ok=True)
    record = {"stage": stage, "arguments": ["0"], "inputs": inputs, **facts}
    files.record_path(results / name).write_text(json.dumps(known | record))


@pytest.fixture
def results(tmp_path):
    """A finished run of a study, as small as can be."""
    folder = tmp_path / "results"
    files.maker.update(seed=3, time="2026-01-02T03:04:05", versions={"numpy": "2.3"})
    files.maker["host"] = {"system": "Linux-6-x", "processor": "x86_64", "name": "secret", "user": "me"}
    files.write_table(folder / "modes" / "facts.parquet", measures.facts("modes", [("a_P1", {"loss": "logits"})]))
    files.write_table(folder / "modes" / "metrics.parquet", MEASURED)
    four = spikes.Spikes(np.array([0.1, 0.3, 0.6, 0.8]), np.zeros(4, int), 1, 1.0)
    spikes.write_networks(folder / "modes" / "spikes.npz", [spikes.Network("modes", "digits", "stand-in", True, four, 0.01)])
    files.maker.clear()
    for name in ("figures/activity", "modes/figures/fig1", "modes/figures/plain"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(folder / f"{name}.png")
    job(folder, "modes.fit", 0, (90.0, 60.0, 50.0), "modes/fits/a.pt")
    job(folder, "modes.metrics", 0, (30.0, 24.0, 70.4), "modes/log.txt")
    for name in ("metrics.parquet", "facts.parquet", "spikes.npz"):
        made_from(folder, f"modes/{name}", "modes.metrics", "modes/fits/a.pt")
    for name in ("fig1", "plain"):
        made_from(folder, f"modes/figures/{name}.png", "modes.figures", "modes/metrics.parquet")
    job(folder, "report.activity", 0, (1.0, 1.0, 1.0), "activity.parquet")
    made_from(folder, "activity.parquet", "report.activity", "modes/spikes.npz")
    made_from(folder, "figures/activity.png", "report.activity", "modes/spikes.npz")
    captions = tmp_path / "captions"
    captions.mkdir()
    (captions / "modes_fig1.rst").write_text("The ``first``.\n")
    (captions / "activity.rst").write_text("All of them.\n")
    return folder


@pytest.fixture
def arguments(results, tmp_path):
    """What `publish` is told."""
    claim = Claim("paper", "a", "t", "", "a_P1", "accuracy", "mean", "equal", 0.9, np.nan, np.nan, 0.5, *[""] * 4)
    for study in ("modes", "v1"):
        files.write_text(tmp_path / study / "claims.csv", pd.DataFrame([claim]).to_csv(index=False))
    return {
        "results": results, "captions": tmp_path / "captions", "studies": ["modes"], "together": True, "config": [],
        "claims": [tmp_path / study / "claims.csv" for study in ("modes", "v1")],
        "fill": [], "out": tmp_path / "docs" / "results",
    }  # fmt: skip


@pytest.fixture
def docs(arguments):
    """A folder of pages with the published results in it."""
    publish.run(**arguments, commit="abc")
    return arguments["out"].parent


@pytest.fixture
def shown(docs):
    """The same with verdicts of every kind."""
    pd.DataFrame(CLAIMS, columns=list(cards.COLUMNS)).to_csv(docs / "results" / "scorecard.csv", index=False)
    (docs / "results" / "README.md").write_text(markdown.overview(docs / "results"))
    return docs


def part(docs, mark: str) -> str:
    """What a page shows between the marks."""
    page = docs / "page.md"
    page.write_text(f"before\n<!-- results: {mark} -->\nold\n<!-- end -->\nafter\n")
    lines = marks.filled(page, docs / "results").splitlines()
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("before", f"<!-- results: {mark} -->", "<!-- end -->", "after")
    return "\n".join(lines[2:-2])


def test_a_run_leaves_its_tables_and_its_captioned_figures(docs):
    names = {str(path.relative_to(docs / "results")) for path in (docs / "results").rglob("*") if path.is_file()}
    own = {"metrics.csv", "facts.csv", "activity.csv", "costs.csv", "run.csv", "figures.csv", "fig1.png"}
    assert names == {"scorecard.csv", "README.md", "all/activity.png", "all/figures.csv", *(f"modes/{name}" for name in own)}
    assert pd.read_csv(docs / "results/modes/metrics.csv")["value"].tolist() == MEASURED["value"].tolist()
    assert cards.read(docs / "results" / "scorecard.csv")["verdict"].tolist() == ["reproduced", "not measured"]
    assert [path.name for path in docs.iterdir()] == ["results"]  # no temporary folder stays


def test_activity_of_all_studies_is_drawn_from_their_published_tables(docs, arguments):
    """A second study adds its lines; a further figure of all studies stays."""
    folder = docs / "results"
    before = (folder / "all" / "activity.png").read_bytes()
    (folder / "all" / "rasters.png").write_bytes(before)
    (folder / "all" / "figures.csv").write_text("name,caption\nactivity,Old.\nrasters,Some.\n")
    (folder / "v1").mkdir()
    theirs = pd.read_csv(folder / "modes" / "activity.csv").assign(study="v1")
    theirs.to_csv(folder / "v1" / "activity.csv", index=False)
    publish.run(**{**arguments, "commit": "new", "together": False})
    assert (folder / "all" / "activity.png").read_bytes() != before
    assert (folder / "all" / "rasters.png").read_bytes() == before
    assert pd.read_csv(folder / "all" / "figures.csv").to_numpy().tolist() == [
        ["activity", "All of them."],
        ["rasters", "Some."],
    ]


def test_the_run_of_a_study_takes_the_place_of_that_study_alone_and_a_failed_one_leaves_all(
    docs, results, arguments, tmp_path
):
    for name in ("v1/run.csv", "modes/old.png"):
        (docs / "results" / name).parent.mkdir(exist_ok=True)
        (docs / "results" / name).write_text(
            "fact,value\nsize,medium\ncommand,make\ncommit,old\nseed,0\nfinished,2025-01-01\n"
        )
    (tmp_path / "large.yaml").write_text("run: {size: claims}\n")
    (tmp_path / "plain.yaml").write_text("run:\n")
    again = {**arguments, "commit": "new", "together": False, "config": [tmp_path / "large.yaml", tmp_path / "plain.yaml"]}
    (results / "modes" / "spikes.npz").rename(tmp_path / "spikes.npz")
    with pytest.raises(FileNotFoundError, match=r"spikes\.npz does not exist"):
        publish.run(**again)
    assert markdown.provenance(docs / "results", "modes")["commit"] == "abc"
    (tmp_path / "spikes.npz").rename(results / "modes" / "spikes.npz")
    publish.run(**again)
    about = markdown.provenance(docs / "results", "modes")
    assert (about["commit"], about["size"]) == ("new", "claims")
    assert about["command"] == f'make reproduce ONLY=modes CONFIG="{tmp_path / "large.yaml"} {tmp_path / "plain.yaml"}"'
    assert not (docs / "results/modes/old.png").exists()
    assert markdown.provenance(docs / "results", "v1")["commit"] == "old"
    assert [path.name for path in docs.iterdir()] == ["results"]


def left_over(results) -> None:
    """What a run with another config and another seed has left in the same folder."""
    job(results, "modes.fit", 1, (1e6, 1e6, 1e6), "modes/fits/old.pt")
    made_from(results, "modes/fits/old.pt", "modes.fit", arguments=["1"], seed=7, versions={"numpy": "1.0"})
    for name in ("old", "other"):
        (results / f"modes/figures/{name}.png").write_bytes((results / "modes/figures/fig1.png").read_bytes())
    made_from(results, "modes/figures/old.png", "modes.figures", "modes/metrics.parquet", "modes/fits/old.pt", arguments=["1"])


def test_what_an_earlier_config_has_left_is_not_published(results, arguments, tmp_path):
    for name in ("old", "other"):
        (tmp_path / f"captions/modes_{name}.rst").write_text("A figure that no job of the present config makes.")
    tables = []
    for change in (lambda results: None, left_over):
        change(results)
        publish.run(**arguments, commit="abc")
        tables.append({path.name: path.read_text() for path in (arguments["out"] / "modes").glob("*.csv")})
        assert {path.name for path in (arguments["out"] / "modes").glob("*.png")} == {"fig1.png"}
    assert tables[0] == tables[1]


def test_measures_of_networks_that_were_trained_anew_since_are_not_published(results, arguments):
    job(results, "modes.fit", 0, (90.0, 60.0, 50.0), "modes/fits/a.pt")
    files.write_text(results / "modes/fits/a.pt", "trained longer")
    with pytest.raises(ValueError, match=r"metrics\.parquet was made from another .*a\.pt than is there now; `respike run`"):
        publish.run(**arguments, commit="abc")
    assert not arguments["out"].exists()


def test_a_further_run_of_a_study_stands_beside_it_and_judges_what_the_first_answers_not(docs, arguments, tmp_path):
    """Of its figures that one is taken which a page shows."""
    before = (docs / "results" / "scorecard.csv").read_text()
    shown = next(iter(markdown.figure_captions(docs / "results", "modes")))
    page = tmp_path / "page.md"
    page.write_text(f"<!-- results: figure | modes_long | {shown} -->\n<!-- end -->\n<!-- results: runs -->\n<!-- end -->\n")
    fill = [*arguments["fill"], page]
    publish.run(**{**arguments, "commit": "new", "together": False, "beside": "modes_long", "fill": fill})
    assert {path.name for path in (docs / "results" / "modes_long").iterdir()} == {
        *("metrics.csv", "facts.csv", "costs.csv", "run.csv", "figures.csv", f"{shown}.png"),
    }
    assert f"modes_long/{shown}.png)" in page.read_text()
    assert (docs / "results" / "scorecard.csv").read_text() == before
    assert markdown.provenance(docs / "results", "modes")["commit"] == "abc"
    assert "| `modes_long` | `make reproduce ONLY=modes` | new |" in part(docs, "runs")
    assert "| 0 | 0.86 |" in part(docs, "seeds | modes_long | a_* | acc*")


def test_what_made_the_run_is_told_without_names_of_people_and_machines(docs):
    facts = markdown.provenance(docs / "results", "modes")
    assert (facts["command"], facts["commit"], facts["seed"]) == ("make reproduce", "abc", "3")
    assert (facts["machine"], facts["finished"], facts["numpy"]) == ("Linux x86_64", "2026-01-02", "2.3")
    hours = pd.read_csv(docs / "results" / "modes" / "costs.csv")["cpu_s"].sum() / 3600
    assert part(docs, "runs").splitlines()[2:] == [
        f"| `modes` | `make reproduce` | abc | 3 | 2026-01-02 | {hours:.2g} |",
        f"| **all** |  |  |  |  | **{hours:.0f}** |",
    ]
    assert "secret" not in "".join(path.read_text() for path in docs.rglob("*.csv"))


def test_several_seeds_machines_and_versions_are_all_told():
    host = {"system": "Linux-6-x", "processor": "x86_64"}
    made = [
        {"seed": 8, "host": host, "time": "2026-01-02T03:04:05+0000", "versions": {"torch": "2.13", "numpy": "2.3"}},
        {"seed": 7, "host": {**host, "processor": "arm64"}, "time": "2026-01-03T00:00:00+0000", "versions": {"numpy": "2.2"}},
        {"seed": None},
    ]
    assert list(records.provenance(made).items()) == [
        ("seed", "7, 8"),
        ("machine", "Linux arm64, Linux x86_64"),
        ("finished", "2026-01-03"),
        ("files with a record of their origin", "3"),
        ("numpy", "2.2, 2.3"),
        ("torch", "2.13"),
    ]
    assert records.provenance([])["seed"] == records.provenance([])["machine"] == "unknown"


def test_claims_with_a_verdict_are_shown_and_the_others_fold_into_a_line(shown):
    lines = part(shown, "claims | modes").splitlines()
    assert lines[2:] == [
        "| a &#124; b | table 1 | 0.9 | 0.88 | -0.05 to 0.01 |  | **reproduced** |",
        "",
        "Without a verdict in this run: 2 not comparable and 1 not measured; "
        "[why](results/README.md#modes-claims-without-a-verdict).",
    ]
    assert part(shown, "claims | modes | c").startswith("No claim has a verdict in this run.\n\n")
    lines = part(shown, "claims | v1").splitlines()  # the paper's first
    assert lines[2].startswith("| f | abstract | 1 s | 2 s | −∞ to -0.25 |  | **not reproduced** |")
    assert lines[3].startswith("| e | abstract | 1 s (goal) | 2 s | 0.5 to 1.5 |  | **not reproduced** |")
    assert len(lines) == 4


def test_the_overview_leads_with_what_was_decided_and_folds_the_rest_by_reason(shown):
    text = (shown / "results" / "README.md").read_text()
    assert text.index("CPU hours of commits before") < text.index("| CPU hours |")
    assert text.index("## Claims with a verdict") < text.index("## Cost") < text.index("## Claims without a verdict")
    folded = text[text.index("### `modes`: claims without a verdict") :]
    assert "<details><summary>3 claims</summary>" in folded
    assert "| not comparable: batches 200, needed 3000 | 2 | c; c2 |" in folded
    assert "| not measured: not measured in this run | 1 | d |" in folded
    assert "### `v1`: claims without a verdict" not in text


def test_headlines_show_the_first_claim_of_a_study_and_the_most_important_that_failed(shown, monkeypatch):
    listed = shown / "headlines.csv"
    monkeypatch.setattr(markdown, "HEADLINES", listed)
    listed.write_text("study,question,says,item\nmodes,Why?,In words,c\nmodes,,A and b,a | b\nv1,How?,It goes,e\n")
    assert part(shown, "headlines").splitlines()[2:] == [
        "| [`modes`](docs/modes.md) | Why? | In words | 0.5 Hz | 0.4 Hz |  |  | not comparable: batches 200, needed 3000 |",
        "| [`v1`](docs/v1.md) | How? | It goes | 1 s (goal) | 2 s | 0.5 to 1.5 |  | **not reproduced** |",
    ]
    listed.write_text("study,question,says,item\nmodes,Why?,In words,c\nv1,How?,First,f\nv1,,It goes,e\n")
    assert "| First | 1 s |" in part(shown, "headlines")
    card = {**CLAIMS, "verdict": [*["reproduced"] * 5, "not reproduced"]}
    pd.DataFrame(card, columns=list(cards.COLUMNS)).to_csv(shown / "results" / "scorecard.csv", index=False)
    listed.write_text("study,question,says,item\nv1,How?,It goes,e\n")
    assert "|  |  | f | 1 s |" in part(shown, "headlines")  # failed, and not listed: by its own name
    listed.write_text("study,question,says,item\nmodes,Why?,In words,nothing\n")
    with pytest.raises(ValueError, match=r"modes has no claim \['nothing'\] in .*scorecard.csv; take .*make verdicts"):
        part(shown, "headlines")


def test_published_tables_are_judged_anew_after_an_edit_of_a_claim(docs, tmp_path):
    def judge(margin: float, condition: str) -> list[str]:
        claim = Claim(
            "paper", "a", "t", "", "a_P1", "accuracy", "mean", "equal", 0.9, np.nan, np.nan, margin, condition, *[""] * 3
        )
        files.write_text(tmp_path / "modes" / "claims.csv", pd.DataFrame([claim]).to_csv(index=False))
        page = docs / "page.md"
        page.write_text("<!-- results: claims | modes -->\n<!-- end -->\n")
        stage.run(out=docs / "results", fill=[page], claims=[tmp_path / "modes" / "claims.csv"])
        assert marks.filled(page, docs / "results") == page.read_text()
        return cards.read(docs / "results" / "scorecard.csv")["verdict"].tolist()

    assert judge(0.5, "loss=logits") == ["reproduced"]
    assert judge(0.1, "loss=logits") == ["undecided"]
    assert judge(0.5, "loss=reference") == ["not comparable"]
    (docs / "results" / "modes" / "facts.csv").unlink()
    assert judge(0.5, "loss=logits") == ["not comparable"]
    assert "the run does not say loss (logits)" in (docs / "results" / "README.md").read_text()
    assert not list(docs.rglob(".made"))


def test_the_tables_of_a_study_are_its_own_whatever_its_name(docs, tmp_path):
    (docs / "results" / "modes").rename(docs / "results" / "low_rank")
    facts = docs / "results" / "low_rank" / "facts.csv"
    facts.write_text(facts.read_text().replace("modes", "low_rank"))
    (tmp_path / "modes").rename(tmp_path / "low_rank")
    stage.run(out=docs / "results", fill=[], claims=[tmp_path / "low_rank" / "claims.csv"])
    assert cards.read(docs / "results" / "scorecard.csv")["verdict"].tolist() == ["reproduced"]


def test_measures_give_mean_and_sd_over_seeds(docs):
    assert part(docs, "measures | modes | a_* | acc*").splitlines()[2] == (
        f"| a_P1 | accuracy | 0.88 | {np.std([0.86, 0.9], ddof=1):.4g} |  | 2 | digits |"
    )
    with pytest.raises(ValueError, match="modes has no measure 'x'"):
        part(docs, "measures | modes | * | x")


def test_each_seed_has_a_row_and_each_variant_a_column(docs):
    lines = part(docs, "seeds | modes | a_* | acc*").splitlines()
    assert [lines[0], *lines[2:]] == ["| seed | a_P1 |", "| 0 | 0.86 |", "| 1 | 0.9 |"]


def test_variants_stand_in_the_order_of_their_numbers():
    names = ["N100_P30", "N100_P3", "N30_P100", "mle"]
    assert sorted(names, key=markdown.by_number) == ["N30_P100", "N100_P3", "N100_P30", "mle"]


def test_verdicts_costs_networks_and_figures(shown):
    lines = part(shown, "verdicts").splitlines()
    assert lines[2:] == [
        "| `modes` | 1 | 0 | 0 | 2 | 1 |",
        "| `v1` | 0 | 1 | 0 | 0 | 0 |",
        "| **all papers** | 1 | 1 | 0 | 2 | 1 |",
        "| re-implementations | 0 | 0 | 0 | 0 | 0 |",
        "| our own goals | 0 | 1 | 0 | 0 | 0 |",
    ]
    assert part(shown, "costs").splitlines()[2:] == ["| modes | 2 | 2 | 1.4 | 70 |", "| all | 2 | 2 | 1.4 | 70 |"]
    assert "0.023 CPU hours" in part(shown, "run | modes")
    with pytest.raises(ValueError, match="results/v1 does not exist"):
        part(shown, "run | v1")
    assert "| modes | digits (data) | 4 |" in part(shown, "activity")
    assert part(shown, "figure | modes | fig1") == "![modes: fig1](results/modes/fig1.png)\n\n*The first.*"


def test_marks_that_cannot_be_filled_are_refused(docs):
    with pytest.raises(ValueError, match="mark 'nonsense': expected one of"):
        part(docs, "nonsense")
    with pytest.raises(ValueError, match=r"plain.png does not exist; figures of modes: fig1"):
        part(docs, "figure | modes | plain")
    (docs / "good.md").write_text("<!-- results: verdicts -->\n<!-- end -->\n")
    (docs / "bad.md").write_text("<!-- results: a -->\n<!-- end -->\n<!-- results: b -->\n<!-- end -->\n")
    with pytest.raises(ValueError, match=r"bad\.md: mark 'a'.*\n.*bad\.md: mark 'b'"):
        marks.fill([docs / "good.md", docs / "bad.md"], docs / "results")
    assert "| `modes` |" in (docs / "good.md").read_text()  # the others are filled all the same


def test_a_large_picture_is_made_smaller_and_a_large_table_refused(results, arguments, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1200, 2000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    content = published.small(tmp_path / "noise.png")
    assert len(content) <= published.LARGEST
    rng = np.random.default_rng(0)
    many = [Measure("a", seed, "d", "m", value, "1", 1) for seed, value in enumerate(rng.random(50000))]
    files.write_table(results / "modes" / "metrics.parquet", measures.table("modes", many))
    made_from(results, "modes/figures/fig1.png", "modes.figures", "modes/metrics.parquet")
    made_from(results, "modes/figures/plain.png", "modes.figures", "modes/metrics.parquet")
    with pytest.raises(ValueError, match=r"modes/metrics\.csv: .* kB, expected at most 1000 kB"):
        publish.run(**arguments, commit="abc")
    assert not arguments["out"].exists()


def test_captions_are_found_by_figure_and_by_kind(tmp_path):
    for name in ("fsbi_pairs", "v1_movie"):
        (tmp_path / f"{name}.rst").write_text(name)
    assert pictures.caption(tmp_path, "fsbi", "poly_pairs") == "fsbi_pairs"
    assert pictures.caption(tmp_path, "v1", "movie") == "v1_movie"
    assert not pictures.caption(tmp_path, "modes", "fig1")


def test_costs_are_those_of_stages_a_job_counting_once(tmp_path):
    job(tmp_path, "fsbi.simulate", 0, (10.0, 9.0, 300.0), "fsbi/poly/round0/a.parquet", "fsbi/poly/round0/b.parquet")
    job(tmp_path, "fsbi.simulate", 1, (20.0, 12.0, 200.0), "fsbi/mlp/round0/a.parquet")
    job(tmp_path, "v1.fit", 0, (5.0, 4.0, 50.0), "v1/hidden/fits/mle_0.pt")
    job(tmp_path, "v1.fit", 1, (1e6, 1e6, 1e6), "v1/fits/.partial/mle_0.pt")  # a training that has not ended
    job(tmp_path, "v1.fit", 2, (1e6, 1e6, 1e6), "v1/fits/gone.pt")
    (tmp_path / "v1/fits/gone.pt").unlink()
    spent = records.costs(records.read(tmp_path))
    assert spent.columns.tolist() == ["study", "stage", "jobs", "wall_s", "cpu_s", "memory_mb"]
    assert spent.values.tolist() == [["fsbi", "simulate", 2, 30.0, 21.0, 300.0], ["v1", "fit", 1, 5.0, 4.0, 50.0]]


@pytest.mark.parametrize(("width", "expected"), [(2000, 1500), (1500, 1200), (1499, 1200), (640, 640), (300, 300)])
def test_a_plain_picture_gets_the_next_smaller_width_and_keeps_its_shape(width, expected, tmp_path):
    Image.new("RGB", (width, width // 2), "white").save(tmp_path / "plain.png")
    with Image.open(io.BytesIO(published.small(tmp_path / "plain.png"))) as picture:
        assert picture.size == (expected, pytest.approx(expected / 2, abs=1))


def test_files_just_large_enough_are_published(tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(1_000_000))
    (tmp_path / "a.png").write_bytes(bytes(300_000))
    published.refuse_large(tmp_path)
    for name in ("a.csv", "a.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"0")
        with pytest.raises(ValueError, match=f"{name}: (300|1000) kB, expected at most (300|1000) kB"):
            published.refuse_large(tmp_path)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("moment", ["copytree", "mkdir", "rename 0", "rename 1", "rmtree"])
def test_a_folder_is_whole_again_whenever_its_replacement_was_killed(tmp_path, moment):
    """Killed just before the call named; then the folder is replaced by a copy of what it holds."""
    call, _, number = moment.partition(" ")
    program = (
        "import os, shutil, sys, pathlib; from respike.report import published\n"
        "call, number, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])\n"
        "with published.replaced(folder) as new: (new / 'a.csv').write_text('old')\n"
        "home = shutil if hasattr(shutil, call) else pathlib.Path\n"
        "before, done = getattr(home, call), []\n"
        "def killed(*words, **more):\n"
        "    if '.tmp-' in str(words) and len(done) == number: os.kill(os.getpid(), 9)\n"
        "    if '.tmp-' in str(words): done.append(words)\n"
        "    return before(*words, **more)\n"
        "setattr(home, call, killed)\n"
        "with published.replaced(folder) as new: (new / 'a.csv').write_text('new')\n"
    )
    folder = tmp_path / "results"
    last = 1 if call == "rmtree" else int(number or 0)  # the first one finds nothing to remove
    words = [sys.executable, "-c", program, call, str(last), str(folder)]
    assert subprocess.run(words, env=os.environ, check=False).returncode == -9
    with published.replaced(folder):
        pass
    assert (folder / "a.csv").read_text() == ("new" if call == "rmtree" else "old")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_replacement_that_fails_half_way_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    with published.replaced(folder) as new:
        (new / "a.csv").write_text("old")
    rename = type(folder).rename
    monkeypatch.setattr(type(folder), "rename", lambda path, to: int("x") if path.name == "new" else rename(path, to))
    with pytest.raises(ValueError, match="invalid literal"), published.replaced(folder):
        pass
    assert (folder / "a.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
