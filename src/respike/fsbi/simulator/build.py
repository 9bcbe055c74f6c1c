"""Compile the network into a binary that runs any rule.

A binary lies in a folder named by a hash of everything that goes into it, and is compiled once however many rules, rounds or
workflows use it.
"""

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from respike import fingerprint
from respike.core import files
from respike.fsbi.params import DT, Network
from respike.fsbi.simulator import binary, circuit, codegen
from respike.fsbi.simulator.brian import brian2

# Exact float semantics: no reordering and no fused operations, so that differently shaped loops give the same bits.
FLAGS = ("-std=c++17", "-w", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
COLD = ("create_generator", "variable_set", "before_run_", "after_run_")  # code objects that run once


def build(network: Network, folder: Path, out: Path) -> None:
    """Compile `network` below `folder`, unless it is there, and write to `out` where the binary is."""
    compiler, network = find_compiler(), served(network)
    key = key_of(network, compiler)
    home = Path(folder).resolve() / key
    with only_one(home.with_suffix(".lock")):
        if not binary.is_whole(home):
            compile_into(home, network, compiler)
    where = os.path.relpath(home, Path(out).resolve().parent)
    files.write_text(out, json.dumps({"network": asdict(network), "key": key, "folder": where}, indent=1))


def served(network: Network) -> Network:
    """`network`, with the loops of Brian2 in place of the fast ones when these were not checked with this version of it."""
    if network.templates == "stock" or brian2.__version__ in codegen.CHECKED:
        return network
    here, checked = brian2.__version__, ", ".join(codegen.CHECKED)
    print(f"fsbi.build: Brian2 {here}, fast loops checked with {checked}: using its own, slower ones", flush=True)  # noqa: T201
    return replace(network, templates="stock")


def find_compiler() -> list[str]:
    """The C++ compiler with its arguments: $CXX or g++; FileNotFoundError when it is not installed."""
    compiler = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    if shutil.which(compiler[0]) is None:
        raise FileNotFoundError(f"fsbi.build: the C++ compiler {compiler[0]!r} is not on the PATH; install g++ or set CXX")
    return compiler


def key_of(network: Network, compiler: list[str]) -> str:
    """Twelve hex digits that change with anything that can change the binary."""
    said = subprocess.run([*compiler, "--version"], check=True, capture_output=True, text=True).stdout
    parts = {
        "network": asdict(network),
        "code": fingerprint.code("fsbi.build"),
        "packages": {package: version(package) for package in ("brian2", "numpy", "jinja2")},
        "compiler": [*compiler, said, *flags(network)],
        "cpu": cpu_family() if network.cpu == "native" else "",
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def flags(network: Network) -> list[str]:
    """Compiler flags; those that name a processor are others on ARM, where not every clang knows -march=native."""
    x86 = [f"-march={network.cpu}", "-mprefer-vector-width=512"]
    return [*FLAGS, *(x86 if platform.machine() == "x86_64" else [f"-mcpu={network.cpu}"])]


def cpu_family() -> str:
    """What `native` depends on: the instruction sets of this machine."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    return platform.processor()


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Waits until no other process is in the same block; the lock goes with its process, however that ends."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_into(home: Path, network: Network, compiler: list[str]) -> None:
    """Generate, compile and publish the project as the folder `home`, whole or not at all."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".tmp-{home.name}-", dir=home.parent))
    try:
        generate(unfinished, network)
        make(unfinished, network, compiler)
        binary.seal(unfinished)
        shutil.rmtree(home, ignore_errors=True)  # damaged, or left by something that is not us
        unfinished.chmod(0o755)
        unfinished.rename(home)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def generate(project: Path, network: Network) -> None:
    """Write the C++ of `network` into the folder `project`."""
    with standalone(network):
        brian2.BrianLogger.suppress_name("cannot_check_statemonitor_indices")  # circuit.sampler sets them in the binary
        circuit.assemble(network)
        for header in codegen.HEADERS:
            (project / header).write_text(codegen.source(header), encoding="utf-8")
        brian2.device.build(directory=str(project), compile=False, run=False)


@contextmanager
def standalone(network: Network) -> Iterator[None]:
    """The C++ device of Brian2 with our loops, or its own, for the time of the block, whatever the user's preferences."""
    ours = {
        "core.default_float_dtype": np.float32,
        "codegen.cpp.headers": ["<cstring>", "<fstream>", "<type_traits>", '"lanes.h"'],
    }
    before = dict(brian2.prefs)
    brian2.set_device("cpp_standalone", build_on_run=False)
    brian2.device.reinit()
    brian2.device.activate(build_on_run=False)
    try:
        brian2.prefs.reset_to_defaults()
        brian2.prefs.update(ours)
        brian2.start_scope()
        brian2.defaultclock.dt = DT * brian2.second
        with codegen.templates() if network.templates == "fast" else nullcontext():
            yield
    finally:
        brian2.prefs.update(before)
        brian2.device.reinit()
        brian2.set_device("runtime")


def make(project: Path, network: Network, compiler: list[str]) -> None:
    """Compile the C++ in `project` as two units; OSError with the end of the compiler's report when that fails.

    Brian2 writes some 75 small files, each of which reads the same headers; two units take a tenth of the time.
    """
    objects = sorted((project / "code_objects").glob("*.cpp"))
    hot = [file for file in objects if not any(part in file.name for part in COLD)]
    cold = [file for file in objects if file not in hot] + sorted([*project.glob("*.cpp"), *project.glob("brianlib/*.cpp")])
    for name, level, sources in (("hot", "-O3", hot), ("cold", "-O1", cold)):
        unit = project / f"{name}.cc"
        unit.write_text("\n".join(apart(file.read_text(), file.stem) for file in sources))
        call(*compiler, *flags(network), level, "-I.", "-Ibrianlib", "-c", unit.name, "-o", f"{name}.o", folder=project)
    call(*compiler, "hot.o", "cold.o", "-o", "main", folder=project)
    for left_over in project.glob("*.o"):
        left_over.unlink()


def apart(text: str, name: str) -> str:
    """C++ of a code object with its functions in a namespace of its own, so that many can share a unit."""
    start = "////// SUPPORT CODE ///////\nnamespace {"
    if start not in text:
        return text
    text = text.replace(start, f"namespace support_{name} {{")
    return text.replace("using namespace brian;", f"using namespace brian;\n    using namespace support_{name};")


def call(*words: str, folder: Path) -> None:
    """Run a compiler command in `folder`."""
    done = subprocess.run(words, check=False, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise OSError(f"compiling the simulator in {folder} failed; {words[0]} ended with:\n{done.stdout[-1500:]}")
