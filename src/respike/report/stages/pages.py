"""Pages whose numbers come from the published results: what stands between two marks is made anew from the files.

A mark is a comment, `<!-- results: claims | modes | digits: test accuracy* -->`, and its text ends at `<!-- end -->`:

run                              command, size, commit, machine and cost
verdicts                         how many claims of each study were met, missed, or could not be judged
headlines                        a few claims of each study: the paper's value, ours, the verdict
claims | study | item pattern    claims of a study that were measured: paper, ours, verdict, why
measures | study | variant pattern | metric pattern
                                 mean and standard deviation over seeds
activity | study pattern         spike statistics of the networks, all studies side by side
costs                            CPU time of each study
figure | study | name            a figure with its caption

Patterns are those of file names (`*`, `?`); left out, they take everything.
"""

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from respike.report import facts
from respike.report.stages import scorecard

MARK = re.compile(r"(?P<mark><!-- results: (?P<what>.*?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
VERDICTS = ("met", "not met", "not comparable")
HEADLINES = Path(__file__).parents[1] / "headlines.csv"


def fill_all(places: list[Path], published: Path) -> None:
    """Fill every page among `places`, and every page right in a folder among them; ValueError that names all wrong marks."""
    filled, wrong = {}, []
    for page in found(places):
        try:
            filled[page] = fill(page, published)
        except ValueError as error:
            wrong.append(str(error))
    for page, text in filled.items():
        page.write_text(text, encoding="utf-8")
    if wrong:
        raise ValueError("pages that could not be filled:\n" + "\n".join(wrong))


def found(places: list[Path]) -> list[Path]:
    """Pages among `places`, and those right in folders among them."""
    return [page for place in places for page in (sorted(place.glob("*.md")) if place.is_dir() else [place])]


def fill(page: Path, published: Path) -> str:
    """Text of `page` with everything between marks made from the files in `published`; ValueError for marks that cannot be."""
    wrong = []

    def part(mark: re.Match) -> str:
        try:
            text = made(mark["what"], published, os.path.relpath(published, page.parent))
        except ValueError as error:
            wrong.append(f"{page}: mark {mark['what']!r}: {error}")
            return mark[0]
        return f"{mark['mark']}{text}\n{mark['end']}"

    text = MARK.sub(part, page.read_text(encoding="utf-8"))
    if wrong:
        raise ValueError("\n".join(wrong))
    return text


def made(what: str, published: Path, way: str) -> str:
    """Text for the mark `what`; `way` leads from the page to the results."""
    kind, *arguments = (word.strip() for word in what.split("|"))
    if kind == "figure":
        return figure(published, way, *arguments)
    if kind not in PARTS:
        raise ValueError(f"expected one of figure, {', '.join(PARTS)}")
    return PARTS[kind](published, *arguments)


def table(columns: list[str], rows: list[list[object]]) -> str:
    """A table in Markdown; numbers to four digits."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell(value) for value in line) + " |" for line in lines)


def cell(value: object) -> str:
    """Text of one cell: numbers to four digits, nothing for a missing one, no bar that would end the cell."""
    return scorecard.text(value).replace("|", "&#124;")


def card(published: Path) -> pd.DataFrame:
    """The published scorecard."""
    return pd.read_csv(
        published / "scorecard.csv", keep_default_na=False, na_values={"value": [""], "paper_value": [""]}, dtype={"unit": str}
    )


def known(published: Path) -> dict[str, str]:
    """Facts about the run."""
    return dict(pd.read_csv(published / "run.csv", dtype=str).itertuples(index=False, name=None))


def run(published: Path) -> str:
    """One line: what made the numbers."""
    of = known(published)
    hours = pd.read_csv(published / "costs.csv")["run_s"].sum() / 3600
    return (
        f"*{of['size'].capitalize()} size: `{of['command']}` at commit {of['commit']}, seed {of['seed']}, {of['machine']}, "
        f"{hours:.2g} hours of jobs with one thread each, finished {of['finished']}.*"
    )


def verdicts(published: Path) -> str:
    """Counts of claims by study and verdict."""
    rows = []
    for study, claims in card(published).groupby("study", sort=False):
        measured = claims[claims["value"].notna()]
        counts = [int((measured["verdict"] == verdict).sum()) for verdict in VERDICTS]
        rows.append([f"`{study}`", *counts, len(claims) - len(measured)])
    rows.append(["all", *(sum(row[column] for row in rows) for column in range(1, 5))])
    return table(["study", "met", "not met", "measured, not comparable", "not measured"], rows)


def headlines(published: Path) -> str:
    """The claims of headlines.csv with question and verdict; ValueError when the scorecard has no such claim."""
    claims, rows = card(published).set_index(["study", "item"]), []
    for line in pd.read_csv(HEADLINES, keep_default_na=False).itertuples():
        if (line.study, line.item) not in claims.index:
            raise ValueError(f"{HEADLINES.name}: {line.study} has no claim {line.item!r} in its claims.csv")
        claim = claims.loc[(line.study, line.item)]
        study = f"[`{line.study}`](docs/{line.study}.md)" if line.question else ""  # one question, several claims
        rows.append([study, line.question, line.item, *judged(claim)])
    return table(["study", "question", "claim", "paper or goal", "ours", "verdict"], rows)


def judged(claim: pd.Series) -> list[str]:
    """Paper's value, ours and the verdict, with the reason when there is none."""
    unit = "" if claim["unit"] in {"", "1", "r", "R2"} else f" {claim['unit']}"
    values = ["" if np.isnan(value) else f"{value:.4g}{unit}" for value in (claim["paper_value"], claim["value"])]
    reason = f": {claim['note'].split('; ')[0]}" if claim["verdict"] == "not comparable" else ""
    return [*values, f"{'**' if not reason else ''}{claim['verdict']}{'**' if not reason else ''}{reason}"]


def claims(published: Path, study: str, item: str = "*") -> str:
    """Claims of a study that were measured, and how many were not."""
    rows = card(published)
    rows = rows[(rows["study"] == study) & rows["item"].map(lambda text: fnmatchcase(text, item))]
    shown = rows[rows["value"].notna()]
    lines = [[claim["item"], claim["source"], *judged(claim)] for _, claim in shown.iterrows()]
    rest = len(rows) - len(shown)
    more = f"\n\n{rest} more {'claim was' if rest == 1 else 'claims were'} not measured in this run." if rest else ""
    return table(["claim", "where it stands", "paper or goal", "ours", "verdict"], lines) + more


def measures(published: Path, study: str, variant: str = "*", metric: str = "*") -> str:
    """Mean and standard deviation over seeds of some measures of a study."""
    path = published / "metrics" / f"{study}.csv"
    rows = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]}, dtype={"unit": str})
    rows = rows[
        [fnmatchcase(v, variant) and fnmatchcase(m, metric) for v, m in zip(rows["variant"], rows["metric"], strict=True)]
    ]
    if rows.empty:
        raise ValueError(f"{study} has no measure {metric!r} of {variant!r} in {path}")
    lines = []
    groups = rows.groupby(["variant", "metric", "dataset"], sort=False)
    for (name, what, dataset), part in sorted(groups, key=lambda group: by_number(group[0][0])):
        spread = part["value"].std() if len(part) > 1 else np.nan
        unit = part["unit"].iloc[0]
        lines.append([name, what, part["value"].mean(), spread, "" if unit == "1" else unit, len(part), dataset])
    return table(["variant", "measure", "mean", "sd", "unit", "seeds", "data"], lines)


