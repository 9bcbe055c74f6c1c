"""Small changes of the science, the workflow and the report, one at a time: which of them does no fast test notice?

`make mutants COUNT=126 SEED=0 ONLY=modes`. Cosmic Ray makes the changes; which ones is drawn by SEED, as many in each study,
in core, workflow and report. A change is made in a copy of the project and held against the tests that can notice it:
those that speak of the function, then those that import its module or are named after it or its room, the quickest first.
Reference cases stay out: users have none.
"""

import argparse
import ast
import compileall
import importlib
import inspect
import json
import multiprocessing
import os
import random
import re
import resource
import runpy
import shutil
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FORK = multiprocessing.get_context("fork")
ROOMS = ("neulvm", "fsbi", "barrel", "workflow", "v1", "modes", "rate2lif", "core", "report")  # the longest first
LEFT_OUT = re.compile(r"__init__|.*figures?|style|html|markdown|pictures|rulegraph")  # names of files: drawing and writing
MADE = ("__pycache__", ".*", "*.egg-info", "results", "data", "scenarios")
CHANGES = re.compile(  # of Cosmic Ray's, those that someone could make by mistake
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_FloorDiv|Pow_Mul|BitOr_BitAnd|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Lt_(LtE|Gt)|LtE_(Lt|GtE)|Gt_(GtE|Lt)|GtE_(Gt|LtE)|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not|Delete_Invert)|AddNot|Replace(True|False|And|Or)With\w+"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|NumberReplacer|ZeroIterationForLoop)"
)
SHARED = (  # imported once for all; the project and its tests are imported anew for each change
    *(
        "pytest",
        "hypothesis",
        "numba",
        "torch",
        "pandas",
        "scipy.stats",
        "scipy.signal",
        "matplotlib.pyplot",
        "sklearn",
        "yaml",
    ),
    *("h5py", "networkx", "elephant.statistics", "pynwb", "pynapple", "brian2", "mujoco", "sbi.inference", "jsonschema"),
)
TAKEN: dict[str, float] = {}  # s that each test took when it was last run
TOO_LONG = "it takes too long"


class Mutant(NamedTuple):
    """A change: file, line, function or class, operator of Cosmic Ray, and which of the places where it can be used."""

    file: str
    line: int
    name: str
    operator: str
    occurrence: int

    @property
    def module(self) -> str:
        """Name of the changed module."""
        return self.file.removeprefix("src/").removesuffix(".py").replace("/", ".")


def sample(project: Path, room: str, count: int, seed: int) -> list[Mutant]:
    """`count` changes of a room, each in another place: in files that compute, and of the stages in those that measure."""
    files = [path for path in sorted((project / "src/respike" / room).rglob("*.py")) if not LEFT_OUT.fullmatch(path.stem)]
    files = [path for path in files if path.parent.name != "stages" or path.stem == "metrics"]
    places = [found for path in files for _, found in sorted(mutants(project, path).items())]
    chance = random.Random(f"{seed} {room}")
    return [chance.choice(found) for found in chance.sample(places, min(count, len(places)))]


