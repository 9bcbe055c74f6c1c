"""Parts of pages as Markdown, made from the published results (see `published`); `marks` says how a page asks for them.

run                              command, size, commit, machine and time
verdicts                         how many claims of each paper have which verdict, and how many of ours
headlines                        of each study the claim that matters most, and the most important one that is not reproduced
claims | study | item pattern    claims of a study with a verdict; the others in one line, with a link
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
from respike.report.verdicts import LEFT_OPEN, VERDICTS

HEADLINES = Path(__file__).with_name("headlines.csv")
STAY_OPEN = """

Of the papers' claims that are undecided, {} would be so even if our means, as they now stand, were exact: the paper's own
networks are too few, or lie too far apart."""
JUDGED = ("paper or goal", "ours", "difference (95 %)", "margin", "verdict")


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; numbers to four digits, no bar that would end a cell."""
    columns = list(columns)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cards.text(value).replace("|", "&#124;") for value in line) + " |" for line in lines)


def scorecard(published: Path) -> pd.DataFrame:
    """The published scorecard."""
    return cards.read(published / "scorecard.csv")


def provenance(published: Path, study: str) -> dict[str, str]:
    """What made the run of a study; only its size, which is empty, when none is published."""
    path = published / study / "run.csv"
    return dict(pd.read_csv(path, dtype=str).itertuples(index=False, name=None)) if path.exists() else {"size": ""}


def run(published: Path, study: str) -> str:
    """One line: what made the numbers of a study."""
    of = provenance(published, study)
    if not of["size"]:
        raise ValueError(f"{published / study} does not exist; expected the published run of the study")
    return (
        f"*{of['size'].capitalize()} size: `{of['command']}` at commit {of['commit']}, seed {of['seed']}, {of['machine']}, "
        f"{_number(hours(published, study), ' CPU hours, ')}finished {of['finished']}.*"
    )


def hours(published: Path, study: str) -> float:
    """CPU hours of the published run of a study; nan where they were not recorded."""
    path = published / study / "costs.csv"
    return pd.read_csv(path)["cpu_s"].sum(min_count=1) / 3600 if path.exists() else np.nan


def runs(published: Path) -> str:
    """What made the numbers of each study and what it cost, a line per run, and what all of them cost."""
    rows: dict[tuple[str, ...], list[str]] = {}
    further = (path.parent.name for path in sorted(published.glob("*/run.csv")))
    for name in dict.fromkeys([*scorecard(published)["study"], *further]):
        of = provenance(published, name)
        if of["size"]:
            rows.setdefault((f"`{of['command']}`", of["commit"], of["seed"], of["finished"]), []).append(name)
    costs = [sum(hours(published, name) for name in names) for names in rows.values()]
    lines = [
        [", ".join(f"`{name}`" for name in names), *of, _number(cost)]
        for (of, names), cost in zip(rows.items(), costs, strict=True)
    ]
    columns = ["studies", "made by", "commit", "seed", "finished", "CPU hours"]
    return table(columns, [*lines, ["**all**", "", "", "", "", f"**{np.nansum(costs):.0f}**"]])


def _number(value: float, after: str = "") -> str:
    """A number to two digits and what stands after it; nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.2g}{after}"


def verdicts(published: Path) -> str:
    """Counts of claims by verdict: the papers' by study, then ours."""
    card = scorecard(published)
    counts = cards.counts(card, cards.WHOSE[:1]).rename(index="`{}`".format)
    counts.loc["**all papers**"] = counts.sum()
    for whose in cards.OURS:
        counts.loc[{"goal": "our own goals"}.get(whose, f"{whose}s")] = cards.counts(card, [whose]).sum()
    open_ = card["why"].str.contains(LEFT_OPEN, regex=False) & (card["whose"] == cards.WHOSE[0])
    told = STAY_OPEN.format(open_.sum()) if open_.any() else ""
    return table(["claims of", *counts.columns], counts.itertuples()) + told


