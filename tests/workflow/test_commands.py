"""The commands `run`, `verify`, `status`, `scenarios` on jobs made by hand; small programs play Snakemake and Slurm."""

import itertools
import json
import os
import platform
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from respike import fingerprint, provenance
from respike.core import files
from respike.workflow import head, plan, run, scenarios, status, verify
from respike.workflow.plan import Graph, Job


def jobs() -> list[Job]:
    """A chain a, b, c of two studies, and d for itself."""
    made = []
    for name, study, inputs in (
        ("a", "one", ()),
        ("b", "one", ("results/a",)),
        ("c", "two", ("results/b",)),
        ("d", "two", ()),
    ):
        output = f"results/{name}"
        made.append(
            Job(f"rule_{name}", inputs, (output,), f"results/log/{name}.txt", f"{study}.{name}", (*inputs, "--out", output))
        )
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder in which all four jobs are done; every command plans them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fingerprint, "code", lambda stage: "same")
    monkeypatch.setattr(provenance, "versions", lambda stage: {})
    monkeypatch.setattr(plan, "graph", lambda options: Graph(jobs()))
    Path(".snakemake").mkdir()
    for job in jobs():
        make(job)
    return tmp_path


def make(job: Job) -> None:
    files.maker.clear()
    named = {"named": [Path(word) for word in job.arguments if Path(word).exists()]}
    files.maker.update(provenance.facts(job.stage, list(job.arguments), named))
    files.write_text(job.outputs[0], job.rule)
    files.maker.clear()


def program(name: str, text: str) -> None:
    """A shell program in the folder `bin`."""
    path = Path("bin") / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


