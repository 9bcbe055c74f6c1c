"""What must hold for all config files: plain ones pass, a key said twice is found, order and repetition change nothing."""

import copy
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as some
from snakemake.utils import update_config

from respike import overlay, schema
from respike.core import config
from respike.core.config import ConfigError
from tests.properties import few

ROOT = Path(__file__).resolve().parents[1]
names = some.from_regex(r"[a-z_]{1,6}", fullmatch=True)
leaves = some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text("abc: #{}[]'\"\n-", max_size=6)
plain = some.recursive(leaves, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(names, inner, max_size=3))
blocks = some.dictionaries(names, plain, min_size=1, max_size=4)


@few
@given(content=blocks, flow=some.booleans(), as_json=some.booleans())
def test_what_yaml_writes_passes_and_a_key_said_again_is_found(content, flow, as_json, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    text = json.dumps(content) if as_json else yaml.safe_dump(content, default_flow_style=flow, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    overlay.check([path])
    if not (flow or as_json):
        key = next(iter(content))
        path.write_text(f"{text}{key}: again\n", encoding="utf-8")
        line = text.count("\n") + 1
        with pytest.raises(ConfigError, match=rf"line {line}: key {key} stands here and in line 1,"):
            overlay.check([path])


@cache
def ours() -> tuple[dict, dict]:
    """The project's own config and schema."""
    files = (ROOT / "config.yaml", ROOT / "workflow/schemas/config.schema.yaml")
    return tuple(yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for path in files)


def ends(part, key=()):
    """Keys of the values in a config that are no blocks."""
    return [
        end
        for name, value in part.items()
        for end in (ends(value, (*key, name)) if isinstance(value, dict) else [(*key, name)])
    ]


def block(keys, content) -> dict:
    """An overlay that says these keys, with other numbers than `content` has."""
    laid: dict = {}
    for key in keys:
        here, value = laid, content
        for name in key[:-1]:
            here, value = here.setdefault(name, {}), value[name]
        value = value[key[-1]]
        here[key[-1]] = value + 1 if type(value) is int else value
    return laid


def checked(*laid: dict) -> str:
    """What comes of the overlays in this order, with the order of keys."""
    merged: dict = {}
    for one in laid:
        update_config(merged, copy.deepcopy(one))
    return json.dumps(schema.check(merged, ours()[1]))


@few
@given(data=some.data())
def test_neither_the_order_of_overlays_that_say_different_things_nor_their_repetition_changes_anything(data):
    content, _ = ours()
    keys = data.draw(some.lists(some.sampled_from(sorted(ends(content))), unique=True, min_size=2, max_size=12))
    first, second = block(keys[::2], content), block(keys[1::2], content)
    found = checked(content, first, second)
    assert found == checked(content, second, first) == checked(content, first, second, first, second)
    assert found == checked(json.loads(found)), "a checked config stays as it is"
    shuffled = {name: content[name] for name in data.draw(some.permutations(sorted(content)))}
    assert found == checked(shuffled, first, second)


@dataclass(frozen=True)
class Part:
    """Example of settings within settings."""

    size: int
    rate: float = 0.5


@dataclass(frozen=True)
class Whole:
    """Example of settings."""

    part: Part
    several: tuple[Part, ...]
    table: dict[str, float]
    name: str | None = None
    flag: bool = False


parts = some.builds(Part, some.integers(), some.floats(allow_nan=False))
wholes = some.builds(
    Whole,
    parts,
    some.lists(parts, max_size=3).map(tuple),
    some.dictionaries(names, some.floats(allow_nan=False), max_size=3),
    some.none() | some.text(max_size=5),
    some.booleans(),
)


@given(wholes)
def test_settings_come_back_from_plain_values(whole):
    assert config.build(Whole, json.loads(json.dumps(asdict(whole)))) == whole


@given(wholes, some.sampled_from(["part", "several", "table"]), some.sampled_from(["1", None, 1.5, True]))
def test_a_value_of_another_kind_is_refused_with_its_key(whole, name, value):
    with pytest.raises(ConfigError, match=rf"Whole\.{name} = "):
        config.build(Whole, asdict(whole) | {name: value})
    with pytest.raises(ConfigError, match=r"Part\.size = "):
        config.build(Whole, asdict(whole) | {"part": {"size": value}})