def mutants(project: Path, path: Path) -> dict[tuple[int, int], list[Mutant]]:
    """All changes of a file by the place where they are made.

    None in types, in texts, in what is said of an error, and in `strict`, which only tells a programmer of uneven lengths.
    """
    from cosmic_ray import ast as trees  # noqa: PLC0415
    from cosmic_ray import plugins  # noqa: PLC0415

    source = path.read_text(encoding="utf-8")
    tree, whole, found = trees.get_ast(source), ast.parse(source), defaultdict(list)
    parts = [getattr(node, name, None) for node in ast.walk(whole) for name in ("annotation", "returns")]
    parts += [node for node in ast.walk(whole) if isinstance(node, ast.Raise | ast.JoinedStr)]
    parts += [node for node in ast.walk(whole) if isinstance(node, ast.keyword) and node.arg == "strict"]
    named = [node for node in ast.walk(whole) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    silent = [((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)) for part in parts if part]
    for name in filter(CHANGES.fullmatch, plugins.operator_names()):
        operator = plugins.get_operator(name)()
        places = (place for node in trees.ast_nodes(tree) for place, _ in operator.mutation_positions(node))
        for occurrence, place in enumerate(places):
            if not any(first <= place <= last for first, last in silent):
                around = [node.name for node in named if node.lineno <= place[0] <= node.end_lineno]
                found[place].append(Mutant(str(path.relative_to(project)), place[0], (around or [""])[-1], name, occurrence))
    return found


def importers(project: Path) -> dict[str, set[str]]:
    """Files of fast tests by the names of what they import, themselves or by a helper of the tests."""
    names: dict[str, set[str]] = {}
    for path in sorted((project / "tests").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        found |= {f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        names[str(path.relative_to(project))] = found | {name.rpartition(".")[0] for name in found}
    by = defaultdict(set)
    for path, found in names.items():
        if re.search(r"/test_\w+\.py$", path) and "/reference/" not in path:
            helpers = [other for other in names if other.removesuffix(".py").replace("/", ".") in found]
            for name in found.union(*(names[helper] for helper in helpers)):
                by[name].add(path)
    return by


def noticing(mutant: Mutant, by: dict[str, set[str]]) -> tuple[list[str], list[str]]:
    """Files of tests that import the changed module and are named after it or its room; others that do one of both."""
    path = Path(mutant.file)
    named = re.compile(rf"/(test_)?{path.parts[2]}[_./]|/test_\w*{path.stem}")
    likely = {test for test in set().union(*by.values()) if named.search(test)}
    first = by[mutant.module] & likely
    return sorted(first), sorted((by[mutant.module] | likely) - first)


def original(folder: Path) -> Path:
    """The project as it is now, without what was made in it, so that it can be edited in the meantime."""
    project = folder / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(*MADE))
    (project / ".venv").symlink_to(sys.prefix)
    (project / ".snakemake").mkdir()  # where the parsed sources are remembered
    compileall.compile_dir(project / "src", quiet=1)
    os.environ["PYTHONDONTWRITEBYTECODE"], sys.dont_write_bytecode = "1", True  # it tells changes apart by seconds alone
    return project


def copy_of_mine(project: Path) -> Path:
    """This process's copy of the project, made when it is first asked for. Its children import from there."""
    copy = project.with_name(str(os.getpid()))
    if not copy.exists():
        shutil.copytree(project, copy, symlinks=True)
        os.environ["PYTHONPATH"] = str(copy / "src")
        own = {str(ROOT), str(ROOT / "src"), str(ROOT / "tests")}
        sys.path[:] = [str(copy / "src"), str(copy), *(path for path in sys.path if path not in own)]
    return copy


class QuickestFirst:
    """Plugin of pytest: of tests that speak of something, the quickest of each file first; which fails, what each takes."""

    def __init__(self, words: list[str]) -> None:
        self.words = re.compile(rf"\b({'|'.join(words)})\b")
        self.taken: dict[str, float] = defaultdict(float)
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list) -> None:
        items[:] = [item for item in items if self.words.search(inspect.getsource(item.function))]
        files = list(dict.fromkeys(item.path for item in items))
        items.sort(key=lambda item: (files.index(item.path), TAKEN.get(item.nodeid, 0.0)))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.taken[report.nodeid] += report.duration
        self.failed = self.failed or (report.nodeid if report.failed else "")


def tests(copy: Path, files: list[str], words: list[str]) -> None:
    """Run tests in a copy, in a process of its own that ends with the exit status of pytest."""
    os.setsid()
    with copy.with_suffix(".txt").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    import pytest  # noqa: PLC0415

    plugin = QuickestFirst(words)
    options = ["-x", "--tb=line", "-p", "no:cacheprovider", f"--basetemp={copy}-tmp"]
    status = int(pytest.main([*files, *options], plugins=[plugin]))
    copy.with_suffix(".json").write_text(json.dumps([plugin.failed, plugin.taken]))
    sys.stdout.flush()
    os._exit(status)


def apart(function: Callable, copy: Path, *arguments: object, seconds: float | None = None) -> int | None:
    """Exit status of a function in a process of its own; None when it takes more than so many seconds, and is ended."""
    import psutil  # noqa: PLC0415

    os.chdir(copy)
    child = FORK.Process(target=function, args=(copy, *arguments))
    child.start()
    child.join(seconds)
    if child.exitcode is None:
        family = psutil.Process(child.pid)
        for process in (*family.children(recursive=True), family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        child.join()
        return None
    return child.exitcode


def noticed(copy: Path, files: list[str], words: list[str], seconds: float) -> str:
    """The first test that fails in a copy; empty when none does, or there is none."""
    status = apart(tests, copy, files, words, seconds=seconds)
    if status is None:
        return TOO_LONG
    failed, taken = json.loads(copy.with_suffix(".json").read_text()) if status in (0, 1, 5) else ("", {})
    TAKEN.update(taken)
    if failed or status in (0, 5):
        return failed
    return f"exit status {status}"  # the code cannot even be imported, or ends the program


def keep_compiled(copy: Path, before: str, module: str) -> None:
    """Give the changed code the machine code of functions that have nothing to do with the change: compiling takes long."""
    from respike import fingerprint  # noqa: PLC0415

    compiled = copy / "src/respike/__pycache__/compiled"
    for path in (compiled / before).rglob("*.nb?"):
        of = fingerprint.closure(f"respike.{path.parent.name.rpartition('_')[0]}.{path.name.partition('.')[0]}")
        if of and module not in of and before != fingerprint.compiled():
            new = compiled / fingerprint.compiled() / path.relative_to(compiled / before)
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, new)


def held(copy: Path, mutant: Mutant, files: list[str], words: list[str], seconds: float) -> tuple[str, str]:
    """The changed line, and the first test that fails by it. The copy is left as it was."""
    from cosmic_ray import mutating, plugins  # noqa: PLC0415

    path, compiled = copy / mutant.file, copy / "src/respike/__pycache__/compiled"
    content, stamp, kept = path.read_bytes(), path.stat().st_mtime_ns, sorted(compiled.glob("*"))
    changed = mutating.mutate_code(content.decode(), plugins.get_operator(mutant.operator)(), mutant.occurrence)
    try:
        path.write_text(changed, encoding="utf-8")
        for one in kept:
            apart(keep_compiled, copy, one.name, mutant.module)
        failed = noticed(copy, files, words, seconds)
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stamp, stamp))  # so that bytecode and machine code of the unchanged file stay valid
        for other in set(compiled.glob("*")) - set(kept):
            shutil.rmtree(other)
    file, _, test = failed.partition("[")[0].partition("::")
    again = ([file], [test.split("::")[-1]]) if test else (files, words)
    if (test or failed == TOO_LONG) and (other := noticed(copy, *again, seconds)):
        raise SystemExit(f"{other} ({failed}) although nothing is changed: mend it, or allow more than {seconds:g} seconds")
    return changed.splitlines()[mutant.line - 1].strip(), failed