class TestVerify:
    def test_it_lists_what_is_wrong_and_removes_it_when_told_to(self, capsys):
        assert verify.main([]) == 0
        assert capsys.readouterr().out == "All 4 files of 4 jobs are as they should be\n"
        Path("results/a").write_text("damaged")
        Path("results/d").unlink()
        assert verify.main([]) == 1
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == ["corrupt  results/a", "missing  results/d"]
        assert lines[2:] == ["Of 4 files of 4 jobs: 1 corrupt, 1 missing"]
        assert verify.main(["--fix"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "1 files removed; `python -m respike run` makes them again"
        assert [Path(f"results/{name}").exists() for name in "abcd"] == [False, True, True, False]
        assert not files.record_path(Path("results/a")).exists()
        assert files.record_path(Path("results/b")).exists()

    def test_a_folder_behind_a_link_is_looked_at_and_swept(self, folder, monkeypatch):
        monkeypatch.setattr(plan, "graph", lambda options: Graph(jobs()[:3]))
        Path("results/d").rename("results/kept")
        (folder / "elsewhere").mkdir()
        files.write_text("elsewhere/d", "d")
        Path("results/two").symlink_to(folder / "elsewhere")
        assert verify.main([]) == 0
        Path("elsewhere/d").write_text("damaged")
        assert verify.main([]) == 1
        unfinished = Path("elsewhere", f".tmp-{platform.node()}-999999999-x")
        unfinished.touch()
        assert head.sweep(Path("results")) == [Path("results/two") / unfinished.name]
        assert not unfinished.exists()

    def test_files_of_another_config_are_looked_at_too(self, monkeypatch):
        monkeypatch.setattr(plan, "graph", lambda options: Graph(jobs()[:3]))
        assert verify.main([]) == 0
        Path("results/d").write_text("damaged")
        assert verify.main([]) == 1


class TestStatus:
    def test_a_line_for_each_study_and_one_for_each_job_that_runs_or_failed(self, capsys, monkeypatch):
        Path("results/b").unlink()
        Path("results/d").unlink()
        Path("results/log").mkdir()
        Path("results/log/d.txt").write_text("step 1\nno space left\n\n")
        state = SimpleNamespace(running={3: {"log": "results/log/b.txt"}}, failed={"results/log/d.txt": {}})
        monkeypatch.setattr(status, "read", lambda: state)
        monkeypatch.setattr(head, "current", lambda: {"pid": 7, "host": "here", "since": "now"})
        assert status.main([]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "at work: process 7 on here, since now",
            "one           1 of    2 done, 1 running, 0 failed, 0 to do",
            "  running  rule_b: ",
            "two           0 of    2 done, 0 running, 1 failed, 0 to do, 1 to be judged again",
            "  failed   rule_d: no space left (results/log/d.txt)",
        ]
        monkeypatch.setattr(head, "current", dict)
        status.main([])
        assert capsys.readouterr().out.splitlines()[0] == "one           1 of    2 done, 0 running, 0 failed, 1 to do"

    def test_what_was_made_of_files_that_are_to_be_made_again_is_not_done(self, capsys, monkeypatch):
        monkeypatch.setattr(head, "current", dict)
        Path("results/a").write_text("damaged")
        assert status.main([]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "one           0 of    2 done, 0 running, 0 failed, 1 to do, 1 to be judged again",
            "two           1 of    2 done, 0 running, 0 failed, 0 to do, 1 to be judged again",
        ]


class TestRun:
    def test_a_dry_run_says_what_and_why_and_makes_nothing(self, capsys):
        assert run.main(["--dry-run"]) == 0
        assert capsys.readouterr().out == "All 4 files of 4 jobs are as they should be\n"
        Path("results/a").write_text("damaged")
        Path("results/d").unlink()
        assert run.main(["--dry-run", "--", "--verbose"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:-1]] == ["corrupt  results/a"]
        assert lines[-1] == (
            "2 jobs to do (1 corrupt, 1 missing files): 1 rule_a, 1 rule_d; "
            "if these come out otherwise, also 1 rule_b, 1 rule_c"
        )
        make(jobs()[0])
        run.main(["--dry-run"])
        assert capsys.readouterr().out == "1 jobs to do (1 missing files): 1 rule_d\n"
        assert not Path("results/d").exists()

    def test_a_place_that_cannot_be_written_is_told_before_anything_runs(self, tmp_path, monkeypatch):
        Path("results/log/b.txt").mkdir(parents=True)
        with pytest.raises(ValueError, match=r"the log results/log/b\.txt of rule rule_b is not a file"):
            run.main(["--dry-run"])
        monkeypatch.chdir(tmp_path / "bin" if (tmp_path / "bin").mkdir() is None else tmp_path)
        assert run.main(["--dry-run"]) == 0
        Path("results").write_text("")
        with pytest.raises(ValueError, match="results is not a folder that can be written"):
            run.main(["--dry-run"])

    @pytest.mark.parametrize(("ends", "well"), [(0, True), (3, False)])
    def test_what_snakemake_is_asked_for(self, monkeypatch, ends, well):
        """The first file of each job, in order, without judging; the name of the run, by which its jobs are found."""
        told = "import json, os, sys; open('told.json', 'w').write(json.dumps([sys.argv[1:], os.environ['RESPIKE_RUN']]))"
        monkeypatch.setattr(run, "SNAKEMAKE", [sys.executable, "-c", f"{told}; sys.exit({ends})"])
        two = Job("rule_e", (), ("results/e", "results/0"), "log", "one.e", ())
        assert run.Snakemake("name", ["--cores", "1"]).make([jobs()[1], two, jobs()[0]], 3) is well
        words, name = json.loads(Path("told.json").read_text())
        assert words[:3] == ["results/a", "results/b", "results/e"]
        assert words[3:] == [
            *("--force", "--rerun-triggers", "input", "--ignore-incomplete", "--keep-incomplete", "--cores", "1"),
        ]
        assert name == "name"

    def test_options_go_on_to_snakemake_and_its_failure_is_the_end(self, monkeypatch, capsys):
        monkeypatch.setattr(run.signal, "signal", lambda *handler: None)
        monkeypatch.setattr(
            run, "SNAKEMAKE", [sys.executable, "-c", "import sys; open('told', 'w').write(' '.join(sys.argv)); 1 / 0"]
        )
        Path("results/d").unlink()
        assert run.main(["--cores", "2", "--", "--verbose"]) == 1
        assert Path("told").read_text().endswith("--cores 2 --workflow-profile profiles/default --verbose")
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.startswith("Not every job ended well, see above")
        assert last.endswith("the same command goes on from here")

    def test_profiles(self, monkeypatch):
        for name, text in (("default", "keep-going: true"), ("slurm", "executor: slurm")):
            Path("profiles", name).mkdir(parents=True)
            Path("profiles", name, "config.yaml").write_text(text)
        assert run._profile(None) == ["--workflow-profile", "profiles/default"]
        assert run._profile("profiles/default") == ["--workflow-profile", "profiles/default"]
        with pytest.raises(ValueError, match="there is no profile 'sge'; profiles holds default, slurm; or name a folder"):
            run._profile("sge")
        monkeypatch.setenv("PATH", "bin")
        with pytest.raises(ValueError, match="sbatch was not found; start this on a login node"):
            run._profile("slurm")
        program("sbatch", "")
        expected = ["--workflow-profile", "profiles/slurm", "--slurm-jobname-prefix", head.job_prefix()]
        assert run._profile("slurm") == expected

    @pytest.mark.parametrize(
        ("text", "found"),
        [('executor: "slurm"', 1), ("executor:   slurm # ours", 1), ("# executor: slurm\njobs: 2", 0)],
    )
    def test_a_profile_that_runs_jobs_on_slurm_is_known_by_what_it_says(self, monkeypatch, text, found):
        """Its jobs would have no names by which they are found again; and Slurm would be kept from it."""
        Path("mine").mkdir()
        Path("mine/config.yaml").write_text(text)
        monkeypatch.setenv("PATH", "bin")
        program("sbatch", "")
        assert ("--slurm-jobname-prefix" in run._profile("mine")) == found
        Path("mine/config.yaml").write_text(f"{text}\n  jobs: [")
        with pytest.raises(ValueError, match=r"mine/config.yaml, line \d.*not YAML that can be read"):
            run._profile("mine")


class TestSlurm:
    @pytest.fixture(autouse=True)
    def _path(self, monkeypatch):
        monkeypatch.setenv("PATH", f"bin:{os.environ['PATH']}")

    def test_the_jobs_in_the_queue_are_those_of_this_folder(self):
        program("squeue", f"echo '11 {head.job_prefix()}-a'; echo '12 other'; echo '13 {head.job_prefix()}'")
        assert head.jobs_in_queue() == ["11", "13"]
        program("squeue", "exit 1")
        assert head.jobs_in_queue() == [], "a queue that does not answer stops no run"

    def test_jobs_in_the_queue_are_cancelled_until_none_is_left(self, monkeypatch, capsys):
        """This queue needs to be told twice."""
        program("squeue", f"[ -e told/2 ] || echo '11 {head.job_prefix()}'")
        program("scancel", "[ -e told ] && touch told/2; mkdir -p told/$1")
        monkeypatch.setattr(head.time, "sleep", lambda seconds: None)
        head.end_jobs("nobody")
        assert sorted(os.listdir("told")) == ["11", "2"]
        assert capsys.readouterr().out == "ending 0 processes and 1 Slurm jobs of the run\n"

    def test_patience_ends(self, monkeypatch):
        """A queue that never empties is told twice by a clock that shows 0, 25, 50 and 75 seconds."""
        program("squeue", f"echo '11 {head.job_prefix()}'")
        program("scancel", "echo once more >> told")
        clock = itertools.count(0, 25)
        monkeypatch.setattr(head, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None))
        head.end_jobs("nobody")
        assert Path("told").read_text() == "once more\n" * 2


class TestScenarios:
    @pytest.fixture
    def commands(self, monkeypatch):
        """What is started, each time with the next exit status: 0, 3, 4."""
        started, ends = [], iter((0, 3, 4))

        @contextmanager
        def started_by(command, cwd=None):
            started.append((list(map(str, command[3:])), cwd))
            yield subprocess.CompletedProcess(command, next(ends))

        monkeypatch.setattr(head, "when_stopped", lambda act: None)
        monkeypatch.setattr(plan, "check_folder", lambda: None)
        monkeypatch.setattr(scenarios.subprocess, "Popen", started_by)
        monkeypatch.setattr(scenarios.subprocess, "run", lambda command, check: started_by(command).__enter__())
        for name in ("x", "y", "base"):
            Path(f"{name}.yaml").write_text("{}")
        return started

    def test_each_is_a_run_in_its_folder_that_may_take_from_the_others(self, commands, folder, capsys):
        words = ["x.yaml", "y.yaml", "--targets", "one", "--configfile", "base.yaml", "--cores", "3", "--dry-run"]
        assert scenarios.main([*words, "--", "--verbose"]) == 3
        x, y = folder / "scenarios/x", folder / "scenarios/y"
        for (command, cwd), own, other in zip(commands, (x, y), (y, x), strict=True):
            laid = [str(folder / "base.yaml"), str(folder / f"{own.name}.yaml")]
            expected = ["run", "one", "--cores", "3", "--take-from", str(folder), str(other), "--configfile", *laid]
            assert command == [*expected, "--dry-run", "--", "--verbose"]
            assert cwd.absolute() == own
            assert sorted(path.name for path in own.iterdir()) == ["base.yaml", "x.yaml", "y.yaml"]
        assert capsys.readouterr().out.splitlines()[0] == "scenario x, results in scenarios/x/results"

    def test_scorecards_are_laid_side_by_side_where_there_are_some(self, commands, capsys):
        Path("scenarios/x/results").mkdir(parents=True)
        Path("scenarios/x/results/scorecard.csv").touch()
        assert scenarios.main(["x.yaml", "y.yaml"]) == 3
        card = ["report.side_by_side", "--cards", "scenarios/x/results/scorecard.csv", "--out", "scenarios/scorecard.csv"]
        assert commands[-1][0] == card
        assert capsys.readouterr().out.splitlines()[-1] == "side by side: scenarios/scorecard.html"

    @pytest.mark.parametrize("status", [130, -2, -15, -1])  # it has said so, or was stopped before it could
    def test_after_one_that_was_stopped_no_other_is_begun(self, commands, monkeypatch, status):
        monkeypatch.setattr(scenarios.subprocess, "Popen", lambda *_, **__: nullcontext(SimpleNamespace(returncode=status)))
        assert scenarios.main(["x.yaml", "y.yaml"]) == 130
        assert commands == []

    def test_two_of_one_name_are_refused(self, commands):
        Path("deep").mkdir()
        Path("deep/x.yaml").write_text("{}")
        with pytest.raises(ValueError, match="two of x.yaml, y.yaml, deep/x.yaml have one name, and results go by it"):
            scenarios.main(["x.yaml", "y.yaml", "deep/x.yaml"])
        assert commands == []

    def test_what_is_said_twice_counts_twice(self, commands):
        words = ["x.yaml", "--configfile", "y.yaml", "--targets", "one", "--configfile", "base.yaml", "--targets", "two"]
        assert scenarios.main(words) == 0
        (command, cwd), *_ = commands
        assert command[:3] == ["run", "one", "two"]
        assert [Path(word).name for word in command[command.index("--configfile") + 1 :]] == [
            *("y.yaml", "base.yaml", "x.yaml", "--"),
        ]
        read = plan.parser("run", "").parse_args(["--configfile", "a", "--configfile", "b", "c"])
        assert read.configfile == ["a", "b", "c"]
        assert plan.parser("run", "").parse_args([]).configfile == []

    def test_options_are_written_out(self, commands):
        with pytest.raises(SystemExit):
            scenarios.main(["x.yaml", "--target", "one"])
        assert commands == []

    @pytest.mark.parametrize("command", [run.main, scenarios.main])
    def test_there_is_one_core_at_least_and_all_that_are_allotted_are_taken(self, commands, command, monkeypatch, capsys):
        with pytest.raises(SystemExit):
            command(["x.yaml", "--cores", "0"])
        assert "argument --cores: 0, expected 1 or more" in capsys.readouterr().err
        monkeypatch.setattr(plan.os, "sched_getaffinity", lambda process: {4, 5, 7}, raising=False)
        options, rest = plan.how_to_run(plan.parser("run", ""), ["x", "--", "y"])
        assert (options.cores, options.targets, rest) == (3, ["x"], ["y"])

    def test_a_folder_to_take_from_that_is_not_there_is_told(self, folder):
        with pytest.raises(ValueError, match="--take-from: there is no folder nowhere, x; name other copies"):
            run.main(["--take-from", "nowhere", str(folder), "x"])

    def test_what_lies_elsewhere_is_taken_in_the_order_of_the_chain_and_is_no_link(self, folder, monkeypatch):
        (folder / "other").mkdir()
        monkeypatch.chdir(folder / "other")
        assert scenarios.take(Graph(jobs()), set(jobs()), []) == set()
        chain = jobs()
        taken = scenarios.take(Graph(chain), set(chain[1:]), [folder / "nowhere", folder])
        assert taken == {chain[3]}, "b reads a, which is not here"
        assert scenarios.take(Graph(chain), set(chain), [folder]) == set(chain)
        for name in "abcd":
            here, there = Path("results", name), folder / "results" / name
            assert here.read_text() == there.read_text()
            assert not here.samefile(there)
            assert files.read_record(here) == files.read_record(there)
