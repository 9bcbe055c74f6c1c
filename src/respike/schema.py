"""The config checked against its schema, with defaults filled in."""

import difflib
from collections.abc import Mapping
from typing import Any

import jsonschema

from respike.core.config import ConfigError


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
    key = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "additionalProperties":
        return "\n".join(
            _unknown(name, key, error.schema) for name in error.instance if name not in error.schema["properties"]
        )
    about = error.schema.get("description", "")
    return f"config: {key or 'top level'} = {error.instance!r}: {error.message}" + (f" ({about})" if about else "")


def _unknown(key: str, parent: str, schema: Mapping[str, Any]) -> str:
    valid = sorted(schema["properties"])
    near = difflib.get_close_matches(key, valid, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(valid)}"
    return f"config: unknown key {f'{parent}.{key}' if parent else key!r}; {hint}"
