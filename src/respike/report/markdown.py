"""Parts of pages as Markdown, made from the published results (see `published`); `marks` says how a page asks for them.

run                              command, size, commit, machine and time
verdicts                         how many claims of each study were met, missed, or could not be judged
headlines                        a few claims of each study: the paper's value, ours, the verdict
claims | study | item pattern    claims of a study that were measured: paper, ours, verdict, why
measures | study | variant pattern | metric pattern
                                 mean and standard deviation over seeds
activity | study pattern         spike statistics of the networks, all studies side by side
costs                            jobs, time and memory of each study
bench | workload pattern         CPU seconds and memory of what `make bench` measured, beside the yardsticks
figure | study | name            a figure with its caption

Patterns are those of file names (`*`, `?`); left out, they take everything.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from respike.report import cards, performance, pictures
from respike.report.pictures import ALL_STUDIES

HEADLINES = Path(__file__).with_name("headlines.csv")


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; numbers to four digits, no bar that would end a cell."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cards.text(value).replace("|", "&#124;") for value in line) + " |" for line in lines)


def scorecard(published: Path) -> pd.DataFrame:
    """The published scorecard."""
    return cards.read(published / "scorecard.csv")


def facts(published: Path) -> dict[str, str]:
    """What made the run."""
    return dict(pd.read_csv(published / "run.csv", dtype=str).itertuples(index=False, name=None))


def run(published: Path) -> str:
    """One line: what made the numbers."""
    of = facts(published)
    hours = pd.read_csv(published / "costs.csv")["wall_s"].sum() / 3600
    return (
        f"*{of['size'].capitalize()} size: `{of['command']}` at commit {of['commit']}, seed {of['seed']}, {of['machine']}, "
        f"{hours:.2g} hours of jobs with one thread each, finished {of['finished']}.*"
    )


def verdicts(published: Path) -> str:
    """Counts of claims by study and verdict."""
    counts = cards.counts(scorecard(published)).rename(index="`{}`".format)
    counts.loc["all"] = counts.sum()
    heads = {"not comparable": "measured, not comparable"}
    return table(["study", *(heads.get(name, name) for name in counts.columns)], counts.itertuples())


def headlines(published: Path) -> str:
    """The claims of headlines.csv with question and verdict; ValueError when the scorecard has no such claim."""
    card, rows = scorecard(published).set_index(["study", "item"]), []
    for line in pd.read_csv(HEADLINES, keep_default_na=False).itertuples():
        if (line.study, line.item) not in card.index:
            raise ValueError(f"{HEADLINES.name}: {line.study} has no claim {line.item!r} in its claims.csv")
        study = f"[`{line.study}`](docs/{line.study}.md)" if line.question else ""  # one question, several claims
        rows.append([study, line.question, line.item, *judged(card.loc[(line.study, line.item)])])
    return table(["study", "question", "claim", "paper or goal", "ours", "verdict"], rows)


def judged(claim: pd.Series) -> list[str]:
    """Paper's value, ours and the verdict, with the reason when there is none."""
    unit = "" if claim["unit"] in {"", "1", "r", "R2"} else f" {claim['unit']}"
    values = ["" if np.isnan(value) else f"{value:.4g}{unit}" for value in (claim["paper_value"], claim["value"])]
    if claim["verdict"] == "not comparable":
        return [*values, f"{claim['verdict']}: {claim['note'].split('; ')[0]}"]
    return [*values, f"**{claim['verdict']}**"]


def claims(published: Path, study: str, item: str = "*") -> str:
    """Claims of a study that were measured, and how many were not."""
    card = scorecard(published)
    rows = card[(card["study"] == study) & card["item"].map(lambda text: fnmatchcase(text, item))]
    measured = rows[rows["value"].notna()]
    lines = [[claim["item"], claim["source"], *judged(claim)] for _, claim in measured.iterrows()]
    rest = len(rows) - len(measured)
    more = f"\n\n{rest} more {'claim was' if rest == 1 else 'claims were'} not measured in this run." if rest else ""
    return table(["claim", "where it stands", "paper or goal", "ours", "verdict"], lines) + more


