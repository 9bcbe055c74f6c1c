"""Fingerprint of a stage's code, so that an edit reruns the stages it can change and no others."""

import ast
import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]  # the folder that holds the package `respike`
TOP = "respike"
VERSIONED = ("brian2", "h5py", "mujoco", "numba", "numpy", "pandas", "sbi", "scipy", "sklearn", "torch")
DISTRIBUTION = {"sklearn": "scikit-learn"}  # where the package has another name than the module


@cache
def code(stage: str) -> str:
    """Twelve hex digits that change when the meaning of `stage` changes, for instance code("modes.fit").

    Covered are the stage's module, every respike module it imports (and so on), the data files of its study and core
    that these modules name, and major.minor of the packages that set the numbers. Comments, blank lines and docstrings
    are not covered. Raises FileNotFoundError for an unknown stage.
    """
    modules = closure(f"respike.{stage}")
    if not modules:
        raise FileNotFoundError(f"no stage {stage!r}: {SOURCE / 'respike' / stage.replace('.', '/')}.py does not exist")
    total = hashlib.sha256()
    for name in sorted(modules):
        total.update(f"{name} {meaning(_file(name))}\n".encode())
        for data in data_files(_file(name)):
            total.update(f"{data.name} {hashlib.sha256(data.read_bytes()).hexdigest()}\n".encode())
    for package in sorted(packages(modules)):
        total.update(f"{package} {version(package)}\n".encode())
    return total.hexdigest()[:12]


@cache
def closure(module: str) -> frozenset[str]:
    """Names of `module`, its packages and all respike modules it imports, directly or not.

    The top package is left out: it holds the version, and a release changes no result.
    """
    if _file(module) is None:
        return frozenset()
    new = {module, *_parents(module)} - {TOP}
    found = set(new)
    while new:
        new = {name for module in new for name in _imported(_file(module)) if _file(name)} - found - {TOP}
        found |= new
    return frozenset(found)


def packages(modules: frozenset[str]) -> set[str]:
    """Those of the packages that set numbers which `modules` import."""
    roots = {name.split(".")[0] for module in modules for name in _imported(_file(module))}
    return roots & set(VERSIONED)


@cache
def version(package: str) -> str:
    """Major and minor version of an installed package, for instance 2.3."""
    return ".".join(exact_version(package).split(".")[:2])


def exact_version(package: str) -> str:
    """Version of an installed package, for instance 2.3.5."""
    return importlib.metadata.version(DISTRIBUTION.get(package, package))


@cache
def meaning(file: Path) -> str:
    """Hash of what a Python file says, without comments, blank lines and docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def data_files(file: Path) -> tuple[Path, ...]:
    """Data files beside `file` whose name stands in it as text: tables, templates, C++ sources."""
    beside = _not_python(file.parent)
    texts = {node.value for node in _nodes(file) if isinstance(node, ast.Constant)} if beside else set()
    return tuple(path for path in beside if path.name in texts)


@cache
def _not_python(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*") if path.suffix not in {".py", ".pyc"} and path.is_file()))


@cache
def _nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def _imported(file: Path) -> frozenset[str]:
    names = set()
    for node in _nodes(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names | {parent for name in names for parent in _parents(name)})


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def _file(module: str) -> Path | None:
    stem = SOURCE.joinpath(*module.split("."))
    candidates = (stem.with_suffix(".py"), stem / "__init__.py")
    return next((file for file in candidates if module.startswith("respike") and file.is_file()), None)
