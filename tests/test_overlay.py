"""Config files as users write them: refused with file, line and key where YAML would lose something without a word."""

from pathlib import Path

import pytest

from respike import overlay
from respike.core.config import ConfigError

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "path", [ROOT / "config.yaml", *sorted((ROOT / "workflow").rglob("presets/*.yaml"))], ids=lambda p: p.stem
)
def test_our_own_files_pass(path):
    overlay.check([path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modes: {a: 1}\nrun: {}\nmodes: {b: 2}\n", ["line 3", "key modes", "line 1"]),
        ("modes:\n  digits:\n    steps: 3\n    clip: 1\n    steps: 4\n", ["line 5", "modes.digits.steps", "line 3"]),
        ("modes: {networks: [{task: a, task: b}]}\n", ["line 1", "modes.networks[0].task"]),
        ('{"run": {"seed": 1,\n "seed": 2}}', ["line 2", "run.seed"]),
        ("rate2lif:\n  variants: {2024: {}}\n", ["line 2", "rate2lif.variants.2024", "int", "quotes"]),
        ("run:\n  seed: [1\nv1: {}\n", ["line 3", "not YAML", "brackets"]),
        ("run:\n\tseed: 1\n", ["line 2", "tabs"]),
        ("run: {seed: 1}\n--- \nrun: {seed: 2}\n", ["line 2", "document"]),
        ("run: !!python/name:os.system {}\n", ["line 1", "not YAML"]),
        ("", ["holds no keys", "run: {seed: 1}"]),
        ("# only a comment\n", ["holds no keys"]),
        ("- run\n", ["line 1", "sequence", "keys and values"]),
        ("run\n", ["line 1", "scalar"]),
        (b"run: {}\nv1: {dataset: \xe9}\n", ["line 2", "UTF-8"]),
    ],
)
def test_what_is_refused_names_file_line_and_key(tmp_path, text, words):
    path = tmp_path / "my config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as error:
        overlay.check([path])
    for word in (str(path), *words):
        assert word in str(error.value), str(error.value)


def test_merged_keys_and_the_same_key_in_other_places_are_fine(tmp_path):
    path = tmp_path / "fine.yaml"
    path.write_text("\ufeffbase: &base {a: 1}\nx: {<<: *base, a: 2}\ny: {<<: *base}\n", encoding="utf-8")
    overlay.check([path])


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no config file .*none\.yaml"):
        overlay.check([tmp_path / "none.yaml"])
