"""Stages: command lines written, read by a shell and parsed again; what rules say of them; the list of what there is."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Wildcards

from respike import fingerprint, stage
from respike.__main__ import main
from respike.core.config import ConfigError

ALPHABET = [*"aZ09 _.,:;/\\'\"`$&|<>()[]{}*?!#%~=+-@^\n\t", "ä", "ß", "€", "神", "--", "{b}", "$(id)", "-1e-05"]


@dataclass(frozen=True)
class Settings:
    """Example of settings."""

    rate: float
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = ()
    note: str = ""


def run(  # noqa: PLR0913
    *,
    source: Path,
    maybe: Path | None,
    parts: list[Path],
    name: str,
    names: list[str],
    count: int,
    limit: int | None,
    share: float,
    values: tuple[float, ...],
    flag: bool,
    kind: Literal["spike", "rate"],
    settings: Settings,
    many: list[Settings],
    table: dict[str, float],
    device: str = "cpu",
) -> None:
    """Example of a stage."""


def text(rng, least: int = 0) -> str:
    drawn = "".join(rng.choice(ALPHABET, rng.integers(least, 8)))
    return "x" if drawn == "--" else drawn  # alone it ends the options of every program


def drawn_settings(rng) -> dict:
    return {
        "rate": number(rng),
        "kind": str(rng.choice(["a", "b"])),
        "sizes": rng.integers(-5, 5, 2).tolist(),
        "note": text(rng),
    }


def number(rng) -> float:
    return float(rng.normal() * 10.0 ** rng.integers(-20, 20))


def drawn(rng) -> dict:
    """Values of every type that an option may have, as a rule would hand them over."""
    several = int(rng.integers(0, 4))
    return {
        "source": Path(text(rng, 1)),
        "maybe": None if rng.random() < 0.5 else Path(text(rng, 1)),
        "parts": [Path(text(rng, 1)) for _ in range(several)],
        "name": text(rng),
        "names": [text(rng) for _ in range(several)],
        "count": int(rng.integers(-1000, 1000)),
        "limit": None if rng.random() < 0.5 else int(rng.integers(-5, 5)),
        "share": number(rng),
        "values": tuple(number(rng) for _ in range(several)),
        "flag": bool(rng.random() < 0.5),
        "kind": str(rng.choice(["spike", "rate"])),
        "settings": drawn_settings(rng),
        "many": [drawn_settings(rng) for _ in range(several)],
        "table": {text(rng): number(rng) for _ in range(several)},
    }


def built(values: dict) -> dict:
    """The same with settings as the dataclass that the stage gets."""
    made = lambda given: Settings(**{**given, "sizes": tuple(given["sizes"])})  # noqa: E731
    return {**values, "settings": made(values["settings"]), "many": [made(one) for one in values["many"]]}


def test_what_is_written_is_read_back_through_a_shell():
    """A hundred random sets of options: bash and `shlex` make the same words of them, and `parse` the values of these."""
    cases = [drawn(np.random.default_rng(seed)) for seed in range(100)]
    lines = [stage.command_line(values) for values in cases]
    script = "\n".join(f"printf '%s\\0' {line} END" for line in lines)
    words = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode().split("\0END\0")[:-1]
    for values, line, received in zip(cases, lines, words, strict=True):
        assert received.split("\0") == shlex.split(line)
        assert stage.parse("test.run", run, received.split("\0")) == built(values)


def test_an_option_that_is_left_out_takes_its_default():
    line = stage.command_line(drawn(np.random.default_rng(0)))
    assert "device" not in stage.parse("test.run", run, shlex.split(line))
    assert stage.parse("test.run", run, shlex.split(f"{line} --device cuda"))["device"] == "cuda"
    assert stage.parse("test.run", run, shlex.split(f"{line} --device=cuda"))["device"] == "cuda"


def options_of(rule: dict, **given) -> list[str]:
    """Words of the command line that a rule with these wildcards, inputs and outputs prints."""
    named = {"wildcards": Wildcards, "input": InputFiles, "output": OutputFiles}
    return shlex.split(rule["options"](**{key: kind(fromdict=given.get(key, {})) for key, kind in named.items()}))


def test_a_rule_names_what_becomes_its_command_line():
    settings = {"5": {"steps": 50}}
    rule = stage.params("modes.fit", "modes", seed=0, settings=lambda wildcards: settings[wildcards.modes])
    assert (rule["stage"], rule["code"]) == ("modes.fit", fingerprint.code("modes.fit"))
    words = options_of(rule, wildcards={"modes": "5", "cell": "spike"}, input={"digits": "a b.npz"}, output={"out": "{x}.pt"})
    assert words == [
        *("--digits", "a b.npz", "--out", "{x}.pt"),
        *("--modes", "5", "--seed", "0", "--settings", '{"steps": 50}'),
    ]


def test_inputs_without_a_name_are_not_on_the_command_line_and_none_leaves_a_bare_option():
    unnamed = InputFiles(toclone=["a.npz"])
    rule = stage.params("modes.data", folder=None)
    assert rule["options"](Wildcards(), unnamed, OutputFiles()) == "--folder"
    assert options_of(rule, input={"digits": []}) == ["--digits", "--folder"]
    assert options_of(rule, input={"parts": ["a", "b c"]}) == ["--parts", "a", "b c", "--folder"]


def test_a_wildcard_that_the_config_does_not_know_is_told():
    """Somebody asks Snakemake for a file of that name."""
    said = stage.params("modes.fit", rate=lambda wildcards: {"known": 1.0}[wildcards])
    assert said["settings"]("known") == "--rate 1.0"
    for of in (said["settings"], lambda wildcards: said["options"](wildcards, {}, {})):
        with pytest.raises(
            ValueError, match="modes.fit: the config has no 'nope'; correct the name of the file, or the config"
        ):
            of("nope")


def test_an_option_given_twice_is_refused():
    rule = stage.params("modes.fit", out="elsewhere.pt")
    with pytest.raises(ValueError, match=r"modes\.fit: an option is given twice in \['out', 'out'\]"):
        options_of(rule, output={"out": "fit.pt"})


def test_a_rule_of_a_stage_that_is_not_there_is_refused():
    with pytest.raises(FileNotFoundError, match=r"no stage 'modes\.fti'"):
        stage.params("modes.fti")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": "three"}, "--count 'three' is not JSON .*; expected int"),
        ({"count": 2.5}, "--count = 2.5: expected int, found float"),
        ({"flag": 1}, "--flag = 1: expected bool, found int"),
        ({"kind": "spikes"}, "--kind = 'spikes': expected one of 'spike', 'rate'"),
        ({"limit": "x"}, "--limit 'x' is not JSON .*; expected int"),
        ({"values": [1.0, None]}, "--values = None: expected float, found NoneType"),
        ({"settings": [1]}, r"--settings = 1: expected keys and values"),
        ({"settings": {"rate": 1, "sort": "a"}}, r"--settings: Settings has no field \['sort'\]"),
        ({"many": [{"rate": 1}, {"rate": "fast"}]}, "Settings.rate = 'fast': expected float, found str"),
    ],
)
def test_a_value_of_another_type_is_refused(change, message):
    line = stage.command_line({**drawn(np.random.default_rng(0)), **change})
    with pytest.raises(ConfigError, match=message):
        stage.parse("test.run", run, shlex.split(line))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "x"], "the following arguments are required: --maybe, --parts"),
        (["--soruce", "x"], "required"),
        (
            [*shlex.split(stage.command_line(drawn(np.random.default_rng(0)))), "--sort", "1"],
            "unrecognized arguments: --sort 1",
        ),
        (
            [*shlex.split(stage.command_line(drawn(np.random.default_rng(0)))), "--coun", "1"],
            "unrecognized arguments: --coun 1",
        ),
    ],
)
def test_unknown_and_missing_options_are_told(capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        stage.parse("test.run", run, words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_of_a_stage_says_what_it_takes(capsys):
    with pytest.raises(SystemExit) as stopped:
        stage.parse("test.run", run, ["--help"])
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert stopped.value.code == 0
    assert "Example of a stage." in said
    what = f"rate, [kind], [sizes], [note]: Settings in {__name__}"
    for part in ("--kind spike|rate", f"--settings JSON {what}", "--parts [Path ...]", "[--device str]", "default cpu"):
        assert part in said
    assert ("--flag true|false" in said, "--table JSON" in said) == (True, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("modes.fti", "expected one of modes.data, modes."), ("nonsense", "expected one of barrel.")],
)
def test_an_unknown_stage_is_answered_with_those_there_are(capsys, name, expected):
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert f"there is no stage {name!r}" in said
    assert expected in said
    assert ("barrel" in said) == (name == "nonsense"), "stages of other studies only where the study is unknown"


@pytest.mark.parametrize("name", [name for name, _ in stage.names()])
def test_every_stage_has_its_help(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert (stopped.value.code, name in capsys.readouterr().out) == (0, True)


def test_help_lists_the_stages_that_lie_in_the_folders(tmp_path, monkeypatch, capsys):
    for name, code in {
        "beta/stages/fit.py": '"""Train β.\n\nMore."""',
        "alpha/stages/metrics.py": '"""Measure α."""',
        "alpha/stages/data.py": "",
        "alpha/stages/__init__.py": '"""No stage."""',
        "alpha/model.py": '"""No stage either."""',
    }.items():
        path = tmp_path / "respike" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code, encoding="utf-8")
    monkeypatch.setattr(fingerprint, "SOURCE", tmp_path)
    assert list(stage.names()) == [("alpha.data", ""), ("alpha.metrics", "Measure α."), ("beta.fit", "Train β.")]
    assert main(["--help"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.partition("Stages:\n")[2].splitlines() if line]
    assert lines == [["alpha"], ["alpha.data"], ["alpha.metrics", "Measure", "α."], ["beta"], ["beta.fit", "Train", "β."]]


def test_every_stage_says_what_it_does_in_one_line():
    found = dict(stage.names())
    assert {"modes.fit", "v1.metrics"} <= found.keys()
    assert not [name for name, about in found.items() if len(about) < 10]
    assert len(found) == len(list((fingerprint.SOURCE / "respike").glob("*/stages/[a-z]*.py")))