def room(project: Path, name: str, count: int, seed: int, seconds: float) -> tuple[str, int, list[str]]:
    """The changes of a room, one after the other: how many there were, and those that no test noticed."""
    copy, chosen, by, survivors = copy_of_mine(project), sample(project, name, count, seed), importers(project), []
    for mutant in chosen:
        begun, failed, (first, others) = time.monotonic(), "", noticing(mutant, by)
        speaking = [word for word in (mutant.name.strip("_"), Path(mutant.file).stem) if word]
        for files, words in (([*first, *others], speaking), (first, [""]), (others, [""])):
            if files and not failed:
                line, failed = held(copy, mutant, files, words, seconds)
        before = (project / mutant.file).read_text(encoding="utf-8").splitlines()[mutant.line - 1].strip()
        what = f"{mutant.file}:{mutant.line}\n    - {before}\n    + {line}"
        survivors += [] if failed else [what]
        print(f"{failed or 'SURVIVES'} ({time.monotonic() - begun:.0f} s) {what}", flush=True)
    return name, len(chosen), survivors


def main() -> None:
    """Make the changes, and print those that survive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=14 * len(ROOMS), help="changes in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0, help="what takes longer was noticed")
    parser.add_argument("--only", nargs="*", default=ROOMS, choices=ROOMS)
    asked = parser.parse_args()
    runpy.run_path(str(ROOT / "src/respike/surroundings.py"))["settle"]()
    os.environ.pop("RESPIKE_REFERENCE", None)
    with warnings.catch_warnings(action="ignore"):
        for name in SHARED:
            importlib.import_module(name)
    each = -(-asked.count // len(asked.only))
    with tempfile.TemporaryDirectory(prefix="respike-mutants-") as folder:
        project = original(Path(folder))
        with ProcessPoolExecutor(asked.cores, FORK) as pool:
            jobs = [pool.submit(room, project, name, each, asked.seed, asked.seconds) for name in asked.only]
            results = [job.result() for job in as_completed(jobs)]
    print("\nsurvivors")
    for _, _, survivors in results:
        print("\n".join(survivors))
    for name, number, survivors in results:
        print(f"{name:10} {number - len(survivors)} of {number} noticed")
    total, alive = sum(number for _, number, _ in results), sum(len(survivors) for _, _, survivors in results)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = f"{(used.ru_utime + used.ru_stime) / 60:.1f} minutes of CPU"
    print(f"{total - alive} of {total} changes noticed ({(total - alive) / total:.0%}), in {spent}")


if __name__ == "__main__":
    main()
