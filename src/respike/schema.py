"""The config checked against its schema, with defaults filled in."""

import difflib
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema import Draft202012Validator as Draft

from respike.core.config import ConfigError

POWER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")  # a number that YAML takes for text unless it has both . and sign


def _rising(_: Any, wanted: bool, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """Our keyword `rising`: bounds whose first is below their second."""
    if wanted and isinstance(value, list) and list(value) != sorted(value):
        yield jsonschema.ValidationError("expected the lower bound first")


def _there(_: Any, kind: str, path: Any, schema: Mapping[str, Any]) -> Iterator[jsonschema.ValidationError]:
    """Our keyword `there`: path of a file or folder that must be there, unless it is the default."""
    if not isinstance(path, str) or path == schema.get("default"):
        return
    found = "folder" if os.path.isdir(path) else "file" if os.path.isfile(path) else ""  # noqa: PTH112, PTH113  (never raise)
    empty = found == "file" and not Path(path).stat().st_size
    if not found or found not in kind or empty:
        state = "is empty (0 bytes)" if empty else f"is a {found}" if found else "does not exist"
        correct = "correct it in config.yaml, or in the config file that is laid over it"
        yield jsonschema.ValidationError(f"{state}; expected a {kind}; {correct}")


CHECKER = Draft.TYPE_CHECKER.redefine_many(
    {
        name: lambda _, value, name=name: Draft.TYPE_CHECKER.is_type(value, name) and math.isfinite(value)
        for name in ("number", "integer")
    }
)
VALIDATOR = jsonschema.validators.extend(Draft, {"rising": _rising, "there": _there}, type_checker=CHECKER)


def check(config: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """`config` with the schema's defaults filled in, floats where the schema says number, and paths without ~, ./ and //.

    Of what is listed by names of the user's choice, as variants are, null leaves out what another file lists.

    Keys come in the order of their names: which of several files said something first must change nothing.
    Raises ConfigError for an unknown key (with the nearest valid one), a wrong type, a value out of range, or the path of a
    file or folder that is not there.
    """
    config = _complete(config, schema, schema)
    errors = sorted(VALIDATOR(schema).iter_errors(config), key=lambda error: list(error.absolute_path))
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
        merged = {key: part for key, part in merged.items() if part is not None or key in properties or not other}
        return {key: _complete(merged[key], properties.get(key, other), root) for key in sorted(merged, key=str)}
    if isinstance(value, list) and "array" in schema.get("type", ()):
        return [_complete(part, schema.get("items", {}), root) for part in value]
    return _plain(value, schema)


def _plain(value: Any, schema: Mapping[str, Any]) -> Any:
    """A text or number as the schema wants it."""
    wanted = schema.get("type", ())
    kinds = {wanted} if isinstance(wanted, str) else set(wanted)
    if isinstance(value, str):
        if schema.get("format") == "path":
            return str(Path(os.path.expanduser(value))) if value else value  # noqa: PTH111  (never raise)
        if kinds & {"number", "integer"} and "string" not in kinds and POWER.fullmatch(value):
            value = float(value)
            return int(value) if "integer" in kinds and value.is_integer() else value
    if "number" in kinds and "integer" not in kinds and isinstance(value, int) and not isinstance(value, bool):
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
