"""Paths that Snakemake cannot take get another name: what stands in {} is a wildcard to it, what stands in <> a variable."""

import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

LINKS = Path(".snakemake/linked")
SPECIAL = re.compile(r"\{.*\}|<.*>")
SIGNS = str.maketrans("{}<>", "()()")


def linked(config: Any) -> Any:
    """`config` in which each text that is an existing path with such signs is the path of a link to it."""
    if isinstance(config, dict):
        return {key: linked(value) for key, value in config.items()}
    if isinstance(config, list):
        return [linked(value) for value in config]
    if not isinstance(config, str) or not SPECIAL.search(config) or not Path(config).expanduser().exists():
        return config
    path = Path(config).expanduser().absolute()
    link = LINKS / sha256(config.encode()).hexdigest()[:8] / path.name.translate(SIGNS)
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        link.symlink_to(path)
    return str(link)
