"""fsbi: what a binary is told and leaves, how it is compiled, and ways to propose side by side; programs are played."""

import json
import os
import stat
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from respike.fsbi import surrogate
from respike.fsbi.inference import comparison, flow
from respike.fsbi.inference.targets import Target
from respike.fsbi.params import PLASTIC, THETA, Network, Protocol, Simulation
from respike.fsbi.simulator import binary, build, command
from respike.fsbi.stages import metrics

SETTINGS = Simulation(protocol=Protocol(settle=2.0, record=1.0, n_recorded_e=3, n_recorded_i=2, wall_limit=7.0))


def simulator(folder, family="mlp"):
    """The binary in `folder`, an empty file."""
    (folder / "key").mkdir()
    (folder / "key/main").touch()
    binary.seal(folder / "key")
    about = {"network": {"family": family, "n_e": 9, "n_i": 5}, "key": "key", "folder": "key"}
    (folder / "binary.json").write_text(json.dumps(about))
    return binary.Simulator(folder / "binary.json", SETTINGS)


def rule(family="mlp"):
    return {"index": 4, "round": 1, "seed": 11, **dict.fromkeys(THETA[family], 0.05), "rate_in": 9.0}


class TestBinary:
    @pytest.mark.parametrize("outcome", [0, 1])
    def test_what_a_run_is_told_and_what_it_leaves(self, tmp_path, monkeypatch, outcome):
        made, told = simulator(tmp_path), {}

        def launch(folder, scratch, values, limit):
            told.update(folder=folder, values=values, limit=limit, layers=np.fromfile(values["hidden.weight"], np.float32))
            left = {
                "control.outcome": np.int32([outcome]), "control.stop_step": np.int32([12345]),
                "spikes_E.i": np.int32([0, 2, 3, 1]), "spikes_E.t": [1.9999, 2.0, 2.5, 2.9], "spikes_I.i": np.int32([1]),
                "spikes_I.t": [2.1],
            }  # fmt: skip
            for kind in PLASTIC["mlp"]:
                left |= {f"weights_{kind}.t": [1.9, 2.0, 2.1], f"weights_{kind}.w": np.arange(300, dtype=np.float32)}
            for name, values_ in left.items():
                np.asarray(values_).tofile(scratch / name)
            return True

        monkeypatch.setattr(binary, "launch", launch)
        monkeypatch.setattr(binary, "cpu_of_children", iter([1.0, 3.5]).__next__)
        found, cpu = made.record(rule(), **{"control.keep_weights": 1})
        assert (cpu, told["limit"], told["folder"]) == (2.5, 7.0, tmp_path / "key")
        expected = command.arguments(made.network, SETTINGS, rule(), 11) | {"control.keep_weights": 1}
        assert {name: value for name, value in told["values"].items() if name != "hidden.weight"} == expected
        np.testing.assert_allclose(told["layers"], made.hidden, rtol=1e-6)
        assert (found.e_times.tolist(), found.e_cells.tolist(), found.n_e, found.n_i) == ([2.0, 2.9], [2, 1], 3, 2)
        assert (found.start, found.stop, found.weight_times.tolist()) == (2.0, 3.0, [2.0, 2.1])
        assert found.weights["IE"][0].tolist() == list(range(100, 200))
        assert found.outcome == ("finished", "blow_up")[outcome]
        assert found.blow_up == pytest.approx((-1.0, 1.2345)[outcome])
        row = made.row(rule(), found, cpu)
        assert (row["index"], row["cpu_s"], row["outcome"]) == (4, 2.5, found.outcome)
        assert row["stop_time"] == pytest.approx((3.0, 1.2345)[outcome])
        assert list(row) == made.columns()

    def test_a_run_that_does_not_answer(self, tmp_path, monkeypatch):
        made = simulator(tmp_path, "poly")
        monkeypatch.setattr(binary, "launch", lambda *_: False)
        found, _ = made.record(rule("poly"))
        assert (found.outcome, found.n_e, found.n_i, len(found.e_times)) == ("wall_limit", 3, 2, 0)
        assert np.isnan(found.blow_up)
        assert made.hidden is None
        assert np.isnan(made.row(rule("poly"), found, 0.0)["rate"])

    def test_a_program_gets_its_folder_and_values(self, tmp_path):
        main = tmp_path / "main"
        main.write_text('#!/bin/sh\necho "$GLIBC_TUNABLES $PWD $@" > told\nexit ${STATUS:-0}\n')
        main.chmod(0o755)
        assert binary.launch(tmp_path, tmp_path / "s", {"a": 1, "b.c": 0.5}, 10)
        told = (tmp_path / "told").read_text().split()
        assert told == ["glibc.malloc.hugetlb=1", str(tmp_path), "--results_dir", f"{tmp_path}/s/", "a=1", "b.c=0.5"]
        main.write_text("#!/bin/sh\nexit 3\n")
        with pytest.raises(OSError, match="ended with status 3 and said: nothing"):
            binary.launch(tmp_path, tmp_path / "s", {}, 10)
        main.write_text("#!/bin/sh\necho no\n")
        with pytest.raises(OSError, match="ended with status 0 and said: no"):
            binary.launch(tmp_path, tmp_path / "s", {}, 10)

    def test_a_damaged_or_unsealed_binary_is_not_whole(self, tmp_path):
        simulator(tmp_path)
        home = tmp_path / "key"
        assert binary.is_whole(home)
        (home / "main").write_text("other")
        assert not binary.is_whole(home)
        binary.seal(home)
        assert binary.is_whole(home)
        (home / "main.sha256").unlink()
        assert not binary.is_whole(home)


