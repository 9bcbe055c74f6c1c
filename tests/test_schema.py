"""The config check: unknown keys refused with the nearest valid one, ranges and types, defaults, coercion."""

import dataclasses
import importlib
import json
import re
from functools import reduce
from pathlib import Path

import pytest
import yaml

from respike.core.config import ConfigError, build
from respike.fsbi.inference.targets import Target
from respike.schema import check

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_shipped_config_is_valid():
    assert check(CONFIG, SCHEMA)["run"]["size"] == "quick"


@pytest.mark.parametrize("preset", sorted((ROOT / "workflow/presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_name_known_keys(preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "mnist").mkdir(parents=True)  # the user's to bring

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


def one(**part) -> dict:
    return {"type": "object", "properties": {"x": part}}


@pytest.mark.parametrize(("text", "number"), [("1e-3", 1e-3), ("1E5", 1e5), ("-2e+3", -2000.0), (".5e1", 5.0)])
def test_powers_of_ten_that_yaml_takes_for_text_are_numbers(text, number):
    assert isinstance(yaml.safe_load(text.replace(".5e1", "5e1")), str)
    assert check({"x": text}, one(type="number"))["x"] == number
    assert check({"x": [text]}, one(type="array", items={"type": ["number", "null"]}))["x"] == [number]
    assert check({"x": text}, one(type="string"))["x"] == text


def test_powers_of_ten_are_whole_numbers_only_where_they_are_whole():
    assert repr(check({"x": "1e3"}, one(type="integer"))["x"]) == "1000"
    with pytest.raises(ConfigError, match="x = 0.001"):
        check({"x": "1e-3"}, one(type="integer"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ConfigError, match=f"run.seed = {value}"):
        check({"run": {"seed": value}}, SCHEMA)


def test_null_leaves_out_what_another_file_lists():
    """A variant, but no setting: that must say what it is."""
    config = {**CONFIG, "v1": {"variants": {"mle": {}, "lnp": None}}}
    assert set(check(config, SCHEMA)["v1"]["variants"]) == {"mle"}
    with pytest.raises(ConfigError, match="v1.seeds = None"):
        check({**CONFIG, "v1": {"seeds": None}}, SCHEMA)


def test_a_tilde_in_a_path_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mnist").mkdir()
    home = str(Path.home())
    assert (
        check({**CONFIG, "modes": {**CONFIG["modes"], "digits_dir": "~/mnist"}}, SCHEMA)["modes"]["digits_dir"]
        == f"{home}/mnist"
    )
    assert check({"x": ["~/a", "b"]}, one(type="array", items={"type": "string", "format": "path"}))["x"] == [f"{home}/a", "b"]
    assert check({"x": "~"}, one(type="string"))["x"] == "~"
    with pytest.raises(ConfigError, match="config: x = '~nosuchuser/data': does not exist; expected a folder"):
        check({"x": "~nosuchuser/data"}, one(type="string", format="path", there="folder"))


@pytest.mark.parametrize(("given", "known"), [("./a", "a"), ("d//a/", "d/a"), ("a/./b", "a/b"), ("../a", "../a"), ("", "")])
def test_a_path_is_written_in_one_way(given, known):
    assert check({"x": given}, one(type="string", format="path"))["x"] == known
    assert check({"x": given}, one(type="string"))["x"] == given


def laid(value, *key):
    """The shipped config with another value for a key."""
    config = {**CONFIG, "barrel": {**CONFIG["barrel"], "recording": {}}}
    here = config
    for name in key[:-1]:
        here[name] = dict(here.get(name, {}))
        here = here[name]
    here[key[-1]] = value
    return config


FILES = [
    ("v1", "data_dir"),
    ("v1", "data", "session", "movie"),
    ("neulvm", "data", "recording"),
    ("barrel", "recording", "train"),
    ("barrel", "recording", "test"),
    ("rate2lif", "variants", "mante", "file"),
    ("fsbi", "mlp", "hidden_file"),
    ("fsbi", "poly", "released_longevity"),
    ("fsbi", "poly", "released_whole"),
    ("fsbi", "poly", "released"),
]
FOLDERS = [("barrel", "sweeps", "meshes"), ("modes", "digits_dir")]


@pytest.mark.parametrize("key", FILES, ids=".".join)
def test_the_path_of_a_file_that_is_not_there_is_told_with_its_key(key, tmp_path):
    path, of_list = tmp_path / "mine.npy", key[-1] == "released"
    name = re.escape(".".join(key) + (".0" if of_list else ""))

    def look():
        check(laid([str(path)] if of_list else str(path), *key), SCHEMA)

    def refused(state):
        expected = "file or folder" if key[-1] == "data_dir" else "file"
        with pytest.raises(
            ConfigError, match=f"^config: {name} = '{path}': {state}; expected a {expected}; correct it in config"
        ):
            look()

    refused("does not exist")
    path.touch()
    refused(r"is empty \(0 bytes\)")
    path.write_text("1")
    look()
    path.unlink()
    path.mkdir()
    look() if key[-1] == "data_dir" else refused("is a folder")


def test_a_file_in_place_of_a_folder_is_told_and_what_names_no_path_need_not_be_there(tmp_path):
    (tmp_path / "a.obj").write_text("1")
    for key in FOLDERS:
        for name, state in (("a.obj", "is a file"), ("b", "does not exist")):
            with pytest.raises(ConfigError, match=rf"{'.'.join(key)} = '.*{name}': {state}; expected a folder"):
                check(laid(str(tmp_path / name), *key), SCHEMA)
        check(laid(str(tmp_path), *key), SCHEMA)
    check(laid("natural movie one", "v1", "data", "session", "movie"), SCHEMA)
    check(laid("standin", "v1", "data_dir"), SCHEMA)


@pytest.mark.parametrize("key", ["aim", "plausible"])
def test_bounds_the_wrong_way_round_are_refused(key):
    targets = {**CONFIG["fsbi"]["targets"], "rate": {"aim": [1, 30], key: [50, 1]}}
    with pytest.raises(ConfigError, match=rf"fsbi.targets.rate.{key} = \[50.0, 1.0\]: expected the lower bound first"):
        check({**CONFIG, "fsbi": {**CONFIG["fsbi"], "targets": targets}}, SCHEMA)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("rate2lif.conditions.mean output", {}, "'mean output' does not match"),  # measures of the standard are called so
        ("fsbi.poly.simulation.wiring.p_recurrent", 0, "less than or equal to the minimum of 0"),  # nothing is plastic
        ("fsbi.poly.network.n_e", 1, "less than the minimum of 2"),
    ],
)
def test_what_ends_a_run_or_means_nothing_is_refused(key, value, told):
    config = json.loads(json.dumps(CONFIG))
    *parts, last = key.split(".")
    reduce(dict.__getitem__, parts, config)[last] = value
    with pytest.raises(ConfigError, match=told):
        check(config, SCHEMA)


def test_a_metric_of_the_shipped_config_can_be_made_no_condition():
    targets = {**CONFIG["fsbi"]["targets"], "rate": {"aim": [1, 30], "plausible": None}}
    checked = check({**CONFIG, "fsbi": {**CONFIG["fsbi"], "targets": targets}}, SCHEMA)["fsbi"]["targets"]
    assert build(Target, checked["rate"]).plausible is None
    assert set(checked["kl_isi"]) == {"aim"}, "settings of finished jobs stay as they are"


def every_key(schema: dict, path: str = ""):
    for key, part in schema.get("properties", {}).items():
        yield f"{path}{key}", part
        yield from every_key(part, f"{path}{key}.")
        yield from every_key(part.get("items", {}), f"{path}{key}[].")


KEYS = [*every_key(SCHEMA), *(pair for name, part in SCHEMA.get("$defs", {}).items() for pair in every_key(part, f"{name}."))]


@pytest.mark.parametrize(
    ("key", "twice"),
    [
        ("rate2lif.variants.gonogo.conditions", ["standard", "standard"]),
        ("rate2lif.search.scales", [20, 25, 20.0]),
        ("rate2lif.figures.training_loss", ["gonogo", "gonogo"]),
        ("fsbi.networks", ["poly", "poly"]),
        ("fsbi.compare.sizes", [100, 100]),
        ("neulvm.baselines.latents", [2, 2]),
    ],
)
def test_what_would_be_counted_or_drawn_twice_is_refused(key, twice):
    config = json.loads(json.dumps(CONFIG))
    *parts, last = key.split(".")
    reduce(dict.__getitem__, parts, config)[last] = twice
    with pytest.raises(ConfigError, match=rf"{re.escape(key)} = .* has non-unique elements"):
        check(config, SCHEMA)


def test_every_path_has_to_be_there():
    paths = [(key, part.get("items", part)) for key, part in KEYS]
    assert [key for key, part in paths if part.get("format") == "path" and not {"there", "then"} & part.keys()] == []


@pytest.mark.parametrize(
    ("path", "part"), [pair for pair in KEYS if "." in pair[0]], ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_is_described(path, part):
    assert part.get("description"), f"{path} has no description in workflow/schemas/config.schema.yaml"


def blocks(part, path: str = ""):
    """All blocks of keys in the schema, by the path to them."""
    if isinstance(part, dict):
        if "properties" in part:
            yield path, part["properties"]
        for key, inner in part.items():
            yield from blocks(inner, path if key in {"properties", "additionalProperties", "items"} else f"{path}.{key}")


def settings():
    """Dataclasses of settings of each study with the blocks of the schema whose keys are fields of theirs."""
    for study in sorted(set(SCHEMA["properties"]) - {"run"}):
        for kind in vars(importlib.import_module(f"respike.{study}.params")).values():
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                fields = {field.name: field for field in dataclasses.fields(kind)}
                for path, keys in blocks(SCHEMA):
                    defaults = {key: part["default"] for key, part in keys.items() if "default" in part}
                    if path.startswith((f".{study}.", f".$defs.{study}_")) and set(keys) <= set(fields) and len(defaults) > 1:
                        yield pytest.param(fields, defaults, id=f"{study}.{kind.__name__} {path}")


@pytest.mark.parametrize(("fields", "defaults"), list(settings()))
def test_what_a_config_leaves_out_is_what_a_user_of_the_library_gets(fields, defaults):
    for key, expected in defaults.items():
        field = fields[key]
        made = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        if expected is not None and made is not dataclasses.MISSING:  # not set, as its value hangs on other keys; not optional
            found = json.loads(json.dumps(dataclasses.asdict(made) if dataclasses.is_dataclass(made) else made))
            each_population = isinstance(found, list) and not isinstance(expected, list)
            assert found == ([expected] * len(found) if each_population else expected), key
