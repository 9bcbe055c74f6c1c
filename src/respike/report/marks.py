"""Pages whose numbers come from the published results: what stands between two marks is made anew from the files.

A mark is a comment, `<!-- results: claims | modes | digits: test accuracy* -->`, and its text ends at `<!-- end -->`. The
first word names a function of `markdown`, the others are its arguments.
"""

import os
import re
from pathlib import Path

from respike.report import markdown

MARK = re.compile(r"(?P<mark><!-- results: (?P<what>.*?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def fill(pages_and_folders: list[Path], published: Path) -> None:
    """Fill every page, and every page right in a folder; ValueError that names all wrong marks, when the others are filled."""
    texts, wrong = {}, []
    for page in pages(pages_and_folders):
        try:
            texts[page] = filled(page, published)
        except ValueError as error:
            wrong.append(str(error))
    for page, text in texts.items():
        page.write_text(text, encoding="utf-8")
    if wrong:
        raise ValueError("pages that could not be filled:\n" + "\n".join(wrong))


def pages(pages_and_folders: list[Path]) -> list[Path]:
    """The pages themselves, and those right in folders."""
    return [page for path in pages_and_folders for page in (sorted(path.glob("*.md")) if path.is_dir() else [path])]


def filled(page: Path, published: Path) -> str:
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


def figures(pages_and_folders: list[Path], run: str) -> set[str]:
    """Names of the figures of a published run that the pages show."""
    whats = (mark["what"] for page in pages(pages_and_folders) for mark in MARK.finditer(page.read_text(encoding="utf-8")))
    words = ([word.strip() for word in what.split("|")] for what in whats)
    return {each[2] for each in words if each[:2] == ["figure", run]}


def made(what: str, published: Path, way: str) -> str:
    """Text for the mark `what`; `way` leads from the page to the results."""
    kind, *arguments = (word.strip() for word in what.split("|"))
    if kind == "figure":
        return markdown.figure(published, way, *arguments)
    if kind == "claims":
        return markdown.claims(published, *arguments, way=way)
    if kind not in markdown.PARTS:
        raise ValueError(f"expected one of figure, claims, {', '.join(markdown.PARTS)}")
    return markdown.PARTS[kind](published, *arguments)