class TestBuild:
    def test_two_units_are_compiled_and_linked(self, tmp_path, monkeypatch):
        calls = []
        monkeypatch.setattr(build, "call", lambda *words, folder: calls.append((folder, words)))
        (tmp_path / "code_objects").mkdir()
        (tmp_path / "brianlib").mkdir()
        support = "////// SUPPORT CODE ///////\nnamespace {\n}\nusing namespace brian;"
        for name in ("E_step", "I_variable_set_x", "a_create_generator", "before_run_y", "after_run_z"):
            (tmp_path / f"code_objects/{name}.cpp").write_text(support)
        (tmp_path / "main.cpp").write_text("main")
        (tmp_path / "brianlib/lib.cpp").write_text("lib")
        (tmp_path / "hot.o").touch()
        build.make(tmp_path, Network(cpu="x"), ["g++", "-q"])
        hot, cold = ((tmp_path / f"{name}.cc").read_text() for name in ("hot", "cold"))
        assert hot.count("support_") == 2
        assert "namespace support_E_step {" in hot
        assert "using namespace support_E_step;" in hot
        assert cold.count("namespace support_") == 2 * 4
        assert cold.endswith("lib\nmain")
        flags = build.flags(Network(cpu="x"))
        compiled = [("g++", "-q", *flags, level, "-I.", "-Ibrianlib", "-c", f"{name}.cc", "-o", f"{name}.o")
                    for name, level in (("hot", "-O3"), ("cold", "-O1"))]  # fmt: skip
        assert [words for _, words in calls] == [*compiled, ("g++", "-q", "hot.o", "cold.o", "-o", "main")]
        assert {folder for folder, _ in calls} == {tmp_path}
        assert not (tmp_path / "hot.o").exists()
        assert build.apart("plain", "x") == "plain"

    def test_a_home_is_published_whole_in_place_of_a_damaged_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr(build, "generate", lambda project, network: (project / "code").write_text("x"))
        monkeypatch.setattr(build, "make", lambda project, *_: (project / "main").write_text("m"))
        home = tmp_path / "abc"
        home.mkdir()
        (home / "rest").touch()
        build.compile_into(home, Network(), ["g++"])
        assert sorted(path.name for path in home.iterdir()) == ["code", "main", "main.sha256"]
        assert binary.is_whole(home)
        assert stat.S_IMODE(home.stat().st_mode) == 0o755
        assert os.listdir(tmp_path) == ["abc"]

    def test_what_is_written_of_a_build(self, tmp_path, monkeypatch):
        built = []

        def compile_into(home, network, compiler):
            built.append(home)
            home.mkdir(parents=True)
            (home / "main").touch()
            binary.seal(home)

        monkeypatch.setattr(build, "compile_into", compile_into)
        out = tmp_path / "results/x/binary.json"
        out.parent.mkdir(parents=True)
        for _ in range(2):
            build.build(Network(), tmp_path / "built", out)
        assert len(built) == 1, "what is whole is not built again"
        about = json.loads(out.read_text())
        assert about["folder"] == f"../../built/{about['key']}"
        assert (len(about["key"]), about["network"]["n_e"]) == (12, 4096)
        (built[0] / "main").write_text("damaged")
        (built[0] / "main").unlink()
        monkeypatch.setattr(build, "compile_into", lambda home, *_: built.append(home))
        build.build(Network(), tmp_path / "built", out)
        assert len(built) == 2


