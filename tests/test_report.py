"""The scorecard: verdicts by rule, reasons, and a claims file per study that can be judged. The pages that show it."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respike.core import files, measures
from respike.core.measures import Measure
from respike.report import cards, html, markdown, rulegraph, verdicts
from respike.report.stages import page, scorecard, tables, where
from respike.report.verdicts import Claim

CLAIM = Claim("accuracy", "table 1", 0.9, "", "a", "accuracy", "within", 0.05, "", "", "")
MEASURED = measures.table(
    "modes", [Measure("a", seed, "digits", "accuracy", value, "", 10) for seed, value in ((0, 0.86), (1, 0.9))]
)
MIXED = measures.table(
    "modes", [Measure("a", seed, name, "accuracy", 0.9, "", 10) for seed, name in enumerate(("MNIST", "digits"))]
)


def judged(measured=MEASURED, run_size="quick", **changes) -> dict:
    return verdicts.judge("modes", CLAIM._replace(**changes), measured, run_size)


@pytest.mark.parametrize(
    ("rule", "tolerance", "holding", "failing"),
    [  # values in binary fractions, so that those at the edge lie there exactly
        ("within", 0.25, (0.25, 0.5, 0.75), (0.125, 0.875)),
        ("within", np.nan, (0.5,), (0.375, 0.625)),
        ("at least", 0.25, (0.25, 0.375, 0.5, 9.0), (0.125, -9.0)),
        ("at least", np.nan, (0.5, 9.0), (0.375,)),
        ("at most", 0.25, (0.75, 0.625, 0.5, -9.0), (0.875, 9.0)),
        ("at most", np.nan, (0.5, -9.0), (0.625,)),
    ],
)
def test_a_rule_holds_up_to_its_tolerance_and_not_beyond(rule, tolerance, holding, failing):
    claim = CLAIM._replace(paper_value=0.5, rule=rule, tolerance=tolerance)
    assert [verdicts.holds(claim, value) for value in holding] == [True] * len(holding)
    assert [verdicts.holds(claim, value) for value in failing] == [False] * len(failing)


@pytest.mark.parametrize(("tolerance", "verdict"), [(0.05, "met"), (0.01, "not met")])
def test_the_mean_over_seeds_is_judged_and_each_seed_is_told(tolerance, verdict):
    row = judged(tolerance=tolerance)
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(0.88)
    assert row["note"] == "seeds: 0.86, 0.9"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "MNIST"}, "the claim is about MNIST, measured on digits"),
        ({"size": "paper"}, "the claim needs paper size, this run is quick"),
        ({"variant": "b"}, "not measured in this run"),
        ({"metric": ""}, "not measured"),
        ({"rule": "none"}, "no verdict possible"),
    ],
)
def test_claims_that_cannot_be_decided_say_why(changes, reason):
    row = judged(note="a note", **changes)
    assert row["verdict"] == "not comparable"
    assert row["note"].startswith(f"{reason}; a note")


def test_a_measure_of_another_study_answers_no_claim():
    assert judged(MEASURED.assign(study="v1"))["note"] == "not measured in this run"


def test_one_run_on_another_data_set_is_enough_to_leave_a_claim_open():
    assert judged(MIXED)["verdict"] == "met"  # the claim is about any data
    assert judged(MIXED)["dataset"] == "MNIST, digits"
    assert "the claim is about MNIST, measured on MNIST, digits" in judged(MIXED, dataset="MNIST")["note"]
    assert judged(MIXED.assign(dataset="MNIST, ten classes"), dataset="MNIST")["verdict"] == "met"


def test_one_seed_without_a_value_leaves_a_claim_open():
    broken = MEASURED.assign(value=[np.nan, 0.9])
    assert judged(broken)["note"].startswith("no finite value in this run")


@pytest.mark.parametrize(
    ("needed", "run_size", "open_"), [("medium", "quick", True), ("medium", "medium", False), ("medium", "paper", False)]
)
def test_a_run_of_the_size_of_a_claim_or_above_decides_it(needed, run_size, open_):
    assert (judged(size=needed, run_size=run_size)["verdict"] == "not comparable") is open_


CLAIMS = sorted((Path(verdicts.__file__).parents[1]).glob("*/claims.csv"))


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.parent.name)
def test_every_claim_says_what_and_where(path):
    claims = verdicts.read_claims(path)
    assert claims
    for claim in claims:
        assert claim.item, claim
        assert claim.source, claim.item
        assert claim.size in {"", *verdicts.SIZES}, claim.item
        if claim.rule != "none":
            assert claim.metric, claim.item
            assert np.isfinite(claim.paper_value), claim.item


def test_headlines_are_claims():
    items = {(path.parent.name, claim.item) for path in CLAIMS for claim in verdicts.read_claims(path)}
    for line in pd.read_csv(markdown.HEADLINES).itertuples():
        assert (line.study, line.item) in items


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("tolerance", "margin", "columns .*'margin'"), (",within,", ",about,", "rule 'about' of 'accuracy', expected one of")],
)
def test_claims_with_a_wrong_column_or_rule_are_refused(tmp_path, old, new, message):
    text = ",".join(Claim._fields) + "\n" + ",".join(str(value) for value in CLAIM) + "\n"
    (tmp_path / "claims.csv").write_text(text)
    assert verdicts.read_claims(tmp_path / "claims.csv") == [CLAIM]
    (tmp_path / "claims.csv").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        verdicts.read_claims(tmp_path / "claims.csv")


@pytest.fixture
def card() -> pd.DataFrame:
    """Claims of two studies with every kind of verdict."""
    rows = [
        judged(),
        judged(tolerance=0.01),
        judged(tolerance=0.01, item="missed again"),
        judged(rule="none"),
        judged(metric="", item="<b>"),
    ]
    return pd.DataFrame([*rows, {**judged(), "study": "a study"}], columns=list(cards.COLUMNS))


def test_verdicts_are_counted_by_study_those_without_a_value_apart(card):
    counts = cards.counts(card)
    assert counts.columns.tolist() == ["met", "not met", "not comparable", "not measured"]
    assert counts.index.tolist() == ["modes", "a study"]  # in the order of the card
    assert counts.values.tolist() == [[1, 2, 1, 1], [1, 0, 0, 0]]


def test_stages_write_csv_and_html(tmp_path):
    claims = tmp_path / "modes" / "claims.csv"
    files.write_text(claims, pd.DataFrame([CLAIM, CLAIM._replace(metric="")]).to_csv(index=False))
    files.write_table(tmp_path / "a.parquet", MEASURED)
    files.write_table(tmp_path / "b.parquet", MEASURED.assign(study="v1"))
    tables.run(tables=[tmp_path / "b.parquet", tmp_path / "a.parquet"], out=tmp_path / "all.parquet")
    assert files.read_table(tmp_path / "all.parquet")["study"].tolist() == ["v1", "v1", "modes", "modes"]
    scorecard.run(
        metrics=tmp_path / "all.parquet", claims=[claims], size="quick", csv=tmp_path / "s.csv", page=tmp_path / "s.html"
    )
    written = cards.read(tmp_path / "s.csv")
    assert written.to_dict("records")[0] == judged()
    assert written["verdict"].tolist() == ["met", "not comparable"]
    assert "{{" not in (tmp_path / "s.html").read_text()


def test_the_scorecard_shows_every_claim_those_not_measured_folded_away(card):
    text = html.scorecard(card)
    assert "<a href='#modes'>modes</a></th><td>1</td><td>2</td><td>1</td><td>1</td></tr>" in text
    assert re.findall(r"<tr class='([a-z-]+)'", text) == [
        "met",
        "not-met",
        "not-met",
        "not-comparable",
        "not-comparable",
        "met",
    ]
    folded = text[text.index("<details>") : text.index("</details>")]
    assert "1 claims not measured" in folded
    assert "&lt;b&gt;" in folded
    assert "<b>&" not in text


def test_a_measure_twice_is_refused():
    with pytest.raises(ValueError, match="measured twice"):
        measures.table("modes", [Measure("a", 0, "d", "m", 1.0, "", 1)] * 2)


DOT = """digraph snakemake_dag {
	0[label = "everything"];
	1[label = "modes_fit", color = "0.29 0.6 0.85"];
	2[label = "modes_metrics"];
	3[label = "metrics_table"];
	4[label = "v1_fit"];
	5[label = "scorecard"];
	1 -> 2
	2 -> 1
	2 -> 0
	2 -> 3
	3 -> 5
	4 -> 3
	5 -> 0
}"""


def test_the_rule_graph_is_parted_by_study_and_says_who_needs_it():
    graphs = rulegraph.of_studies(DOT)
    assert {study: sorted(graph.edges) for study, graph in graphs.items()} == {
        "modes": [("modes_fit", "modes_metrics"), ("modes_metrics", "metrics_table"), ("modes_metrics", "modes_fit")],
        "v1": [("v1_fit", "metrics_table")],
    }
    assert rulegraph.positions(graphs["modes"]) == {
        "modes_fit": (0.0, 0.0),
        "modes_metrics": (0.0, -1.0),
        "metrics_table": (0.0, -2.0),
    }
    again = DOT.replace("\t1 -> 2\n\t2 -> 1\n", "\t2 -> 1\n\t1 -> 2\n")
    assert rulegraph.draw(graphs["modes"]) == rulegraph.draw(rulegraph.of_studies(again)["modes"])


def test_the_page_holds_claims_figures_and_rules_and_needs_no_network(tmp_path, card):
    results = tmp_path / "results"
    files.write_text(results / "scorecard.csv", card.to_csv(index=False))
    picture = results / "modes" / "figures" / "fig1.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG")
    (results / "bench.csv").write_text("workload,cpu_s\nmodes: a step,1.5\n")
    (tmp_path / "modes_fig1.rst").write_text("A caption with ``code`` & <signs> {{size}}.\n")
    (tmp_path / "rules.dot").write_text(DOT)
    page.run(results=results, captions=tmp_path, graph=tmp_path / "rules.dot", out=results / "report.html")
    text = (results / "report.html").read_text()
    assert text.count("data-measured='yes'") == 5
    assert text.count("data-measured='no'") == 1
    assert "<span class='not-met' style='width:40.0%'>" in text
    assert text.count("A caption with code &amp; &lt;signs&gt; {{size}}.") == 2  # for eyes and for ears; and nothing fills it
    assert "modes_fit" in text
    assert "modes: a step" in text
    assert not re.findall(r"(?:src|href)=['\"]https?://", text)
    assert "{{" not in text.replace("{{size}}", "")


def test_the_page_without_a_scorecard_says_what_to_run(tmp_path):
    (tmp_path / "rules.dot").write_text(DOT)
    with pytest.raises(FileNotFoundError, match=r"scorecard\.csv does not exist; run the rule"):
        page.run(results=tmp_path, captions=tmp_path, graph=tmp_path / "rules.dot", out=tmp_path / "r.html")


def test_where_says_what_there_is(tmp_path, capsys, card):
    where.run(results=tmp_path)
    assert "make reproduce, without ONLY, writes it" in capsys.readouterr().out
    card.to_csv(tmp_path / "scorecard.csv", index=False)
    (tmp_path / "modes" / "figures").mkdir(parents=True)
    (tmp_path / "modes" / "figures" / "a.png").touch()
    where.run(results=tmp_path)
    printed = capsys.readouterr().out
    assert "2 met, 2 not met, 1 not comparable, 1 not measured" in printed
    assert "modes/figures" in printed
