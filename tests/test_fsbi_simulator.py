"""The simulator of fsbi: command line, generated loops, builds, chunks that are cut off, bad input."""

import ctypes
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import brian2
import numpy as np
import pandas as pd
import pytest

from respike import fingerprint
from respike.core import config, files, partial
from respike.core.spikes import read_networks
from respike.fsbi import mlp, recording, rules, summary
from respike.fsbi.params import DT, METRICS, RENEWAL, THETA, TYPES, Network, Protocol, Simulation, Wiring, box
from respike.fsbi.recording import Recording
from respike.fsbi.simulator import binary, build, circuit, codegen, command, model
from respike.fsbi.simulator.binary import Simulator
from respike.fsbi.stages import record, simulate, spikes

SMALL = Wiring(p_recurrent=0.8)
ROOT = Path(__file__).resolve().parents[1]


def rule_of(family: str, rng, **values: float) -> dict[str, float]:
    """A prior draw with its place and seed."""
    drawn = {name: float(rng.uniform(*box(name))) for name in THETA[family]}
    return {"index": 0, "round": 0, "seed": 1, **drawn, **values}


def steady(**values: float) -> dict[str, float]:
    """A poly rule under which nothing changes."""
    still = {name: 0.05 if "_tau_" in name else 0.0 for name in THETA["poly"]}
    return {"index": 0, "round": 0, "seed": 1, **still, "rate_in": 10.0, **values}


# --- command line ---


def test_every_entry_of_a_rule_reaches_the_binary(rng):
    for family in ("poly", "mlp"):
        network, theta = Network(family=family), rule_of(family, rng)
        plain = command.arguments(network, Simulation(), theta, 1)
        for name in THETA[family]:
            assert command.arguments(network, Simulation(), {**theta, name: theta[name] * 0.9}, 1) != plain, name


def test_learning_rate_is_part_of_the_terms(rng):
    theta = rule_of("poly", rng, EI_kappa=1.5)
    assert command.arguments(Network(), Simulation(), theta, 1)["EI.kappa"] == pytest.approx(0.015)
    theta = rule_of("mlp", rng, eta_IE=0.5, IE_post_bias=0.2)
    assert command.arguments(Network(family="mlp"), Simulation(), theta, 1)["IE.post_bias"] == pytest.approx(0.1)


def test_input_gaps_are_geometric(rng):
    gap = command.arguments(Network(), Simulation(), steady(rate_in=12.0), 1)["inputs.gap"]
    draws = np.floor(np.log(1 - rng.random(200_000)) * gap)
    assert 1 / (1 + draws.mean()) == pytest.approx(12.0 * DT, rel=0.01)


def test_a_run_is_told_its_times_in_steps_and_its_seed_in_two_parts():
    protocol, seed = Protocol(settle=2.0, record=3.0, n_recorded_e=10_000, tau_rate=0.5), 2**46 + 2**33 + 12345
    values = command.control_values(Network(n_e=512), Wiring(), protocol, seed)
    assert (values["record_step"], values["end_step"], values["n_recorded_e"]) == (20_000, 50_000, 512)
    assert values["seed_low"] + (values["seed_high"] << 31) == seed
    assert values["per_spike"] == pytest.approx(1 / (0.5 * 512))
    assert values["keep_rate"] == pytest.approx(np.exp(-1e-4 / 0.5))


@pytest.mark.parametrize("family", ["poly", "mlp"])
def test_each_type_of_connection_starts_with_its_own_weight(rng, family):
    wiring = Wiring(w_ee=0.1, w_ei=0.2, w_ie=0.3, w_ii=0.4)
    values = command.arguments(Network(family=family), Simulation(wiring=wiring), rule_of(family, rng), 1)
    assert [values[f"{kind}.w_start"] for kind in ("EE", "EI", "IE", "II")] == [0.1, 0.2, 0.3, 0.4]


def test_reference_mode_switches_early_stops_off():
    early, published = (command.control_values(Network(), Wiring(), Protocol(stop=stop), 1) for stop in ("early", "reference"))
    assert early["quiet_max"] == 50_000
    assert early["full_samples"] == 30
    assert published["quiet_max"] == published["full_samples"] == command.NEVER


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EE_alpha", np.nan, "EE_alpha = nan, expected a finite number"),
        ("EI_tau_pre", 0.0, "EI_tau_pre = 0.0, expected a positive number below 10000"),
        ("II_tau_post", -0.02, "II_tau_post = -0.02, expected a positive number below 10000"),
        ("rate_in", -1.0, "rate_in = -1.0, expected a positive number below 10000"),
        ("rate_in", 1e4, "rate_in = 10000.0, expected a positive number below 10000"),
        ("IE_gamma", np.inf, "IE_gamma = inf, expected a finite number"),
    ],
)
def test_rules_that_cannot_be_simulated_are_named(tmp_path, name, value, message):
    path = tmp_path / "rules.parquet"
    pd.DataFrame([{**steady(), "index": 7, "round": 2, name: value}]).to_parquet(path)
    with pytest.raises(ValueError, match=f"rules.parquet, rule 7 of round 2: {message}; correct the table"):
        rules.read_checked([path], "poly")


def test_a_table_of_the_wrong_length_is_refused(tmp_path):
    path = tmp_path / "rules.parquet"
    pd.DataFrame([steady()]).drop(columns="II_kappa").to_parquet(path)
    with pytest.raises(ValueError, match=r"rules.parquet has no column \['II_kappa'\]"):
        rules.read_checked([path], "poly")


