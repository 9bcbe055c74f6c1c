"""Config files as users write them: what YAML would drop or misread without a word is refused with file and line."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from respike.core.config import ConfigError

EXAMPLE = "expected keys and values, such as `run: {seed: 1}`"


def check(paths: Iterable[str | Path]) -> None:
    """ConfigError, with file and line, for a file that is no YAML, holds no keys, or says a key twice."""
    for path in map(Path, paths):
        _check(path)


def told(error: ConfigError, paths: Sequence[str | Path]) -> str:
    """What is wrong with the config and where it comes from; Snakemake names the project's own file last of its `paths`."""
    *laid, own = paths
    return f"{error}\nThe last that names a key counts of: {', '.join(map(str, (own, *laid, '--config of Snakemake')))}"


def says(path: Path, key: str) -> Any:
    """What a file of this kind says of a key, None where nothing; ConfigError for one that cannot be read."""
    _check(path)
    return yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.CSafeLoader).get(key)


def _check(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"there is no config file {path}; correct its path")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        if isinstance(node, yaml.MappingNode):
            _walk(path, node, "", set())
            yaml.load(text, Loader=yaml.CSafeLoader)
            return
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: is not text in UTF-8; save the file as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(
            f"{path}, {place}: not YAML that can be read ({said}); mind indentation, brackets and tabs"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not YAML that can be read ({error}); {EXAMPLE}") from error
    if node is None:
        raise ConfigError(f"{path} holds no keys; {EXAMPLE}, or leave the file out")
    raise ConfigError(f"{path}, line 1: holds a {node.id}; {EXAMPLE}")


def _walk(path: Path, node: yaml.Node, key: str, seen: set[int]) -> None:
    """ConfigError for a key that stands twice in one mapping, or is no text."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _walk(path, item, f"{key}[{number}]", seen)
        return
    lines: dict[str, int] = {}
    for name, value in node.value:
        line, full = name.start_mark.line + 1, f"{key}.{name.value}".lstrip(".")
        if name.tag not in {"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"}:
            kind = name.tag.rpartition(":")[2]
            raise ConfigError(f"{path}, line {line}: key {full} is a {kind}, expected text; write it in quotes")
        if name.value in lines:
            raise ConfigError(
                f"{path}, line {line}: key {full} stands here and in line {lines[name.value]}, of which only one would count; "
                "write what belongs to it in one place"
            )
        lines[name.value] = line
        _walk(path, value, full, seen)
