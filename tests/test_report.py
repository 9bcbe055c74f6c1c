"""The scorecard: a claims file per study that can be judged, counts, and the pages that show it."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from respike.core import files, measures
from respike.core.measures import Measure
from respike.report import cards, claims, html, markdown, performance, records, rulegraph, verdicts
from respike.report.claims import Claim
from respike.report.stages import page, scorecard, tables, where

CLAIM = Claim("paper", "accuracy", "table 1", "", "a", "accuracy", "mean", "equal", 0.9, np.nan, np.nan, 0.2, "", "", "", "")
MEASURED = measures.table(
    "modes", [Measure("a", seed, "digits", "accuracy", value, "", 10) for seed, value in ((0, 0.88), (1, 0.9))]
)
NO_FACTS = measures.facts("modes", [])
CLAIMS = sorted((Path(verdicts.__file__).parents[1]).glob("*/claims.csv"))


def judged(**changes) -> dict:
    table = verdicts.card("modes", [CLAIM._replace(**changes)], [verdicts.Run(MEASURED, NO_FACTS, "quick")])
    return table[list(cards.COLUMNS)].to_dict("records")[0]


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.parent.name)
def test_every_claim_can_be_judged_as_it_stands(path):
    listed = claims.read(path)
    groups = {claim.group for claim in listed if claim.group}
    assert not groups & {claim.item for claim in listed}
    for claim in listed:
        if claim.group:
            assert len({other.whose for other in listed if other.group == claim.group}) == 1, claim.group
        if claim.statistic == "mean" and np.isfinite(claim.spread) and claim.n != 1:
            assert claim.spread <= 100 * abs(claim.value)
        if claim.statistic in {"share", "share of networks"} and claim.metric and " - " not in claim.variant:
            assert 0 <= claim.value <= verdicts.SCALE.get(claim.unit, 1.0), claim.item


def test_headlines_are_claims():
    items = {(path.parent.name, name) for path in CLAIMS for claim in claims.read(path) for name in (claim.item, claim.group)}
    lines = pd.read_csv(markdown.HEADLINES)
    for line in lines.itertuples():
        assert (line.study, line.item) in items
    assert lines.groupby("study")["question"].first().notna().all()
    assert lines["says"].notna().all()
    assert set(lines["study"]) == {path.parent.name for path in CLAIMS}


@pytest.fixture
def card() -> pd.DataFrame:
    """Claims of two studies with every kind of verdict."""
    rows = [
        judged(),
        judged(value=0.0, margin=0.1, item="missed"),
        judged(value=0.0, margin=0.1, item="missed again"),
        judged(margin=0.01, item="open", whose="goal"),
        judged(conditions="loss=reference", item="elsewhere"),
        judged(metric="", item="<b>", note="<i>"),
    ]
    return pd.DataFrame([*rows, {**judged(), "study": "a study"}], columns=list(cards.COLUMNS))


def test_verdicts_are_counted_by_study_and_by_whose_claim_they_are(card):
    counts = cards.counts(card)
    assert counts.columns.tolist() == ["reproduced", "not reproduced", "undecided", "not comparable", "not measured"]
    assert counts.index.tolist() == ["modes", "a study"]  # in the order of the card
    assert counts.values.tolist() == [[1, 2, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert cards.counts(card, ["paper"]).values.tolist() == [[1, 2, 0, 1, 1], [1, 0, 0, 0, 0]]
    assert cards.counts(card, cards.OURS).values.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_papers_claims_that_the_papers_leave_open_are_counted(card, tmp_path):
    """Those of papers alone that are undecided for that reason, in a sentence that is left out where there are none."""
    open_ = card.assign(verdict="undecided", why=verdicts.LEFT_OPEN, whose=["paper", "goal", "paper", *["paper"] * 4])
    open_.loc[[2, 3, 4], "why"] = ["", "another reason", f"one part: undecided; {verdicts.LEFT_OPEN}"]
    for table, told in ((open_, "that are undecided, 4 would be so"), (card, "")):
        table.to_csv(tmp_path / "scorecard.csv", index=False)
        text = markdown.verdicts(tmp_path)
        assert told in text
        assert ("would be so" in text) == bool(told)


def test_what_was_decided_stands_first_and_papers_before_ours(card):
    ours_too = pd.concat([card.iloc[[3]], card.assign(whose="goal").iloc[[0]], card])
    assert cards.in_order(ours_too)["verdict"].map(verdicts.VERDICTS.index).is_monotonic_increasing
    assert cards.in_order(ours_too)["whose"].tolist()[:3] == ["paper", "paper", "goal"]


@pytest.mark.parametrize(
    ("verdict", "compared", "expected"),
    [
        *((verdict, "theirs", "theirs; why") for verdict in ("reproduced", "not reproduced", "undecided")),
        *(("undecided", "", "why"), ("not comparable", "theirs", "why"), ("not measured", "", "why")),
    ],
)
def test_what_is_told_beside_a_verdict(verdict, compared, expected):
    row = pd.Series({"verdict": verdict, "compared": compared, "why": "why", "note": "note", "low": -0.5, "high": np.inf})
    assert cards.reason(row) == expected
    assert cards.reason(row.replace("why", "")) == ("note" if expected == "why" else "theirs")
    assert cards.interval(row) == "-0.5 to ∞"
    assert cards.interval(row.replace(-0.5, np.nan)) == ""
    assert [cards.text(value) for value in (1.23456, np.nan, "a", 3)] == ["1.235", "", "a", "3"]


def test_stages_write_csv_and_html(tmp_path):
    path = tmp_path / "modes" / "claims.csv"
    listed = [CLAIM, CLAIM._replace(item="b", conditions="loss=x"), CLAIM._replace(item="c", metric="", note="-")]
    files.write_text(path, pd.DataFrame(listed).to_csv(index=False))
    of, facts = (
        {study: tmp_path / study / "metrics.parquet" for study in ("v1", "modes")},
        tmp_path / "modes" / "facts.parquet",
    )
    for study, measured in of.items():
        files.write_table(measured, MEASURED.assign(study=study))
    files.write_table(facts, measures.facts("modes", [("a", {"loss": "x"})]))
    tables.run(tables=list(of.values()), out=tmp_path / "all.parquet")
    assert files.read_table(tmp_path / "all.parquet")["study"].tolist() == ["v1", "v1", "modes", "modes"]
    places = {"metrics": tmp_path / "all.parquet", "claims": [path], "csv": tmp_path / "s.csv", "page": tmp_path / "s.html"}
    for told, second in (([facts], "reproduced"), ([], "not comparable")):
        scorecard.run(facts=told, size="quick", **places)
        written = cards.read(tmp_path / "s.csv")
        assert written.to_dict("records")[0] == judged()
        assert written["verdict"].tolist() == ["reproduced", second, "not measured"]
        assert "{{" not in (tmp_path / "s.html").read_text()


def test_rows_that_name_another_study_are_refused(tmp_path):
    """A study that was copied from another would add its networks to those of the other."""
    path = tmp_path / "copied" / "metrics.parquet"
    files.write_table(path, MEASURED)
    with pytest.raises(ValueError, match=r"copied.metrics.parquet: column study holds modes, expected copied alone; correct"):
        tables.run(tables=[path], out=tmp_path / "all.parquet")
    assert records.joined([], measures.FACTS).columns.tolist() == list(measures.FACTS)


def test_the_scorecard_leads_with_what_was_decided_and_can_be_filtered(card):
    text = html.scorecard(card)
    assert "<th scope='row'>modes</th><td>1</td><td>2</td><td>0</td><td>1</td><td>1</td></tr>" in text
    assert "<th scope='row'>all papers</th><td>2</td><td>2</td><td>0</td><td>1</td><td>1</td></tr>" in text
    assert "our goals</th><td>0</td><td>0</td><td>1</td><td>0</td><td>0</td></tr>" in text
    kinds = ["reproduced", "reproduced", "not-reproduced", "not-reproduced", "undecided", "not-comparable", "not-measured"]
    assert re.findall(r"<tr class='([a-z-]+)' data-verdict", text) == kinds
    assert "data-verdict='undecided' data-study='modes' data-whose='goal'" in text
    assert "mean of 2 networks: 0.89 ± 0.014 on digits; paper: 0.9; the same within 0.2?" in text
    assert "the run does not say loss (reference)" in text
    assert "&lt;b&gt;" in text
    assert "<b>&" not in text
    for name in ("study", "whose", "verdict"):
        assert f'<select id="{name}">' in text


def test_columns_of_numbers_are_sorted_by_these_and_not_by_their_texts(card):
    row = card.iloc[:1].assign(paper="≥ 5", paper_value=5.0, ours="3, 4", value=np.nan, low=-np.inf, high=2.0)
    text = html.scorecard(row)
    keys = dict(re.findall(r"<td class='(\w+)' data-label='[^']+' data-value='([^']+)'>", text))
    assert keys == {"paper": "5.0", "interval": "-Infinity"}, "what has several numbers has none to sort by"
    assert "dataset.value ?? row.cells[column].textContent" in text


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
    for path, inputs in ((results / "scorecard.csv", {}), (picture, {"results/scorecard.csv": ""})):
        files.record_path(path).parent.mkdir(exist_ok=True)
        files.record_path(path).write_text(json.dumps({"sha256": files.digest(path), "inputs": inputs}))
    (results / "modes" / "figures" / "old.png").write_bytes(b"\x89PNG")
    (tmp_path / "modes_old.rst").write_text("What an earlier config left.")
    (results / "bench.csv").write_text("workload,cpu_s\nmodes: a step,1.5\n")
    (tmp_path / "modes_fig1.rst").write_text("A caption with ``code`` & <signs> {{size}}.\n")
    (tmp_path / "rules.dot").write_text(DOT)
    page.run(results=results, captions=tmp_path, graph=tmp_path / "rules.dot", out=results / "report.html")
    text = (results / "report.html").read_text()
    assert text.count("data-whose='paper'") == 6
    assert text.count("data-whose='goal'") == 1
    assert "<span class='not-reproduced' style='width:40.0%'>" in text  # two of five claims of the paper
    assert text.count("A caption with code &amp; &lt;signs&gt; {{size}}.") == 2  # for eyes and for ears; and nothing fills it
    assert "modes_fit" in text
    assert "earlier config" not in text
    assert "modes: a step" in text
    assert not re.findall(r"(?:src|href)=['\"]https?://", text)
    assert "{{" not in text.replace("{{size}}", "")


SIZES = ((5120, 2.6, 4), (2560, 1.3, 2), (10240, 5.2, 9), (5120, 1.3, 3), (5120, 5.2, 6))  # cells, million synapses, CPU s


def test_how_cost_grows_is_read_from_the_workloads(tmp_path):
    rows = ["modes: a step,9", "fsbi poly, 4 s at 20 Hz,9"]
    rows += [f"fsbi poly, 4 s, {cells} cells, {million} M synapses,{cpu}" for cells, million, cpu in SIZES]
    rows += [
        f"fsbi poly, 4 s, {rules} rules on {cores} cores,{cpu}" for rules, cores, cpu in ((1, 1, 4), (8, 1, 32), (2, 2, 9))
    ]
    lines = [",".join([f'"{name}"', cpu]) for name, _, cpu in (row.rpartition(",") for row in rows)]
    files.write_text(tmp_path / "bench.csv", "\n".join(["workload,cpu_s", *lines]))
    grown = {name: points.to_numpy().tolist() for name, points in performance.growth(tmp_path / "bench.csv").items()}
    assert grown == {
        "cells": [[2560, 2], [5120, 4], [10240, 9]],
        "synapses": [[1.3, 3], [2.6, 4], [5.2, 6]],
        "rules": [[1, 4], [8, 32]],
        "cores": [[1, 4], [2, 9]],
    }
    performance.draw(tmp_path / "bench.csv", tmp_path)
    assert (tmp_path / "performance.png").exists()


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
    assert "of the papers' claims: 2 reproduced, 2 not reproduced, 0 undecided, 1 not comparable, 1 not measured" in printed
    assert "modes/figures" in printed
    (tmp_path / "modes" / "metrics.parquet").touch()
    made = (tmp_path / "scorecard.csv").stat().st_mtime
    for later, expected in ((0, True), (1, False)):
        os.utime(tmp_path / "modes" / "metrics.parquet", (made + later, made + later))
        where.run(results=tmp_path)
        assert ("2 reproduced" in capsys.readouterr().out) == expected, "measured anew since it was written"
    for path, inputs in (
        (tmp_path / "modes" / "metrics.parquet", {}),
        (tmp_path / "scorecard.csv", {"results/modes/metrics.parquet": files.digest(tmp_path / "modes" / "metrics.parquet")}),
    ):
        files.record_path(path).parent.mkdir()
        files.record_path(path).write_text(json.dumps({"sha256": files.digest(path), "inputs": inputs}))
    where.run(results=tmp_path)
    assert "2 reproduced" in capsys.readouterr().out, "measured anew, and the same came out"
    files.write_text(tmp_path / "modes" / "metrics.parquet", "other measures")
    where.run(results=tmp_path)
    assert "make reproduce, without ONLY, writes it" in capsys.readouterr().out
