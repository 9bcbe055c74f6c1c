"""The two HTML pages of a run, which need no network: the scorecard, and all results together."""

import base64
import itertools
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files
from respike.report import cards, pictures
from respike.report.pictures import Picture
from respike.report.verdicts import VERDICTS

SCORECARD = Path(__file__).with_name("scorecard.html")
PAGE = Path(__file__).with_name("page.html")
FILTERS = Path(__file__).with_name("filters.html")  # and the script that sorts and filters
HEADS = {  # of the table of claims, on both pages
    "study": "study",
    "item": "claim",
    "whose": "whose",
    "verdict": "verdict",
    "paper": "paper or goal",
    "ours": "ours",
    "unit": "unit",
    "interval": "difference (95 %)",
    "reason": "what was compared, or why it was not",
    "source": "source",
    "note": "note",
}
VALUES = {"paper": "paper_value", "ours": "value", "interval": "low"}  # numbers by which a column of texts is sorted
SIGNS = dict(zip(VERDICTS, "✓✗?–·", strict=True))  # so that colour is not all that tells them apart


def filled(template: Path, **parts: str) -> str:
    """Text of the template with each {{name}} replaced by the part of that name."""
    return re.sub(r"\{\{(\w+)\}\}", lambda gap: parts[gap[1]], template.read_text(encoding="utf-8"))


def scrolled(table: str) -> str:
    """A table that scrolls by itself where the window is narrow."""
    return f"<div class='scroll'>{table}</div>"


def table(kind: str, heads: str, lines: list[str], name: str = "") -> str:
    """A table of the class `kind` from ready cells of its head and ready lines."""
    named = f" id='{name}'" if name else ""
    body = "\n".join(lines)
    return f"<table class='{kind}'{named}><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def plain_table(rows: pd.DataFrame) -> str:
    """Table of numbers to three digits."""
    text = rows.to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.3g}", classes="plain")
    return scrolled(text)


def scorecard(card: pd.DataFrame) -> str:
    """The scorecard: a summary, then every claim, what was decided first, with filters by study, whose claim and verdict."""
    return filled(SCORECARD, summary=summary(card), claims=sortable_claims(card), filters=FILTERS.read_text(encoding="utf-8"))


def summary(card: pd.DataFrame, anchor: str = "", bars: bool = False) -> str:
    """How many claims of each paper have which verdict, and of ours; links to `anchor` and the study; bars show shares."""
    theirs, ours = cards.counts(card, cards.WHOSE[:1]), cards.counts(card, cards.OURS).sum()
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("claims of the papers", *VERDICTS))
    heads += "<th scope='col' class='share'>of all claims</th>" if bars else ""
    lines = []
    for study, numbers in theirs.iterrows():
        link = f"<a href='#{anchor}{escape(study)}'>{escape(study)}</a>" if anchor else escape(study)
        lines.append(_counts(link, numbers, bars))
    lines += [_counts("all papers", theirs.sum(), bars), _counts("re-implementations and our goals", ours, bars)]
    return scrolled(table("summary", heads, lines))


def _counts(name: str, numbers: pd.Series, bars: bool) -> str:
    cells = f"<th scope='row'>{name}</th>" + "".join(f"<td>{number}</td>" for number in numbers)
    return f"<tr>{cells}{_bar(numbers) if bars else ''}</tr>"


def _bar(numbers: pd.Series) -> str:
    shares = 100 * numbers[list(VERDICTS[:4])] / max(numbers.sum(), 1)
    parts = "".join(f"<span class='{_class(name)}' style='width:{share:.1f}%'></span>" for name, share in shares.items())
    return f"<td class='share' aria-hidden='true'><div>{parts}</div></td>"


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-")


def page(
    card: pd.DataFrame,
    figures: list[Picture],
    drawings: Mapping[str, str],
    tables: Mapping[str, pd.DataFrame],
    provenance: Mapping[str, str],
) -> str:
    """All results: scorecard, figures by study, drawing of the workflow rules of each study, tables of costs, provenance."""
    facts = [f"<tr><th scope='row'>{escape(fact)}</th><td>{escape(value)}</td></tr>" for fact, value in provenance.items()]
    return filled(
        PAGE,
        size=escape(str(card["size"].iloc[0])),
        summary=summary(card, "figures-", bars=True),
        claims=sortable_claims(card),
        filters=FILTERS.read_text(encoding="utf-8"),
        figures="\n".join(
            figures_of(study, list(group)) for study, group in itertools.groupby(figures, key=lambda picture: picture.study)
        ),
        graph="<div class='grid wide'>{}</div>".format("".join(_drawing(*item) for item in drawings.items())),
        costs="\n".join(f"<h3>{escape(name)}</h3>{plain_table(rows)}" for name, rows in tables.items()),
        provenance=scrolled(f"<table class='plain'>{''.join(facts)}</table>"),
    )


def sortable_claims(card: pd.DataFrame) -> str:
    """Every claim in one table that the page can sort and filter; what was decided first."""
    heads = "".join(f"<th scope='col' aria-sort='none'><button type='button'>{head}</button></th>" for head in HEADS.values())
    return table("claims", heads, [_sortable(row) for _, row in cards.in_order(card).iterrows()], "claims")


def _sortable(row: pd.Series) -> str:
    made = {"interval": cards.interval(row), "reason": cards.reason(row)}
    made["note"] = "" if made["reason"] == row["note"] else row["note"]
    texts = {name: escape(made.get(name, row.get(name, ""))) for name in HEADS}
    sign = f"<span aria-hidden='true'>{SIGNS[row['verdict']]}</span> "
    texts["verdict"] = f"<span class='pill'>{sign}{texts['verdict']}</span>"
    cells = "".join(
        f"<td class='{name}' data-label='{HEADS[name]}'{_key(row, name)}>{text}</td>" for name, text in texts.items()
    )
    data = " ".join(f"data-{name}='{escape(row[name])}'" for name in ("verdict", "study", "whose"))
    return f"<tr class='{_class(row['verdict'])}' {data}>{cells}</tr>"


def _key(row: pd.Series, name: str) -> str:
    """The number that a cell is sorted by, as scripts read it; nothing where its text will do."""
    number = row[VALUES[name]] if name in VALUES else np.nan
    return "" if np.isnan(number) else f" data-value='{str(float(number)).replace('inf', 'Infinity')}'"


def figures_of(study: str, figures: list[Picture]) -> str:
    """The figures of a study, each a button that shows it large; their content stands in the page."""
    grid = "grid wide" if study == pictures.ALL_STUDIES else "grid"
    shown = "\n".join(_figure(picture) for picture in figures)
    return f"<section id='figures-{_class(study)}'><h3>{escape(study)}</h3><div class='{grid}'>{shown}</div></section>"


def _figure(picture: Picture) -> str:
    content = base64.b64encode(files.checked(picture.path).read_bytes()).decode()
    caption = escape(picture.caption)
    name = escape(picture.name)
    return (
        f"<figure><button type='button' class='enlarge' aria-label='enlarge {picture.study}, {name}'>"
        f"<img loading='lazy' alt='{caption}' src='data:image/png;base64,{content}'></button>"
        f"<figcaption><b>{name}</b> {caption}</figcaption></figure>"
    )


def _drawing(study: str, svg: str) -> str:
    return f"<figure><figcaption><b>{escape(study)}</b></figcaption>{svg}</figure>"
