"""What the engine decides, on files and jobs made by hand: no Snakemake is started."""

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from respike import fingerprint, provenance
from respike.core import files
from respike.workflow import head, plan, run, scenarios, verify
from respike.workflow.plan import Graph, Job


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder to work in; the code of every stage is "same"."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fingerprint, "code", lambda stage: "same")
    monkeypatch.setattr(provenance, "versions", lambda stage: {})
    return tmp_path


def job(name: str, inputs: tuple[str, ...] = (), arguments: tuple[str, ...] | None = None) -> Job:
    """The job that makes results/<name> of files that stand on its command line, unless `arguments` say otherwise."""
    output = f"results/{name}"
    return Job(f"rule_{name}", inputs, (output,), f"log/{name}.txt", f"study.{name}", arguments or (*inputs, "--out", output))


def make(*jobs: Job, text: str = "") -> None:
    """Do what the jobs would do, records included."""
    for each in jobs:
        named = [Path(word) for word in each.arguments if Path(word).exists()]
        files.maker.clear()
        files.maker.update(provenance.facts(each.stage, list(each.arguments), {"named": named}))
        for output in each.outputs:
            files.write_text(output, f"{text or each.rule}\n")
    files.maker.clear()


def why(*jobs: Job) -> dict[str, str]:
    return {Path(fault.file).name: f"{fault.kind}: {fault.why}" for fault in verify.faults(Graph(jobs)).values()}


class TestVerify:
    """What is stale, and what is not."""

    def test_the_same_words_in_another_order_are_other_arguments(self):
        before, now = ("--out", "results/a", "--low", "1", "--high", "2"), ("--out", "results/a", "--low", "2", "--high", "1")
        make(job("a", arguments=before))
        assert why(job("a", arguments=before)) == {}
        assert why(job("a", arguments=now))["a"].startswith("stale: made with fewer arguments or another order")
        assert why(job("a", arguments=(*before, "--low", "1")))["a"].startswith("stale")

    def test_a_difference_between_command_lines_is_named(self):
        make(job("a", arguments=("--eps", "5.0")))
        assert why(job("a", arguments=("--eps", "0.5"))) == {"a": "stale: made with 5.0, now 0.5"}

    @pytest.mark.parametrize("named", ["data", "data/"])
    def test_an_input_that_is_new_in_a_folder_on_the_command_line_is_noticed(self, named):
        Path("data").mkdir()
        Path("data/first").write_text("1")
        arguments = ("--folder", named, "--out", "results/a")
        make(job("a", ("data/first",), arguments))
        assert why(job("a", ("data/first",), arguments)) == {}
        Path("data/second").write_text("2")
        assert why(job("a", ("data/first", "data/second"), arguments)) == {"a": "stale: made without data/second"}

    def test_an_input_that_the_command_line_does_not_name_tells_nothing(self):
        Path("order").write_text("1")
        make(job("a", ("order",), ("--out", "results/a")))
        assert why(job("a", ("order",), ("--out", "results/a"))) == {}

    def test_another_content_of_an_input_is_noticed_and_a_faulty_input_is_not_judged(self):
        a, b = job("a"), job("b", ("results/a",))
        make(a, b)
        assert why(a, b) == {}
        make(a, text="other")
        assert why(a, b) == {"b": "stale: made from another results/a"}
        Path("results/a").write_text("damaged")
        assert why(a, b) == {"a": why(a)["a"]}

    def test_nothing_is_removed_or_judged_to_be_removed_while_a_run_is_at_work(self, monkeypatch, capsys):
        make(job("a"))
        Path("results/a").write_text("damaged")
        monkeypatch.setattr(plan, "graph", lambda options: Graph([job("a")]))
        with head.only_one():
            with pytest.raises(ValueError, match="a run is at work in this folder: process"):
                verify.main(["--fix"])
            assert capsys.readouterr().out == ""
            assert verify.main([]) == 1
        assert Path("results/a").read_text() == "damaged"
        assert verify.main(["--fix"]) == 0
        assert not Path("results/a").exists()

    def test_all_is_said_in_a_sentence(self):
        jobs = [job("a"), job("b")]
        make(*jobs)
        assert verify.summary(Graph(jobs), ()) == "All 2 files of 2 jobs are as they should be"
        Path("results/b").unlink()
        found = verify.faults(Graph(jobs)).values()
        assert verify.summary(Graph(jobs), found) == "Of 2 files of 2 jobs: 1 missing"