def by_number(name: str) -> list[str | int]:
    """Key that sorts P3 before P30 and P100."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def activity(published: Path, study: str = "*") -> str:
    """Statistics of the spikes: a line per network, mean over its cells."""
    rows = pd.read_csv(published / "activity.csv")
    rows = rows[rows["study"].map(lambda name: fnmatchcase(name, study))]
    order = rows[["study", "network", "recorded", "dataset"]].drop_duplicates()
    wide = rows.pivot_table(index=["study", "network"], columns="statistic", values="value", sort=False, dropna=False)
    names = {"rate": "rate (Hz)", "cv_isi": "CV", "fano": "Fano", "correlation": "correlation", "spectrum_peak": "peak (Hz)"}
    lines = [
        [
            row.study,
            f"{row.network}{' (data)' if row.recorded else ''}",
            *(f"{wide.loc[(row.study, row.network)].get(name, np.nan):.3g}" for name in (*names, "flatness")),
            row.dataset,
        ]
        for row in order.itertuples()
    ]
    return table(["study", "network", *names.values(), "flatness", "data"], lines)


def costs(published: Path) -> str:
    """Minutes, jobs and most memory of each study."""
    spent = (
        pd.read_csv(published / "costs.csv")
        .groupby("study", sort=False)
        .agg({"jobs": "sum", "run_s": "sum", "peak_mb": "max"})
    )
    lines = [[name, int(row.jobs), f"{row.run_s / 60:.1f}", f"{row.peak_mb:.0f}"] for name, row in spent.iterrows()]
    lines.append(["all", int(spent["jobs"].sum()), f"{spent['run_s'].sum() / 60:.1f}", f"{spent['peak_mb'].max():.0f}"])
    return table(["study", "jobs", "minutes of jobs", "most memory (MB)"], lines)


def figure(published: Path, way: str, study: str, name: str) -> str:
    """A figure and its caption; ValueError when it was not published. `way` leads from the page to the results."""
    file = f"figures/{'' if study == facts.ALL_STUDIES else f'{study}_'}{name}.png"
    shown = pd.read_csv(published / "figures.csv", keep_default_na=False).set_index(["study", "name"])["caption"]
    if (study, name) not in shown.index or not (published / file).exists():
        raise ValueError(f"{published / file} does not exist; figures of {study}: {', '.join(shown_names(published, study))}")
    return f"![{study}: {name}]({way}/{file})\n\n*{shown[study, name]}*"


PARTS = {part.__name__: part for part in (run, verdicts, headlines, claims, measures, activity, costs)}


def overview(published: Path) -> str:
    """The README of the published results: what made them, verdicts, all networks, every measured claim, every figure."""
    of = known(published)
    made = table(["fact", "value"], [[fact, value] for fact, value in of.items()])
    everyone = [figure(published, ".", facts.ALL_STUDIES, name) for name in shown_names(published, facts.ALL_STUDIES)]
    studies = "\n\n".join(f"### `{study}`\n\n{claims(published, study)}" for study in dict.fromkeys(card(published)["study"]))
    figures = "\n\n".join(
        f"### `{study}`: figures\n\n"
        + "\n\n".join(figure(published, ".", study, name) for name in shown_names(published, study))
        for study in dict.fromkeys(card(published)["study"])
    )
    return "\n\n".join(
        [
            "# Results of one run",
            "Made by `make publish` from the files of the run; nothing here is typed. The same command makes the same numbers "
            "again. A claim is *not comparable* when the data or the size of the run cannot decide it.",
            run(published),
            f"## Verdicts\n\n{verdicts(published)}",
            f"## Cost\n\n{costs(published)}",
            "## All networks side by side",
            *everyone,
            activity(published),
            f"## Claims that were measured\n\n{studies}",
            f"## Figures\n\n{figures}",
            f"## Provenance\n\n{made}\n",
        ]
    )


def shown_names(published: Path, study: str) -> list[str]:
    """Names of the published figures of a study."""
    rows = pd.read_csv(published / "figures.csv", keep_default_na=False)
    return list(rows.loc[rows["study"] == study, "name"])
