"""How the house is built (CONTRIBUTING), read off the folders: there is no list of studies, stages or modules to keep.

What has a folder `stages` is a study, or the report. Nothing is imported here: the trees of the code are looked at.
"""

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
EVERYONES = {"respike", "respike.compiled", "respike.fingerprint"}  # version, machine code, what the code means
PACKAGE = ROOT / "src" / "respike"
FILES = sorted(PACKAGE.rglob("*.py"))
WITH_STAGES = sorted(folder.parent for folder in PACKAGE.glob("*/stages"))
STUDIES = [folder for folder in WITH_STAGES if folder.name != "report"]
STAGES = [path for path in FILES if path.parent.name == "stages" and path.stem != "__init__"]
WORKFLOW = [*sorted((ROOT / "workflow" / "rules").glob("*.smk")), ROOT / "workflow" / "Snakefile", ROOT / "Snakefile"]
LONG = {"metrics", "figures"}  # stages that may have more than 60 lines
COMPUTING = {"torch", "brian2", "sbi", "numba", "sklearn", "mujoco"}  # half a second to ten to import
SLOW = COMPUTING | {"pandas", "matplotlib", "scipy"}


def module_of(path: Path) -> str:
    """src/respike/modes/model.py -> respike.modes.model."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def each(paths: list[Path]) -> dict:
    return {"argvalues": paths, "ids": [str(path.relative_to(ROOT)) for path in paths]}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def length(paths: list[Path]) -> int:
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Dotted names that import statements among the nodes name."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def imported(path: Path, at_once: bool = False) -> frozenset[str]:
    """Dotted names that a file imports; `at_once` those alone that it imports as soon as it is imported itself."""
    if path.suffix != ".py":  # a file of workflow rules
        statements = re.findall(
            r"^\s*((?:from|import) (?:[^(\n]+$|[^()]+\([^)]+\)))", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        return frozenset(names_in(ast.parse("\n".join(statements)).body))
    return frozenset(names_in(tree(path).body if at_once else ast.walk(tree(path))))


def modules(path: Path, at_once: bool = False) -> set[str]:
    """The modules of respike among what a file imports."""
    names = (name for name in imported(path, at_once) if name.split(".")[0] == PACKAGE.name)
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def room(module: str) -> str:
    """The folder in which a module lies: core, workflow, report, a study, or respike itself."""
    folder = MODULES[module].relative_to(PACKAGE).parts[0]
    return PACKAGE.name if folder.endswith(".py") else folder


def loaded(names: set[str]) -> set[str]:
    """What Python has imported once it has imported these modules: those of respike, and the packages they name."""
    seen: set[str] = set()
    new = set(names)
    while new:
        parents = {".".join(name.split(".")[:n]) for name in new for n in range(1, name.count(".") + 1)}
        seen |= (new := new | parents)
        new = {name for module in new for name in modules(MODULES[module], at_once=True)} - seen
    return seen | {name.split(".")[0] for module in seen for name in imported(MODULES[module], at_once=True)}


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]


def parameters(function: ast.FunctionDef) -> int:
    signature = function.args
    return len([*signature.posonlyargs, *signature.args, *signature.kwonlyargs])


def test_there_are_studies_and_stages_and_all_that_is_imported_exists():
    assert [study for study in STUDIES if not (study / "claims.csv").exists()] == []
    assert len(STUDIES) >= 6
    assert [study.name for study in STUDIES if not study.name.isalnum()] == [], "a word: rules and runs are <study>_<name>"
    assert all((study / "stages" / "metrics.py") in STAGES for study in STUDIES)
    assert {name for path in FILES for name in modules(path)} <= set(MODULES)


@pytest.mark.parametrize("path", **each(FILES))
def test_a_room_knows_itself_and_core_alone(path):
    here = room(module_of(path))
    below = {"core": set(), "formats": {"core"}}.get(here, {"core", "formats"})  # core knows no format, formats no study
    above = {"workflow": {PACKAGE.name}, "export": {"workflow"}, PACKAGE.name: {PACKAGE.name}}
    allowed = {*below, here, *above.get(here, set())}
    assert {name for name in modules(path) if room(name) not in allowed} <= EVERYONES
    if path.name == "params.py":
        assert {room(name) for name in modules(path)} <= {"core", "formats"}, "constants depend on nothing of their study"
    assert not any(name.split(".")[0] == "snakemake" for name in imported(path)), "Snakemake is called as a program"


@pytest.mark.parametrize("path", **each([*FILES, *sorted((ROOT / "examples").glob("*.py"))]))
def test_nothing_imports_a_stage(path):
    assert not [name for name in imported(path) if ".stages" in name]


def test_no_module_imports_itself_by_way_of_others():
    edges = [(name, other) for name, path in MODULES.items() for other in modules(path)]
    assert sorted(nx.simple_cycles(nx.DiGraph(edges))) == []


@pytest.mark.parametrize("path", **each(STAGES))
def test_a_stage_says_in_a_line_what_it_does_and_has_one_run_of_named_values(path):
    about = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
    assert about.endswith("."), "the line that python -m respike --help prints"
    runs = [function for function in tree(path).body if getattr(function, "name", "") == "run"]
    assert len(runs) == 1
    assert runs[0].args.kwonlyargs
    assert parameters(runs[0]) == len(runs[0].args.kwonlyargs)


@pytest.mark.parametrize("path", **each([path for path in STAGES if path.stem not in LONG]))
def test_a_stage_reads_calls_writes_and_little_else(path):
    assert length([path]) <= 60


@pytest.mark.parametrize("path", **each([path for path in STAGES if "partial.forget" in path.read_text(encoding="utf-8")]))
def test_a_saved_state_bears_the_name_of_the_file_that_is_written_last(path):
    """Once it is there, the next run sweeps the state away, which it needs when a further file found the disk full."""
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    done = [(call.lineno, call.func.attr, call.args[0].id) for call in calls if call.func.attr.startswith(("write", "forget"))]
    *before, _, (_, last, name) = sorted(done)
    assert (last, name in [file for *_, file in before]) == ("forget", False)


def test_every_stage_is_called_by_a_workflow_rule_or_is_told_to_users():
    callers = [*WORKFLOW, ROOT / "Makefile", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    called = set(re.findall(r"\b\w+\.\w+\b", "\n".join(path.read_text(encoding="utf-8") for path in callers)))
    assert {f"{path.parents[1].name}.{path.stem}" for path in STAGES} - called == set()


@pytest.mark.parametrize("path", **each([path for path in FILES if path.name == "fitted.py"]))
def test_a_fitted_model_is_read_and_written_alike_in_every_study(path):
    assert {"read", "write"} <= {function.name for function in functions(path)}


def test_what_plans_the_workflow_and_waits_for_it_starts_fast():
    planning = {name for path in WORKFLOW for name in modules(path)}
    waiting = {name for name in MODULES if room(name) in {"workflow", PACKAGE.name}} - {"respike.compiled"}
    assert loaded(planning | waiting) & SLOW == set()


def test_the_report_reads_what_was_computed_and_computes_nothing():
    assert loaded({name for name in MODULES if room(name) == "report"}) & COMPUTING == set()


@pytest.mark.parametrize("path", **each(FILES))
def test_files_and_functions_are_short(path):
    assert length([path]) < 400
    for function in functions(path):
        if path not in STAGES or function.name != "run":
            assert function.end_lineno - function.lineno < 50, function.name
            assert parameters(function) <= 10, function.name


# Lines of a study's science and stages: the budget, and what is over it so far and may only shrink
BUDGET = (1500, 900)
OVER = {"barrel": (1857, 900), "fsbi": (3035, 900), "neulvm": (3575, 1000)}


@pytest.mark.parametrize("study", **each(STUDIES))
def test_studies_are_small(study):
    stages = [path for path in STAGES if path.parents[1] == study]
    science = [path for path in FILES if path.is_relative_to(study) and path not in stages]
    budget = OVER.get(study.name, BUDGET)
    assert (length(science) <= budget[0], length(stages) <= budget[1]) == (True, True), (length(science), length(stages))


@pytest.mark.parametrize(
    ("paths", "largest"),
    [
        ([path for path in FILES if path.parent == PACKAGE / "core"], 1150),
        ([path for path in FILES if path.parent == PACKAGE / "workflow"], 700),
        ([path for path in WORKFLOW if path.suffix == ".smk" or path.name == "Snakefile"], 233 * len(STUDIES)),
    ],
    ids=["core", "workflow", "smk"],
)
def test_what_the_studies_share_is_small(paths, largest):
    assert length(paths) <= largest


def test_no_file_is_called_utils():
    assert not [path for path in FILES if path.stem in {"utils", "util", "helpers", "misc", "base", "manager"}]