class TestRun:
    """Which jobs are made, and when."""

    CHAIN = (job("a"), job("b", ("results/a",)), job("c", ("results/b",)))

    def test_a_job_below_one_that_may_yet_come_out_the_same_waits(self):
        a, b, c = self.CHAIN
        assert run.certain(Graph(self.CHAIN), {a, c}) == {a}, "whether b is made again shows when a is"
        assert run.certain(Graph(self.CHAIN), {a, b, c}) == {a, b, c}
        assert run.certain(Graph(self.CHAIN), {c}) == {c}

    @pytest.mark.parametrize(("text", "made"), [("", "ac"), ("other", "abc")])
    def test_what_comes_out_as_before_reruns_nothing_that_read_it(self, text, made, capsys):
        make(*self.CHAIN)
        for name in "ac":
            Path(f"results/{name}").unlink()
        calls = []

        class Snakemake:
            def make(self, jobs, left):
                in_order = sorted(jobs, key=lambda job: job.rule)
                calls.extend(each.rule[-1] for each in in_order)
                make(*in_order, text=text)
                return True

        assert run.make(Graph(self.CHAIN), Snakemake()) == 0
        assert "".join(calls) == made
        last = capsys.readouterr().out.splitlines()[-1]
        assert last == "All 3 files of 3 jobs are as they should be; results in results/"

    def test_a_failure_ends_with_a_sentence_too(self, capsys):
        class Snakemake:
            def make(self, jobs, left):
                return False

        Path("results").mkdir()
        assert run.make(Graph(self.CHAIN), Snakemake()) == 1
        assert capsys.readouterr().out.splitlines()[-1] == (
            "Not every job ended well, see above; the same command goes on from here"
        )

    def test_a_job_whose_files_are_at_fault_when_it_has_made_them_stops_the_run(self):
        class Snakemake:
            def make(self, jobs, left):
                return True

        with pytest.raises(
            ValueError, match=r"missing  results/a.* though its job is done: was code or data edited, or an option"
        ):
            run.make(Graph(self.CHAIN[:1]), Snakemake())

    def test_files_of_the_future_become_files_of_now_or_are_told(self, monkeypatch):
        make(*self.CHAIN)
        tomorrow = time.time() + 86400
        for name in "ab":
            os.utime(f"results/{name}", (tomorrow, tomorrow))
        set_time = os.utime

        def fixed(path, *times):
            if path == "results/b":
                raise PermissionError(path)
            set_time(path, *times)

        monkeypatch.setattr(os, "utime", fixed)
        assert run.correct_times(Graph(self.CHAIN)) == {self.CHAIN[2]}
        assert Path("results/a").stat().st_mtime <= time.time() < Path("results/b").stat().st_mtime

    def test_what_another_folder_has_made_of_the_same_is_copied(self, folder, monkeypatch):
        (folder / "other").mkdir()
        monkeypatch.chdir(folder / "other")
        make(*self.CHAIN)
        Path("results/b").write_text("damaged")
        monkeypatch.chdir(folder)
        taken = scenarios.take(Graph(self.CHAIN), set(self.CHAIN), [folder / "other"])
        assert taken == {self.CHAIN[0]}, "b is damaged there, and c waits for b"
        assert why(*self.CHAIN[:1]) == {}