class Flow:
    """A member that draws from the middle of the box, whatever it is told."""

    box = np.array([[-2.0] * 24, [2.0] * 24])

    def __init__(self, rules=()):
        self.rules = rules

    def conditions(self, table):
        return table.to_numpy()

    def sample(self, condition, n, seed):
        from respike.fsbi.params import boxes  # noqa: PLC0415

        low, high = np.array(boxes("poly")).T
        return low + (high - low) * np.random.default_rng(seed).uniform(0.4, 0.6, (n, 24))


class TestComparison:
    settings = comparison.Comparison(30, 12, (5.0, 10.0), (1.0, 30.0), (10, 30), flow.FlowSettings(members=2))

    def test_judged_by_counting(self):
        found = comparison.judged([], [], self.settings, (5.0, 10.0), 3)
        drawn = pd.DataFrame([comparison.propose("poly", 1, k, [], [], comparison.Proposal((), {}), 3) for k in range(12)])
        rates = surrogate.metrics_of_rules(drawn, "poly")["rate"]
        assert found["acceptance"] == pytest.approx(rates.between(5, 10).mean())
        assert (found["n"], found["inside"]) == (12, pytest.approx(drawn["inside"].sum() / drawn["drawn"].sum()))
        assert np.isnan(found["relation"])
        proposal = comparison.Proposal(("rate",), {"rate": Target((1.0, 30.0))})
        asked = pd.DataFrame([comparison.propose("poly", 1, k, [Flow()], [], proposal, 3) for k in range(12)])
        rates = surrogate.metrics_of_rules(asked, "poly")["rate"]
        found = comparison.judged([Flow()], [], self.settings, (1.0, 30.0), 3)
        near = np.abs(np.log10(rates + 0.1) - np.log10(asked["aim_rate"] + 0.1)) <= np.log10(2)
        assert found["within_2"] == pytest.approx(near[rates.notna()].mean())
        assert (found["n"], found["finished"]) == (12, rates.notna().sum())

    def test_every_way_is_told_what_it_learns_from(self, monkeypatch):
        learned = []

        def ensemble(rules, settings, root):
            learned.append((len(rules), settings.log_metrics, settings.members))
            return [Flow(rules) for _ in range(settings.members)]

        monkeypatch.setattr(comparison, "ensemble", ensemble)
        monkeypatch.setattr(comparison, "predictor", lambda rules, root: None)
        monkeypatch.setattr(comparison, "truncated", lambda rules, settings, root: [Flow(rules)])
        found = comparison.compare(self.settings, 3).set_index(["method", "rules"])
        assert learned == [(30, False, 1), (30, True, 2), (10, True, 2)]
        ways = ["prior", "prior_thinned", "npe_linear", "npe_log", "npe_log_ensemble", "npe_log_ensemble_thinned"]
        ways += ["npe_log_ensemble_predicted", "npe_truncated"]
        assert [name for name, rules in found.index if rules == 30 and not name.startswith("asked")] == ways
        assert [index for index in found.index if index[0] in ("asked_npe", "asked_predicted")] == [
            (name, size) for size in (10, 30) for name in ("asked_npe", "asked_predicted")
        ]
        exact = found.reset_index().set_index("method")
        assert exact.loc["prior_exact", "acceptance"] == surrogate.prior_acceptance(24, (5.0, 10.0))
        assert exact.loc["posterior_exact", "acceptance"] == surrogate.posterior_acceptance(24, (5.0, 10.0))
        assert (exact.loc["asked_exact", "relation"], exact.loc["asked_exact", "within_2"]) == surrogate.posterior_relation(
            24, (1.0, 30.0)
        )
        assert exact.loc["prior", "n"] == 12
        learned.clear()  # sizes above the number of rules are that number, and trained once
        found = comparison.compare(replace(self.settings, sizes=(100, 10, 30)), 3)
        assert learned == [(30, False, 1), (30, True, 2), (10, True, 2)]
        assert found.loc[found["method"] == "asked_npe", "rules"].tolist() == [10, 30]
        rows = list(metrics.of_comparison(found, 0))
        assert len({(row.variant, row.metric) for row in rows}) == len(rows)

    def test_half_of_the_truncated_rules_come_from_where_rules_can_lie(self, monkeypatch):
        table = comparison.simulated(
            comparison.propose("poly", 0, k, [], [], comparison.Proposal((), {}), 3) for k in range(9)
        )
        seen, learned = {}, []
        monkeypatch.setattr(comparison, "ensemble", lambda rules, fit, root: learned.append((rules, fit)) or [Flow()])
        monkeypatch.setattr(comparison, "Mixture", lambda member, interval: interval)
        monkeypatch.setattr(comparison, "get_density_thresholder", lambda *given: seen.update(given=given) or "likely")

        class Restricted:
            def __init__(self, prior, likely):
                seen.update(likely=likely)

            def sample(self, shape, **options):
                seen.update(shape=shape)
                return torch.full((shape[0], 24), 0.05)

        monkeypatch.setattr(comparison, "RestrictedPrior", Restricted)
        comparison.truncated(table, self.settings, 3)
        (first, fit), (whole, _) = learned
        assert (len(first), len(whole), fit.members, fit.log_metrics) == (4, 9, 1, True)
        assert seen == {"given": ((5.0, 10.0), 1e-4, 5000), "likely": "likely", "shape": (5,)}
        assert whole["seed"].tolist() == table["seed"].tolist()
        np.testing.assert_allclose(whole.iloc[4:][list(THETA["poly"][:-1])], 0.05)
        np.testing.assert_allclose(whole.iloc[:4][list(THETA["poly"])], table.iloc[:4][list(THETA["poly"])])
        changed = table.iloc[4:].assign(**dict.fromkeys(THETA["poly"][:-1], 0.05))
        rates = surrogate.metrics_of_rules(changed.drop(columns=list(surrogate.metrics_of("poly"))), "poly")["rate"]
        np.testing.assert_allclose(whole.iloc[4:]["rate"], rates, rtol=1e-6)

    def test_rows_of_the_table(self):
        rows = [
            {"method": "npe_log", "rules": 30.0, "acceptance": 0.4, "relation": 0.1, "within_2": 0.2, "n": 12, "finished": 11},
            {
                "method": "asked_npe",
                "rules": 10.0,
                "acceptance": 0.4,
                "relation": 0.5,
                "within_2": 0.6,
                "n": 12,
                "finished": 10,
            },
            {
                "method": "asked_exact",
                "rules": np.nan,
                "acceptance": np.nan,
                "relation": 0.7,
                "within_2": 0.8,
                "n": 0,
                "finished": 0,
            },
        ]
        found = [(row.variant, row.metric, row.value, row.n) for row in metrics.of_comparison(pd.DataFrame(rows), 0)]
        assert found == [
            ("compare_npe_log", "acceptance", 0.4, 12), ("compare_asked_npe_10", "relation", 0.5, 10),
            ("compare_asked_npe_10", "within_2", 0.6, 10), ("compare_asked_exact", "relation", 0.7, 0),
            ("compare_asked_exact", "within_2", 0.8, 0),
        ]  # fmt: skip

    def test_a_flow_learns_from_what_finished_and_each_starts_elsewhere(self, monkeypatch):
        trained = []
        monkeypatch.setattr(comparison.flow, "train", lambda *given: trained.append(given))
        rules = pd.DataFrame({"rate": [1.0, np.nan, 3.0]})
        comparison.ensemble(rules, SimpleNamespace(members=3), 7)
        assert [len(given[0]) for given in trained] == [2] * 3
        assert len({given[4] for given in trained}) == 3
        assert max(given[4] for given in trained) > 2**28
        assert {given[1:3] == ("poly", ["rate"]) for given in trained} == {True}


