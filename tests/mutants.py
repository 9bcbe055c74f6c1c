"""Small changes of the science, the workflow and the report, one at a time: which of them does no fast test notice?

`make mutants COUNT=126 SEED=0 ONLY=modes`. Cosmic Ray makes the changes; which ones is drawn by SEED, as many in each study,
in core, workflow and report. A change is made in a copy of the project and held against the tests that can notice it: the
files that import its module or are named after its room. Reference cases stay out: users have none.
"""

import argparse
import ast
import compileall
import importlib
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
USUAL: dict[str, float] = {}  # s that each test takes when nothing is changed


class Mutant(NamedTuple):
    """A change: the file, the line, the operator of Cosmic Ray, and which of the places where it can be used."""

    file: str
    line: int
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
    """All changes of a file by the place where they are made; none in types, in texts, and in what is said of an error."""
    from cosmic_ray import ast as trees  # noqa: PLC0415
    from cosmic_ray import plugins  # noqa: PLC0415

    source = path.read_text(encoding="utf-8")
    tree, whole, found = trees.get_ast(source), ast.parse(source), defaultdict(list)
    parts = [getattr(node, name, None) for node in ast.walk(whole) for name in ("annotation", "returns")]
    parts += [node for node in ast.walk(whole) if isinstance(node, ast.Raise | ast.JoinedStr)]
    silent = [((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)) for part in parts if part]
    for name in filter(CHANGES.fullmatch, plugins.operator_names()):
        operator = plugins.get_operator(name)()
        places = (place for node in trees.ast_nodes(tree) for place, _ in operator.mutation_positions(node))
        for occurrence, place in enumerate(places):
            if not any(first <= place <= last for first, last in silent):
                found[place].append(Mutant(str(path.relative_to(project)), place[0], name, occurrence))
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
    """Plugin of pytest: of each file the quickest tests first, and how long they take."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = defaultdict(float)

    def pytest_collection_modifyitems(self, items: list) -> None:
        files = list(dict.fromkeys(item.path for item in items))
        items.sort(key=lambda item: (files.index(item.path), USUAL.get(item.nodeid, 0.0)))

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.taken[report.nodeid] += report.duration


def tests(copy: Path, files: list[str]) -> None:
    """Run files of tests in a copy, in a process of its own that ends with the exit status of pytest."""
    os.setsid()
    with copy.with_suffix(".txt").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    import pytest  # noqa: PLC0415

    plugin = QuickestFirst()
    options = ["-x", "--tb=line", "-p", "no:cacheprovider", f"--basetemp={copy}-tmp"]
    status = int(pytest.main([*files, *options], plugins=[plugin]))
    copy.with_suffix(".json").write_text(json.dumps(plugin.taken))
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


def noticed(copy: Path, files: list[str], seconds: float) -> str:
    """The first test that fails in a copy; empty when none does."""
    status = apart(tests, copy, files, seconds=seconds)
    if status == 0:
        return ""
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", copy.with_suffix(".txt").read_text(errors="replace"), re.MULTILINE)
    return f"more than {seconds:.0f} s" if status is None else (failed or [f"exit status {status}"])[0]


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


def held(copy: Path, mutant: Mutant, files: list[str]) -> tuple[str, str]:
    """The changed line, and the first test that fails by it. The copy is left as it was."""
    from cosmic_ray import mutating, plugins  # noqa: PLC0415

    know(copy, files)
    path, compiled = copy / mutant.file, copy / "src/respike/__pycache__/compiled"
    content, stamp, kept = path.read_bytes(), path.stat().st_mtime_ns, sorted(compiled.glob("*"))
    changed = mutating.mutate_code(content.decode(), plugins.get_operator(mutant.operator)(), mutant.occurrence)
    try:
        path.write_text(changed, encoding="utf-8")
        for one in kept:
            apart(keep_compiled, copy, one.name, mutant.module)
        failed = noticed(copy, sorted(files, key=lambda file: seconds([file])), 60 + 3 * seconds(files))
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(stamp, stamp))  # so that bytecode and machine code of the unchanged file stay valid
        for other in set(compiled.glob("*")) - set(kept):
            shutil.rmtree(other)
    return changed.splitlines()[mutant.line - 1].strip(), failed


def know(copy: Path, files: list[str]) -> None:
    """See that the tests pass when nothing is changed, how long they take, and have what they need compiled."""
    new = sorted(set(files) - {test.partition("::")[0] for test in USUAL})
    if new and (failed := noticed(copy, new, 3600)):
        raise SystemExit(f"{failed} fails although nothing is changed; mend it first")
    USUAL.update(json.loads(copy.with_suffix(".json").read_text()) if new else {})


def seconds(files: list[str]) -> float:
    """How long the tests of some files take when nothing is changed."""
    return sum(taken for test, taken in USUAL.items() if test.partition("::")[0] in files)


def room(project: Path, name: str, count: int, seed: int) -> tuple[str, int, list[str]]:
    """The changes of a room, one after the other: how many there were, and those that no test noticed."""
    copy, chosen, by, survivors = copy_of_mine(project), sample(project, name, count, seed), importers(project), []
    for mutant in chosen:
        begun, failed = time.monotonic(), ""
        for files in filter(None, noticing(mutant, by)):
            line, failed = held(copy, mutant, files)
            if failed:
                break
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
    parser.add_argument("--only", nargs="*", default=ROOMS, choices=ROOMS)
    asked = parser.parse_args()
    runpy.run_path(str(ROOT / "src/respike/surroundings.py"))["settle"]()
    os.environ.pop("RESPIKE_REFERENCE", None)
    for name in SHARED:
        importlib.import_module(name)
    each = -(-asked.count // len(asked.only))
    with tempfile.TemporaryDirectory(prefix="respike-mutants-") as folder:
        project = original(Path(folder))
        with ProcessPoolExecutor(asked.cores, FORK) as pool:
            jobs = [pool.submit(room, project, name, each, asked.seed) for name in asked.only]
            results = [job.result() for job in as_completed(jobs)]
    print("\nsurvivors")
    for _, _, survivors in results:
        print("\n".join(survivors))
    for name, number, survivors in results:
        print(f"{name:10} {number - len(survivors)} of {number} noticed")
    total, alive = sum(number for _, number, _ in results), sum(len(survivors) for _, _, survivors in results)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = f"{(used.ru_utime + used.ru_stime) / 60:.0f} minutes of CPU"
    print(f"{total - alive} of {total} changes noticed ({(total - alive) / total:.0%}), in {spent}")


if __name__ == "__main__":
    main()