def test_hidden_layers_come_from_seed_or_file(tmp_path, rng):
    assert np.array_equal(mlp.fixed_layers(Wiring()), mlp.fixed_layers(Wiring()))
    assert not np.array_equal(mlp.fixed_layers(Wiring(hidden_seed=1)), mlp.fixed_layers(Wiring()))
    numbers = rng.normal(size=500)
    file = tmp_path / "hidden.txt"
    file.write_text(" ".join(map(repr, [10, 100, 10, 100, *numbers.tolist()])))
    assert np.array_equal(mlp.fixed_layers(Wiring(), file), numbers)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2 3", "3 numbers, expected 500"), ("1 two", "expected 500 numbers"), ("nan " * 500, "all finite")],
)
def test_bad_hidden_layers_are_refused(tmp_path, text, message):
    file = tmp_path / "hidden.txt"
    file.write_text(text)
    with pytest.raises(ValueError, match=f"hidden.txt.*{message}"):
        mlp.fixed_layers(Wiring(), file)
    with pytest.raises(FileNotFoundError, match="correct fsbi.mlp.hidden_file in config.yaml"):
        mlp.fixed_layers(Wiring(), tmp_path / "none.txt")


# --- generated code ---


def test_statements_are_rewritten_for_blocks():
    code = """
    const int32_t _presynaptic_idx = _ptr_pre[_idx];
    float w = _ptr_w[_idx];
    const float x_pre = _ptr_x[_presynaptic_idx];
    const float x = fade_x_pre * x_pre;
    w = bounded(beta + (w + (gamma * x)), 0, w_max);
    _ptr_w[_idx] = w;
    """
    deferred = "const auto x = _trace; w = bounded(beta + (w + (gamma * x)), 0, w_max);"
    assert " ".join(codegen.on_lanes(code, "deferred").split()) == deferred
    backward = codegen.on_lanes(code, "backward")
    assert "auto w = gather(_ptr_w, _place, _n);" in backward
    assert "scatter(_ptr_w, _place, w, _n);" in backward


def test_what_arrives_is_added_cell_by_cell():
    code = """
    float w = _ptr_w[_idx];
    float g_post = _ptr_g[_postsynaptic_idx];
    g_post += w;
    w = bounded(w + alpha, 0, w_max);
    _ptr_w[_idx] = w;
    _ptr_g[_postsynaptic_idx] = g_post;
    """
    lines = [line for line in codegen.on_lanes(code, "forward").split("\n") if line]
    assert lines[1:3] == ["add_each(_ptr_g, _others, w, _n);", "w = bounded(w + alpha, 0, w_max);"]
    assert not any("_postsynaptic_idx" in line or "g_post" in line for line in lines)
    with pytest.raises(ValueError, match="cannot run the statement '_ptr_g.*= g_post;'; set templates to stock"):
        codegen.on_lanes(code.replace("+=", "*="), "forward")


@pytest.mark.parametrize("line", ["if (w > 0) w = 1;", "float w = _ptr_w[_other_idx];", "double y = 3;"])
def test_unknown_statements_stop_the_build(line):
    with pytest.raises(ValueError, match="set templates to stock"):
        codegen.on_lanes(line, "forward")


def test_brian_writes_nothing_itself():
    text = "void a()\n{\n    one();\n}\n\nvoid _write_arrays()\n{\n    {\n    }\n}\n\nvoid b()\n{\n}\n"
    assert codegen.silenced(text) == text.replace("\n    {\n    }", "")
    with pytest.raises(ValueError, match="expected one function _write_arrays, found 0; set templates to stock"):
        codegen.silenced("void a()\n{\n}\n")


def test_a_version_of_brian_that_was_not_checked_gets_its_own_loops(monkeypatch, capsys):
    assert build.served(Network()) == Network()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(brian2, "__version__", "2.99.0")
    assert build.served(Network(n_e=512)) == Network(n_e=512, templates="stock")
    said = capsys.readouterr().out
    assert re.fullmatch(r"fsbi.build: Brian2 2.99.0, fast loops checked with 2.9.0, .*: using its own, slower ones\n", said)
    assert build.served(Network(templates="stock")) == Network(templates="stock")
    assert capsys.readouterr().out == ""


def test_renewals_are_those_of_the_header():
    assert f"RENEWAL = {RENEWAL}," in codegen.source("deferred.h")


LANES_LIBRARY = """
#include "lanes.h"
extern "C" int lanes() { return LANES; }
extern "C" void blocks(const int n, const float *x, const uint16_t *cells, const int32_t *index, const uint64_t *fours,
                       const uint32_t *counts, float *numbers, int32_t *wholes, float *stored)
{
    const vi at = load(index, n), post = load(cells, n);
    const Four four = gather_four(fours, at);
    const vf parts[] = {load(x, n), gather(x, at, n), bounded(load(x, n), -0.5f, 0.5f), Table(x).at(at),
                        fused(load(x, n), load(x + 1, n), load(x + 2, n))};
    const vi whole[] = {at, post, gather(cells, at, n), gather(counts, at, n), pick<0>(four), pick<1>(four), pick<2>(four),
                        pick<3>(four), vi{} + (int)any_below(at, 7), vi{} + (int)any_below(at + 1, 1)};
    for (const vf &part : parts) { std::memcpy(numbers, &part, sizeof part); numbers += LANES; }
    for (const vi &part : whole) { std::memcpy(wholes, &part, sizeof part); wholes += LANES; }
    store(stored, load(x, n), n);
    scatter(stored + 64, at, load(x, n), n);
    add_each(stored + 128, cells, load(x, n), n);
}
"""
WIDTHS = ["native", *(["x86-64", "x86-64-v3"] if build.platform.machine() == "x86_64" else [])]


