"""Every claim of the papers beside what we measured.

Each study has a file `claims.csv` with the columns
    item         what the paper reports
    source       where: paper section, figure, stored result, code
    paper_value  the number (empty for a claim in words)
    unit
    variant, metric   which rows of the study's metrics table answer it (empty: we do not measure it, `note` says why)
    rule         within | at least | at most (of paper_value, give or take `tolerance`) | none (no verdict is possible)
    tolerance    in the unit of the claim
    dataset      beginning of the name of the data set the claim is about (empty: any)
    size         run size from which the claim can be judged: quick, medium or paper (empty: any)
    note         what a reader must know
"""

from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from respike.core import files, measures

CLAIM = ("item", "source", "paper_value", "unit", "variant", "metric", "rule", "tolerance", "dataset", "size", "note")
COLUMNS = ("study", "item", "source", "paper_value", "value", "unit", "dataset", "size", "verdict", "note")
SIZES = ("quick", "medium", "paper")
RULES = ("within", "at least", "at most", "none")


def run(*, metrics: Path, claims: list[Path], size: str, csv: Path, html: Path) -> None:
    """Judge every claim in the files <study>/claims.csv by the joined table `metrics`; write the scorecard as CSV and HTML."""
    measured = files.read_table(metrics, measures.COLUMNS)
    rows = [judge(path.parent.name, claim, measured, size) for path in claims for claim in read_claims(path)]
    card = pd.DataFrame(rows, columns=list(COLUMNS))
    files.write_text(csv, card.to_csv(index=False))
    files.write_text(html, page(card))


def read_claims(path: Path) -> list[pd.Series]:
    """Claims of a study in the order of its file; ValueError for a wrong column or rule."""
    table = pd.read_csv(
        files.checked(path),
        dtype={"paper_value": float, "tolerance": float},
        keep_default_na=False,
        na_values={"paper_value": [""], "tolerance": [""]},
    )
    if tuple(table.columns) != CLAIM:
        raise ValueError(f"{path}: columns {list(table.columns)}, expected {list(CLAIM)}")
    wrong = table[~table["rule"].isin(RULES)]
    if len(wrong):
        raise ValueError(f"{path}: rule {wrong.iloc[0]['rule']!r} of {wrong.iloc[0]['item']!r}, expected one of {RULES}")
    return [row for _, row in table.iterrows()]


def judge(study: str, claim: pd.Series, measured: pd.DataFrame, size: str) -> dict:
    """Scorecard row of one claim: the mean over seeds, each seed's value in the note, and the verdict."""
    found = measured[
        (measured["study"] == study) & (measured["variant"] == claim["variant"]) & (measured["metric"] == claim["metric"])
    ]
    value = found["value"].mean() if claim["metric"] and len(found) else np.nan
    datasets = ", ".join(sorted(found["dataset"].unique()))
    reason = why_not_comparable(claim, found, datasets, size)
    verdict = "not comparable" if reason else ("met" if holds(claim, value) else "not met")
    spread = "seeds: " + ", ".join(f"{v:.4g}" for v in found["value"]) if len(found) > 1 else ""
    return {
        "study": study,
        "item": claim["item"],
        "source": claim["source"],
        "paper_value": claim["paper_value"],
        "value": value,
        "unit": claim["unit"],
        "dataset": datasets,
        "size": size,
        "verdict": verdict,
        "note": "; ".join(part for part in (reason, claim["note"], spread) if part),
    }


def why_not_comparable(claim: pd.Series, found: pd.DataFrame, datasets: str, size: str) -> str:
    """The reason why a claim cannot be judged by what was measured, or an empty text."""
    if not claim["metric"] or claim["rule"] == "none":
        return "no verdict possible" if claim["metric"] else "not measured"
    if not len(found):
        return "not measured in this run"
    if claim["dataset"] and not all(name.startswith(claim["dataset"]) for name in found["dataset"]):
        return f"the claim is about {claim['dataset']}, measured on {datasets}"
    if claim["size"] and SIZES.index(size) < SIZES.index(claim["size"]):
        return f"the claim needs {claim['size']} size, this run is {size}"
    if not np.isfinite(found["value"]).all():
        return "no finite value in this run"
    return ""


def holds(claim: pd.Series, value: float) -> bool:
    """Whether `value` agrees with the claim by its rule."""
    tolerance = 0.0 if np.isnan(claim["tolerance"]) else claim["tolerance"]
    distance = value - claim["paper_value"]
    return {"within": abs(distance) <= tolerance, "at least": distance >= -tolerance, "at most": distance <= tolerance}[
        claim["rule"]
    ]


def page(card: pd.DataFrame) -> str:
    """The scorecard as one HTML page that needs no network: a summary, then a section per study."""
    template = Path(__file__).parents[1].joinpath("scorecard.html").read_text(encoding="utf-8")
    studies = [(str(study), rows) for study, rows in card.groupby("study", sort=False)]
    sections = "\n".join(_section(study, rows) for study, rows in studies)
    return template.replace("{{summary}}", summary(card)).replace("{{sections}}", sections)


def summary(card: pd.DataFrame) -> str:
    """Table of how many claims of each study were met, missed, measured but not comparable, and not measured."""
    names = ("study", "met", "not met", "not comparable", "not measured")
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    body = "\n".join(_summary(str(study), rows) for study, rows in card.groupby("study", sort=False))
    return f"<div class='scroll'><table class='summary'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _summary(study: str, rows: pd.DataFrame) -> str:
    measured = rows["value"].notna()
    counts = [int((rows["verdict"] == verdict).sum()) for verdict in ("met", "not met")]
    counts += [int((measured & (rows["verdict"] == "not comparable")).sum()), int((~measured).sum())]
    cells = "".join(f"<td>{count}</td>" for count in counts)
    return f"<tr><th scope='row'><a href='#{escape(study)}'>{escape(study)}</a></th>{cells}</tr>"


def _section(study: str, rows: pd.DataFrame) -> str:
    """What was measured, in the order met, not met, not comparable; what was not measured folded away."""
    order = rows["verdict"].map({"met": 0, "not met": 1, "not comparable": 2})
    rows = rows.iloc[np.argsort(order, kind="stable")]
    measured, rest = rows[rows["value"].notna()], rows[rows["value"].isna()]
    folded = (
        f"<details><summary>{len(rest)} claims not measured in this run</summary>{_table(rest)}</details>" if len(rest) else ""
    )
    return f"<section id='{escape(study)}'><h2>{escape(study)}</h2>{_table(measured)}{folded}</section>"


def _table(rows: pd.DataFrame) -> str:
    names = [name for name in COLUMNS if name not in {"study", "size"}]
    head = "".join(f"<th scope='col'>{escape(name.replace('_', ' '))}</th>" for name in names)
    body = "\n".join(_row(row, names) for _, row in rows.iterrows())
    return f"<div class='scroll'><table class='claims'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(row: pd.Series, names: list[str]) -> str:
    cells = "".join(f"<td class='{name}'>{escape(text(row[name]))}</td>" for name in names)
    return f"<tr class='{row['verdict'].replace(' ', '-')}'>{cells}</tr>"


def text(value: object) -> str:
    """A cell of the table: numbers to four digits, nothing for a missing one."""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.4g}"
    return str(value)