class TestHead:
    """One at a time, and a clean start."""

    @pytest.fixture(autouse=True)
    def _said(self, capsys):
        self.capsys = capsys

    def said(self) -> list[str]:
        """What a head says that starts and ends."""
        self.capsys.readouterr()
        with head.only_one():
            pass
        return self.capsys.readouterr().out.splitlines()

    def test_a_program_that_only_reads_the_log_of_snakemake_is_no_run(self):
        Path(".snakemake/log").mkdir(parents=True)
        Path(".snakemake/log/a.log").touch()
        head.LOCKS.mkdir()
        (head.LOCKS / "0.input.lock").write_text("a")
        reader = subprocess.Popen(["tail", "-f", ".snakemake/log/a.log"])
        try:
            assert self.said() == []
            assert list(head.LOCKS.iterdir()) == [], "the lock of a snakemake that is dead"
        finally:
            reader.kill()
            reader.wait()

    def test_who_looks_for_a_run_keeps_none_from_starting(self):
        with head.only_one():
            pass
        program = "from respike.workflow import head\nprint(head.current(), flush=True)\nwhile True: head.current()"
        looking = subprocess.Popen([sys.executable, "-c", program], env=plan.environment(), stdout=subprocess.PIPE)
        try:
            looking.stdout.readline()
            for _ in range(50):
                with head.only_one():
                    pass
        finally:
            looking.kill()
            looking.wait()

    def test_an_exception_leaves_no_note_of_a_killed_run(self):
        for error in (RuntimeError, KeyboardInterrupt):
            with pytest.raises(error), head.only_one():
                raise error
        assert self.said() == []

    def test_a_run_that_could_not_end_its_jobs_leaves_them_to_the_next_one(self):
        with suppress(KeyboardInterrupt), head.only_one() as run:
            subprocess.Popen(["sleep", "1000"], env={**os.environ, head.MARK: run})
            while head.processes_of(run) == []:
                time.sleep(0.01)
            raise KeyboardInterrupt
        assert self.said()[1] == "ending 1 processes and 0 Slurm jobs of the run"
        assert head.processes_of(run) == []
        assert self.said() == []

    def test_a_killed_run_is_named_and_its_jobs_end(self):
        program = (
            "import os, subprocess, sys; from respike.workflow import head\n"
            "with head.only_one() as run:\n"
            "    job = subprocess.Popen(['sleep', '1000'], env={**os.environ, head.MARK: run})\n"
            "    print(job.pid, flush=True)\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        killed = subprocess.Popen([sys.executable, "-c", program], env=plan.environment(), stdout=subprocess.PIPE, text=True)
        job_pid = int(killed.stdout.readline())
        killed.wait()
        lines = self.said()
        assert lines[0].startswith(f"the last run was killed (process {killed.pid} on {platform.node()}, since ")
        assert lines[1] == "ending 1 processes and 0 Slurm jobs of the run"
        assert not psutil.pid_exists(job_pid) or psutil.Process(job_pid).status() == psutil.STATUS_ZOMBIE
        assert self.said() == []

    def test_a_job_that_is_started_while_the_run_is_ended_ends_too(self):
        """Snakemake's part is played by a program that starts a job as often as it can."""
        program = (
            "import subprocess, time\nprint('ready', flush=True)\n"
            "while True: subprocess.Popen(['sleep', '1000'], start_new_session=True), time.sleep(0.003)\n"
        )
        environment = {**os.environ, head.MARK: "this test"}
        busy = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
        busy.stdout.readline()
        head.end_jobs("this test")
        assert head.processes_of("this test") == []

    def test_a_run_that_died_on_another_machine_is_left_to_a_person(self):
        head.NOTE.parent.mkdir()
        head.NOTE.write_text(json.dumps({"run": "x", "pid": 1, "host": "elsewhere", "since": "yesterday"}))
        with pytest.raises(
            ValueError, match=r"process 1 on elsewhere, since yesterday; if it is dead there, delete \.snakemake"
        ):
            self.said()
        assert json.loads(head.NOTE.read_text())["host"] == "elsewhere"

    def test_who_is_at_work_is_told_without_writing(self):
        assert head.current() == {}
        with head.only_one():
            assert head.current()["pid"] == os.getpid()
            with pytest.raises(ValueError, match=f"a run is at work in this folder: process {os.getpid()} on "):
                self.said()
        assert head.current() == {}


class TestSweep:
    """What is unfinished or over goes, what is in use stays."""

    KILLED = (  # while the record is written
        "import os; from respike.core import files\n"
        "files._publish = lambda *names: os._exit(9)\n"
        "files.write_text('results/a.txt', 'a')\n"
    )

    def test_every_file_that_a_killed_job_leaves_is_its_own(self, folder):
        """Killed while the record is written: the file and the record are there under names of their own."""
        assert subprocess.run([sys.executable, "-c", self.KILLED], env=plan.environment(), check=False).returncode == 9
        left = sorted(path for path in folder.glob("results/**/*") if path.is_file())
        assert [path.parent.name for path in left] == [".made", "results"]
        assert sorted(head.sweep(Path("results"))) == [path.relative_to(folder) for path in left]
        assert not [path for path in folder.glob("results/**/*") if path.is_file()]

    def test_a_file_that_a_living_job_writes_stays(self):
        own = Path("results") / f"{files.temporary_prefix()}x.npz"
        own.parent.mkdir()
        own.touch()
        elsewhere = [own.with_name(f".tmp-elsewhere-1-{name}.npz") for name in "ab"]
        for path in elsewhere:
            path.touch()
        os.utime(elsewhere[1], (0, 0))
        assert head.sweep(Path("results")) == [elsewhere[1]]

    def test_the_file_of_a_dead_job_goes_though_its_parent_has_not_heard_of_its_death(self):
        """As that of a job whose head was killed, until the system has taken the job over."""
        dead = subprocess.Popen([sys.executable, "-c", self.KILLED], env=plan.environment())
        os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.pid_exists(dead.pid)
        assert len(head.sweep(Path("results"))) == 2
        assert dead.wait() == 9

    @pytest.mark.parametrize("saved", ["fit.pt.0", "fit.pt.jsonl", "fit.pt"])
    def test_a_saved_part_stays_until_its_job_is_done(self, saved):
        part, fit = Path("results/.partial") / saved, Path("results/fit.pt")
        files.write_text(part, "half of it")
        assert head.sweep(Path("results")) == [], "the job has written nothing yet"
        fit.write_text("of an earlier run")
        os.utime(fit, (1, 1))
        assert head.sweep(Path("results")) == [], "saved after the file that is there: a training that goes on"
        fit.write_text("done")
        os.utime(part, (1, 1))
        assert sorted(head.sweep(Path("results"))) == sorted([part, files.record_path(part)])