def library(tmp_path, source: str, cpu: str) -> ctypes.CDLL:
    (tmp_path / "library.cpp").write_text(source)
    flags = [*build.flags(Network(cpu=cpu)), "-O1", "-fPIC", "-shared", f"-I{Path(codegen.__file__).parent}"]
    subprocess.run(["g++", *flags, tmp_path / "library.cpp", "-o", tmp_path / "library.so"], check=True)
    return ctypes.CDLL(str(tmp_path / "library.so"))


def pointer(x: np.ndarray) -> ctypes.c_void_p:
    return x.ctypes.data_as(ctypes.c_void_p)


@pytest.mark.parametrize("cpu", WIDTHS)
def test_blocks_of_every_width_do_what_numbers_do(tmp_path, rng, cpu):
    blocks = library(tmp_path, LANES_LIBRARY, cpu)
    width = blocks.lanes()
    assert width == {"x86-64": 4, "x86-64-v3": 8}.get(cpu, width)
    x = rng.uniform(-1, 1, 128).astype(np.float32)
    x[[3, 4, 5]] = -0.0, 0.5, np.nan
    cells, counts = rng.permutation(64).astype(np.uint16), rng.integers(0, 2**31, 65, dtype=np.uint32)
    fours = rng.integers(0, 2**64, 64, dtype=np.uint64)
    for n in range(1, width + 1):
        index = rng.permutation(64)[:width].astype(np.int32)
        found = np.empty((5, width), np.float32), np.empty((10, width), np.int32), np.zeros(192, np.float32)
        blocks.blocks(n, *map(pointer, (x, cells, index, fours, counts, *found)))
        at, own = index[:n], x[:n]
        numbers = [own, x[at], np.where(np.isnan(own), np.nan, np.clip(own, -0.5, 0.5)), x[at % 64]]
        numbers.append(np.float32(own.astype(np.float64) * x[1 : n + 1] + x[2 : n + 2]))
        for row, expected in zip(found[0], numbers, strict=True):
            np.testing.assert_array_equal(row[:n], expected)
        pieces = [fours[at] >> np.uint64(16 * k) & np.uint64(0xFFFF) for k in range(4)]
        in_use = np.concatenate([at, np.zeros(width - n, int)])
        low = [np.full(n, (in_use < 7).any()), np.full(n, (in_use + 1 < 1).any())]
        for row, expected in zip(found[1], [at, cells[:n], cells[at], counts[at], *pieces, *low], strict=True):
            np.testing.assert_array_equal(row[:n], expected)
        kept = np.zeros((3, 64), np.float32)
        kept[0, :n] = kept[1, at] = kept[2, cells[:n]] = own
        np.testing.assert_array_equal(found[2].reshape(3, 64), kept)


MLP_LIBRARY = """
#include "lanes.h"
namespace brian {{ float *_array_hidden_weight; }}
{bounded}
{mlp}
extern "C" void set(float *weights) {{ brian::_array_hidden_weight = weights; }}
extern "C" void all_ways(const float *u, const float *r, float *alone, float *arrival, float *after)
{{
    for (int k = 0; k < 16; k++)
        alone[k] = mlp<float>(u[0], u[16 + k], u[32 + k], u[48 + k], u[64 + k], u[80 + k], r[0], r[1], r[2], r[3], r[4]);
    for (int k = 0; k < 16; k += LANES)
    {{
        const auto block = [&](const int row) {{ return load(u + 16 * row + k, LANES); }};
        const vf w = block(5);
        store(arrival + k, mlp<vf>(u[0], block(1), block(2), block(3), block(4), w, r[0], r[1], r[2], r[3], r[4]), LANES);
        store(after + k, mlp(block(0), u[16], block(2), u[48], u[64], u[80], r[0], r[1], r[2], r[3], r[4]), LANES);
    }}
}}
"""


@pytest.mark.parametrize("cpu", WIDTHS)
def test_mlp_is_the_same_in_numpy_and_in_cpp(tmp_path, rng, cpu):
    parts = {"bounded": codegen.source("bounded.h"), "mlp": codegen.source("mlp.h")}
    compiled = library(tmp_path, MLP_LIBRARY.format(**parts), cpu)
    weights = mlp.fixed_layers(Wiring()).astype(np.float32)

    compiled.set(pointer(weights))
    scale = np.array([[5.0], [3.0], [20.0], [0.07], [2.0], [2.0]])
    for _ in range(20):
        u = (rng.random((6, 16)) * scale * [[1], [1], [1], [-1], [1], [1]]).astype(np.float32)
        r = rng.uniform(-1, 1, 5).astype(np.float32)
        ways = [np.zeros(16, np.float32) for _ in range(3)]
        compiled.all_ways(pointer(u), pointer(r), *map(pointer, ways))
        readout, bias = r[:4].astype(float), float(r[4])
        exact = mlp.change(np.stack([np.full(16, u[0, 0]), *u[1:]], 1), weights.astype(float), readout, bias)
        np.testing.assert_allclose(ways[0], exact, atol=1e-6, rtol=0)
        assert np.array_equal(ways[0], ways[1])
        u[[1, 3, 4, 5]] = u[[1, 3, 4, 5], :1]  # of one postsynaptic cell
        shared = mlp.change(u.T, weights.astype(float), readout, bias)
        np.testing.assert_allclose(ways[2], shared, atol=1e-6, rtol=0)


