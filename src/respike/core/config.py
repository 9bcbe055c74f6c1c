"""Config: checked against its schema, defaults filled in, and turned into the dataclasses that stages take."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any

import jsonschema

T = typing.TypeVar("T")


class ConfigError(ValueError):
    """A config value cannot be used; the message names the key, the value and what was expected."""


def check(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the schema's defaults filled in and whole numbers where the schema says number made floats.

    Keys come in the order of their names: which of several files said something first must change nothing.
    Raises ConfigError for an unknown key (with the nearest valid one), a wrong type or a value out of range.
    """
    config = _complete(config, schema, schema)
    errors = sorted(jsonschema.Draft202012Validator(schema).iter_errors(config), key=lambda error: list(error.absolute_path))
    if errors:
        raise ConfigError("\n".join(_explain(error) for error in errors))
    return config


def _complete(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "object" and isinstance(value, Mapping):
        properties = schema.get("properties", {})
        filled = {key: part["default"] for key, part in properties.items() if "default" in part}
        empty = {key: {} for key, part in properties.items() if part.get("type") == "object" and "default" not in part}
        rest = schema.get("additionalProperties")
        other = rest if isinstance(rest, Mapping) else {}
        merged = {**filled, **empty, **value}
        return {key: _complete(merged[key], properties.get(key, other), root) for key in sorted(merged, key=str)}
    if schema.get("type") == "array" and isinstance(value, list):
        return [_complete(part, schema.get("items", {}), root) for part in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _explain(error: jsonschema.ValidationError) -> str:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        return "\n".join(_unknown(key, place, error.schema) for key in error.instance if key not in error.schema["properties"])
    about = error.schema.get("description", "")
    return f"config: {place or 'top level'} = {error.instance!r}: {error.message}" + (f" ({about})" if about else "")


def _unknown(key: str, place: str, schema: Mapping[str, Any]) -> str:
    valid = sorted(schema["properties"])
    near = difflib.get_close_matches(key, valid, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
    return f"config: unknown key {f'{place}.{key}' if place else key!r}; {hint}"


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """Instance of the frozen dataclass `kind` from plain values; lists become tuples, whole numbers floats where declared.

    Raises ConfigError for a field that does not exist, is missing or has another type.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    unknown = set(values) - set(fields)
    if unknown:
        raise ConfigError(f"{kind.__name__} has no field {sorted(unknown)}; it has {sorted(fields)}")
    needed = {name for name, field in fields.items() if _is_required(field)} - set(values)
    if needed:
        raise ConfigError(f"{kind.__name__} needs a value for {sorted(needed)}")
    return kind(**{name: convert(value, hints[name], f"{kind.__name__}.{name}") for name, value in values.items()})


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def convert(value: Any, hint: Any, place: str) -> Any:
    """`value` as the declared type `hint`: a dataclass, tuple, dict, float, or a plain type it already has."""
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return build(hint, value)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else convert(value, next(a for a in typing.get_args(hint) if a is not type(None)), place)
    if origin is typing.Literal:
        return _one_of(value, typing.get_args(hint), place)
    if origin is tuple:
        return tuple(convert(part, typing.get_args(hint)[0], place) for part in value)
    if origin is dict:
        return {key: convert(part, typing.get_args(hint)[1], place) for key, part in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{place} = {value!r}: expected {hint.__name__}, found {type(value).__name__}")
    return value


def _one_of(value: Any, choices: tuple, place: str) -> Any:
    if value not in choices:
        raise ConfigError(f"{place} = {value!r}: expected one of {', '.join(map(repr, choices))}")
    return value