def headlines(published: Path) -> str:
    """The first claim of each study in headlines.csv and its most important one that is not reproduced, with the question.

    That is the first of headlines.csv, in its words, or else of claims.csv. ValueError when the scorecard has no such claim.
    """
    card, rows = scorecard(published), []
    for study, listed in pd.read_csv(HEADLINES, keep_default_na=False).groupby("study", sort=False):
        theirs = card[card["study"] == study].set_index("item")
        missing = set(listed["item"]) - set(theirs.index)
        if missing:
            wrong = f"{study} has no claim {sorted(missing)} in {published / 'scorecard.csv'}"
            raise ValueError(f"{HEADLINES.name}: {wrong}; take an item of claims.csv, after an edit there `make verdicts`")
        ordered = pd.concat([theirs.loc[listed["item"]], theirs[theirs["whose"] == cards.WHOSE[0]]])
        failed = ordered[ordered["verdict"] == VERDICTS[1]].index[:1]
        questions = [f"[`{study}`](docs/{study}.md)", listed["question"].iloc[0]]
        says = dict(zip(listed["item"], listed["says"], strict=True))
        for item in dict.fromkeys([listed["item"].iloc[0], *failed]):
            rows.append([*questions, says.get(item, item), *judged(theirs.loc[item])])
            questions = ["", ""]  # one question, two claims
    return table(["study", "question", "claim", *JUDGED], rows)


def judged(claim: pd.Series) -> list[str]:
    """Paper's value, ours, the interval of their difference, the margin, and the verdict, or why there is none."""
    unit = "" if claim["unit"] in {"", "1", "r", "R2"} else f" {claim['unit']}"
    values = [f"{claim[name]}{unit}" if claim[name] else "" for name in ("paper", "ours")]
    whose = "" if claim["whose"] == cards.WHOSE[0] else f" ({claim['whose']})"
    if claim["verdict"] in cards.OPEN:
        return [values[0] + whose, values[1], "", "", f"{claim['verdict']}: {cards.reason(claim)}"]
    margin = "" if np.isnan(claim["margin"]) else f"{claim['margin']:.3g}"  # parts of a sentence have one each
    return [values[0] + whose, values[1], cards.interval(claim), margin, f"**{claim['verdict']}**"]


def claims(published: Path, study: str, item: str = "*", *, way: str = ".") -> str:
    """Claims of a study with a verdict, in the order of the verdicts; how many have none, with a link to the reasons."""
    card = scorecard(published)
    rows = cards.in_order(card[(card["study"] == study) & card["item"].map(lambda text: fnmatchcase(text, item))])
    without = rows["verdict"].isin(cards.OPEN)
    lines = [[claim["item"], claim["source"], *judged(claim)] for _, claim in rows[~without].iterrows()]
    decided = table(["claim", "where it stands", *JUDGED], lines) if lines else "No claim has a verdict in this run."
    counts = rows.loc[without, "verdict"].value_counts()
    if counts.empty:
        return decided
    told = " and ".join(f"{number} {verdict}" for verdict, number in counts.items())
    return f"{decided}\n\nWithout a verdict in this run: {told}; [why]({way}/README.md#{study}-claims-without-a-verdict)."


def without_verdict(published: Path, study: str) -> str:
    """Claims of a study without a verdict, folded away, a line for each set of reasons."""
    card = scorecard(published)
    rows = card[(card["study"] == study) & card["verdict"].isin(cards.OPEN)]
    reasons = rows.apply(lambda row: f"{row['verdict']}: {cards.reason(row)}", axis=1)
    lines = [[reason, len(part), "; ".join(part["item"])] for reason, part in rows.groupby(reasons, sort=False)]
    return f"<details><summary>{len(rows)} claims</summary>\n\n{table(['why', 'number', 'claims'], lines)}\n\n</details>"


def measures(published: Path, study: str, variant: str = "*", metric: str = "*") -> str:
    """Mean and standard deviation over seeds of some measures of a study."""
    lines = []
    groups = asked(published, study, variant, metric).groupby(["variant", "metric", "dataset"], sort=False)
    for (name, what, dataset), part in sorted(groups, key=lambda group: by_number(group[0][0])):
        unit = part["unit"].iloc[0]
        mean, spread = part["value"].mean(), part["value"].std()  # nan for one seed
        lines.append([name, what, mean, spread, "" if unit == "1" else unit, len(part), dataset])
    return table(["variant", "measure", "mean", "sd", "unit", "seeds", "data"], lines)


def seeds(published: Path, study: str, variant: str = "*", metric: str = "*") -> str:
    """The values themselves of a measure of a study: a row for each seed, a column for each variant."""
    rows = asked(published, study, variant, metric)
    wide = rows.pivot(index="seed", columns="variant", values="value")[list(dict.fromkeys(rows["variant"]))]
    return table(
        ["seed", *wide.columns], ([int(seed), *values] for seed, values in zip(wide.index, wide.to_numpy(), strict=True))
    )