# --- builds ---


def test_a_missing_compiler_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(FileNotFoundError, match="'no-such-compiler' is not on the PATH; install g\\+\\+ or set CXX"):
        build.build(network=Network(), folder=tmp_path / "build", out=tmp_path / "binary.json")
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_does_not_say_its_version_is_refused():
    with pytest.raises(subprocess.CalledProcessError, match="--version"):
        build.key_of(Network(), ["false"])


def test_a_failed_compilation_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "generate", lambda project, network: None)
    monkeypatch.setattr(build, "make", lambda *_: build.call("false", folder=tmp_path))
    with pytest.raises(OSError, match="compiling the simulator.*false ended with"):
        build.build(network=Network(), folder=tmp_path / "build", out=tmp_path / "binary.json")
    assert [path.suffix for path in (tmp_path / "build").iterdir()] == [".lock"]
    assert not (tmp_path / "binary.json").exists()


def _slow_build(folder: Path, name: str) -> None:
    def generate(project, network):
        with (folder / "builds.txt").open("a") as file:
            file.write(name + "\n")
        time.sleep(0.3)

    build.generate, build.make = generate, lambda project, *_: (project / "main").touch()
    build.build(network=Network(), folder=folder / "build", out=folder / f"{name}.json")


def test_two_workflows_share_one_build(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_slow_build, args=(tmp_path, name)) for name in ("a", "b")]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert len((tmp_path / "builds.txt").read_text().split()) == 1
    assert (tmp_path / "a.json").read_text() == (tmp_path / "b.json").read_text()


def test_the_key_of_a_binary_follows_what_is_compiled(monkeypatch):
    networks = (Network(), Network(n_e=512), Network(templates="stock"), Network(family="mlp"), Network(cpu="x86-64-v3"))
    keys = {build.key_of(network, ["g++"]) for network in networks}
    assert len(keys) == 5
    assert build.key_of(Network(), ["g++"]) in keys
    assert build.key_of(Network(), ["g++", "-O2"]) not in keys
    monkeypatch.setattr(fingerprint, "code", lambda stage: f"other code of {stage}")
    assert build.key_of(Network(), ["g++"]) not in keys


def test_every_file_that_is_compiled_is_in_the_fingerprint_of_the_build():
    modules = (circuit, codegen, model)
    assert {module.__name__ for module in modules} <= fingerprint.closure(fingerprint.module("fsbi.build"))
    covered = {path for module in modules for path in fingerprint.data_files(Path(module.__file__))}
    sources = {path for path in Path(codegen.__file__).parent.rglob("*") if path.suffix in (".h", ".cpp")}
    assert len(sources) > 10
    assert sources <= covered


def test_a_compiler_may_have_arguments(monkeypatch):
    monkeypatch.setenv("CXX", "env LC_ALL=C g++")
    assert build.find_compiler() == ["env", "LC_ALL=C", "g++"]
    monkeypatch.delenv("CXX")
    assert build.find_compiler() == ["g++"]


USERS = {"devices.cpp_standalone.openmp_threads": 4, "codegen.loop_invariant_optimisations": False}


def test_preferences_of_the_user_do_not_reach_the_binary():
    before = {name: brian2.prefs[name] for name in USERS}
    brian2.prefs.update(USERS)
    try:
        with build.standalone(Network()):
            assert {name: brian2.prefs[name] for name in USERS} == before
        assert {name: brian2.prefs[name] for name in USERS} == USERS
    finally:
        brian2.prefs.update(before)


# --- chunks ---


@pytest.fixture
def pretend(monkeypatch, tmp_path):
    """A simulator that draws its spikes in Python, and counts what it has simulated."""
    done = []

    def record(self, rule, **more):
        done.append(int(rule["index"]))
        generator = np.random.default_rng(int(rule["seed"]))
        times, cells = np.sort(generator.uniform(60, 70, 50)), generator.integers(0, 10, 50)
        weights = {kind: generator.uniform(0, 1, (100, 100)) for kind in ("EE", "EI", "IE", "II")}
        return Recording(times, cells, 10, times, cells, 10, 60.0, 70.0, 60 + np.arange(100) / 10, weights), 0.5

    monkeypatch.setattr(Simulator, "record", record)
    (tmp_path / "key").mkdir()
    (tmp_path / "key" / "main").touch()
    binary.seal(tmp_path / "key")
    description = {"network": {"family": "poly", "n_e": 10, "n_i": 10}, "key": "key", "folder": "key"}
    (tmp_path / "binary.json").write_text(json.dumps(description))
    return done


def chunk(folder: Path, first: int, count: int) -> Path:
    """A chunk of rules whose entries and seeds follow from their number."""
    path = folder / f"rules_{first}.parquet"
    pd.DataFrame(
        [{**steady(EE_alpha=k / 100), "index": k, "seed": 2**62 + k} for k in range(first, first + count)]
    ).to_parquet(path)
    return path


def run_chunk(folder: Path, first: int, count: int, **more) -> pd.DataFrame:
    out = folder / f"simulated_{first}_{count}.parquet"
    rules = chunk(folder, first, count)
    simulate.run(rules=[rules], binary=folder / "binary.json", out=out, **{"settings": Simulation(), **more})
    return pd.read_parquet(out)


