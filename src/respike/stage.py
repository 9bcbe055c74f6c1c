"""A stage: found by its name, its command line read, and written.

The stage modes.fit is the function `run` in src/respike/modes/stages/fit.py. Whatever lies in a folder `stages` is a stage.
"""

import argparse
import ast
import inspect
import json
import shlex
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from respike.core import config, fingerprint


def names() -> Iterator[tuple[str, str]]:
    """Every stage and what it does in one line, in the order of studies and names."""
    for path in sorted((fingerprint.SOURCE / "respike").glob("*/stages/[!_]*.py")):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield f"{path.parent.parent.name}.{path.stem}", about.partition("\n")[0]


def check(name: str) -> None:
    """ValueError that lists what there is when there is no stage `name`."""
    known = [known for known, _ in names()]
    if name not in known:
        own = [stage for stage in known if stage.startswith(f"{name.partition('.')[0]}.")]
        raise ValueError(f"there is no stage {name!r}; expected one of {', '.join(own or known)}")


def parse(name: str, run: Callable[..., None], arguments: list[str]) -> dict[str, Any]:
    """Keyword arguments of `run` from a command line, by the types in its signature."""
    parser = argparse.ArgumentParser(prog=f"respike {name}", description=inspect.getdoc(run), allow_abbrev=False)
    hints = typing.get_type_hints(run)
    for option, parameter in inspect.signature(run).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        many = {"nargs": "*"} if _is_list(hints[option]) else {"nargs": "?"} if _is_optional(hints[option]) else {}
        parser.add_argument(_flag(option), dest=option, required=required, default=argparse.SUPPRESS, **many)
    given = vars(parser.parse_args(arguments))
    return {option: _value(text, hints[option], option) for option, text in given.items()}


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _is_list(hint: Any) -> bool:
    return typing.get_origin(hint) is list


def _is_optional(hint: Any) -> bool:
    """Whether a value may be left out, as in `--digits` alone: rules write it where a job has no such input."""
    return type(None) in typing.get_args(hint)


def _value(text: Any, hint: Any, option: str) -> Any:
    if _is_optional(hint):
        return None if text is None else _value(text, typing.get_args(hint)[0], option)
    if isinstance(text, list):
        return [_value(part, typing.get_args(hint)[0], option) for part in text]
    if hint in (str, Path):
        return hint(text)
    if typing.get_origin(hint) is typing.Literal:
        return config.convert(text, hint, _flag(option))
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise config.ConfigError(f"{_flag(option)} {text!r} is not JSON ({error})") from error
    return config.convert(plain, hint, _flag(option))


def params(name: str, *wildcards: str, **settings: Any) -> dict[str, Any]:
    """What a workflow rule says of its stage: name, fingerprint of the code, and the function that gives its command line.

    Options are the named inputs and outputs of the rule, those of its wildcards that are listed, and the `settings`; a setting
    may be a function of the wildcards.
    """

    listed = wildcards

    def options(wildcards: Any, input: Any, output: Any) -> str:  # Snakemake's names
        drawn = {key: getattr(wildcards, key) for key in listed}
        own = {key: value(wildcards) if callable(value) else value for key, value in settings.items()}
        return command_line({**dict(input.items()), **dict(output.items()), **drawn, **own})

    def compared(wildcards: Any) -> str:
        return command_line({key: value(wildcards) if callable(value) else value for key, value in settings.items()})

    # plain Snakemake reruns a job when a param has changed, but looks at none that is made of inputs and outputs
    return {"stage": name, "code": fingerprint.code(name), "settings": compared, "options": options}


def command_line(values: Mapping[str, Any]) -> str:
    """Text of a command line that `parse` reads back: paths and texts as they are, lists word by word, all else as JSON.

    >>> command_line({"digits": [], "out": "a b.pt", "seed": 3, "settings": {"clip": 20.0}})
    "--digits --out 'a b.pt' --seed 3 --settings '{"clip": 20.0}'"
    """
    return " ".join(part for option, value in values.items() for part in (_flag(option), *_words(value)))


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        return [word for part in value for word in _words(part)]
    return [shlex.quote(str(value) if isinstance(value, str | Path) else json.dumps(value, sort_keys=True))]
