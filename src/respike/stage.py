"""A stage: found by its name, its command line read, and written.

The stage modes.fit is the function `run` in src/respike/modes/stages/fit.py. Whatever lies in a folder `stages` is a stage.
"""

import argparse
import ast
import dataclasses
import inspect
import json
import shlex
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from respike import fingerprint
from respike.core import config


def names() -> Iterator[tuple[str, str]]:
    """Every stage and what it does in one line, in the order of studies and names."""
    for path in sorted((fingerprint.SOURCE / "respike").glob("*/stages/[!_]*.py")):
        about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        yield f"{path.parent.parent.name}.{path.stem}", about.partition("\n")[0]


def check(name: str) -> None:
    """ValueError that lists the stages of the study, or all, when there is no stage `name`."""
    stages = [stage for stage, _ in names()]
    if name not in stages:
        of_study = [stage for stage in stages if stage.startswith(f"{name.partition('.')[0]}.")]
        raise ValueError(f"there is no stage {name!r}; expected one of {', '.join(of_study or stages)}")


def parse(name: str, run: Callable[..., None], arguments: list[str]) -> dict[str, Any]:
    """Keyword arguments of `run` from the command line of stage `name`, by the types in the signature of `run`.

    Ends the program with status 2 for an option that is unknown or missing; raises ConfigError for a value of another type.
    """
    parser = argparse.ArgumentParser(prog=f"respike {name}", description=inspect.getdoc(run), allow_abbrev=False)
    hints = typing.get_type_hints(run)
    for option, parameter in inspect.signature(run).parameters.items():
        required = parameter.default is inspect.Parameter.empty
        about = {"metavar": _metavar(hints[option]), "help": _help(hints[option], parameter.default)}
        parser.add_argument(
            _flag(option), dest=option, required=required, default=argparse.SUPPRESS, **_words_taken(hints[option]), **about
        )
    given = vars(parser.parse_args(arguments))
    return {option: _value(text, hints[option], option) for option, text in given.items()}


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _words_taken(hint: Any) -> dict[str, Any]:
    """How many words an option takes: any number for lists and tuples, one or none where None is allowed, else one."""
    if typing.get_origin(hint) in (list, tuple):
        return {"nargs": "*", "action": "extend"}
    return {"nargs": "?"} if _is_optional(hint) else {}


def _is_optional(hint: Any) -> bool:
    """Whether a value may be left out, as in `--digits` alone: rules write it where a job has no such input."""
    return type(None) in typing.get_args(hint)


def _item(hint: Any) -> Any:
    """Type of one word of an option."""
    return typing.get_args(hint)[0] if _is_optional(hint) or typing.get_origin(hint) in (list, tuple) else hint


def _metavar(hint: Any) -> str:
    item = _item(hint)
    choices = typing.get_args(item) if typing.get_origin(item) is typing.Literal else ("true", "false") if item is bool else ()
    is_json = dataclasses.is_dataclass(item) or typing.get_origin(item) is dict
    return "|".join(choices) or ("JSON" if is_json else getattr(item, "__name__", str(item)))


def _help(hint: Any, default: Any) -> str | None:
    """Fields of what is given as JSON, those that may be left out in brackets, and where they are explained; or a default."""
    item, told = _item(hint), ""
    if dataclasses.is_dataclass(item):
        needed = {each.name: each.default is each.default_factory is dataclasses.MISSING for each in dataclasses.fields(item)}
        named = ", ".join(name if is_needed else f"[{name}]" for name, is_needed in needed.items())
        told = f"{named}: {item.__name__} in {item.__module__}"
    elif default not in (inspect.Parameter.empty, None, "", (), []):
        told = f"default {' '.join(_words(default))}"
    return told.replace("%", "%%") or None


def _value(text: str | list[str] | None, hint: Any, option: str) -> Any:
    if isinstance(text, list):
        return typing.get_origin(hint)(_value(part, _item(hint), option) for part in text)
    if text is None:
        return None
    kind = _item(hint)
    if kind in (str, Path):
        return kind(text)
    if typing.get_origin(kind) is typing.Literal:
        return config.convert(text, kind, _flag(option))
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise config.ConfigError(f"{_flag(option)} {text!r} is not JSON ({error}); expected {_metavar(hint)}") from error
    return config.convert(plain, kind, _flag(option))


def params(name: str, *wildcards: str, **settings: Any) -> dict[str, Any]:
    """What a workflow rule says of its stage: name, fingerprint of the code, and the function that gives its command line.

    Options are the named inputs and outputs of the rule, those of its wildcards that are listed, and the `settings`; a setting
    may be a function of the wildcards. The function raises ValueError when two of them have one name,
    and when the config has nothing of the name that a wildcard stands for.
    """
    listed = wildcards

    def chosen(wildcards: Any) -> dict[str, Any]:
        try:
            return {key: value(wildcards) if callable(value) else value for key, value in settings.items()}
        except KeyError as error:  # part of the name of a file that somebody asks for
            raise ValueError(f"{name}: the config has no {error}; correct the name of the file, or the config") from None

    def options(wildcards: Any, input: Any, output: Any) -> str:  # Snakemake's names
        given = chosen(wildcards)
        named = [*input.items(), *output.items(), *((key, getattr(wildcards, key)) for key in listed), *given.items()]
        values = dict(named)
        if len(values) < len(named):
            raise ValueError(f"{name}: an option is given twice in {[option for option, _ in named]}")
        return command_line(values)

    def compared(wildcards: Any) -> str:
        return command_line(chosen(wildcards))

    # plain Snakemake reruns a job when a param has changed, but looks at none that is made of inputs and outputs
    return {"stage": name, "code": fingerprint.code(name), "settings": compared, "options": options}


def command_line(values: Mapping[str, Any]) -> str:
    """Text of a command line that `parse` reads back: paths and texts as they are, lists word by word, all else as JSON.

    >>> command_line({"digits": [], "out": "a b.pt", "seed": 3, "settings": {"clip": 20.0}})
    "--digits --out 'a b.pt' --seed 3 --settings '{"clip": 20.0}'"
    """
    return " ".join(part for option, value in values.items() for part in _parts(_flag(option), _words(value)))


def _parts(flag: str, words: list[str]) -> list[str]:
    """An option with its words; words that begin with a dash, which would be read as options, are tied to it."""
    if any(word.startswith("-") for word in words):
        return [shlex.quote(f"{flag}={word}") for word in words]
    return [flag, *map(shlex.quote, words)]


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    several = isinstance(value, Iterable) and not isinstance(value, str | Mapping)
    return [
        str(part) if isinstance(part, str | Path) else json.dumps(part, sort_keys=True)
        for part in (value if several else [value])
    ]