def test_rows_do_not_depend_on_the_chunk(pretend, tmp_path):
    whole = run_chunk(tmp_path, 0, 6)
    parts = pd.concat([run_chunk(tmp_path, 0, 4), run_chunk(tmp_path, 4, 2)], ignore_index=True)
    pd.testing.assert_frame_equal(whole, parts)
    lots = [chunk(tmp_path, 0, 2), chunk(tmp_path, 2, 3), chunk(tmp_path, 5, 1)]
    out = tmp_path / "out.parquet"
    simulate.run(rules=lots, rows=rules.Rows(1, 4), binary=tmp_path / "binary.json", out=out, settings=Simulation())
    pd.testing.assert_frame_equal(whole[1:5].reset_index(drop=True), pd.read_parquet(out))
    assert list(whole.columns) == ["index", "round", "seed", *THETA["poly"], *METRICS, "outcome", "stop_time", "cpu_s"]


def cut_off(folder: Path, monkeypatch, number: int) -> None:
    """Run a chunk of five rules that is killed when it comes to rule `number`."""
    record = Simulator.record

    def killed(self, rule, **more):
        if rule["index"] == number:
            raise KeyboardInterrupt
        return record(self, rule, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Simulator, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            run_chunk(folder, 0, 5)
    assert not (folder / "simulated_0_5.parquet").exists()


def test_a_chunk_that_was_cut_off_goes_on(pretend, tmp_path, monkeypatch):
    cut_off(tmp_path, monkeypatch, 3)
    resumed = run_chunk(tmp_path, 0, 5)
    assert pretend == [0, 1, 2, 3, 4]
    assert not [path for path in (tmp_path / ".partial").rglob("*") if path.is_file()]
    pretend.clear()
    pd.testing.assert_frame_equal(resumed, run_chunk(tmp_path, 0, 5))
    assert len(pretend) == 5


@pytest.mark.parametrize("changed", [{"code": "new"}, {"inputs": {"rules.parquet": "new"}}], ids=["code", "inputs"])
def test_rows_of_other_code_or_inputs_are_not_taken_over(pretend, tmp_path, monkeypatch, changed):
    monkeypatch.setattr(files, "maker", {"code": "old", "inputs": {"rules.parquet": "old"}})
    cut_off(tmp_path, monkeypatch, 3)
    files.maker.update(changed)
    run_chunk(tmp_path, 0, 5)
    assert pretend == [0, 1, 2, 0, 1, 2, 3, 4]


def test_rows_of_other_settings_are_not_taken_over(pretend, tmp_path, monkeypatch):
    cut_off(tmp_path, monkeypatch, 3)
    run_chunk(tmp_path, 0, 5, settings=Simulation(wiring=SMALL))
    assert pretend == [0, 1, 2, 0, 1, 2, 3, 4]


def test_the_code_that_makes_a_row_is_in_the_key_of_a_chunk():
    covered = fingerprint.closure(fingerprint.module("fsbi.simulate"))
    assert {summary.__name__, command.__name__, "respike.core.statistics"} <= covered


def test_recordings_come_back_from_their_file(pretend, tmp_path):
    where = {"out": tmp_path / "recorded.parquet", "recordings": tmp_path / "poly" / "example" / "recordings.npz"}
    record.run(rules=[chunk(tmp_path, 0, 2)], binary=tmp_path / "binary.json", settings=Simulation(), **where)
    pd.testing.assert_frame_equal(pd.read_parquet(where["out"]), run_chunk(tmp_path, 0, 2))
    stored = recording.read(where["recordings"])
    for number, one in stored.items():
        again, _ = Simulator.record(None, {"index": number, "seed": 2**62 + number})
        assert same(one, again)
        assert {name: value for name, value in vars(one).items() if np.isscalar(value)} == {
            name: value for name, value in vars(again).items() if np.isscalar(value)
        }
    spikes.run(recordings=[where["recordings"]], out=tmp_path / "spikes.npz")
    networks = read_networks(tmp_path / "spikes.npz")
    assert [(one.study, one.name, one.recorded, one.step) for one in networks] == [
        ("fsbi", "poly rule0", False, 1e-4),
        ("fsbi", "poly rule1", False, 1e-4),
    ]


def test_cells_are_numbered_through_and_time_starts_with_the_recording():
    one = Recording(np.array([60.0, 61.5]), np.array([0, 2]), 3, np.array([59.9, 69.0]), np.array([0, 1]), 2, 60.0, 70.0)
    shown = recording.spikes(one)
    assert shown.times.tolist() == [0.0, 1.5, 9.0]
    assert shown.cells.tolist() == [0, 2, 4]
    assert (shown.n_cells, shown.duration) == (5, 10.0)


def test_a_row_knows_the_bound_of_the_weights(pretend, tmp_path):
    simulator = Simulator(tmp_path / "binary.json", Simulation(wiring=Wiring(w_max=0.5)))
    one, _ = Simulator.record(simulator, {"index": 0, "seed": 1})
    bounded = replace(one, weights={kind: np.minimum(samples, 0.5) for kind, samples in one.weights.items()})
    share = np.mean([samples[1:] >= 0.5 for samples in one.weights.values()])
    assert simulator.row(steady(), bounded, 0.0)["w_blow"] == pytest.approx(share)


def test_what_a_binary_leaves_is_read_from_the_start_of_the_recording(pretend, tmp_path):
    left = {
        **{"control.outcome": np.int32([0]), "control.stop_step": np.int32([700_000])},
        **{"spikes_E.i": np.int32([0, 9, 3, 4]), "spikes_E.t": [59.9998, 60.0, 60.0, 69.5]},
        **{"spikes_I.i": np.int32([1]), "spikes_I.t": [61.0]},
        **{f"weights_{kind}.t": [59.9, 60.0, 60.1] for kind in TYPES},
        **{f"weights_{kind}.w": np.repeat(np.float32([1, 2, 3]), 100) for kind in TYPES},
    }
    simulator = Simulator(tmp_path / "binary.json", Simulation(protocol=Protocol(n_recorded_e=9)))
    for name, values in left.items():
        np.asarray(values).tofile(tmp_path / name)
    one = simulator.read(tmp_path)
    assert (one.e_times.tolist(), one.e_cells.tolist(), one.n_e) == ([60.0, 69.5], [3, 4], 9)
    assert (one.start, one.stop, one.blow_up, one.outcome) == (60.0, 70.0, -1.0, "finished")
    assert one.weight_times.tolist() == [60.0, 60.1]
    assert one.weights["IE"].mean(1).tolist() == [2.0, 3.0]


def test_a_missing_binary_is_named(pretend, tmp_path):
    (tmp_path / "key" / "main").unlink()
    with pytest.raises(
        files.CorruptFile, match="main does not exist, .*; delete .*binary.json and run the workflow rule fsbi_build again"
    ):
        run_chunk(tmp_path, 0, 1)


def test_a_binary_that_was_left_behind_is_built_again_by_its_own_command(pretend, tmp_path, monkeypatch):
    """As in a scenario, which takes the description from this folder."""
    description, main, begun = tmp_path / "binary.json", tmp_path / "key/main", []
    words = ["--folder", str(tmp_path), "--out", str(description)]
    monkeypatch.setattr(files, "maker", {"stage": "fsbi.build", "arguments": words})
    files.write_text(description, description.read_text())
    whole = main.read_bytes()

    def again(command, check):
        begun.append(command[1:])
        main.write_bytes(whole)

    monkeypatch.setattr(binary.subprocess, "run", again)
    for spoil in (main.unlink, lambda: main.write_bytes(b"damaged")):
        spoil()
        Simulator(description, Simulation())
    assert begun == [["-m", "respike", "fsbi.build", *words]] * 2
    monkeypatch.chdir(tmp_path)
    main.unlink()
    with pytest.raises(files.CorruptFile, match="main does not exist"):
        Simulator(Path("binary.json"), Simulation())  # the command of another folder would build elsewhere
    assert len(begun) == 2


def test_a_damaged_binary_is_not_run(pretend, tmp_path):
    (tmp_path / "key" / "main").write_bytes(b"damaged")
    with pytest.raises(files.CorruptFile, match="main .*is not the binary that was built; delete .*binary.json"):
        run_chunk(tmp_path, 0, 1)
    assert pretend == []


def test_a_damaged_binary_is_compiled_again(tmp_path):
    assert not binary.is_whole(tmp_path)
    (tmp_path / "main").write_bytes(b"whole")
    binary.seal(tmp_path)
    assert binary.is_whole(tmp_path)
    (tmp_path / "main").write_bytes(b"whol3")
    assert not binary.is_whole(tmp_path)
    (tmp_path / "main").write_bytes(b"whole")
    (tmp_path / "main.sha256").write_bytes(b"\xff")
    assert not binary.is_whole(tmp_path)


def fake_binary(folder: Path, script: str) -> Path:
    main = folder / "main"
    main.write_text("#!/bin/sh\n" + script)
    main.chmod(0o755)
    return folder


def test_what_a_failing_binary_says_is_passed_on(tmp_path):
    folder = fake_binary(tmp_path, "echo Error writing spikes; exit 1\n")
    with pytest.raises(OSError, match="status 1 and said: Error writing spikes .*set TMPDIR"):
        binary.launch(folder, tmp_path, {}, 1.0)


def test_a_binary_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, "GRACE", 0.1)
    assert not binary.launch(fake_binary(tmp_path, "exec sleep 60\n"), tmp_path, {}, 0.1)


