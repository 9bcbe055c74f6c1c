"""Which items stand in one file: what is finished stays as it is, whatever size the chunks have by now."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

Range = tuple[int, int]  # numbers of the first and the last item of a chunk


def finished(folder: Path, ending: str) -> dict[str, list[Range]]:
    """Chunks in `folder` of each numbering, by the names of their files: <numbering>_<first>-<last>.<ending>."""
    chunks: dict[str, list[Range]] = defaultdict(list)
    for path in Path(folder).glob(f"*.{ending}"):
        if name := re.fullmatch(r"(.+)_(\d+)-(\d+)", path.name.removesuffix(f".{ending}")):
            chunks[name[1]].append((int(name[2]), int(name[3])))
    return chunks


def ranges(done: Iterable[Range], total: int, chunk: int, beyond: bool = False) -> list[Range]:
    """Chunks that hold items 0 to `total` - 1 once each: those `done` where they fit, new ones of at most `chunk`.

    With `beyond`, a chunk that is done fits although it holds items after the last.

    >>> ranges([], 5, 2)
    [(0, 1), (2, 3), (4, 4)]
    >>> ranges([(0, 1), (2, 3), (4, 4)], 12, 4)
    [(0, 1), (2, 3), (4, 4), (5, 8), (9, 11)]
    """
    if chunk < 1:
        raise ValueError(f"chunk = {chunk}: expected 1 item or more")
    longest = {first: last for first, last in sorted(done) if first <= last and (last < total or beyond)}
    chunks: list[Range] = []
    number = 0
    while number < total:
        last = longest.get(number)
        if last is None:
            free = min((first for first in longest if first > number), default=total)
            last = min(number + chunk, free) - 1
        chunks.append((number, last))
        number = last + 1
    return chunks
