"""The scorecard: verdicts by rule, reasons, and a claims file per study that can be judged."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respike.core import files, measures
from respike.core.measures import Measure
from respike.report.stages import page, pages, scorecard, tables, where

CLAIM = {
    "item": "accuracy",
    "source": "table 1",
    "paper_value": 0.9,
    "unit": "",
    "variant": "a",
    "metric": "accuracy",
    "rule": "within",
    "tolerance": 0.05,
    "dataset": "",
    "size": "",
    "note": "",
}
MEASURED = measures.table(
    "modes", [Measure("a", seed, "digits", "accuracy", value, "", 10) for seed, value in ((0, 0.86), (1, 0.9))]
)


def judged(run_size="quick", **changes) -> dict:
    return scorecard.judge("modes", pd.Series({**CLAIM, **changes}), MEASURED, run_size)


@pytest.mark.parametrize(
    ("rule", "paper_value", "tolerance", "verdict"),
    [
        ("within", 0.9, 0.05, "met"),
        ("within", 0.9, 0.01, "not met"),
        ("at least", 0.88, np.nan, "met"),
        ("at least", 0.9, 0.01, "not met"),
        ("at most", 0.9, np.nan, "met"),
        ("at most", 0.8, 0.02, "not met"),
    ],
)
def test_verdicts_follow_the_rule_on_the_mean_over_seeds(rule, paper_value, tolerance, verdict):
    row = judged(rule=rule, paper_value=paper_value, tolerance=tolerance)
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(0.88)
    assert "seeds: 0.86, 0.9" in row["note"]


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
    row = judged(**changes)
    assert row["verdict"] == "not comparable"
    assert reason in row["note"]


PACKAGE = Path(scorecard.__file__).parents[1]
CLAIMS = sorted(PACKAGE.glob("*/claims.csv"))
MODES = PACKAGE / "modes" / "claims.csv"


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.parent.name)
def test_every_claim_says_what_and_where(path):
    rows = scorecard.read_claims(path)
    assert rows
    for row in rows:
        assert row["item"], row
        assert row["source"], row["item"]
        assert row["size"] in {"", *scorecard.SIZES}, row["item"]
        if row["rule"] != "none":
            assert row["metric"], row["item"]
            assert np.isfinite(row["paper_value"]), row["item"]


def test_headlines_are_claims():
    items = {(path.parent.name, row["item"]) for path in CLAIMS for row in scorecard.read_claims(path)}
    for line in pd.read_csv(pages.HEADLINES).itertuples():
        assert (line.study, line.item) in items


def test_stages_write_csv_and_html(tmp_path):
    files.write_table(tmp_path / "a.parquet", MEASURED)
    tables.run(tables=[tmp_path / "a.parquet"], out=tmp_path / "all.parquet")
    pages = {"csv": tmp_path / "s.csv", "html": tmp_path / "s.html"}
    scorecard.run(metrics=tmp_path / "all.parquet", claims=[MODES], size="quick", **pages)
    card = pd.read_csv(tmp_path / "s.csv")
    assert list(card.columns) == list(scorecard.COLUMNS)
    assert len(card) == len(scorecard.read_claims(MODES))
    html = (tmp_path / "s.html").read_text()
    assert html.count("<tr") == len(card) + 4  # a row per claim, two heads of claims, head and line of the summary
    assert "{{" not in html


def test_a_measure_twice_is_refused():
    with pytest.raises(ValueError, match="measured twice"):
        measures.table("modes", [Measure("a", 0, "d", "m", 1.0, "", 1)] * 2)


DOT = """digraph snakemake_dag {
	0[label = "all"];
	1[label = "modes_fit"];
	2[label = "modes_metrics"];
	1 -> 2
	2 -> 1
	2 -> 0
}"""


def test_the_page_holds_claims_figures_and_rules_and_needs_no_network(tmp_path):
    results = tmp_path / "results"
    card = pd.DataFrame([judged(), judged(metric="")], columns=list(scorecard.COLUMNS))
    files.write_text(results / "scorecard.csv", card.to_csv(index=False))
    picture = results / "modes" / "figures" / "fig1.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG")
    (tmp_path / "modes_fig1.rst").write_text("A caption with ``code`` & <signs>.\n")
    (tmp_path / "rules.dot").write_text(DOT)
    page.run(results=results, captions=tmp_path, graph=tmp_path / "rules.dot", out=results / "report.html")
    html = (results / "report.html").read_text()
    assert html.count("data-measured='yes'") == 1
    assert html.count("data-measured='no'") == 1
    assert "A caption with code &amp; &lt;signs&gt;." in html
    assert "modes_fit" in html
    assert not re.findall(r"(?:src|href)=['\"]https?://", html)
    assert "{{" not in html


def test_the_page_without_a_scorecard_says_what_to_run(tmp_path):
    (tmp_path / "rules.dot").write_text(DOT)
    with pytest.raises(FileNotFoundError, match=r"scorecard\.csv does not exist; run the rule"):
        page.run(results=tmp_path, captions=tmp_path, graph=tmp_path / "rules.dot", out=tmp_path / "r.html")


def test_where_says_what_there_is(tmp_path, capsys):
    where.run(results=tmp_path)
    assert "make reproduce, without ONLY, writes it" in capsys.readouterr().out
    pd.DataFrame({"verdict": ["met", "met", "not met"]}).to_csv(tmp_path / "scorecard.csv")
    (tmp_path / "modes" / "figures").mkdir(parents=True)
    (tmp_path / "modes" / "figures" / "a.png").touch()
    where.run(results=tmp_path)
    printed = capsys.readouterr().out
    assert "2 met, 1 not met" in printed
    assert "modes/figures" in printed