def measures(published: Path, study: str, variant: str = "*", metric: str = "*") -> str:
    """Mean and standard deviation over seeds of some measures of a study."""
    path = published / "metrics" / f"{study}.csv"
    rows = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]}, dtype={"unit": str})
    asked = [fnmatchcase(v, variant) and fnmatchcase(m, metric) for v, m in zip(rows["variant"], rows["metric"], strict=True)]
    if not any(asked):
        raise ValueError(f"{study} has no measure {metric!r} of {variant!r} in {path}")
    lines = []
    groups = rows[asked].groupby(["variant", "metric", "dataset"], sort=False)
    for (name, what, dataset), part in sorted(groups, key=lambda group: by_number(group[0][0])):
        unit = part["unit"].iloc[0]
        mean, spread = part["value"].mean(), part["value"].std()  # nan for one seed
        lines.append([name, what, mean, spread, "" if unit == "1" else unit, len(part), dataset])
    return table(["variant", "measure", "mean", "sd", "unit", "seeds", "data"], lines)


def by_number(name: str) -> list[str | int]:
    """Key that sorts P3 before P30 and P100."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def activity(published: Path, study: str = "*") -> str:
    """Statistics of the spikes: a line per network, mean over its cells."""
    rows = pd.read_csv(published / "activity.csv")
    rows = rows[rows["study"].map(lambda name: fnmatchcase(name, study))]
    networks = rows[["study", "network", "recorded", "dataset"]].drop_duplicates()
    values = rows.set_index(["study", "network", "statistic"])["value"]
    heads = {"rate": "rate (Hz)", "cv_isi": "CV", "fano": "Fano", "correlation": "correlation", "spectrum_peak": "peak (Hz)"}
    lines = [
        [
            row.study,
            f"{row.network}{' (data)' if row.recorded else ''}",
            *(f"{values.get((row.study, row.network, name), np.nan):.3g}" for name in (*heads, "flatness")),
            row.dataset,
        ]
        for row in networks.itertuples()
    ]
    return table(["study", "network", *heads.values(), "flatness", "data"], lines)


def costs(published: Path) -> str:
    """Jobs of each study, minutes that they took and that their processors worked, and the largest memory of one."""
    stages = pd.read_csv(published / "costs.csv")
    lines = [[study, *_spent(rows)] for study, rows in stages.groupby("study", sort=False)]
    heads = ["study", "jobs", "minutes of jobs", "CPU minutes", "most memory (MB)"]
    return table(heads, [*lines, ["all", *_spent(stages)]])


def _spent(stages: pd.DataFrame) -> tuple[int, float, float, int]:
    jobs, wall, cpu = stages[["jobs", "wall_s", "cpu_s"]].sum(min_count=1)  # nan where nothing was recorded
    return int(jobs), round(wall / 60, 1), round(cpu / 60, 1), round(stages["memory_mb"].max())


def bench(published: Path, workload: str = "*") -> str:
    """Workloads of `make bench`, each beside its yardstick."""
    lines = performance.lines(published, workload)
    return table(performance.COLUMNS.values(), lines) if lines else performance.NONE


def figure(published: Path, way: str, study: str, name: str) -> str:
    """A figure and its caption; ValueError when it was not published. `way` leads from the page to the results."""
    file = f"figures/{pictures.published_name(study, name)}"
    captions = pd.read_csv(published / "figures.csv", keep_default_na=False).set_index(["study", "name"])["caption"]
    if (study, name) not in captions.index or not (published / file).exists():
        raise ValueError(f"{published / file} does not exist; figures of {study}: {', '.join(figure_names(published, study))}")
    return f"![{study}: {name}]({way}/{file})\n\n*{captions[study, name]}*"


def figure_names(published: Path, study: str) -> list[str]:
    """Names of the published figures of a study."""
    rows = pd.read_csv(published / "figures.csv", keep_default_na=False)
    return list(rows.loc[rows["study"] == study, "name"])


PARTS = {part.__name__: part for part in (run, verdicts, headlines, claims, measures, activity, costs, bench)}


def overview(published: Path) -> str:
    """The README of the published results: what made them, verdicts, all networks, every measured claim, every figure."""

    def figures(study: str) -> str:
        return "\n\n".join(figure(published, ".", study, name) for name in figure_names(published, study))

    studies = scorecard(published)["study"].unique()
    return "\n\n".join(
        [
            "# Results of one run",
            "Made by `make publish` from the files of the run; nothing here is typed. The same command makes the same numbers "
            "again. A claim is *not comparable* when the data or the size of the run cannot decide it.",
            run(published),
            f"## Verdicts\n\n{verdicts(published)}",
            f"## Cost\n\n{costs(published)}",
            "## All networks side by side",
            figures(ALL_STUDIES),
            activity(published),
            "## Claims that were measured",
            *(f"### `{study}`\n\n{claims(published, study)}" for study in studies),
            "## Figures",
            *(f"### `{study}`: figures\n\n{figures(study)}" for study in studies),
            "## Provenance",
            f"{table(['fact', 'value'], facts(published).items())}\n",
        ]
    )
