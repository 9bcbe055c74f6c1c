"""Copy the small results of finished runs to a folder that is kept with the sources, and fill the pages from there."""

from pathlib import Path

import yaml

from respike.report import marks, pictures, published, records


def run(
    *, results: Path, captions: Path, studies: list[str], together: bool, config: list[Path], commit: str, claims: list[Path],
    fill: list[Path], out: Path, beside: str = "",
) -> None:  # fmt: skip
    """Take the finished runs of `studies` in `results` into the folder `out`, judge all claims, and fill the pages.

    `together`: they were one run of all studies, whose common figures are taken too. `config`: the overlays that it was made
    with, `commit`: by which code. `beside`: name of the folder of a further run, <study>_ and more, of which those figures
    are taken that a page shows. All text between marks in the pages `fill` (files or folders) is made anew from the files in
    `out`, so that no number is typed. Raises FileNotFoundError when a run is not finished and ValueError for a file that is
    too large, or that was made from others than are there now.
    """
    sizes = [((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("run") or {}).get("size") for path in config]
    size = next(filter(None, reversed(sizes)), "quick")
    with published.replaced(out) as new:
        for study in studies:
            words = {"ONLY": "" if together else study, "CONFIG": " ".join(map(str, config))}
            given = (f'{name}="{word}"' if " " in word else f"{name}={word}" for name, word in words.items() if word)
            command = " ".join(["make reproduce", *given])
            about = {"command": command, "size": size, "commit": commit}
            shown = marks.figures(fill, beside) if beside else None
            published.write(results, captions, study, about, new / (beside or study), shown)
            if not beside:
                published.write_activity(results, study, new / study)
        if together:
            jobs = records.jobs(results, results)
            published.write_figures(results, captions, pictures.ALL_STUDIES, new / pictures.folder(pictures.ALL_STUDIES), jobs)
        published.draw_activity(captions, new, [path.parent.name for path in claims])
        published.write_bench(results, captions, new)
        published.judge(new, claims)
        published.refuse_large(new)
    marks.fill(fill, out)