def asked(published: Path, study: str, variant: str, metric: str) -> pd.DataFrame:
    """Published rows of the measures of a study whose names match; ValueError when none does."""
    path = published / study / "metrics.csv"
    rows = pd.read_csv(path, keep_default_na=False, na_values={"value": [""]}, dtype={"unit": str})
    found = [fnmatchcase(v, variant) and fnmatchcase(m, metric) for v, m in zip(rows["variant"], rows["metric"], strict=True)]
    if not any(found):
        raise ValueError(f"{study} has no measure {metric!r} of {variant!r} in {path}")
    return rows[found]


def by_number(name: str) -> list[str | int]:
    """Key that sorts P3 before P30 and P100."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def activity(published: Path, study: str = "*") -> str:
    """Statistics of the spikes: a line per network, mean over its cells."""
    rows = pd.concat([pd.read_csv(path) for path in sorted(published.glob(f"{study}/activity.csv"))])
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
    stages = pd.concat([pd.read_csv(path) for path in sorted(published.glob("*/costs.csv"))])
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
    if study == "performance" and not (published / "bench.csv").exists():
        return performance.NONE
    file, captions = f"{pictures.folder(study)}/{name}.png", figure_captions(published, study)
    if name not in captions or not (published / file).exists():
        raise ValueError(f"{published / file} does not exist; figures of {study}: {', '.join(captions)}")
    return f"![{study}: {name}]({way}/{file})\n\n*{captions[name]}*"


def figure_captions(published: Path, study: str) -> dict[str, str]:
    """Captions of the published figures of a study by their names; none without any."""
    path = published / pictures.folder(study) / "figures.csv"
    return dict(pd.read_csv(path, keep_default_na=False).itertuples(index=False, name=None)) if path.exists() else {}


PARTS = {part.__name__: part for part in (run, runs, verdicts, headlines, measures, seeds, activity, costs, bench)}


def _provenances(published: Path, studies: Iterable[str]) -> str:
    """What made each run: a row per fact, a column per study."""
    of = pd.DataFrame({study: provenance(published, study) for study in studies}).fillna("")
    return table(["fact", *of.columns], of.itertuples(name=None))


def overview(published: Path) -> str:
    """The README of the published results: what made them, verdicts, all networks, every measured claim, every figure."""

    def figures(study: str) -> str:
        return "\n\n".join(figure(published, ".", study, name) for name in figure_captions(published, study))

    studies = scorecard(published)["study"].unique()
    open_ = scorecard(published).loc[lambda card: card["verdict"].isin(cards.OPEN), "study"].unique()
    return "\n\n".join(
        [
            "# Results",
            "Made by `make publish` from the files of the runs; no number of ours is typed. The same commands, at the "
            "commit named, make the same numbers again. *Reproduced*: the 95 % interval of the difference lies inside a "
            "margin written down before the run, or the claim's direction holds all over it (less the margin, where a "
            "bound has one); *not reproduced*: it lies outside; *undecided*: it lies partly inside and partly outside. An "
            "interval misses once in twenty; nothing is corrected for the number of claims. Where more networks were "
            "trained, or rules drawn, after a look at the first ones, each look has its share of that twentieth: two "
            "looks, two intervals of 97.5 % (the scorecard tells how many); going on to the paper's own number of "
            "networks, as planned from the start, is no look. Where replicas are few, spreads are pooled over like networks "
            "(one task, one kind and number of cells), the paper's and ours apart. "
            "*−∞ to ∞*: one number on either side, and nothing tells how far chance carries it. CPU hours of commits "
            "before d603c80 leave out what a job had used before it was killed and went on from what it had saved.",
            runs(published),
            f"## Verdicts\n\n{verdicts(published)}",
            "## Claims with a verdict",
            *(f"### `{study}`\n\n{claims(published, study)}" for study in studies),
            f"## Cost\n\n{costs(published)}",
            "## All networks side by side",
            figures(ALL_STUDIES),
            activity(published),
            "## Figures",
            *(f"### `{study}`: figures\n\n{figures(study)}" for study in studies),
            "## Claims without a verdict",
            *(f"### `{study}`: claims without a verdict\n\n{without_verdict(published, study)}" for study in open_),
            "## Provenance",
            f"{_provenances(published, studies)}\n",
        ]
    )