# --- whole simulations ---


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    """Compiles a reduced network once, by its family of rules and its loops."""
    folder = tmp_path_factory.mktemp("build")

    def of(family: str, templates: str) -> Path:
        out = folder / f"{family}_{templates}.json"
        if not out.is_file():
            build.build(network=Network(family=family, n_e=512, n_i=128, templates=templates), folder=folder, out=out)
        return out

    return of


def simulated(description: Path, rule: dict, wiring: Wiring = SMALL, **protocol) -> Recording:
    settings = Simulation(wiring=wiring, protocol=Protocol(**{"settle": 0.0, "record": 3.0, "stop": "reference", **protocol}))
    return Simulator(description, settings).record(rule)[0]


def same(a: Recording, b: Recording) -> bool:
    arrays = ("e_times", "e_cells", "i_times", "i_cells", "weight_times")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays) and all(
        np.array_equal(a.weights[kind], b.weights[kind]) for kind in a.weights
    )


@pytest.mark.slow
def test_a_network_without_a_plastic_synapse_says_so(binaries, rng):
    """It was a segmentation fault: weights of nothing were sampled."""
    with pytest.raises(OSError, match=r"no EE synapse was drawn, raise fsbi\.<network>\.simulation\.wiring\.p_recurrent"):
        simulated(binaries("poly", "fast"), rule_of("poly", rng), Wiring(p_recurrent=0.0))


