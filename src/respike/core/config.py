"""Plain values of the config as the dataclasses that stages take."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

T = typing.TypeVar("T")


class ConfigError(ValueError):
    """A config value cannot be used; the message names the key, the value and what was expected."""


def build(kind: type[T], values: Mapping[str, Any], name: str = "") -> T:
    """Instance of the frozen dataclass `kind` from plain values; lists become tuples, whole numbers floats where declared.

    Raises ConfigError for a field that does not exist, is missing or has another type; `name` is what gives the values.
    """
    name = f"{name}: {kind.__name__}" if name else kind.__name__
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    if unknown := set(values) - set(fields):
        raise ConfigError(f"{name} has no field {sorted(unknown)}; it has {sorted(fields)}")
    needed = {key for key, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING}
    if needed := needed - set(values):
        raise ConfigError(f"{name} needs a value for {sorted(needed)}")
    return kind(**{key: convert(value, hints[key], f"{name}.{key}") for key, value in values.items()})


def convert(value: Any, hint: Any, name: str) -> Any:
    """`value` as the declared type `hint`: a dataclass, tuple, dict, float, or a plain type it already has."""
    origin = typing.get_origin(hint)
    container = Mapping if dataclasses.is_dataclass(hint) else {tuple: list | tuple, dict: Mapping}.get(origin)
    if container and not isinstance(value, container):
        raise ConfigError(f"{name} = {value!r}: expected {'a list' if origin is tuple else 'keys and values'}")
    if dataclasses.is_dataclass(hint):
        return build(hint, value, name)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else convert(value, next(a for a in typing.get_args(hint) if a is not type(None)), name)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(f"{name} = {value!r}: expected one of {', '.join(map(repr, typing.get_args(hint)))}")
        return value
    if origin is tuple:
        return tuple(convert(part, typing.get_args(hint)[0], name) for part in value)
    if origin is dict:
        return {key: convert(part, typing.get_args(hint)[1], name) for key, part in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{name} = {value!r}: expected {hint.__name__}, found {type(value).__name__}")
    return value
