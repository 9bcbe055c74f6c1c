"""What the workflow's engine decides, on jobs made by hand: plans, folders, environments, exit statuses. No Snakemake runs."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from respike import fingerprint, links, overlay, provenance
from respike.core import files
from respike.workflow import head, plan, run, scenarios, verify
from respike.workflow.plan import Graph, Job
from respike.workflow.verify import Fault
from tests.constants import check


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(name: str, *inputs: str, outputs: tuple[str, ...] = ()) -> Job:
    return Job(f"rule_{name}", inputs, outputs or (f"results/{name}",), f"log/{name}", f"study.{name}", ("--x", name))


def made_again(file: str) -> dict[str, Fault]:
    return {file: Fault(file, "missing", "why")}


def test_constants():
    check(head, FAILED=1, STOPPED=130)
    check(head, DAY=24 * 3600, PATIENCE=60, MARK="RESPIKE_RUN", NOTE=Path(".snakemake/respike-head.json"))
    check(plan, PROGRAM=3, REDIRECTED=3)
    assert [sys.executable, "-m", "snakemake", "--logger", "respike", "--profile", "none"] == plan.SNAKEMAKE


class TestGraph:
    def test_parents_and_ancestors(self):
        a, b, c, d = job("a", "raw"), job("b", "results/a"), job("c", "results/b", "results/a"), job("d")
        graph = Graph([a, b, c, d])
        assert graph.parents(c) == {a, b}
        assert (graph.ancestors(c), graph.ancestors(b), graph.ancestors(a)) == ({a, b}, {a}, frozenset())
        assert graph.maker["results/d"] is d
        assert job("a") != job("a")

    def test_a_job_of_an_event(self):
        event = {
            "rule_name": "fit", "input": ["x", "y", "x"], "output": ["z"], "log": "l",
            "shellcmd": "python -m respike v1.fit --n 3 --text 'a b' > log 2>&1 ",
        }  # fmt: skip
        event["shellcmd"] = "python -m respike v1.fit --n 3 --text 'a b' > l 2>&1"
        made = plan._job(event)
        assert (made.stage, made.arguments) == ("v1.fit", ("--n", "3", "--text", "a b"))
        assert (made.rule, made.inputs, made.outputs, made.log) == ("fit", ("x", "y"), ("z",), "l")

    def test_what_snakemake_says_becomes_jobs_or_an_error(self, monkeypatch):
        monkeypatch.setattr(plan, "check_folder", lambda: None)
        monkeypatch.setattr(plan, "config_options", lambda parsed: ["--configfile", "c"])
        info = {"event": "job_info", "rule_name": "r", "input": [], "output": ["o"], "log": "l"}
        events = [{**info, "shellcmd": "python -m respike s.t --a > l 2>&1"}, {**info, "shellcmd": ""}, {"event": "other"}]
        told, status = {}, {"code": 0, "events": events, "stderr": ""}

        def said(command, cwd, env, **_):
            told.update(command=command, cwd=cwd)
            lines = "\n".join(map(json.dumps, status["events"]))
            return SimpleNamespace(stdout=lines, returncode=status["code"], stderr=status["stderr"])

        monkeypatch.setattr(subprocess, "run", said)
        parsed = argparse.Namespace(targets=["v1"])
        assert [each.stage for each in plan.graph(parsed).jobs] == ["s.t"]
        assert told["cwd"] == Path.cwd()
        for word in ("v1", "--dry-run", "--forceall", "--nolock", "--configfile"):
            assert word in told["command"]
        status.update(events=[])
        with pytest.raises(ValueError, match="no job makes v1; name files"):
            plan.graph(parsed)
        with pytest.raises(ValueError, match="no job makes anything"):
            plan.graph(argparse.Namespace(targets=[]))
        status.update(
            code=1, events=[{"event": "error", "message": "one"}, {"event": "x"}, {"event": "error", "message": "two"}]
        )
        with pytest.raises(ValueError, match="^one\ntwo$"):
            plan.graph(parsed)
        where = 'in file "/a b/v1.smk", line 99'
        said_of_a_target = (
            f"InputFunctionException in rule v1_fit {where}:\nError:\n  ValueError: no 'x'\nWildcards:\n  variant=x\n"
            'Traceback:\n  File "/a b/stage.py", line 119, in compared\n  File "/a b/v1.smk", line 7, in <lambda>'
        )
        status.update(events=[{"event": "error", "message": said_of_a_target}])
        with pytest.raises(ValueError, match="no 'x'") as told_of:
            plan.graph(parsed)
        expected = "InputFunctionException in rule v1_fit:\nError:\n  ValueError: no 'x'\nWildcards:\n  variant=x"
        assert str(told_of.value) == expected
        status.update(events=[], stderr=" broken ")
        with pytest.raises(ValueError, match="^broken$"):
            plan.graph(parsed)


class TestSurroundings:
    def test_environment(self, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", "mine")
        monkeypatch.setenv("SLURM_CONF", "there")
        plain, slurm = plan.environment(), plan.environment(["--workflow-profile", "profiles/slurm"])
        assert plain["PYTHONPATH"] == f"{fingerprint.SOURCE}{os.pathsep}mine"
        assert (plain["SLURM_CONF"], slurm["SLURM_CONF"]) == (os.devnull, "there")
        monkeypatch.delenv("PYTHONPATH")
        assert plan.environment()["PYTHONPATH"] == str(fingerprint.SOURCE)

    def test_the_code_must_be_that_of_the_folder(self, folder, monkeypatch):
        with pytest.raises(ValueError, match="has no Snakefile"):
            plan.check_folder()
        Path("Snakefile").touch()
        plan.check_folder()
        Path("src/respike").mkdir(parents=True)
        with pytest.raises(ValueError, match=f"this is the respike of .*, not of {folder}"):
            plan.check_folder()
        monkeypatch.setattr(fingerprint, "SOURCE", folder / "src")
        plan.check_folder()

    def test_a_folder_that_cannot_be_written_is_planned_in_links(self, folder, monkeypatch):
        Path("results").mkdir()
        Path("results/a").write_text("a")
        Path("Snakefile").write_text("rules")
        Path(".snakemake").mkdir()
        with links.writable(Path.cwd()) as here:
            assert here == folder
        for closed in (".snakemake", "results"):
            monkeypatch.setattr(os, "access", lambda path, mode, closed=closed: Path(path).name != closed)
            with links.writable(Path.cwd()) as there:
                assert there.name == folder.name
                assert there != folder
                assert (there / "Snakefile").read_text() == "rules"
                assert (there / "results/a").is_symlink()
                assert not (there / ".snakemake").exists()

    def test_config_of_a_command_line(self, monkeypatch):
        checked = []
        monkeypatch.setattr(overlay, "check", lambda paths: checked.append([*map(str, paths)]))
        parsed = plan.parser("run", "about").parse_args(["v1", "--configfile", "a.yaml", "b.yaml", "--config", "x=1"])
        assert parsed.targets == ["v1"]
        assert plan.config_options(parsed) == ["--configfile", "a.yaml", "b.yaml", "--config", "x=1"]
        assert checked == [["a.yaml", "b.yaml"]]
        Path("config.yaml").touch()
        assert plan.config_options(plan.parser("run", "about").parse_args([])) == []
        assert checked[1] == ["config.yaml"]

    def test_slurms_queue_is_read_by_the_names_of_this_folder(self, monkeypatch):
        monkeypatch.setattr(head.shutil, "which", lambda name: None)
        assert head.jobs_in_queue() == []
        monkeypatch.setattr(head.shutil, "which", lambda name: name)
        lines = f"12 {head.job_prefix()}-a\n13 respike_other\n14 {head.job_prefix()}\n"
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=lines))
        assert head.jobs_in_queue() == ["12", "14"]
        assert len(head.job_prefix()) == len("respike_") + 8


class TestRun:
    @staticmethod
    def played(monkeypatch, states, well=(), untimely=frozenset()):
        """Faults that are found one after the other, and whether Snakemake ends well; what it was asked for."""
        found, ends, asked = iter(states), iter(well), []
        monkeypatch.setattr(verify, "faults", lambda graph: next(found))
        monkeypatch.setattr(run, "correct_times", lambda graph: set(untimely))
        return SimpleNamespace(make=lambda jobs, left: asked.append((set(jobs), left)) or next(ends)), asked

    def test_jobs_are_made_until_nothing_is_at_fault(self, monkeypatch, capsys):
        a, b = job("a"), job("b")
        graph = Graph([a, b])
        first = {**made_again("results/a"), **made_again("results/b")}
        snakemake, asked = self.played(monkeypatch, [first, made_again("results/b"), {}], [True, True])
        with pytest.raises(ValueError, match="right after it was made"):
            run.make(graph, snakemake)
        assert asked == [({a, b}, 2)]
        c = job("c", "results/a")
        graph = Graph([a, c])
        snakemake, asked = self.played(monkeypatch, [made_again("results/a"), made_again("results/c"), {}], [True, True])
        assert run.make(graph, snakemake) == 0
        assert asked == [({a}, 1), ({c}, 1)]
        assert capsys.readouterr().out.splitlines()[-1].endswith("results in results/")

    def test_files_of_the_future_are_no_failure(self, monkeypatch, capsys):
        a, b = job("a"), job("b")
        for untimely, status in (({a}, 0), ({b}, 1), (set(), 1)):
            states = [made_again("results/a"), {}, {}]
            snakemake, _ = self.played(monkeypatch, states, [False], untimely)
            Path("results").mkdir(exist_ok=True)
            assert run.make(Graph([a, b]), snakemake) == status
        states = [made_again("results/a"), made_again("results/a")]
        snakemake, _ = self.played(monkeypatch, states, [False], {a})
        assert run.make(Graph([a, b]), snakemake) == 1
        assert "no space is left" not in capsys.readouterr().out
        monkeypatch.setattr(run.shutil, "disk_usage", lambda path: SimpleNamespace(free=999_999))
        snakemake, _ = self.played(monkeypatch, states, [False])
        run.make(Graph([a, b]), snakemake)
        assert "no space is left on the disk" in capsys.readouterr().out

    def test_a_log_that_is_a_folder_is_refused(self):
        graph = Graph([job("a")])
        run.check_logs(graph)
        Path("log").mkdir()
        Path("log/a").touch()
        run.check_logs(graph)
        Path("log/a").unlink()
        Path("log/a").mkdir()
        with pytest.raises(ValueError, match="the log log/a of rule rule_a"):
            run.check_logs(graph)

    def test_signals_that_ask_politely_stop_a_run_once(self, monkeypatch, capsys):
        def stopped(*_):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:  # its jobs end, whatever else is asked
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                ended.append(True)

        monkeypatch.setattr(plan, "graph", lambda options: Graph([]))
        monkeypatch.setattr(run, "_profile", lambda name: [])
        monkeypatch.setattr(run, "make", stopped)
        before, ended = [signal.getsignal(each) for each in head.POLITE], []
        try:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            assert run.main([]) == 130
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert ended
        finally:
            for each, handler in zip(head.POLITE, before, strict=True):
                signal.signal(each, handler)
        assert capsys.readouterr().out == "stopped; the same command goes on from here\n"
        assert Path("results").is_dir()


def test_what_snakemake_does_with_its_jobs(monkeypatch):
    """Sorted first outputs, by force; a Snakemake that was killed leaves no job behind."""
    ended, told = [], {}

    class Process:
        def __init__(self, command, env, **_):
            told.update(command=command, env=env)
            self.returncode = told["code"]

        def poll(self):
            return told["poll"]

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(head, "end_jobs", ended.append)
    Path(".snakemake").mkdir()
    engine = run.Snakemake("name", ["--cores", "3"])
    engine.display = SimpleNamespace(said=None, follow=lambda process, left: told.update(left=left))
    for code, poll, well, left_over in (
        (0, 0, True, []),
        (1, 1, False, []),
        (-9, -9, False, ["name"]),
        (0, None, True, ["name"]),
    ):
        ended.clear()
        told.update(code=code, poll=poll)
        assert engine.make([job("b"), job("a", outputs=("results/a1", "results/a0"))], 5) == well
        assert ended == left_over
    words = told["command"]
    assert words[len(plan.SNAKEMAKE) : len(plan.SNAKEMAKE) + 2] == ["results/a1", "results/b"]
    assert words[-2:] == ["--cores", "3"]
    assert (told["env"][head.MARK], told["left"]) == ("name", 5)


class TestVerify:
    def test_words_that_differ_are_cut_after_a_hundred_letters(self):
        assert verify._new(["a", "b", "a", "c"], ["b"]) == "a c"
        assert verify._new(["b"], ["b", "c"]) == "fewer arguments or another order"
        assert len(verify._new([f"word{k}" for k in range(50)], [])) == 100

    def test_faults_of_single_files(self, monkeypatch):
        monkeypatch.setattr(fingerprint, "code", lambda stage: "code")
        monkeypatch.setattr(provenance, "versions", lambda stage: {})
        a = job("a")
        assert verify.own_fault(a, "results/a").kind == "missing"
        files.maker.update(stage="study.a", code="code", arguments=["--x", "a"], inputs={})
        try:
            files.write_text("results/a", "x")
            assert verify.own_fault(a, "results/a") is None
            for change, kind in (
                ({"stage": "study.b"}, "foreign"),
                ({"code": "old"}, "stale"),
                ({"arguments": ["--x"]}, "stale"),
            ):
                files.maker.update({"stage": "study.a", "code": "code", "arguments": ["--x", "a"], **change})
                files.write_text("results/a", "x")
                assert verify.own_fault(a, "results/a").kind == kind
        finally:
            files.maker.clear()
        Path("results/a").write_text("y")
        assert verify.own_fault(a, "results/a").kind == "corrupt"
        files.record_path(Path("results/a")).unlink()
        assert verify.own_fault(a, "results/a").kind == "foreign"

    def test_leftovers_are_files_of_other_configs_that_were_changed(self):
        for name in ("a", "b", ".partial/c", "d"):
            files.write_text(f"results/{name}", name)
        for name in ("a", "b", ".partial/c"):
            Path(f"results/{name}").write_text("changed")
        Path("results/d").unlink()
        assert [fault.file for fault in verify.leftovers(Graph([job("a")]))] == ["results/b"]


class TestScenarios:
    def test_a_scenario_without_a_file_is_told(self):
        with pytest.raises(ValueError, match=r"there is no file x\.yaml"):
            scenarios.prepare(Path("x.yaml"))

    def test_jobs_are_taken_after_those_they_read_from(self, monkeypatch):
        a, b, c = job("a"), job("b", "results/a"), job("c", "results/b")
        graph, order = Graph([c, b, a]), []
        monkeypatch.setattr(scenarios, "made_in", lambda folder, each: order.append((folder, each)) or each is not b)
        monkeypatch.setattr(scenarios, "_copy", lambda source, target: None)
        assert scenarios.take(graph, {a, b, c}, ["there", "elsewhere"]) == {a}
        assert order == [("there", a), ("there", b), ("elsewhere", b)], "c waits for b"
        assert scenarios.take(graph, {c}, ["there"]) == {c}