RULES = {
    "poly": [
        {},  # a prior draw
        {"EE_alpha": 0.3, "EE_gamma": 2.0, "EE_kappa": 2.0},  # towards a blow-up
        {"IE_beta": 0.0, "IE_gamma": 0.0, "EI_alpha": 0.0, "EI_kappa": 0.0},  # null pathways
    ],
    "mlp": [{"eta_EE": 0.02, "eta_IE": 0.02}, {"eta_EE": 0.2, "eta_IE": 0.0}],
}


@pytest.mark.slow
@pytest.mark.parametrize(("family", "number"), [(family, k) for family in RULES for k in range(len(RULES[family]))])
def test_fast_loops_and_those_of_brian_give_the_same_bits(binaries, rng, family, number):
    for seed in (1, 2**40 + 5):
        rule = rule_of(family, rng, seed=seed, **RULES[family][number])
        fast, stock = (simulated(binaries(family, templates), rule) for templates in ("fast", "stock"))
        assert len(fast.e_times) > 100
        assert fast.blow_up == stock.blow_up
        assert same(fast, stock)


LITTLE = {"alpha": 0.02, "beta": -0.02, "gamma": 0.3, "kappa": -0.3}
FAR_APART = ({"rate_in": 4.0}, SMALL, 16.0)  # cells are silent for longer than the 65,536 steps in which ages are counted
MANY = ({"rate_in": 60.0, "IE_beta": 0.1}, replace(SMALL, w_ie=20.0, w_ii=0.0), 3.0)  # E is silent, I fires at 120 Hz


@pytest.mark.slow
@pytest.mark.parametrize(("values", "wiring", "seconds"), [FAR_APART, MANY], ids=["far apart", "many"])
def test_spikes_noted_long_ago_or_in_numbers_are_not_lost(binaries, values, wiring, seconds):
    terms = {f"{kind}_{term}": value for kind in ("EE", "EI", "IE", "II") for term, value in LITTLE.items()}
    settings = Simulation(wiring=wiring, protocol=Protocol(settle=0.0, record=seconds, stop="reference"))
    left = {}
    for templates in ("fast", "stock"):
        simulator = Simulator(binaries("poly", templates), settings)
        simulator.read = lambda scratch, s=simulator: {path.name: s.array(scratch, path.name) for path in scratch.iterdir()}
        rule = steady(seed=5, **{**terms, **values})
        left[templates] = simulator.record(rule, **{"control.keep_weights": 1})[0]
    for name, array in left["stock"].items():
        np.testing.assert_array_equal(left["fast"][name], array, err_msg=name)
    times, cells = left["fast"]["spikes_E.t"], left["fast"]["spikes_E.i"]
    silent = max(np.diff(times[cells == cell], prepend=0).max(initial=0) for cell in range(512))
    in_two_epochs = np.bincount(left["fast"]["spikes_I.i"]).max() / seconds * 2 * 4096 * DT
    assert silent > 6.6 if seconds > 10 else in_two_epochs > 64


@pytest.mark.slow
def test_a_seed_says_everything(binaries):
    compiled = binaries("poly", "fast")
    once, again, other = (simulated(compiled, steady(EE_kappa=-0.5, seed=seed)) for seed in (2**45 + 1, 2**45 + 1, 1))
    assert same(once, again)
    assert not same(once, other)


@pytest.mark.slow
def test_every_outcome_has_its_code(binaries):
    compiled = binaries("poly", "fast")
    assert simulated(compiled, steady()).outcome == "finished"
    blown = simulated(compiled, steady(EE_alpha=2.0, EE_kappa=2.0), stop="early")
    assert blown.outcome == "blow_up"
    assert 0 < blown.blow_up < 3
    silent = simulated(compiled, steady(rate_in=0.1), record=10.0, stop="early", silent_after=2.0)
    assert (silent.outcome, silent.blow_up) == ("silent", pytest.approx(2.0, abs=0.1))
    falling = {f"{kind}_alpha": -2.0 for kind in ("EE", "EI", "IE", "II")}
    light = replace(SMALL, w_ie=0.1, w_ii=0.1)
    full = simulated(compiled, steady(**falling), wiring=light, record=9.0, stop="early")
    assert full.outcome == "saturated"
    assert full.blow_up > 3
    assert simulated(compiled, steady(**falling), wiring=light, record=9.0).outcome == "finished"
    assert simulated(compiled, steady(rate_in=0.1), record=4.0).outcome == "finished"  # as published: goes on
    infinite = simulated(compiled, steady(), wiring=replace(SMALL, w_input=1e38), rate_max=1e6)
    assert infinite.outcome == "nan"
    assert simulated(compiled, steady(), record=50.0, wall_limit=0.05).outcome == "wall_limit"


@pytest.mark.slow
def test_sampled_weights_are_equally_spaced(binaries):
    compiled = binaries("poly", "fast")
    settings = Simulation(wiring=SMALL, protocol=Protocol(settle=1.0, record=1.0, stop="reference"))
    recording, _ = Simulator(compiled, settings).record(steady(EE_beta=0.2, seed=4))
    assert np.allclose(recording.weight_times, 1 + np.arange(10) / 10)
    assert recording.weights["EE"].shape == (10, 100)
    assert recording.weights["EE"].std() > 0
    assert np.all(recording.weights["II"] == 1)
    assert recording.e_times.min() >= 1.0


