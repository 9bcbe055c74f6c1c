"""Fingerprint of a stage's code, so that an edit reruns the stages it can change and no others."""

import ast
import hashlib
import importlib.metadata
import json
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[1]  # the folder that holds the package `respike`
TOP = "respike"
COMPILER = "respike.compiled"
WITHOUT_NUMBERS = {TOP, "respike.fingerprint"}
VERSIONED = ("brian2", "h5py", "mujoco", "numba", "numpy", "pandas", "sbi", "scipy", "sklearn", "torch")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
MEMORY = Path(f".snakemake/respike-code.{sys.implementation.cache_tag}.json")  # parsing all stages takes half a second
_new: list[str] = []  # what was parsed and is not remembered yet
DISTRIBUTION = {"sklearn": "scikit-learn"}  # where the package has another name than the module


@cache
def code(stage: str) -> str:
    """Twelve hex digits that change when the meaning of `stage` changes, for instance code("modes.fit").

    Covered are the stage's module, every respike module it imports (and so on), the data files of its study and core
    that these modules name, and major.minor of the packages that set the numbers. Comments, blank lines and docstrings
    are not covered. Raises FileNotFoundError for an unknown stage.
    """
    modules = closure(module(stage))
    if not modules:
        raise FileNotFoundError(f"no stage {stage!r}: {SOURCE.joinpath(*module(stage).split('.'))}.py does not exist")
    return _total(modules)


def module(stage: str) -> str:
    """Name of the module of a stage: modes.fit -> respike.modes.stages.fit."""
    study, _, name = stage.partition(".")
    return f"{TOP}.{study}.stages.{name}"


@cache
def compiled() -> str:
    """Twelve hex digits that change when anything changes that a function compiled by numba may hold.

    Covered are all modules that compile functions, and what these import.
    """
    paths = (path.relative_to(SOURCE).with_suffix("") for path in (SOURCE / TOP).rglob("*.py"))
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    compiling = {name for name in names if COMPILER in _imported(_file(name))}
    return _total(frozenset().union(*(closure(name) for name in compiling)))


def _total(modules: frozenset[str]) -> str:
    total = hashlib.sha256()
    for name in sorted(modules):
        total.update(f"{name} {meaning(_file(name))}\n".encode())
        for data in data_files(_file(name)):
            total.update(f"{data.name} {hashlib.sha256(data.read_bytes()).hexdigest()}\n".encode())
    for package in sorted(packages(modules)):
        total.update(f"{package} {version(package)}\n".encode())
    _remember()
    return total.hexdigest()[:12]


@cache
def closure(module: str) -> frozenset[str]:
    """Names of `module`, its packages and all respike modules it imports, directly or not.

    Those that set no number are left out: the top package, which holds the version, and this module.
    """
    if _file(module) is None:
        return frozenset()
    new = {module, *_parents(module)} - WITHOUT_NUMBERS
    modules = set(new)
    while new:
        new = {name for one in new for name in _imported(_file(one)) if _file(name)} - modules - WITHOUT_NUMBERS
        modules |= new
    return frozenset(modules)


def packages(modules: frozenset[str]) -> set[str]:
    """Those of the packages that set numbers which `modules` import."""
    roots = {name.split(".")[0] for module in modules for name in _imported(_file(module))}
    return roots & set(VERSIONED)


@cache
def version(package: str) -> str:
    """Major and minor version of an installed package, for instance 2.3."""
    return ".".join(exact_version(package).split(".")[:2])


def exact_version(package: str) -> str:
    """Version of an installed package, for instance 2.3.5; "none" where Snakemake alone is installed, to plan or to lint."""
    try:
        return importlib.metadata.version(DISTRIBUTION.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return "none"


def meaning(file: Path) -> str:
    """Hash of what a Python file says, without comments, blank lines and docstrings."""
    return _summary(file)["meaning"]


@cache
def data_files(file: Path) -> tuple[Path, ...]:
    """Data files of a module's study (or of core) whose name stands in the module as text: tables, templates, C++ sources."""
    candidates = _not_python(SOURCE.joinpath(*file.relative_to(SOURCE).parts[:2]))
    texts = set(_summary(file)["texts"]) if candidates else set()
    return tuple(path for path in candidates if path.name in texts)


@cache
def _not_python(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*") if path.suffix not in {".py", ".pyc"} and path.is_file()))


@cache
def _summary(file: Path) -> dict[str, Any]:
    """Of a Python file: its meaning, the names it imports, and its texts that may be names of files."""
    source = file.read_bytes()
    key = hashlib.sha256(_parser() + source).hexdigest()
    if key not in _known():
        _known()[key] = _parsed(source.decode())
        _new.append(key)
    return _known()[key]


@cache
def _parser() -> bytes:
    """This module: what it made of a file before it was edited is forgotten."""
    return Path(__file__).read_bytes()


def _parsed(source: str) -> dict[str, Any]:
    tree = ast.parse(source)
    names, texts = set(), set()
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 100:
            texts.add(node.value)
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:] or [ast.Pass()]
    return {"meaning": hashlib.sha256(ast.dump(tree).encode()).hexdigest(), "names": sorted(names), "texts": sorted(texts)}


@cache
def _known() -> dict[str, dict[str, Any]]:
    """Summaries of files by the hash of their content and of this module, as remembered from before."""
    try:
        return json.loads(MEMORY.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, not readable or half written: parse again
        return {}


def _remember() -> None:
    """Write what was parsed, so that the next process need not; where there is no such place, that is no harm."""
    if not _new or not MEMORY.parent.is_dir():
        return
    _new.clear()
    with suppress(OSError):  # torn by another process that writes it too, it is parsed again
        MEMORY.write_text(json.dumps(_known()), encoding="utf-8")


@cache
def _imported(file: Path) -> frozenset[str]:
    names = _summary(file)["names"]
    return frozenset({*names, *(parent for name in names for parent in _parents(name))})


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def _file(module: str) -> Path | None:
    stem = SOURCE.joinpath(*module.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((file for file in candidates if module.startswith("respike") and file.is_file()), None)