def test_spectrum_and_survivors():
    table = pd.DataFrame(np.random.default_rng(0).uniform(0.02, 0.09, (40, 25)), columns=list(THETA["poly"]))
    found = metrics.spectrum(table, "poly")
    low, high = np.array([(0.01, 0.1), (0.01, 0.1), (-2, 2), (-2, 2), (-2, 2), (-2, 2)] * 4).T
    white = (table.to_numpy()[:, :24] - (low + high) / 2) / (high - low) * np.sqrt(12)
    power = np.sort(np.linalg.eigvalsh(np.cov(white.T)))[::-1]
    assert (found["pca_first"], found["pca_last"]) == pytest.approx((power[0] / power.sum(), power[-1] / power.sum()))
    assert metrics.spectrum(table[:1], "poly") == {}
    assert metrics.spectrum(table[:2], "poly")["pca_first"] == pytest.approx(1)
    assert list(metrics.of_longevity(table[:0], None, 0)) == []


def test_misses_are_of_the_rules_that_have_the_metric():
    """Of five rules one blew up, and of the others two have no inhibitory rate."""
    table = pd.DataFrame({"outcome": ["finished"] * 4 + ["blow_up"], "aim_rate": [1.0, 2.0, 3.0, 4.0, 5.0]})
    table = table.assign(
        aim_rate_i=table["aim_rate"], rate=[1.0, 3.0, 3.5, 9.0, np.nan], rate_i=[2.0, np.nan, np.nan, 4.0, np.nan]
    )
    found = metrics.misses(table)
    counted = {"rate": 4, "rate_i": 2}
    assert {name: n for name, (_, n) in found.items()} == {
        name: n
        for metric, n in counted.items()
        for name in (f"miss_{metric}", f"relation_{metric}", f"share_{metric}_within_2")
    }
    assert (found["miss_rate"][0], found["share_rate_within_2"][0], found["miss_rate_i"][0]) == (0.75, 0.75, 0.5)


def test_an_aim_surprises_below_one_in_twenty():
    """A p-value of exactly 0.05, ten of two hundred shuffles, does not."""
    examined = {"rule": "poly", "round": 2, "dataset": "d", "ranks": np.zeros((0, 24)), "learned": np.array([5, 40])}
    examined |= {
        "condition_names": ["rate"],
        "attainable": np.array([[0.1], [0.7]]),
        "unexpected": np.array([0.05, 0.045, 0.5]),
    }
    found = {row.metric: (row.variant, row.value, row.n) for row in metrics.of_posterior(examined, 0)}
    assert found == {
        "relation_rate_attainable": ("poly_pi2", 0.7, 40),
        "surprising_aims": ("poly_pi2", pytest.approx(1 / 3), 3),
    }
