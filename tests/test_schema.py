"""The config check: unknown keys refused with the nearest valid one, ranges and types, defaults, coercion."""

from pathlib import Path

import pytest
import yaml

from respike.core.config import ConfigError
from respike.schema import check

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_shipped_config_is_valid():
    assert check(CONFIG, SCHEMA)["run"]["size"] == "quick"


@pytest.mark.parametrize("preset", sorted((ROOT / "workflow/presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_name_known_keys(preset):
    def overlay(base, extra):
        return {**base, **{k: overlay(base.get(k, {}), v) if isinstance(v, dict) else v for k, v in extra.items()}}

    check(overlay(CONFIG, yaml.safe_load(preset.read_text())), SCHEMA)


def test_a_mistyped_key_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown key 'run\.sead'; did you mean 'seed'\?"):
        check({"run": {"sead": 1}}, SCHEMA)


def test_a_foreign_key_is_refused_with_the_valid_ones():
    with pytest.raises(ConfigError, match=r"unknown key 'run\.zzz'; valid keys: device, seed, size"):
        check({"run": {"zzz": 1}}, SCHEMA)


@pytest.mark.parametrize(("value", "message"), [(-1, "minimum of 0"), ("one", "not of type 'integer'"), (1.5, "integer")])
def test_a_value_out_of_range_or_of_wrong_type_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        check({"run": {"seed": value}}, SCHEMA)


def test_the_order_of_keys_in_the_file_does_not_matter():
    part = {"training": {"task": "xor"}}
    variants = {**CONFIG["rate2lif"]["variants"], "b": part, "a": part}
    checked = check({**CONFIG, "rate2lif": {**CONFIG["rate2lif"], "variants": variants}}, SCHEMA)
    assert list(checked["rate2lif"]["variants"]) == sorted(variants)


def test_whole_numbers_become_floats_where_the_schema_says_number():
    schema = {
        "type": "object",
        "properties": {"scale": {"type": "number", "default": 2}, "n": {"type": "integer", "default": 3}},
    }
    filled = check({}, schema)
    assert repr(filled) == "{'n': 3, 'scale': 2.0}"
    assert repr(check({"scale": 1}, schema)) == repr(check({"scale": 1.0}, schema))


def every_key(schema: dict, path: str = ""):
    for key, part in schema.get("properties", {}).items():
        yield f"{path}{key}", part
        yield from every_key(part, f"{path}{key}.")
        yield from every_key(part.get("items", {}), f"{path}{key}[].")


KEYS = [*every_key(SCHEMA), *(pair for name, part in SCHEMA.get("$defs", {}).items() for pair in every_key(part, f"{name}."))]


@pytest.mark.parametrize(
    ("path", "part"), [pair for pair in KEYS if "." in pair[0]], ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_is_described(path, part):
    assert part.get("description"), f"{path} has no description in workflow/schemas/config.schema.yaml"
