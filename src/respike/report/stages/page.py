"""All results on one HTML page that works offline: scorecard, figures by study, rule graph, costs, provenance."""

import base64
import io
import re
from html import escape
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

import respike
from respike.core import files, style
from respike.report import facts
from respike.report.stages import scorecard

LARGEST = 20e6  # bytes
COLUMNS = {  # of the table of claims, as the reader sees them
    "study": "study",
    "item": "claim",
    "paper_value": "paper or goal",
    "value": "ours",
    "unit": "unit",
    "verdict": "verdict",
    "dataset": "data",
    "source": "source",
    "note": "note",
}
SIGNS = {"met": "✓", "not met": "✗", "not comparable": "–"}  # so that colour is not all that tells them apart


def run(*, results: Path, captions: Path, graph: Path, out: Path) -> None:
    """Write the page `out` from the folder `results`, the captions of the figures and the rule graph (dot text).

    Raises FileNotFoundError when there is no scorecard yet and ValueError when the page would be too large to pass on.
    """
    card = pd.read_csv(
        files.checked(results / "scorecard.csv"), keep_default_na=False, na_values={"value": [""], "paper_value": [""]}
    )
    figures = [figure(picture) for picture in facts.pictures(results, captions)]
    parts = {
        "size": escape(str(card["size"].iloc[0])),
        "summary": summary(card),
        "claims": claims_table(card),
        "figures": sections(figures),
        "graph": rule_graph(graph.read_text(encoding="utf-8")),
        "costs": costs(results),
        "provenance": provenance(results),
    }
    page = Path(__file__).parents[1].joinpath("page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace("{{" + name + "}}", part)
    if len(page) > LARGEST:
        raise ValueError(f"{out}: {len(page) / 1e6:.0f} MB, expected at most {LARGEST / 1e6:.0f} MB; draw smaller figures")
    files.write_text(out, page)


def summary(card: pd.DataFrame) -> str:
    """How many claims of each study were met, missed, measured but not comparable, and not measured; with a bar of shares."""
    names = (*SIGNS, "not measured")
    head = (
        "".join(f"<th scope='col'>{name}</th>" for name in ("study", *names))
        + "<th scope='col' class='share'>of all claims</th>"
    )
    lines = [_summary(str(study), rows, names) for study, rows in card.groupby("study", sort=False)]
    body = "\n".join(lines)
    return f"<div class='scroll'><table class='summary'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _summary(study: str, rows: pd.DataFrame, names: tuple[str, ...]) -> str:
    verdict = rows["verdict"].where(rows["value"].notna(), "not measured")
    counts = {name: int((verdict == name).sum()) for name in names}
    cells = "".join(f"<td>{count}</td>" for count in counts.values())
    bar = "".join(
        f"<span class='{name.replace(' ', '-')}' style='width:{100 * counts[name] / len(rows):.1f}%'></span>" for name in SIGNS
    )
    link = f"<th scope='row'><a href='#figures-{escape(study)}'>{escape(study)}</a></th>"
    return f"<tr>{link}{cells}<td class='share' aria-hidden='true'><div>{bar}</div></td></tr>"


def claims_table(card: pd.DataFrame) -> str:
    """Every claim in one table that the page can sort and filter."""
    head = "".join(f"<th scope='col' aria-sort='none'><button type='button'>{name}</button></th>" for name in COLUMNS.values())
    body = "\n".join(_claim(row) for _, row in card.iterrows())
    return f"<table class='claims' id='claims'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _claim(row: pd.Series) -> str:
    texts = {name: escape(scorecard.text(row[name])) for name in COLUMNS}
    sign = f"<span aria-hidden='true'>{SIGNS[row['verdict']]}</span> "
    texts["verdict"] = f"<span class='pill'>{sign}{texts['verdict']}</span>"
    cells = "".join(f"<td class='{name}' data-label='{COLUMNS[name]}'>{text}</td>" for name, text in texts.items())
    measured = "yes" if np.isfinite(pd.to_numeric(row["value"])) else "no"
    data = f"data-verdict='{row['verdict']}' data-study='{row['study']}' data-measured='{measured}'"
    return f"<tr class='{row['verdict'].replace(' ', '-')}' {data}>{cells}</tr>"


def figure(picture: facts.Picture) -> dict[str, str]:
    """Study, name, caption and content of one figure, ready for the page."""
    content = base64.b64encode(files.checked(picture.path).read_bytes()).decode()
    caption = escape(picture.caption, quote=True)
    return {"study": picture.study, "name": escape(picture.name), "caption": caption, "content": content}


def sections(figures: list[dict[str, str]]) -> str:
    """Figures by study, each a button that shows it large."""
    by_study: dict[str, list[dict[str, str]]] = {}
    for item in figures:
        by_study.setdefault(item["study"], []).append(item)
    return "\n".join(_section(study, items) for study, items in by_study.items())


def _section(study: str, items: list[dict[str, str]]) -> str:
    shown = "\n".join(
        f"<figure><button type='button' class='enlarge' aria-label='enlarge {study}, {item['name']}'>"
        f"<img loading='lazy' alt='{item['caption']}' src='data:image/png;base64,{item['content']}'></button>"
        f"<figcaption><b>{item['name']}</b> {item['caption']}</figcaption></figure>"
        for item in items
    )
    grid = "grid wide" if study == facts.ALL_STUDIES else "grid"
    name = f"figures-{study.replace(' ', '-')}"
    return f"<section id='{name}'><h3>{escape(study)}</h3><div class='{grid}'>{shown}</div></section>"


def rule_graph(dot: str) -> str:
    """The rules of each study and what they need, as one SVG per study, time running downwards."""
    drawings = [
        f"<figure><figcaption><b>{escape(study)}</b></figcaption>{drawing(rules)}</figure>"
        for study, rules in graphs(dot).items()
    ]
    return f"<div class='grid wide'>{''.join(drawings)}</div>"


def graphs(dot: str) -> dict[str, nx.DiGraph]:
    """The rules of each study in what `snakemake --rulegraph` says."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', dot, re.M))
    edges = [(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot) if names[b] != "all"]
    studies: dict[str, list[tuple[str, str]]] = {}
    for edge in edges:
        studies.setdefault(edge[0].split("_")[0], []).append(edge)
    return {study: nx.DiGraph(own) for study, own in studies.items() if len(own) > 1}  # one that stands alone is below a study


def drawing(rules: nx.DiGraph) -> str:
    """A graph of rules as SVG, rules of one depth side by side."""
    place = positions(rules)
    columns, lines = (1 + max(abs(spot[axis]) for spot in place.values()) for axis in (0, 1))
    drawn, axes = style.panels(1, 1, height=0.42 * (lines + 0.5))
    drawn.set_figwidth(max(4.0, 2.6 * columns))
    nx.draw_networkx_edges(rules, place, ax=axes[0, 0], edge_color="0.7", arrowsize=6, width=0.6, node_size=300)
    for rule, (x, y) in place.items():
        axes[0, 0].text(
            x, y, rule, ha="center", va="center", fontsize=7, bbox={"boxstyle": "round", "fc": "white", "ec": "0.6", "lw": 0.5}
        )
    axes[0, 0].margins(x=0.16)
    axes[0, 0].set_axis_off()
    text = io.StringIO()
    drawn.savefig(text, format="svg", metadata={"Date": None})
    style.plt.close(drawn)
    return text.getvalue()[text.getvalue().index("<svg") :]


def without_loops(rules: nx.DiGraph) -> nx.DiGraph:
    """The graph without the edges that close a loop: rounds lead from a rule back to one above it."""
    straight = rules.copy()
    while not nx.is_directed_acyclic_graph(straight):
        straight.remove_edge(*nx.find_cycle(straight)[-1][:2])
    return straight


def positions(rules: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Where each rule stands: below all that it needs, rules of one depth side by side around the middle."""
    place = {}
    for level, layer in enumerate(nx.topological_generations(without_loops(rules))):
        members = sorted(layer)
        for number, rule in enumerate(members):
            place[rule] = (number - (len(members) - 1) / 2, -float(level))
    return place


def costs(results: Path) -> str:
    """Seconds and memory of each rule in this run, and the table of `make bench` when there is one."""
    spent = facts.costs(results)
    if spent.empty:
        return "<p>no run times recorded</p>"
    parts = [html_table(spent.rename(columns={"run_s": "s of jobs", "peak_mb": "most MB"}))]
    if (results / "bench.csv").exists():
        parts += ["<h3>make bench</h3>", html_table(pd.read_csv(results / "bench.csv"))]
    return "\n".join(parts)


def html_table(table: pd.DataFrame) -> str:
    """Plain table, numbers to three digits."""
    text = table.to_html(index=False, border=0, na_rep="", float_format=lambda value: f"{value:.3g}", classes="plain")
    return f"<div class='scroll'>{text}</div>"


def provenance(results: Path) -> str:
    """Versions, machine, seed, and how many result files carry a record of what made them."""
    made = facts.records(results)
    stages = sorted({record.get("stage", "") for record in made} - {""})
    known = {
        "respike": respike.__version__,
        "root seed": facts.root_seed(made),
        "machine": facts.machine(made),
        "files with a record of their content and origin": str(len(made)),
        "stages": ", ".join(stages),
        **facts.versions(made),
    }
    rows = "".join(f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in known.items())
    return f"<div class='scroll'><table class='plain'>{rows}</table></div>"