@pytest.mark.slow
def test_synapses_are_as_many_as_gaps_with_a_dead_time_leave(binaries):
    """Renewal theory: among n pairs the number has mean n p and variance n p (1 - p)^2."""
    settings = Simulation(wiring=SMALL, protocol=Protocol(settle=0.0, record=0.1))
    simulator, counts = Simulator(binaries("poly", "fast"), settings), []
    simulator.read = lambda scratch: counts.append([simulator.array(scratch, f"{kind}.w").size for kind in TYPES])
    for seed in range(40):
        simulator.record(steady(seed=seed), **{"control.keep_weights": 1})
    pairs = np.array([512 * 511, 512 * 128, 128 * 512, 128 * 127])
    spread = np.sqrt(pairs * 0.8) * 0.2
    counts = np.array(counts)
    assert np.all(np.abs(counts.mean(0) - pairs * 0.8) < 4 * spread / np.sqrt(40))
    assert np.all(np.abs(counts.std(0) / spread - 1) < 0.4)  # of independent pairs it would be 2.2


@pytest.mark.slow
def test_a_full_scratch_disk_is_reported(binaries, tmp_path):
    simulator = Simulator(binaries("poly", "fast"), Simulation(wiring=SMALL, protocol=Protocol(settle=0.0, record=0.2)))
    values = command.arguments(simulator.network, simulator.settings, steady(), 1)
    (tmp_path / "spikes_E.t").symlink_to("/dev/full")
    with pytest.raises(OSError, match="Error writing spikes_E.t .*set TMPDIR to another folder"):
        binary.launch(simulator.folder, tmp_path, values, 60.0)
    (tmp_path / "spikes_E.t").unlink()
    with pytest.raises(OSError, match="left no control.outcome in .*set TMPDIR"):
        simulator.read(tmp_path / "nothing")


@pytest.mark.slow
def test_a_killed_chunk_redoes_only_itself(binaries, tmp_path):
    rules, out = chunk(tmp_path, 0, 4), tmp_path / "out.parquet"
    settings = {"wiring": {"p_recurrent": 0.8}, "protocol": {"settle": 2.0, "record": 4.0}}
    command_line = [sys.executable, "-m", "respike", "fsbi.simulate", "--rules", str(rules), "--out", str(out)]
    command_line += ["--binary", str(binaries("poly", "fast")), "--settings", json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(command_line, env=environment)
    states = partial.paths(out)
    while not all(path.is_file() for path in states) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    again = subprocess.run(command_line, env=environment, check=True, capture_output=True, text=True)
    assert re.search(r"going on after step [123] ", again.stdout)
    resumed = pd.read_parquet(out)
    simulate.run(rules=[rules], binary=binaries("poly", "fast"), out=out, settings=config.build(Simulation, settings))
    columns = [name for name in resumed.columns if name != "cpu_s"]
    pd.testing.assert_frame_equal(resumed[columns], pd.read_parquet(out)[columns])


WRAPPED = """
from pathlib import Path
import brian2
from respike.fsbi.params import Network
from respike.fsbi.simulator.build import build
assert brian2.prefs["devices.cpp_standalone.openmp_threads"] == {threads}
build(Network(n_e=512, n_i=128), Path({folder!r}), Path({folder!r}) / "binary.json")
"""


@pytest.mark.slow
@pytest.mark.parametrize("home", ["preferences", "cannot be written", "working folder"])
def test_home_and_compiler_of_the_user_leave_the_program_as_it_is(binaries, tmp_path, rng, home):
    """A home with preferences or without access, preferences in the working folder, and a compiler behind a wrapper."""
    (tmp_path / "ccache").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "ccache").chmod(0o755)
    folder = tmp_path / ".brian" if home == "preferences" else tmp_path
    folder.mkdir(exist_ok=True)
    text = "".join(f"{name} = {value}\n" for name, value in USERS.items())
    if home != "cannot be written":
        (folder / {"preferences": "user_preferences", "working folder": "brian_preferences"}[home]).write_text(text)
    program = WRAPPED.format(threads=0 if home == "cannot be written" else 4, folder=str(tmp_path / "build"))
    environment = {
        **os.environ,
        "CXX": "ccache g++",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "HOME": "/dev/null" if home == "cannot be written" else str(tmp_path),
        "PYTHONPATH": str(ROOT / "src"),
    }
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, env=environment)
    own, plain = (Simulator(path, Simulation()).folder for path in (tmp_path / "build/binary.json", binaries("poly", "fast")))
    for unit in ("hot.cc", "cold.cc"):  # Brian2 writes initial values in no fixed order
        assert sorted((own / unit).read_text().splitlines()) == sorted((plain / unit).read_text().splitlines())
    rule = rule_of("poly", rng, EE_alpha=0.1)
    assert same(*(simulated(path, rule, record=0.5) for path in (tmp_path / "build/binary.json", binaries("poly", "fast"))))


@pytest.mark.slow
@pytest.mark.skipif(build.platform.machine() != "x86_64", reason="names a family of x86 processors")
@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v3"])
def test_narrower_processors_give_the_same_bits(binaries, tmp_path, rng, cpu):
    """Blocks of four and of eight synapses; those of this machine may be wider."""
    out = tmp_path / "narrow.json"
    build.build(network=Network(n_e=512, n_i=128, cpu=cpu), folder=tmp_path / "build", out=out)
    rule = rule_of("poly", rng, EE_alpha=0.1, EE_kappa=0.5)
    assert same(simulated(out, rule), simulated(binaries("poly", "fast"), rule))
